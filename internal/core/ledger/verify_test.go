package ledger

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/money"
)

// scene is a small ledger in which something of everything has happened.
type scene struct {
	buyer, shop, live AccountID
	held, captured    id.ID
}

func (b *testBundle) scene(t *testing.T) scene {
	t.Helper()
	s := scene{buyer: b.euros(t, 1000), shop: b.euros(t, 50), live: b.account(t, 0, money.USD, 0), held: id.New(), captured: id.New()}
	b.fund(t, s.live, 7)
	mustDo(t, b.x, pay(s.buyer, s.shop, 100))
	mustDo(t, b.x, hold(s.held, s.buyer, 200))
	mustDo(t, b.x, hold(s.captured, s.buyer, 300))
	mustDo(t, b.x, capture(s.captured, s.buyer, s.shop, 250))
	return s
}

func TestService_Verify_Counts(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		b.scene(t)
		r, err := b.Verify(t.Context())
		if err != nil || !r.OK() || r.Accounts != 6 || r.Transfers != 5 || r.Holds != 1 {
			t.Errorf("found %+v, %v", r, err)
		}
	})
}

func TestService_Verify_FindsCorruption(t *testing.T) {
	const balances, held, floor = "balances equal transfers", "held equals open holds", "nothing below its floor"
	const known, realm, zero = "transfers name accounts that exist", "transfers stay in one mode and currency", "all balances of a mode and currency sum to zero"
	const captured, orphans = "captured holds took no more than they held, and others nothing", "holds name accounts that exist"
	const reversals = "reversals give back no more than was moved, between the same accounts"
	giveBack := func(s scene, minor int) string {
		return fmt.Sprintf(`INSERT INTO transfers (id, debit_account_id, credit_account_id, amount_minor, kind, subject_id, reverses_id, created_at)
			SELECT '%s', credit_account_id, debit_account_id, %d, 'REFUND', subject_id, id, created_at FROM transfers WHERE debit_account_id = %d AND amount_minor = 100`,
			id.New(), minor, s.buyer)
	}
	const closed, dangling = "closed accounts are empty", "reversals name transfers that exist"
	tests := []struct {
		name  string
		spoil func(s scene) string
		rules []string
	}{
		{"a balance raised", func(s scene) string {
			return fmt.Sprintf(`UPDATE accounts SET balance_minor = balance_minor + 1 WHERE id = %d`, s.shop)
		}, []string{balances, zero}},
		{"a balance moved", func(s scene) string {
			return fmt.Sprintf(`UPDATE accounts SET balance_minor = balance_minor + CASE id WHEN %d THEN 5 ELSE -5 END WHERE id IN (%[1]d, %d)`, s.shop, s.buyer)
		}, []string{balances}},
		{"a transfer deleted", func(s scene) string {
			return fmt.Sprintf(`DELETE FROM transfers WHERE debit_account_id = %d AND amount_minor = 100`, s.buyer)
		}, []string{balances}},
		{"a transfer altered", func(s scene) string {
			return fmt.Sprintf(`UPDATE transfers SET amount_minor = 99 WHERE debit_account_id = %d AND amount_minor = 100`, s.buyer)
		}, []string{balances}},
		{"a transfer sent elsewhere", func(s scene) string {
			return fmt.Sprintf(`UPDATE transfers SET credit_account_id = %d WHERE debit_account_id = %d AND amount_minor = 100`, s.shop+99<<realmBits, s.buyer)
		}, []string{balances, known}},
		{"a transfer across modes", func(s scene) string {
			return fmt.Sprintf(`UPDATE transfers SET credit_account_id = %d WHERE debit_account_id = %d AND amount_minor = 100`, s.live, s.buyer)
		}, []string{balances, realm}},
		{"an account deleted", func(s scene) string { return fmt.Sprintf(`DELETE FROM accounts WHERE id = %d`, s.shop) }, []string{known, zero}},
		{"a hold raised", func(s scene) string {
			return fmt.Sprintf(`UPDATE holds SET amount_minor = amount_minor + 1 WHERE id = '%s'`, s.held)
		}, []string{held}},
		{"a hold deleted", func(s scene) string { return fmt.Sprintf(`DELETE FROM holds WHERE id = '%s'`, s.held) }, []string{held}},
		{"a hold voided", func(s scene) string { return fmt.Sprintf(`UPDATE holds SET state = 'VOIDED' WHERE id = '%s'`, s.held) }, []string{held}},
		{"a hold of nobody's", func(s scene) string {
			return fmt.Sprintf(`UPDATE holds SET account_id = %d WHERE id = '%s'`, s.shop+99<<realmBits, s.held)
		}, []string{held, orphans}},
		{"a captured hold voided", func(s scene) string {
			return fmt.Sprintf(`UPDATE holds SET state = 'VOIDED' WHERE id = '%s'`, s.captured)
		}, []string{captured}},
		{"more captured than held", func(s scene) string {
			return fmt.Sprintf(`UPDATE holds SET captured_minor = 301 WHERE id = '%s'`, s.captured)
		}, []string{captured}},
		{"held without a hold", func(s scene) string {
			return fmt.Sprintf(`UPDATE accounts SET held_minor = held_minor + 1 WHERE id = %d`, s.shop)
		}, []string{held}},
		{"a part given back, and the balances forgotten", func(s scene) string { return giveBack(s, 100) }, []string{balances}},
		{"more given back than was moved", func(s scene) string { return giveBack(s, 101) }, []string{balances, reversals}},
		{"given back, come back, and given back again", func(s scene) string {
			first, again := id.New(), id.New()
			const moved = `(SELECT id FROM transfers WHERE debit_account_id = %[1]d AND amount_minor = 100), CURRENT_TIMESTAMP`
			return fmt.Sprintf(`INSERT INTO transfers (id, debit_account_id, credit_account_id, amount_minor, kind, subject_id, reverses_id, created_at) VALUES
				('%[3]s', %[2]d, %[1]d, 100, 'RETURN', '%[3]s', `+moved+`),
				('%[4]s', %[1]d, %[2]d, 100, 'CAME_BACK', '%[3]s', '%[3]s', CURRENT_TIMESTAMP),
				('%[5]s', %[2]d, %[1]d, 100, 'RETURN', '%[3]s', `+moved+`)`, s.buyer, s.shop, first, id.New(), again)
		}, []string{balances}},
		{"a reversal of nothing", func(s scene) string {
			return fmt.Sprintf(`UPDATE transfers SET reverses_id = '%s' WHERE debit_account_id = %d AND amount_minor = 100`, id.New(), s.buyer)
		}, []string{dangling}},
		{"a closed account with money", func(s scene) string { return fmt.Sprintf(`UPDATE accounts SET closed = true WHERE id = %d`, s.shop) }, []string{closed}},
		{"given back to another", func(s scene) string {
			return fmt.Sprintf(`UPDATE transfers SET reverses_id = (SELECT id FROM transfers WHERE debit_account_id = %d AND amount_minor = 250)
				WHERE debit_account_id = %[1]d AND amount_minor = 100`, s.buyer)
		}, []string{reversals}},
		{"below the floor", func(s scene) string {
			return fmt.Sprintf(`UPDATE accounts SET floor_minor = 451 WHERE id = %d`, s.buyer)
		}, []string{floor}},
	}
	onBoth(t, func(t *testing.T, b *testBundle) {
		s := b.scene(t)
		b.unguard(t)
		b.mustExec(t, b.each(`CREATE TABLE %s_before AS SELECT * FROM %[1]s`)...)
		for _, test := range tests {
			b.mustExec(t, test.spoil(s))
			r, err := b.Verify(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var found []string
			for _, f := range r.Findings {
				found = append(found, f.Rule)
			}
			slices.Sort(found)
			slices.Sort(test.rules)
			if found = slices.Compact(found); !slices.Equal(found, test.rules) {
				t.Errorf("%s: found %q, want %q: %+v", test.name, found, test.rules, r.Findings)
			}
			b.mustExec(t, b.each(`DELETE FROM %s`)...)
			b.mustExec(t, b.each(`INSERT INTO %s SELECT * FROM %[1]s_before`)...)
			b.wantWhole(t)
		}
	})
}

// each makes a statement for each table of the ledger.
func (b *testBundle) each(statement string) (all []string) {
	for _, table := range []string{"accounts", "transfers", "holds"} {
		all = append(all, fmt.Sprintf(statement, table))
	}
	return all
}

func (b *testBundle) mustExec(t *testing.T, statements ...string) {
	t.Helper()
	err := b.db.InTx(t.Context(), func(ctx context.Context) error {
		for _, s := range statements {
			if err := b.exec(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A sum that does not fit 64 bits is not a ledger that holds.
func TestService_Verify_BeyondSums(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		s := b.scene(t)
		b.mustExec(t, fmt.Sprintf(`UPDATE accounts SET balance_minor = %d WHERE id IN (%d, %d)`, int64(math.MaxInt64), s.shop, s.buyer))
		if r, err := b.Verify(t.Context()); err == nil && r.OK() {
			t.Errorf("found %+v", r)
		}
	})
}

func TestService_Verify_SaysWhere(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		s := b.scene(t)
		b.mustExec(t, fmt.Sprintf(`UPDATE accounts SET balance_minor = 401 WHERE id = %d`, s.shop))
		r, err := b.Verify(t.Context())
		if err != nil || len(r.Findings) == 0 {
			t.Fatalf("found %+v, %v", r, err)
		}
		if f := r.Findings[0]; f.Account != s.shop || !strings.Contains(f.Detail, "401") || !strings.Contains(f.Detail, "400") {
			t.Errorf("found %+v", f)
		}
	})
}

// unguard takes the tables' CHECKs out of the way, as damage to the files would.
func (b *testBundle) unguard(t *testing.T) {
	t.Helper()
	if b.db.IsPostgres() {
		b.mustExec(t,
			`ALTER TABLE accounts DROP CONSTRAINT accounts_floor_kept`,
			`ALTER TABLE transfers DROP CONSTRAINT transfers_one_mode_one_currency`,
			`ALTER TABLE holds DROP CONSTRAINT holds_captured_within`)
		return
	}
	// SQLite's tables keep their constraints, so others take their place.
	for _, s := range b.each(`%s`) {
		b.mustExec(t, `CREATE TABLE bare AS SELECT * FROM `+s, `DROP TABLE `+s, `ALTER TABLE bare RENAME TO `+s)
	}
}

// The database's own guards, behind those in Go.
func TestGuards(t *testing.T) {
	insert := func(debit, credit AccountID, minor int64) string {
		return fmt.Sprintf(`INSERT INTO transfers (id, debit_account_id, credit_account_id, amount_minor, kind, subject_id, created_at)
			SELECT '%s', %d, %d, %d, kind, subject_id, created_at FROM transfers LIMIT 1`, id.New(), debit, credit, minor)
	}
	dollars := NewAccountID(1<<20, 1, money.USD)
	tests := map[string]func(s scene) string{
		"a transfer across currencies": func(s scene) string { return insert(s.buyer, dollars, 1) },
		"a transfer across modes":      func(s scene) string { return insert(s.buyer, NewAccountID(1<<20, 2, money.EUR), 1) },
		"a transfer from live":         func(s scene) string { return insert(NewAccountID(1<<20, 0, money.EUR), s.buyer, 1) },
		"a transfer to itself":         func(s scene) string { return insert(s.buyer, s.buyer, 1) },
		"a transfer of nothing":        func(s scene) string { return insert(s.buyer, s.shop, 0) },
		"a transfer of less":           func(s scene) string { return insert(s.buyer, s.shop, -1) },
		"a negative balance": func(s scene) string {
			return fmt.Sprintf(`UPDATE accounts SET balance_minor = -1 WHERE id = %d`, s.shop)
		},
		"more held than there is": func(s scene) string {
			return fmt.Sprintf(`UPDATE accounts SET held_minor = balance_minor + 1 WHERE id = %d`, s.shop)
		},
		"a negative hold": func(s scene) string { return fmt.Sprintf(`UPDATE accounts SET held_minor = -1 WHERE id = %d`, s.shop) },
		"a floor above what is there": func(s scene) string {
			return fmt.Sprintf(`UPDATE accounts SET floor_minor = balance_minor + 1 WHERE id = %d`, s.shop)
		},
		"an account of another mode than its id": func(s scene) string {
			return fmt.Sprintf(`UPDATE accounts SET mode = 2 WHERE id = %d`, s.shop)
		},
		"a hold of nothing": func(s scene) string { return fmt.Sprintf(`UPDATE holds SET amount_minor = 0 WHERE id = '%s'`, s.held) },
		"more captured than held": func(s scene) string {
			return fmt.Sprintf(`UPDATE holds SET captured_minor = 301 WHERE id = '%s'`, s.captured)
		},
	}
	onBoth(t, func(t *testing.T, b *testBundle) {
		s := b.scene(t)
		for name, statement := range tests {
			err := b.db.InTx(t.Context(), func(ctx context.Context) error { return b.exec(ctx, statement(s)) })
			if err == nil || !strings.Contains(strings.ToLower(err.Error()), "check constraint") {
				t.Errorf("%s: %v", name, err)
			}
		}
		b.wantWhole(t)
	})
}
