package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	atlas "ariga.io/atlas/sql/migrate"
	entsql "entgo.io/ent/dialect/sql"
)

const (
	historyTable   = "souk_migrations"
	historyColumns = "version, name, applied, total, executed_at, took_us, error, error_statement, hash, partial_hashes"
)

// history keeps what was applied in a table beside the others. It is atlas'
// revision store.
type history struct {
	entsql.ExecQuerier
	postgres bool
}

// create makes the table. Its columns can only be added to: binaries of any age
// read it before anything else.
func (h history) create(ctx context.Context) error {
	if there, err := h.exists(ctx); err != nil || there { // to make it takes rights that not all may have
		return err
	}
	timeType := "datetime"
	if h.postgres {
		timeType = "timestamptz"
	}
	_, err := h.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS `+historyTable+` (
		version text NOT NULL PRIMARY KEY,
		name text NOT NULL,
		applied integer NOT NULL,
		total integer NOT NULL,
		executed_at `+timeType+` NOT NULL,
		took_us bigint NOT NULL,
		error text NOT NULL,
		error_statement text NOT NULL,
		hash text NOT NULL,
		partial_hashes text NOT NULL
	)`)
	if err != nil {
		return fmt.Errorf("make the table of migrations: %w", err)
	}
	return nil
}

// exists tells whether the table was made.
func (h history) exists(ctx context.Context) (there bool, err error) {
	query := `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = $1)`
	if h.postgres {
		query = `SELECT to_regclass($1) IS NOT NULL`
	}
	rows, err := h.QueryContext(ctx, query, historyTable)
	if err != nil {
		return false, err
	}
	defer func() { _ = rows.Close() }()
	if rows.Next() {
		err = rows.Scan(&there)
	}
	return there, errors.Join(err, rows.Err())
}

// Ident names the table, which a database that is otherwise empty may have.
func (h history) Ident() *atlas.TableIdent {
	if h.postgres {
		return &atlas.TableIdent{Name: historyTable, Schema: "public"}
	}
	return &atlas.TableIdent{Name: historyTable}
}

// ReadRevisions gives all that was applied, oldest first.
func (h history) ReadRevisions(ctx context.Context) ([]*atlas.Revision, error) {
	return h.read(ctx, "ORDER BY version")
}

// ReadRevision gives one.
func (h history) ReadRevision(ctx context.Context, version string) (*atlas.Revision, error) {
	all, err := h.read(ctx, "WHERE version = $1", version)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, atlas.ErrRevisionNotExist
	}
	return all[0], nil
}

func (h history) read(ctx context.Context, which string, args ...any) (all []*atlas.Revision, err error) {
	rows, err := h.QueryContext(ctx, "SELECT "+historyColumns+" FROM "+historyTable+" "+which, args...)
	if err != nil {
		return nil, fmt.Errorf("read the table of migrations: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		r, err := scanRevision(rows)
		if err != nil {
			return nil, fmt.Errorf("read the table of migrations: %w", err)
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

func scanRevision(rows *sql.Rows) (*atlas.Revision, error) {
	var (
		r        = &atlas.Revision{Type: atlas.RevisionTypeExecute}
		took     int64
		partials string
	)
	if err := rows.Scan(&r.Version, &r.Description, &r.Applied, &r.Total, &r.ExecutedAt, &took, &r.Error, &r.ErrorStmt, &r.Hash, &partials); err != nil {
		return nil, err
	}
	r.ExecutionTime = time.Duration(took) * time.Microsecond
	return r, json.Unmarshal([]byte(partials), &r.PartialHashes)
}

// WriteRevision writes one, new or changed.
func (h history) WriteRevision(ctx context.Context, r *atlas.Revision) error {
	partials, err := json.Marshal(r.PartialHashes)
	if err != nil {
		return err
	}
	_, err = h.ExecContext(ctx, `INSERT INTO `+historyTable+` (`+historyColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (version) DO UPDATE SET applied = excluded.applied, total = excluded.total, executed_at = excluded.executed_at, took_us = excluded.took_us,
			error = excluded.error, error_statement = excluded.error_statement, hash = excluded.hash, partial_hashes = excluded.partial_hashes`,
		r.Version, r.Description, r.Applied, r.Total, r.ExecutedAt.UTC().Truncate(time.Microsecond), r.ExecutionTime.Microseconds(),
		r.Error, r.ErrorStmt, r.Hash, string(partials))
	return err
}

// DeleteRevision forgets one.
func (h history) DeleteRevision(ctx context.Context, version string) error {
	_, err := h.ExecContext(ctx, "DELETE FROM "+historyTable+" WHERE version = $1", version)
	return err
}

// rehash takes over the sum and the length of a half-applied migration's file,
// whose rest may have been mended since.
func (h history) rehash(ctx context.Context, dir atlas.Dir, f atlas.File, r *atlas.Revision) error {
	sums, err := dir.Checksum()
	if err != nil {
		return err
	}
	if r.Hash, err = sums.SumByName(f.Name()); err != nil {
		return err
	}
	statements, err := f.Stmts()
	if err != nil {
		return err
	}
	if r.Total = len(statements); r.Total < r.Applied {
		return fmt.Errorf("%w: %s has fewer statements than were applied of it", ErrHistory, f.Name())
	}
	return h.WriteRevision(ctx, r)
}

func isHalf(r *atlas.Revision) bool { return r.Applied < r.Total }

// half says how far a migration came; nothing if it came to its end.
func half(r *atlas.Revision) string {
	if !isHalf(r) {
		return ""
	}
	said := fmt.Sprintf("%d of %d statements were applied", r.Applied, r.Total)
	if r.Error != "" {
		statement, _, _ := strings.Cut(r.ErrorStmt, "\n")
		said += fmt.Sprintf("; %q failed: %s", statement, r.Error)
	}
	return said
}

func (db *DB) migrationStatus(ctx context.Context, dir atlas.Dir) ([]Migration, error) {
	files, err := dir.Files()
	if err != nil {
		return nil, err
	}
	var applied []*atlas.Revision
	h := history{db.sql, db.IsPostgres()}
	there, err := h.exists(ctx)
	if err == nil && there {
		applied, err = h.ReadRevisions(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("migration status: %w", err)
	}
	var all []Migration
	for _, r := range applied {
		newer := !slices.ContainsFunc(files, func(f atlas.File) bool { return f.Version() == r.Version })
		all = append(all, Migration{
			Version: r.Version, Name: r.Description, AppliedAt: r.ExecutedAt.UTC(),
			Newer: newer, Pending: isHalf(r) && !newer, Half: half(r),
		})
	}
	for _, f := range files {
		if !slices.ContainsFunc(all, func(m Migration) bool { return m.Version == f.Version() }) {
			all = append(all, Migration{Version: f.Version(), Name: f.Desc(), Pending: true})
		}
	}
	slices.SortFunc(all, func(a, b Migration) int { return strings.Compare(a.Version, b.Version) })
	if _, err := compare(applied, dir); errors.Is(err, ErrHistory) {
		return all, err
	}
	return all, nil
}
