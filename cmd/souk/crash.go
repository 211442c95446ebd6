package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/soukhq/souk/internal/crash"
)

type crashCmd struct {
	Engine           string `enum:"postgres,sqlite,both" default:"both" help:"What Souk stands on: ${enum}."`
	Kills            int    `default:"20" help:"How often each kind of thing is killed."`
	Clients          int    `default:"12" help:"How many clients buy at once."`
	Seed             uint64 `help:"Of all that is random; that of another run tries the same again. Any if not given."`
	Keep             string `type:"path" placeholder:"DIR" help:"A new folder for journals and logs, which is kept. Otherwise they are kept only if something is found."`
	SeedDoubleCharge bool   `help:"Drill a build that charges twice on purpose, and fail unless that is found. Needs Go and Souk's sources."`
}

// Help is what souk crash --help says below its first line.
func (crashCmd) Help() string {
	return `
Starts Souk, clients that buy without a break and merchants who confirm, kills
servers, worker, PostgreSQL and Redis at random times, and then judges by the
clients' and the merchants' own logs whether anything was lost or charged twice.
It exits with 1 if so. PostgreSQL comes from scripts/with-services --durable:

  make crash
  make crash ARGS="--engine sqlite --kills 5 --keep /tmp/drill"
`
}

// Run drills.
func (c crashCmd) Run(ctx context.Context) error {
	cfg, err := c.config(ctx)
	if err != nil {
		return err
	}
	all, err := crash.Run(ctx, cfg)
	if err != nil {
		return fmt.Errorf("the drill could not be carried out: %w\nLogs are in %s", err, cfg.Folder)
	}
	fmt.Println()
	crash.Print(os.Stdout, all)
	var found, twice bool
	for _, v := range all {
		found, twice = found || !v.OK(), twice || v.Broke(crash.ChargedTwice)
	}
	switch {
	case c.SeedDoubleCharge && !twice:
		return fmt.Errorf("the double charge that was made on purpose was not found: see %s", cfg.Folder)
	case found && !c.SeedDoubleCharge:
		return fmt.Errorf("the drill failed (seed %d): journals and logs are in %s", cfg.Seed, cfg.Folder)
	case c.SeedDoubleCharge:
		fmt.Println("the double charge that was made on purpose was found")
	}
	if c.Keep != "" {
		fmt.Println("journals and logs are in", cfg.Folder)
		return nil
	}
	return os.RemoveAll(cfg.Folder)
}

func (c crashCmd) config(ctx context.Context) (cfg crash.Config, err error) {
	cfg = crash.Config{
		Kills: c.Kills, Clients: c.Clients, Seed: c.Seed, Folder: c.Keep, Out: os.Stdout,
		PostgresURL: os.Getenv("SOUK_TEST_POSTGRES_URL"), PostgresCrash: os.Getenv("SOUK_TEST_PG_RESTART"),
	}
	for _, e := range []crash.Engine{crash.Postgres, crash.SQLite} {
		if c.Engine == "both" || c.Engine == string(e) {
			cfg.Engines = append(cfg.Engines, e)
		}
	}
	if cfg.Seed == 0 {
		cfg.Seed = rand.Uint64()
	}
	if err := cfg.Validate(); err != nil {
		return cfg, err
	}
	if cfg.Folder == "" {
		if cfg.Folder, err = os.MkdirTemp("", "souk-crash-"); err != nil {
			return cfg, err
		}
	}
	if c.SeedDoubleCharge {
		cfg.Binary, err = crash.BuildSeeded(ctx, filepath.Join(cfg.Folder, "souk-seeded"))
		return cfg, err
	}
	if cfg.Binary, err = os.Executable(); err != nil {
		return cfg, errors.Join(err, os.RemoveAll(cfg.Folder))
	}
	return cfg, nil
}
