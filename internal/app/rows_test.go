package app_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

// counts says how many rows of each table are the sandbox's.
var counts = func() map[string]string {
	all := map[string]string{
		"transfers": `SELECT count(*) FROM transfers WHERE debit_account_id >> 10 & 1048575 = $1`,
		"holds":     `SELECT count(*) FROM holds WHERE account_id >> 10 & 1048575 = $1`,
		"balances":  `SELECT coalesce(sum(balance_minor * (id >> 30) + held_minor), 0) FROM accounts WHERE mode = $1`, // changes with each
		"stock":     `SELECT coalesce(sum(stock_count), 0) FROM products WHERE mode = $1`,
		"members":   `SELECT count(*) FROM members WHERE conversation_id IN (SELECT id FROM conversations WHERE mode = $1)`,
		"feeds":     `SELECT count(*) FROM feed_entries WHERE user_id IN (SELECT id FROM users WHERE mode = $1)`,
		"attempts":  `SELECT count(*) FROM webhook_attempts WHERE delivery_id IN (SELECT id FROM webhook_deliveries WHERE mode = $1)`,
	}
	for _, table := range strings.Fields(`audit_entries contacts conversations devices funding_sources funding_transfers merchants
		messages orders outbox_events products refunds revoked_tokens users webhook_deliveries webhook_endpoints`) {
		all[table] = `SELECT count(*) FROM ` + table + ` WHERE mode = $1`
	}
	return all
}()

// rows is what the sandbox's tables hold.
func (b *testBundle) rows(t *testing.T) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	for what, query := range counts {
		all[what] = b.number(t, query, b.sandbox)
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
	if after := b.rows(t); !maps.Equal(before, after) {
		var changed []string
		for what := range after {
			if before[what] != after[what] {
				changed = append(changed, fmt.Sprintf("%s %d → %d", what, before[what], after[what]))
			}
		}
		t.Errorf("what was refused left traces: %s", strings.Join(changed, ", "))
	}
}

// settled waits until the background has no more to do for the sandbox.
func (b *testBundle) settled(t *testing.T) {
	t.Helper()
	b.eventually(t, func() bool {
		return b.number(t, `SELECT count(*) FROM outbox_events WHERE mode = $1 AND state IN ('NEW', 'SENT')`, b.sandbox) == 0 &&
			b.number(t, `SELECT count(*) FROM webhook_deliveries WHERE mode = $1 AND state = 'PENDING'`, b.sandbox) == 0
	}, "an end of what goes on behind")
}
