package main

import (
	"context"
	"errors"

	"github.com/soukhq/souk/internal/merchantsim"
)

type merchantSimCmd struct{ merchantsim.Config }

// Help is what souk merchant-sim --help says below its first line.
func (merchantSimCmd) Help() string {
	return `
A product server as merchants run one: it publishes its keys, signs product cards,
opens Souk's encrypted orders, answers them signed and encrypted, and verifies
webhooks. It can be told to be slow, down, double or wrong. What it sees and says
goes to an fsynced log in its data folder. See docs/merchants.md.
`
}

// Run serves until the process is told to stop.
func (c *merchantSimCmd) Run(ctx context.Context, g *Globals) error {
	if g.Addr != "" || g.DataDir != "" {
		return errors.New("--addr and --data-dir are souk serve's: a product server has --listen and --data")
	}
	cfg, err := g.load()
	if err != nil {
		return err
	}
	c.Log = logger(cfg.Log)
	return c.Config.Run(ctx)
}
