package wallet

import (
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/store"
)

var (
	lockTransfers = store.NewLock("funding_transfers", "id uuid",
		"id", "mode", "user_id", "source_id", "direction", "account_id", "amount_minor", "currency", "state", "rail", "rail_reference", "failure_code",
		"hold_id", "top_up_id", "transfer_id", "returned_minor", "check_at", "check_count", "created_at", "updated_at")
	insertTransfers = store.NewInsert("funding_transfers",
		"id uuid", "mode integer", "user_id uuid", "source_id uuid", "direction text", "account_id bigint", "amount_minor bigint", "currency text",
		"state text", "rail text", "hold_id uuid", "top_up_id uuid", "returned_minor bigint", "check_at timestamptz", "check_count integer",
		"created_at timestamptz", "updated_at timestamptz")
	updateTransfers = store.NewUpdate("funding_transfers", "id uuid", []string{"state text"}, []string{
		"state text", "rail_reference text", "failure_code text", "transfer_id uuid", "returned_minor bigint", "check_at timestamptz", "check_count integer", "updated_at timestamptz"})
)

// Lock queues the locking read.
func (b *Book) Lock(p *store.Pipe) {
	b.transfers.Lock(p, lockTransfers, func(r store.Rows) (id.ID, row, error) {
		var (
			t                  Transfer
			reference, failure *string
		)
		err := r.Scan(&t.ID, (*int32)(&t.Mode), &t.UserID, &t.SourceID, (*string)(&t.Direction), &t.Account, &t.Amount.Minor, &t.Amount.Currency, (*string)(&t.State),
			&t.Rail, &reference, &failure, &t.HoldID, &t.TopUpID, &t.TransferID, &t.ReturnedMinor, &t.CheckAt, &t.CheckCount, &t.CreatedAt, &t.UpdatedAt)
		if reference != nil {
			t.Reference = *reference
		}
		if failure != nil {
			t.FailureCode = *failure
		}
		return t.ID, row{t, t.State}, err
	})
}

// Write queues what was decided.
func (b *Book) Write(p *store.Pipe) {
	b.writeNew(p)
	b.writeChanged(p)
}

func (b *Book) writeNew(p *store.Pipe) {
	rows := b.transfers.Added()
	n := len(rows)
	if n == 0 {
		return
	}
	var (
		ids, users, sources         = make([]id.ID, n), make([]id.ID, n), make([]id.ID, n)
		holds, topUps               = make([]*id.ID, n), make([]*id.ID, n)
		modes, counts               = make([]int32, n), make([]int32, n)
		directions, currencies      = make([]string, n), make([]string, n)
		states, rails               = make([]string, n), make([]string, n)
		accounts, amounts, returned = make([]int64, n), make([]int64, n), make([]int64, n)
		checks                      = make([]*time.Time, n)
		created, updated            = make([]time.Time, n), make([]time.Time, n)
	)
	for i, t := range rows {
		ids[i], users[i], sources[i], holds[i], topUps[i] = t.ID, t.UserID, t.SourceID, t.HoldID, t.TopUpID
		modes[i], counts[i] = int32(t.Mode), t.CheckCount
		directions[i], currencies[i], states[i], rails[i] = string(t.Direction), t.Amount.Currency.String(), string(t.State), t.Rail
		accounts[i], amounts[i], returned[i] = t.Account, t.Amount.Minor, t.ReturnedMinor
		checks[i], created[i], updated[i] = t.CheckAt, t.CreatedAt, t.UpdatedAt
	}
	p.Write(insertTransfers, n, ids, modes, users, sources, directions, accounts, amounts, currencies,
		states, rails, holds, topUps, returned, checks, counts, created, updated)
}

func (b *Book) writeChanged(p *store.Pipe) {
	rows := b.transfers.Changed()
	n := len(rows)
	if n == 0 {
		return
	}
	var (
		ids, before, states  = make([]id.ID, n), make([]string, n), make([]string, n)
		references, failures = make([]*string, n), make([]*string, n)
		transfers            = make([]*id.ID, n)
		returned, counts     = make([]int64, n), make([]int32, n)
		checks, updated      = make([]*time.Time, n), make([]time.Time, n)
	)
	for i, t := range rows {
		ids[i], before[i], states[i] = t.ID, string(t.was), string(t.State)
		references[i], failures[i] = optional(t.Reference), optional(t.FailureCode)
		transfers[i] = t.TransferID
		returned[i], counts[i], checks[i], updated[i] = t.ReturnedMinor, t.CheckCount, t.CheckAt, t.UpdatedAt
	}
	p.Write(updateTransfers, n, ids, before, states, references, failures, transfers, returned, checks, counts, updated)
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
