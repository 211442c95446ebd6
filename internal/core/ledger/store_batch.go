package ledger

import (
	"slices"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/outbox"
	"github.com/soukhq/souk/internal/base/store"
)

var (
	selectKeys   = store.NewRead("idempotency_keys", "id uuid", "id", "request_hash", "result")
	insertKeys   = store.NewInsert("idempotency_keys", "id uuid", "request_hash bytea", "result bytea", "created_at timestamptz")
	lockAccounts = store.NewLock("accounts", "id bigint", "id", "owner_kind", "owner_id", "kind", "balance_minor", "held_minor", "floor_minor", "closed")
	// The guard on the old values is not needed behind the locks; the CHECKs on
	// the new ones are the second line.
	updateAccounts  = store.NewUpdate("accounts", "id bigint", nil, []string{"balance_minor bigint", "held_minor bigint"})
	lockHolds       = store.NewLock("holds", "id uuid", "id", "account_id", "amount_minor", "captured_minor", "state", "subject_id", "expires_at", "created_at")
	insertHolds     = store.NewInsert("holds", "id uuid", "account_id bigint", "amount_minor bigint", "captured_minor bigint", "state text", "subject_id uuid", "expires_at timestamptz", "created_at timestamptz")
	updateHolds     = store.NewUpdate("holds", "id uuid", []string{"state text"}, []string{"captured_minor bigint", "state text", "ended_at timestamptz"})
	insertTransfers = store.NewInsert("transfers", "id uuid", "debit_account_id bigint", "credit_account_id bigint", "amount_minor bigint", "kind text", "subject_id uuid", "reverses_id uuid", "created_at timestamptz")
)

func (b *Batch) readKeys(p *store.Pipe) {
	p.Select(selectKeys, b.keys.Wanted(), func(r store.Rows) error {
		var k keyRow
		if err := r.Scan(&k.id, &k.hash, &k.result); err != nil {
			return err
		}
		b.known[k.id] = k
		return nil
	})
}

func (b *Batch) lock(p *store.Pipe) {
	b.holds.Lock(p, lockHolds, func(r store.Rows) (id.ID, Hold, error) {
		var h Hold
		err := r.Scan(&h.ID, &h.Account, &h.Amount, &h.Captured, (*string)(&h.State), &h.SubjectID, &h.ExpiresAt, &h.CreatedAt)
		return h.ID, h, err
	})
	b.accounts.Lock(p, lockAccounts, func(r store.Rows) (AccountID, Account, error) {
		var a Account
		err := r.Scan(&a.ID, (*string)(&a.Owner), &a.OwnerID, &a.Kind, &a.Balance, &a.Held, &a.Floor, &a.Closed)
		return a.ID, a, err
	})
}

// write queues all that the batch decided.
func (x *Executor) write(p *store.Pipe) {
	x.batch.writeKeys(p)
	for _, b := range x.books {
		b.Write(p)
	}
	x.batch.writeHolds(p)
	x.batch.writeTransfers(p)
	outbox.Stage(p, x.batch.events.Added())
	x.batch.writeAccounts(p)
}

func (b *Batch) writeKeys(p *store.Pipe) {
	// Two processes that insert the same keys must do so in the same order, or
	// they wait for each other.
	rows := slices.Clone(b.keys.Added())
	slices.SortFunc(rows, func(a, b keyRow) int { return CompareIDs(a.id, b.id) })
	n := len(rows)
	ids, hashes, results, times := make([]id.ID, n), make([][]byte, n), make([][]byte, n), make([]time.Time, n)
	now := b.Now(mode.Live)
	for i, r := range rows {
		ids[i], hashes[i], results[i], times[i] = r.id, r.hash, r.result, now
	}
	p.Write(insertKeys, n, ids, hashes, results, times)
}

func (b *Batch) writeAccounts(p *store.Pipe) {
	rows := b.accounts.Changed()
	ids, balances, held := make([]int64, len(rows)), make([]int64, len(rows)), make([]int64, len(rows))
	for i, a := range rows {
		ids[i], balances[i], held[i] = a.ID, a.Balance, a.Held
	}
	p.Write(updateAccounts, len(rows), ids, balances, held)
}

func (b *Batch) writeTransfers(p *store.Pipe) {
	rows := b.transfers.Added()
	n := len(rows)
	ids, debits, credits, amounts := make([]id.ID, n), make([]int64, n), make([]int64, n), make([]int64, n)
	kinds, subjects, reverses, times := make([]string, n), make([]id.ID, n), make([]*id.ID, n), make([]time.Time, n)
	for i, t := range rows {
		ids[i], debits[i], credits[i], amounts[i] = t.ID, t.Debit, t.Credit, t.Amount
		kinds[i], subjects[i], reverses[i], times[i] = t.Kind, t.SubjectID, t.Reverses, t.At
	}
	p.Write(insertTransfers, n, ids, debits, credits, amounts, kinds, subjects, reverses, times)
}

func (b *Batch) writeHolds(p *store.Pipe) {
	added := b.holds.Added()
	n := len(added)
	ids, accounts, amounts, captured := make([]id.ID, n), make([]int64, n), make([]int64, n), make([]int64, n)
	states, subjects, expires, created := make([]string, n), make([]id.ID, n), make([]time.Time, n), make([]time.Time, n)
	for i, h := range added {
		ids[i], accounts[i], amounts[i], captured[i] = h.ID, h.Account, h.Amount, h.Captured
		states[i], subjects[i], expires[i], created[i] = string(h.State), h.SubjectID, h.ExpiresAt, h.CreatedAt
	}
	p.Write(insertHolds, n, ids, accounts, amounts, captured, states, subjects, expires, created)

	ended := b.holds.Changed()
	n = len(ended)
	before, times := make([]string, n), make([]time.Time, n)
	ids, captured, states = make([]id.ID, n), make([]int64, n), make([]string, n)
	for i, h := range ended {
		ids[i], before[i], captured[i], states[i], times[i] = h.ID, string(HoldHeld), h.Captured, string(h.State), *h.EndedAt
	}
	p.Write(updateHolds, n, ids, before, captured, states, times)
}
