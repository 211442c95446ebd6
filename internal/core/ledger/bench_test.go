package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/outbox"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/testkit"
)

// receipts is a book that writes a row of about an order's size with each
// payment.
type receipts struct{ *Table[id.ID, receipt] }

type receipt struct {
	id            id.ID
	buyer, seller AccountID
	minor         int64
	at            time.Time
}

var insertReceipts = store.NewInsert("orders",
	"id uuid", "mode integer", "buyer_id uuid", "merchant_id uuid", "product_id uuid", "sku text", "name text", "quantity bigint", "unit_minor bigint",
	"total_minor bigint", "refunded_minor bigint", "currency text", "state text", "stock_counted boolean", "account_id bigint", "merchant_account_id bigint",
	"forward_count integer", "version integer", "timeline jsonb", "created_at timestamptz", "updated_at timestamptz")

func (r receipts) Lock(*store.Pipe) {}

func (r receipts) Write(p *store.Pipe) {
	rows := r.Added()
	n := len(rows)
	ids, buyers, merchants, products := make([]id.ID, n), make([]id.ID, n), make([]id.ID, n), make([]id.ID, n)
	modes, forwards, versions, stock := make([]int32, n), make([]int32, n), make([]int32, n), make([]bool, n)
	skus, names, currencies, states, timelines := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	quantities, units, totals, refunded := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	payers, payees, at := make([]int64, n), make([]int64, n), make([]time.Time, n)
	for i, o := range rows {
		ids[i], buyers[i], merchants[i], products[i] = o.id, AccountKey(o.buyer), AccountKey(o.seller), AccountKey(o.seller)
		modes[i], versions[i], quantities[i], units[i], totals[i] = 1, 1, 1, o.minor, o.minor
		skus[i], names[i], currencies[i], states[i], timelines[i] = "sku-1", "A thing", "EUR", "PAID", `[{"kind":"PAID","at":"2026-03-01T09:00:00Z"}]`
		payers[i], payees[i], at[i] = o.buyer, o.seller, o.at
	}
	p.Write(insertReceipts, n, ids, modes, buyers, merchants, products, skus, names, quantities, units, totals, refunded, currencies, states, stock,
		payers, payees, forwards, versions, timelines, at, at)
}

// purchase is a payment with all that a purchase writes: key, order, transfer,
// two balances, event.
type purchase struct {
	act
	receipts receipts
	row      receipt
}

func (c *purchase) Want(b *Batch) { b.WantAccount(c.row.buyer); b.WantAccount(c.row.seller) }

func (c *purchase) Decide(b *Batch) ([]byte, error) {
	o := c.row
	o.at = b.Now(1)
	if _, err := b.Transfer(Transfer{Debit: o.buyer, Credit: o.seller, Amount: o.minor, Kind: "PURCHASE", SubjectID: o.id, At: o.at}); err != nil {
		return nil, err
	}
	c.receipts.Add(o)
	b.Emit(outbox.Event{ID: id.New(), Mode: 1, Topic: "order.paid", SubjectID: o.id, Payload: json.RawMessage(`{"version":1}`), At: o.at})
	return fmt.Appendf(nil, `{"order":"%s"}`, o.id), nil
}

// BenchmarkExecutor measures payments a second of the executor alone:
//
//	scripts/with-services --durable go test ./internal/core/ledger -run '^$' -bench Executor -benchtime 5s
func BenchmarkExecutor(b *testing.B) {
	const people = 10_000
	for _, shops := range []int{people, 1} {
		for _, callers := range []int{64, 256} {
			name := fmt.Sprintf("uniform/%d", callers)
			if shops == 1 {
				name = fmt.Sprintf("hot/%d", callers)
			}
			b.Run(name, func(b *testing.B) { benchmarkExecutor(b, people, shops, callers) })
		}
	}
}

func benchmarkExecutor(b *testing.B, people, shops, callers int) {
	db := testkit.OpenStore(b, testkit.Postgres(b))
	ctx := context.Background()
	if err := db.Migrate(ctx, slog.New(slog.DiscardHandler)); err != nil {
		b.Fatal(err)
	}
	account := func(n int) AccountID { return NewAccountID(int64(n), mode.Mode(1), money.EUR) }
	if _, err := db.SQL(ctx).ExecContext(ctx, `INSERT INTO accounts (id, mode, currency, owner_kind, owner_id, kind, balance_minor, created_at)
		SELECT (g::bigint << 30) | $1, 1, 'EUR', 'USER', gen_random_uuid(), 'WALLET', 1000000000, now() FROM generate_series(1, $2) g`, account(0), people+shops); err != nil {
		b.Fatal(err)
	}
	if _, err := db.SQL(ctx).ExecContext(ctx, `VACUUM ANALYZE accounts`); err != nil {
		b.Fatal(err)
	}
	book := receipts{NewTable[id.ID, receipt](CompareIDs)}
	x := NewExecutor(db, &clock.System{}, outbox.New(db), slog.New(slog.DiscardHandler), book)
	defer x.Close()
	var n atomic.Int64
	b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c := &purchase{receipts: book, row: receipt{
				id: id.New(), buyer: account(1 + rand.IntN(people)), seller: account(people + 1 + rand.IntN(shops)), minor: 1 + rand.Int64N(100),
			}}
			c.keyed(fmt.Sprint(n.Add(1)), c.row.minor)
			if r := x.Do(ctx, c); r.Err != nil {
				b.Error(r.Err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "payments/s")
}
