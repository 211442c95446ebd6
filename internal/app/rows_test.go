package app_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// counting is one query for how many rows of each table are the sandbox's, and
// for what its money and stock sum to.
var counting = func() string {
	parts := []string{
		`SELECT 'transfers', count(*) FROM transfers WHERE debit_account_id >> 10 & 1048575 = $1`,
		`SELECT 'holds', count(*) FROM holds WHERE account_id >> 10 & 1048575 = $1`,
		// Weighted by the account's number, so that no movement goes unseen.
		`SELECT 'balances', CAST(coalesce(sum(balance_minor * (id >> 30) + held_minor), 0) AS bigint) FROM accounts WHERE mode = $1`,
		`SELECT 'stock', CAST(coalesce(sum(stock_count), 0) AS bigint) FROM products WHERE mode = $1`,
		`SELECT 'members', count(*) FROM members WHERE conversation_id IN (SELECT id FROM conversations WHERE mode = $1)`,
		`SELECT 'feed_entries', count(*) FROM feed_entries WHERE user_id IN (SELECT id FROM users WHERE mode = $1)`,
		`SELECT 'webhook_attempts', count(*) FROM webhook_attempts WHERE delivery_id IN (SELECT id FROM webhook_deliveries WHERE mode = $1)`,
	}
	for _, table := range strings.Fields(`audit_entries contacts conversations devices funding_sources funding_transfers merchants
		messages orders outbox_events products refunds revoked_tokens users webhook_deliveries webhook_endpoints`) {
		parts = append(parts, fmt.Sprintf(`SELECT '%s', count(*) FROM %[1]s WHERE mode = $1`, table))
	}
	return strings.Join(parts, " UNION ALL ")
}()

// rows is what the sandbox's tables hold.
func (b *testBundle) rows(t *testing.T) map[string]int64 {
	t.Helper()
	rows, err := b.app.DB.SQL(t.Context()).QueryContext(t.Context(), counting, b.sandbox)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	all := map[string]int64{}
	for rows.Next() {
		var (
			what string
			n    int64
		)
		if err := rows.Scan(&what, &n); err != nil {
			t.Fatal(err)
		}
		all[what] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// number reads one number from the database.
func (b *testBundle) number(t *testing.T, query string, args ...any) (n int64) {
	t.Helper()
	rows, err := b.app.DB.SQL(t.Context()).QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		t.Fatal("no row", rows.Err())
	}
	if err := rows.Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// leavesNothing checks that what is refused leaves no trace: no row, no money
// moved or held, no stock taken.
func (b *testBundle) leavesNothing(t *testing.T, refused func()) {
	t.Helper()
	b.settled(t)
	before := b.rows(t)
	refused()
	after := b.rows(t)
	for _, what := range slices.Sorted(maps.Keys(after)) {
		if before[what] != after[what] {
			t.Errorf("what was refused left traces: %s were %d and are %d", what, before[what], after[what])
		}
	}
}

// settled waits until the background has no more to do for the sandbox.
func (b *testBundle) settled(t *testing.T) {
	t.Helper()
	b.eventually(t, func() bool {
		return b.number(t, `SELECT (SELECT count(*) FROM outbox_events WHERE mode = $1 AND state IN ('NEW', 'SENT')) +
			(SELECT count(*) FROM webhook_deliveries WHERE mode = $1 AND state = 'PENDING')`, b.sandbox) == 0
	}, "an end of what goes on behind")
}
