package main

import (
	"context"
	"fmt"

	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/core/ledger"
)

type ledgerCmd struct {
	Verify ledgerVerifyCmd `cmd:"" help:"Prove the ledger's invariants from its tables. Exits with 1 if one is broken."`
}

type ledgerVerifyCmd struct{}

// Help is what souk ledger verify --help says below its first line.
func (ledgerVerifyCmd) Help() string {
	return `
In one snapshot of the database: every transfer sums to zero within one mode and
currency, every balance equals its transfers, holds add up, nothing is below its
floor. It may run beside a busy server.
`
}

// Run verifies the ledger.
func (ledgerVerifyCmd) Run(ctx context.Context, g *Globals) error {
	return withDB(ctx, g, func(ctx context.Context, db *store.DB) error {
		r, err := ledger.New(db, &clock.System{}).Verify(ctx)
		if err != nil {
			return err
		}
		for _, f := range r.Findings {
			if f.Account == 0 {
				fmt.Printf("BROKEN  %s: %s\n", f.Rule, f.Detail)
				continue
			}
			fmt.Printf("BROKEN  %s: account %d: %s\n", f.Rule, f.Account, f.Detail)
		}
		if !r.OK() {
			return fmt.Errorf("the ledger does not hold: %d findings", len(r.Findings))
		}
		fmt.Printf("the ledger holds: %d accounts, %d transfers, %d open holds\n", r.Accounts, r.Transfers, r.Holds)
		return nil
	})
}
