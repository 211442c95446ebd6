package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof" // #nosec G108 -- on http.DefaultServeMux, which nothing else serves
	"os"
	"runtime/debug"
	"time"

	"github.com/soukhq/souk/internal/app"
)

type serveCmd struct {
	Pprof string `hidden:"" placeholder:"HOST:PORT" help:"Where to serve /debug/pprof/. Whoever reaches it sees inside: let it be 127.0.0.1."`
}

// Help is what souk serve --help says below its first line.
func (serveCmd) Help() string {
	return `
Without settings: an SQLite file and keys in ./souk-data, a Redis inside the
process, and the workers beside the API. Tables are made and kept up to date.

In production (a postgres:// database) run the workers apart, with "souk worker",
and bring the tables up to date with "souk migrate up" before a new version
starts. It stops on SIGTERM: running requests finish, subscriptions end.

  /graphql            the API            /healthz   the process lives
  /graphiql/          the explorer       /readyz    it can serve
  /.well-known/jwks.json  Souk's public keys
`
}

// Run serves until the process is told to stop.
func (c serveCmd) Run(ctx context.Context, g *Globals) error {
	if c.Pprof != "" {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Pprof)
		if err != nil {
			return err
		}
		profiles := &http.Server{Handler: http.DefaultServeMux, ReadHeaderTimeout: time.Second}
		go func() { _ = profiles.Serve(l) }()
		defer func() { _ = profiles.Close() }()
	}
	// Most of the heap are caches, which stay: a garbage collector that looks at them
	// less often costs some memory and saves a fifth of the processor.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
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
	return a.Serve(ctx, listener, func(url string) { fmt.Fprintf(os.Stderr, "souk serves %s/graphql\n", url) })
}

type workerCmd struct{}

// Run works until the process is told to stop.
func (workerCmd) Run(ctx context.Context, g *Globals) error {
	return withApp(ctx, g, func(ctx context.Context, a *app.App) error { return a.Work(ctx) })
}

// withApp builds everything, runs fn, and puts everything away.
func withApp(ctx context.Context, g *Globals, fn func(ctx context.Context, a *app.App) error) error {
	cfg, err := g.load()
	if err != nil {
		return err
	}
	a, err := app.Open(ctx, cfg, logger(cfg.Log))
	if err != nil {
		return err
	}
	defer a.Close()
	return fn(ctx, a)
}
