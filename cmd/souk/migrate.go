package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/soukhq/souk/internal/app"
	"github.com/soukhq/souk/internal/base/store"
)

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Apply what has not been applied. Safe to run from several places at once."`
	Status migrateStatusCmd `cmd:"" help:"List every migration and when it was applied. Exits with 1 if some are pending."`
}

type migrateUpCmd struct{}

// Run applies pending migrations.
func (migrateUpCmd) Run(ctx context.Context, g *Globals) error {
	return withDB(ctx, g, func(ctx context.Context, db *store.DB) error {
		cfg, err := g.load()
		if err != nil {
			return err
		}
		return db.Migrate(ctx, logger(cfg.Log))
	})
}

type migrateStatusCmd struct{}

// Run lists migrations.
func (migrateStatusCmd) Run(ctx context.Context, g *Globals) error {
	return withDB(ctx, g, func(ctx context.Context, db *store.DB) error {
		list, err := db.MigrationStatus(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
		pending := 0
		for _, m := range list {
			when := "pending"
			if m.Pending {
				pending++
			} else {
				when = m.AppliedAt.UTC().Format(time.RFC3339)
			}
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", m.Version, m.Name, when)
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if pending > 0 {
			return fmt.Errorf("%d pending: run souk migrate up", pending)
		}
		return nil
	})
}

func withDB(ctx context.Context, g *Globals, fn func(ctx context.Context, db *store.DB) error) error {
	cfg, err := g.load()
	if err != nil {
		return err
	}
	db, err := app.OpenDB(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return fn(ctx, db)
}
