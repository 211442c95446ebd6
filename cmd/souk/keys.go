package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/soukhq/souk/internal/app"
	"github.com/soukhq/souk/internal/base/keys"
)

type keysCmd struct {
	Rotate keysRotateCmd `cmd:"" help:"Make a successor of one of Souk's keys."`
	Seal   keysSealCmd   `cmd:"" help:"Make a new sealing key, and seal the secrets in the database anew."`
}

type keysRotateCmd struct {
	Purpose string `arg:"" enum:"token,order,encryption" help:"Which key: token, order or encryption."`
}

// Help is what souk keys rotate --help says below its first line.
func (keysRotateCmd) Help() string {
	return `
The new key is published at once and used some minutes later, when those who keep
a copy of Souk's keys have fetched it. The old one is accepted for a while longer.
`
}

// Run rotates a key.
func (c keysRotateCmd) Run(ctx context.Context, g *Globals) error {
	return withApp(ctx, g, func(ctx context.Context, a *app.App) error {
		from, err := a.Keys.Rotate(ctx, keys.Purpose(strings.ToUpper(c.Purpose)))
		if err != nil {
			return err
		}
		fmt.Printf("the new %s key is used from %s\n", c.Purpose, from.UTC().Format(time.RFC3339))
		return nil
	})
}

type keysSealCmd struct{}

// Run rotates the sealing key and seals every secret anew.
func (keysSealCmd) Run(ctx context.Context, g *Globals) error {
	return withApp(ctx, g, func(ctx context.Context, a *app.App) error {
		n, err := a.Reseal(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("%d secrets are sealed with the new key\n", n)
		return nil
	})
}
