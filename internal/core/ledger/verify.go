package ledger

import (
	"context"
	"fmt"
)

// Finding is a broken invariant.
type Finding struct {
	Rule    string
	Account AccountID // 0 if the rule is not about one account
	Detail  string
}

// Report is what Verify found.
type Report struct {
	Accounts  int64
	Transfers int64
	Holds     int64 // that are HELD
	Findings  []Finding
}

// OK tells whether every invariant holds.
func (r Report) OK() bool { return len(r.Findings) == 0 }

// maxFindings bounds the findings of each rule.
const maxFindings = 100

// rules are the ledger's invariants as queries for what breaks them. Each gives
// an account (or 0) and two numbers that should be the same.
var rules = []struct{ name, query, say string }{
	{
		"balances equal transfers",
		`SELECT a.id, a.balance_minor, COALESCE(t.sum, 0) FROM accounts a LEFT JOIN (
		   SELECT account, CAST(SUM(amount) AS bigint) AS sum FROM (
		     SELECT credit_account_id AS account, amount_minor AS amount FROM transfers
		     UNION ALL SELECT debit_account_id, -amount_minor FROM transfers) e GROUP BY account) t ON t.account = a.id
		 WHERE a.balance_minor <> COALESCE(t.sum, 0) LIMIT $1`,
		"the balance is %d, its transfers sum to %d",
	},
	{
		"held equals open holds",
		`SELECT a.id, a.held_minor, COALESCE(h.sum, 0) FROM accounts a LEFT JOIN (
		   SELECT account_id, CAST(SUM(amount_minor) AS bigint) AS sum FROM holds WHERE state = 'HELD' GROUP BY account_id) h ON h.account_id = a.id
		 WHERE a.held_minor <> COALESCE(h.sum, 0) LIMIT $1`,
		"%d is held, its open holds sum to %d",
	},
	{
		"nothing below its floor",
		`SELECT id, balance_minor - held_minor, floor_minor FROM accounts WHERE balance_minor - held_minor < floor_minor LIMIT $1`,
		"%d is available, the floor is %d",
	},
	{
		"closed accounts are empty",
		`SELECT id, balance_minor, held_minor FROM accounts WHERE closed AND (balance_minor <> 0 OR held_minor <> 0) LIMIT $1`,
		"it is closed with a balance of %d, and %d held",
	},
	{
		"transfers name accounts that exist",
		`SELECT 0, COUNT(*), 0 FROM transfers t WHERE NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = t.debit_account_id)
		    OR NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = t.credit_account_id) HAVING COUNT(*) > 0 LIMIT $1`,
		"%d transfers name an unknown account (expected %d)",
	},
	{
		"holds name accounts that exist",
		`SELECT account_id, COUNT(*), 0 FROM holds h WHERE NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = h.account_id) GROUP BY account_id LIMIT $1`,
		"%d holds are of an unknown account (expected %d)",
	},
	{
		"transfers stay in one mode and currency",
		`SELECT 0, COUNT(*), 0 FROM transfers WHERE (debit_account_id & 1073741823) <> (credit_account_id & 1073741823) HAVING COUNT(*) > 0 LIMIT $1`,
		"%d transfers cross (expected %d)",
	},
	{
		"all balances of a mode and currency sum to zero",
		`SELECT id & 1073741823, CAST(SUM(balance_minor) AS bigint), 0 FROM accounts GROUP BY id & 1073741823 HAVING SUM(balance_minor) <> 0 LIMIT $1`,
		"the balances sum to %d, not %d",
	},
	{
		// What was given back and came back itself may be given back again.
		"reversals give back no more than was moved, between the same accounts",
		`WITH undone AS (SELECT reverses_id AS id, SUM(amount_minor) AS sum FROM transfers WHERE reverses_id IS NOT NULL GROUP BY reverses_id)
		 SELECT t.debit_account_id, CAST(SUM(r.amount_minor - COALESCE(u.sum, 0)) AS bigint), t.amount_minor
		   FROM transfers r JOIN transfers t ON t.id = r.reverses_id LEFT JOIN undone u ON u.id = r.id GROUP BY t.id, t.debit_account_id, t.amount_minor
		 HAVING SUM(r.amount_minor - COALESCE(u.sum, 0)) > t.amount_minor
		     OR SUM(CASE WHEN r.debit_account_id = t.credit_account_id AND r.credit_account_id = t.debit_account_id THEN 0 ELSE 1 END) > 0 LIMIT $1`,
		"%d was given back of %d",
	},
	{
		"reversals name transfers that exist",
		`SELECT r.debit_account_id, COUNT(*), 0 FROM transfers r LEFT JOIN transfers t ON t.id = r.reverses_id
		  WHERE r.reverses_id IS NOT NULL AND t.id IS NULL GROUP BY r.debit_account_id LIMIT $1`,
		"%d reversals are of an unknown transfer (expected %d)",
	},
	{
		"captured holds took no more than they held, and others nothing",
		`SELECT account_id, captured_minor, amount_minor FROM holds
		  WHERE captured_minor > amount_minor OR (state <> 'CAPTURED' AND captured_minor <> 0) OR (state = 'CAPTURED' AND captured_minor = 0) LIMIT $1`,
		"%d was captured of %d",
	},
}

// Verify proves the invariants from the tables, in one snapshot.
func (s *Service) Verify(ctx context.Context) (Report, error) {
	var r Report
	err := s.db.InSnapshot(ctx, func(ctx context.Context) error {
		r = Report{}
		for _, c := range []struct {
			into  *int64
			query string
		}{
			{&r.Accounts, `SELECT COUNT(*) FROM accounts`},
			{&r.Transfers, `SELECT COUNT(*) FROM transfers`},
			{&r.Holds, `SELECT COUNT(*) FROM holds WHERE state = 'HELD'`},
		} {
			if err := s.scan(ctx, c.query, nil, func(scan func(...any) error) error { return scan(c.into) }); err != nil {
				return err
			}
		}
		for _, rule := range rules {
			err := s.scan(ctx, rule.query, []any{maxFindings}, func(scan func(...any) error) error {
				var account, a, b int64
				if err := scan(&account, &a, &b); err != nil {
					return err
				}
				r.Findings = append(r.Findings, Finding{Rule: rule.name, Account: account, Detail: fmt.Sprintf(rule.say, a, b)})
				return nil
			})
			if err != nil {
				return fmt.Errorf("check that %s: %w", rule.name, err)
			}
		}
		return nil
	})
	return r, err
}

func (s *Service) scan(ctx context.Context, query string, args []any, row func(scan func(...any) error) error) error {
	rows, err := s.db.SQL(ctx).QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
