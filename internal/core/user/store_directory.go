package user

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
)

// subject names a user as tokens do.
type subject struct {
	Mode    mode.Mode `json:"m"`
	Issuer  string    `json:"i"`
	Subject string    `json:"s"`
}

const accountColumns = `SELECT k.m, k.i, k.s, u.id, u.status, u.tokens_valid_after `

const (
	// LIMIT makes PostgreSQL look each one up: it guesses that there are a hundred,
	// and would read the whole table for them.
	accountsPostgres = accountColumns + `FROM json_to_recordset($1::json) AS k(m integer, i text, s text)
		CROSS JOIN LATERAL (SELECT * FROM users WHERE mode = k.m AND issuer = k.i AND external_id = k.s LIMIT 1) u`
	accountsSQLite = accountColumns + `FROM (SELECT value ->> 'm' AS m, value ->> 'i' AS i, value ->> 's' AS s FROM json_each($1)) AS k
		JOIN users u ON u.mode = k.m AND u.issuer = k.i AND u.external_id = k.s`

	revokedPostgres = `SELECT id FROM revoked_tokens WHERE id IN (SELECT CAST(value AS uuid) FROM json_array_elements_text($1::json))`
	revokedSQLite   = `SELECT id FROM revoked_tokens WHERE id IN (SELECT value FROM json_each($1))`
)

// readAccounts reads the users of tokens, all in one query.
func (s *Service) readAccounts(ctx context.Context, subjects []subject) (map[subject]auth.Account, error) {
	query := accountsSQLite
	if s.db.IsPostgres() {
		query = accountsPostgres
	}
	out := make(map[subject]auth.Account, len(subjects))
	err := s.scan(ctx, query, subjects, func(scan func(...any) error) error {
		var (
			k      subject
			a      auth.Account
			status Status
			after  *time.Time
		)
		if err := scan((*int32)(&k.Mode), &k.Issuer, &k.Subject, &a.UserID, (*string)(&status), &after); err != nil {
			return err
		}
		a.Mode, a.Active = k.Mode, status == Active
		if after != nil {
			a.TokensValidAfter = after.UTC()
		}
		out[k] = a
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	return out, nil
}

// readRevoked gives those of the tokens that were revoked, all in one query.
func (s *Service) readRevoked(ctx context.Context, keys []id.ID) (map[id.ID]bool, error) {
	query := revokedSQLite
	if s.db.IsPostgres() {
		query = revokedPostgres
	}
	out := map[id.ID]bool{}
	err := s.scan(ctx, query, keys, func(scan func(...any) error) error {
		var k id.ID
		err := scan(&k)
		out[k] = true
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read revoked tokens: %w", err)
	}
	return out, nil
}

// scan runs a query whose one argument is a list, as JSON.
func (s *Service) scan(ctx context.Context, query string, list any, row func(scan func(...any) error) error) error {
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	rows, err := s.db.SQL(ctx).QueryContext(ctx, query, string(text))
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
