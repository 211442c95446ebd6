package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/core/ledger"
)

var (
	seedUsers = store.NewInsert("users",
		"id uuid", "mode integer", "issuer text", "external_id text", "display_name text", "created_at timestamptz", "updated_at timestamptz")
	seedSources = store.NewInsert("funding_sources",
		"id uuid", "mode integer", "user_id uuid", "kind text", "label text", "currency text", "account_id bigint", "created_at timestamptz")
	seedAccounts = store.NewInsert("accounts",
		"id bigint", "mode integer", "currency text", "owner_kind text", "owner_id uuid", "kind text", "balance_minor bigint", "floor_minor bigint", "created_at timestamptz")
	seedTransfers = store.NewInsert("transfers",
		"id uuid", "debit_account_id bigint", "credit_account_id bigint", "amount_minor bigint", "kind text", "subject_id uuid", "created_at timestamptz")
	seedMerchants = store.NewInsert("merchants",
		"id uuid", "mode integer", "name text", "endpoint_url text", "jwks jsonb", "created_at timestamptz", "updated_at timestamptz")
	seedProducts = store.NewInsert("products",
		"id uuid", "mode integer", "merchant_id uuid", "sku text", "name text", "price_minor bigint", "currency text", "created_at timestamptz", "updated_at timestamptz")
	seedCounters = store.NewInsert("counters", "id text", "value bigint")
)

// seed fills an empty database with a market, its wallets filled by transfers as
// the ledger wants it. Through the API it would take an hour.
func (m *market) seed(ctx context.Context, db *store.DB, realm, shopURL string) error {
	p, err := db.Begin(ctx)
	if err != nil {
		return err
	}
	defer p.End()
	now := clock.Trim(time.Now())
	m.stageUsers(p, realm, now)
	m.stageMerchants(p, shopURL, now)
	m.stageAccounts(p, now)
	if err := p.Commit(ctx); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	_, err = db.SQL(ctx).ExecContext(ctx, "VACUUM ANALYZE")
	return err
}

func (m *market) stageUsers(p *store.Pipe, realm string, now time.Time) {
	n := len(m.payers)
	ids, sources, subjects, accounts := make([]id.ID, n), make([]id.ID, n), make([]string, n), make([]int64, n)
	for i, u := range m.payers {
		ids[i], sources[i], subjects[i], accounts[i] = u.id, u.source, u.subject, u.account
	}
	live, at := make([]int32, n), repeat(now, n)
	p.Write(seedUsers, n, ids, live, repeat(realm, n), subjects, subjects, at, at)
	p.Write(seedSources, n, sources, live, ids, repeat("WALLET", n), repeat("Wallet", n), repeat(money.EUR.String(), n), accounts, at)
}

func (m *market) stageMerchants(p *store.Pipe, shopURL string, now time.Time) {
	all := m.all()
	n := len(all)
	ids, products, names, keys := make([]id.ID, n), make([]id.ID, n), make([]string, n), make([]string, n)
	skus, prices := make([]string, n), make([]int64, n)
	for i, s := range all {
		ids[i], products[i], names[i], keys[i], skus[i], prices[i] = s.id, s.product, s.name(), string(s.jwks), s.sku, s.price
	}
	live, at := make([]int32, n), repeat(now, n)
	p.Write(seedMerchants, n, ids, live, names, repeat(shopURL+"/orders", n), keys, at, at)
	p.Write(seedProducts, n, products, live, ids, skus, names, prices, repeat(money.EUR.String(), n), at, at)
}

func (m *market) stageAccounts(p *store.Pipe, now time.Time) {
	var (
		ids, balances, floors []int64
		owners                []id.ID
		ownerKinds, kinds     []string
	)
	open := func(a ledger.AccountID, owner ledger.OwnerKind, ownerID id.ID, kind string, balance, floor int64) {
		ids, balances, floors = append(ids, a), append(balances, balance), append(floors, floor)
		ownerKinds, owners, kinds = append(ownerKinds, string(owner)), append(owners, ownerID), append(kinds, kind)
	}
	total := int64(len(m.payers)) * wealth
	open(clearing, ledger.OwnerPlatform, id.Of("bench", "clearing"), ledger.KindClearing, -total, ledger.NoFloor)
	for _, u := range m.payers {
		open(u.account, ledger.OwnerUser, u.id, ledger.KindWallet, wealth, 0)
	}
	for _, s := range m.all() {
		open(s.account, ledger.OwnerMerchant, s.id, ledger.KindPayable, 0, 0)
	}
	n := len(ids)
	p.Write(seedAccounts, n, ids, make([]int32, n), repeat(money.EUR.String(), n), ownerKinds, owners, kinds, balances, floors, repeat(now, n))
	// The accounts that are opened from now on go on counting here.
	p.Write(seedCounters, 1, []string{"account"}, []int64{int64(n)})

	n = len(m.payers)
	transfers, credits, subjects := make([]id.ID, n), make([]int64, n), make([]id.ID, n)
	for i, u := range m.payers {
		transfers[i], credits[i], subjects[i] = id.New(), u.account, u.source
	}
	p.Write(seedTransfers, n, transfers, repeat(clearing, n), credits, repeat(int64(wealth), n), repeat("TOP_UP", n), subjects, repeat(now, n))
}

func repeat[T any](v T, n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// paidOrders counts the orders that Souk's tables say are paid.
func paidOrders(ctx context.Context, db *store.DB) (n int64, err error) {
	rows, err := db.SQL(ctx).QueryContext(ctx, "SELECT COUNT(*) FROM orders WHERE state = 'PAID'")
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := rows.Scan(&n); err != nil {
			return 0, err
		}
	}
	return n, rows.Err()
}
