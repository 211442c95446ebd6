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
The new key is published within half a minute and used some minutes later, when those who keep
a copy of Souk's keys have fetched it. The old one is accepted for a while longer.
While a new key waits for its time there is no need of another, and none is made.
`
}

// Run rotates a key.
func (c keysRotateCmd) Run(ctx context.Context, g *Globals) error {
	return withApp(ctx, g, func(ctx context.Context, a *app.App) error {
		from, err := a.Keys.Rotate(ctx, keys.Purpose(strings.ToUpper(c.Purpose)))
		if err != nil {
			return err
		}
		fmt.Printf("the newest %s key is used from %s\n", c.Purpose, from.UTC().Format(time.RFC3339))
		return nil
	})
}

type keysSealCmd struct{}

// Help is what souk keys seal --help says below its first line.
func (keysSealCmd) Help() string {
	return `
The new key goes into the keyset file (seal.keyset_file) beside the old ones, which
backups still need. If processes have copies of that file, copy it to all of them
right afterwards: they look at it every 30 seconds.
`
}

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
