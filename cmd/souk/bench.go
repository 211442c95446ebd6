package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/soukhq/souk/internal/bench"
)

type benchCmd struct {
	Purchase benchPurchaseCmd `cmd:"" help:"Purchases a second, and how long they take, beside pgbench."`
}

type benchPurchaseCmd struct {
	PostgresURL string `env:"SOUK_TEST_POSTGRES_URL" placeholder:"URL" help:"PostgreSQL server, as a superuser; databases are made there and dropped."`
	PgBin       string `env:"SOUK_TEST_PG_BIN" placeholder:"DIR" help:"Folder of pgbench and psql; otherwise they are looked for in the path."`
	Connections int    `default:"64" help:"Connections that the load comes over."`
	Rounds      int    `default:"5" help:"Rounds of each measurement; the median counts."`
	Seconds     int    `default:"10" help:"How long a round takes, for the anchor and for Souk."`
	JSON        bool   `name:"json" help:"Print one JSON object a line instead of a table."`
	CPUProfile  string `name:"cpuprofile" type:"path" placeholder:"FILE" help:"Where to write a CPU profile of Souk in the first round."`
}

// Help is what souk bench purchase --help says below its first line.
func (benchPurchaseCmd) Help() string {
	return `
Starts Souk in production mode on databases of its own and buys from it by HTTP:
token and product card verified, order, ledger and outbox written. Between its
rounds the anchor runs: the same payment as eight statements of pgbench, without
HTTP, on the same PostgreSQL. Only the ratio means something. Exits with 1 if it
is below its floor, or if the books do not add up afterwards.

"make bench" starts PostgreSQL and Redis for it; otherwise say where they are, by
--postgres-url and --redis-url.
`
}

// Run measures and prints.
func (c benchPurchaseCmd) Run(ctx context.Context, g *Globals) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	figures, err := bench.Purchase(ctx, bench.Options{
		PostgresURL: c.PostgresURL, RedisURL: cmp.Or(g.RedisURL, os.Getenv("SOUK_TEST_REDIS_URL")), PgBin: c.PgBin, Program: program,
		Connections: c.Connections, Rounds: c.Rounds, Duration: time.Duration(c.Seconds) * time.Second,
		CPUProfile: c.CPUProfile, Progress: os.Stderr,
	})
	if err != nil {
		return err
	}
	if c.JSON {
		err = bench.WriteJSON(os.Stdout, figures)
	} else {
		err = bench.WriteTable(os.Stdout, figures)
	}
	for _, f := range figures {
		if !f.OK() {
			err = errors.Join(err, fmt.Errorf("%s: the ratio %.2f is out of bounds", f.Name, f.Ratio))
		}
	}
	return err
}
