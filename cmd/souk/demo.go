package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/soukhq/souk/internal/app"
	"github.com/soukhq/souk/internal/demo"
	"github.com/soukhq/souk/internal/driver"
	"github.com/soukhq/souk/internal/merchantsim"
)

type demoCmd struct {
	Check bool `help:"Check the books at the end, and stop."`
	Keep  bool `help:"Keep the data in the data folder; otherwise they are thrown away at the end."`
}

// Help is what souk demo --help says below its first line.
func (demoCmd) Help() string {
	return `
Nothing needs to be installed or set. It starts Souk, on port 8080 if that is free,
and a merchant's product server, performs a purchase through the public API,
printing every GraphQL document that it sends, and leaves both running for you to try.
`
}

// Run performs the demo.
func (c demoCmd) Run(ctx context.Context, g *Globals) error {
	if err := c.prepare(ctx, g); err != nil {
		return err
	}
	if !c.Keep {
		defer func() { _ = os.RemoveAll(g.DataDir) }()
	}
	cfg, err := g.load()
	if err != nil {
		return err
	}
	listener, cfg, err := app.Listen(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	a, err := app.Open(ctx, cfg, logger(cfg.Log))
	if err != nil {
		return err
	}
	defer a.Close()

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx, listener, nil) }()
	failed := make(chan error, 1)
	go func() {
		err := c.perform(ctx, a)
		if err != nil || c.Check {
			stop()
		}
		failed <- err
	}()
	return errors.Join(<-served, <-failed)
}

// prepare sets what the demo needs, where the command line does not.
func (c demoCmd) prepare(ctx context.Context, g *Globals) error {
	if g.DataDir == "" {
		dir, err := os.MkdirTemp("", "souk-demo-")
		if err != nil {
			return err
		}
		g.DataDir = dir
	}
	if g.Addr == "" {
		g.Addr = "127.0.0.1:0"
		if !c.Check && free(ctx, "127.0.0.1:8080") {
			g.Addr = "127.0.0.1:8080"
		}
	}
	if g.LogLevel == "" {
		g.LogLevel = "warn"
	}
	if g.Set == nil {
		g.Set = map[string]string{}
	}
	// The product server runs on this machine, which Souk would not call else.
	if g.Set["outbound.allow_addresses"] == "" {
		g.Set["outbound.allow_addresses"] = "127.0.0.1"
	}
	return nil
}

func free(ctx context.Context, addr string) bool {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func (c demoCmd) perform(ctx context.Context, a *app.App) error {
	began := time.Now()
	merchantListener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	merchantURL := "http://" + merchantListener.Addr().String()
	shop, err := merchantsim.New(merchantsim.Config{Souk: a.PublicURL(), Data: filepath.Join(a.Config.Data.Dir, "merchant"), CardLife: 24 * time.Hour, Log: a.Log})
	if err != nil {
		return err
	}
	defer func() { _ = shop.Close() }()
	serving, stopShop := context.WithCancel(ctx)
	closed := make(chan error, 1)
	go func() { closed <- shop.Serve(serving, merchantListener) }()
	defer func() {
		stopShop()
		if err := <-closed; err != nil {
			a.Log.Warn("the merchant's server did not end well", "err", err)
		}
	}()

	client := driver.New(a.PublicURL())
	if err := client.Ready(ctx); err != nil {
		return err
	}
	service, err := a.Token(ctx, app.TokenRequest{Subject: "chat", Role: "service", Lifetime: 24 * time.Hour})
	if err != nil {
		return err
	}
	d := demo.Demo{Souk: client, Merchant: shop, MerchantURL: merchantURL, Out: os.Stdout, Service: service,
		Token: func(ctx context.Context, user string) (string, error) {
			return a.Token(ctx, app.TokenRequest{Subject: user, Lifetime: 24 * time.Hour})
		},
	}
	r, err := d.Run(ctx)
	if err != nil {
		return err
	}
	report, err := a.Ledger.Verify(ctx)
	if err != nil {
		return err
	}
	if !report.OK() {
		return fmt.Errorf("the ledger does not hold: %+v", report.Findings)
	}
	fmt.Printf("\nOrder %s is paid, and the ledger holds: %d accounts, %d transfers, %d open holds (%.1f s).\n",
		r.Order, report.Accounts, report.Transfers, report.Holds, time.Since(began).Seconds())
	if c.Check {
		return nil
	}
	fmt.Printf(`
Souk goes on running. Try it:

  explorer   %[1]s/graphiql/
  API        %[1]s/graphql
  Alice      %[2]s
  Bob        %[3]s
  chat app   %[4]s

Press Ctrl-C to stop.
`, a.PublicURL(), r.Tokens["alice"], r.Tokens["bob"], service)
	<-ctx.Done()
	return nil
}
