package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/outbox"
	"github.com/soukhq/souk/internal/base/store"
)

type outboxCmd struct {
	Status outboxStatusCmd `cmd:"" help:"Show what waits, and what is dead. Exits with 1 if an event is dead."`
	Revive outboxReviveCmd `cmd:"" help:"Have dead events tried again."`
}

type outboxStatusCmd struct {
	Limit int `default:"100" help:"How many dead events to list."`
}

// Help is what souk outbox status --help says below its first line.
func (outboxStatusCmd) Help() string {
	return `
An event is what others must still hear of: a receipt, a webhook, a release. It
fails and is tried again for a week, with pauses that grow to an hour, and is then
dead; one that can never be handled is dead at once. Remove the cause that is
shown, then use souk outbox revive.
`
}

// Run shows the outbox.
func (c outboxStatusCmd) Run(ctx context.Context, g *Globals) error {
	return withDB(ctx, g, func(ctx context.Context, db *store.DB) error {
		ob := outbox.New(db)
		n, oldest, err := ob.Depth(ctx)
		if err != nil {
			return err
		}
		dead, err := ob.Dead(ctx, c.Limit)
		if err != nil {
			return err
		}
		fmt.Printf("%d wait", n)
		if n > 0 {
			fmt.Printf(", the oldest since %s", oldest.UTC().Format(time.RFC3339))
		}
		fmt.Println()
		for _, e := range dead {
			fmt.Printf("DEAD  %s  %s  of %s  %s  failed %d times, last: %s\n",
				e.ID, e.Topic, e.SubjectID, e.At.UTC().Format(time.RFC3339), e.Times, e.Why)
		}
		if len(dead) > 0 {
			return errors.New("some events are dead: remove the cause, then souk outbox revive ID… or --all")
		}
		return nil
	})
}

type outboxReviveCmd struct {
	IDs []string `arg:"" optional:"" name:"id" help:"Which, as souk outbox status lists them."`
	All bool     `help:"All that are dead."`
}

// Run revives events.
func (c outboxReviveCmd) Run(ctx context.Context, g *Globals) error {
	if c.All == (len(c.IDs) > 0) {
		return errors.New("say which: ids as souk outbox status lists them, or --all")
	}
	events := make([]id.ID, len(c.IDs))
	for i, s := range c.IDs {
		var err error
		if events[i], err = id.Parse(s); err != nil {
			return fmt.Errorf("%q is no id of an event", s)
		}
	}
	return withDB(ctx, g, func(ctx context.Context, db *store.DB) error {
		n, err := outbox.New(db).Revive(ctx, events...)
		if err != nil {
			return err
		}
		fmt.Printf("%d events will be tried again\n", n)
		return nil
	})
}
