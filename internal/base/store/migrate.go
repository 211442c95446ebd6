package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	atlas "ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/postgres"
	"ariga.io/atlas/sql/sqlite"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/soukhq/souk/ent/migrate"
)

const (
	// migrationLock is Souk's key among PostgreSQL's advisory locks: "soukmigr".
	migrationLock int64 = 0x736f756b6d696772
	// migrationWait bounds how long one process waits for another that migrates.
	migrationWait = 10 * time.Minute
)

// ErrHistory says that the migrations that a database has seen are not those of
// this binary, so that nothing can be said about its tables.
var ErrHistory = errors.New("the database's migrations are not this binary's")

// Migration is one step in the life of the tables.
type Migration struct {
	Version string
	Name    string
	// AppliedAt is when it was applied; zero if it is still to come.
	AppliedAt time.Time
	// Pending says that Migrate would apply it, or its rest.
	Pending bool
	// Newer says that this binary does not know it: a newer one applied it.
	Newer bool
	// Half tells of a migration without a transaction that stopped half-way: how
	// far it came, and why. It is empty otherwise.
	Half string
}

// Migrate applies the migrations that are still to come, each in a transaction
// unless its file begins with "-- atlas:txmode none". Any number of processes
// may call it at once. Tables change in no other way.
//
// A database that a newer binary has migrated is left as it is: during a
// roll-out, old and new run side by side. A migration that was changed after it
// was applied, or that comes too late, is refused with ErrHistory.
func (db *DB) Migrate(ctx context.Context, log *slog.Logger) error {
	dir, err := migrationDir(db.engine)
	if err != nil {
		return err
	}
	return db.migrate(ctx, log, dir)
}

// MigrationStatus tells which migrations were applied and which are to come, in
// their order. It changes nothing. With ErrHistory it gives both: the list, and
// what is wrong with it.
func (db *DB) MigrationStatus(ctx context.Context) ([]Migration, error) {
	dir, err := migrationDir(db.engine)
	if err != nil {
		return nil, err
	}
	return db.migrationStatus(ctx, dir)
}

// migrationDir gives the migrations in this binary.
func migrationDir(engine string) (*atlas.MemDir, error) {
	files, err := migrate.Files(engine)
	if err != nil {
		return nil, err
	}
	dir := &atlas.MemDir{}
	err = fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		return dir.WriteFile(path, b)
	})
	return dir, err
}

// migrator applies the files of dir over one connection.
type migrator struct {
	postgres bool
	conn     *sql.Conn
	dir      atlas.Dir
	log      *slog.Logger
}

func (db *DB) migrate(ctx context.Context, log *slog.Logger, dir atlas.Dir) (err error) {
	if !db.IsPostgres() {
		db.writer.Lock()
		defer db.writer.Unlock()
	}
	conn, discard, err := db.migrationConn(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer discard()
	m := &migrator{postgres: db.IsPostgres(), conn: conn, dir: dir, log: log}
	if err := m.run(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// migrationConn gives a connection that is thrown away afterwards, with its
// locks and settings, whatever happened to it.
func (db *DB) migrationConn(ctx context.Context) (*sql.Conn, func(), error) {
	if !db.IsPostgres() {
		conn, err := db.sql.Conn(ctx)
		if err != nil {
			return nil, nil, err
		}
		return conn, func() {
			_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // the pool forgets it
			_ = conn.Close()
		}, nil
	}
	cfg := db.pool.Config().ConnConfig
	cfg.RuntimeParams["application_name"] = "souk migrate"
	// Whoever waits for a table's lock makes everyone wait who comes after: give
	// up soon and try again. The work itself may take its time.
	cfg.RuntimeParams["lock_timeout"] = "3s"
	cfg.RuntimeParams["statement_timeout"] = "0"
	own := stdlib.OpenDB(*cfg)
	conn, err := own.Conn(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, own.Close())
	}
	return conn, func() { _, _ = conn.Close(), own.Close() }, nil
}

func (m *migrator) run(ctx context.Context) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	if err := (history{m.conn, m.postgres}).create(ctx); err != nil {
		return err
	}
	for {
		file, err := m.next(ctx)
		if err != nil || file == nil {
			return err
		}
		if err := m.retry(ctx, func() error { return m.apply(ctx, file) }); err != nil {
			return err
		}
	}
}

// lock lets one process migrate at a time. On SQLite the transactions do: each
// looks again at what is still to come.
//
// It asks again and again rather than waiting in the server: a session that
// waits there holds up CREATE INDEX CONCURRENTLY, which the other may be running.
func (m *migrator) lock(ctx context.Context) error {
	if !m.postgres {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, migrationWait, errors.New("another process has been migrating for too long"))
	defer cancel()
	for said := false; ; said = true {
		var mine bool
		if err := m.conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", migrationLock).Scan(&mine); err != nil || mine {
			return err
		}
		if !said {
			m.log.InfoContext(ctx, "waiting for another process that migrates the database")
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// retry runs fn again when another's lock was in its way.
func (m *migrator) retry(ctx context.Context, fn func() error) error {
	for try := 1; ; try++ {
		err := fn()
		if err == nil || try == maxTries || !isTransient(err) {
			return err
		}
		m.log.WarnContext(ctx, "a lock is in the way of a migration, which is tried again", "error", err)
		if err := pause(ctx, time.Duration(try)*time.Second); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// next gives the first migration that is still to come, nil if there is none.
func (m *migrator) next(ctx context.Context) (atlas.File, error) {
	h := history{m.conn, m.postgres}
	applied, err := h.ReadRevisions(ctx)
	if err != nil {
		return nil, err
	}
	newer, err := compare(applied, m.dir)
	if err != nil {
		return nil, err
	}
	if len(newer) > 0 {
		m.log.WarnContext(ctx, "the database is newer than this binary; it is left as it is", "unknown", newer)
		return nil, nil
	}
	ex, err := m.executor(m.conn)
	if err != nil {
		return nil, err
	}
	pending, err := ex.Pending(ctx)
	var dirty *atlas.NotCleanError
	switch {
	case errors.Is(err, atlas.ErrNoPendingFiles):
		return nil, nil
	case errors.As(err, &dirty):
		return nil, fmt.Errorf("%w: it has none, and is not empty (%s): give Souk a database of its own", ErrHistory, dirty.Reason)
	case err != nil:
		return nil, err
	}
	return pending[0], nil
}

// compare checks that what was applied is what the files begin with, and names
// what a newer binary has applied after their end.
func compare(applied []*atlas.Revision, dir atlas.Dir) (newer []string, err error) {
	files, err := dir.Files()
	if err != nil {
		return nil, err
	}
	sums, err := dir.Checksum()
	if err != nil {
		return nil, err
	}
	for i, r := range applied {
		name := r.Version + "_" + r.Description + ".sql"
		if i >= len(files) {
			newer = append(newer, name)
			continue
		}
		f := files[i]
		if f.Version() < r.Version {
			return nil, fmt.Errorf("%w: %s comes before %s, which was applied: give it a newer version", ErrHistory, f.Name(), name)
		}
		if f.Name() != name {
			return nil, fmt.Errorf("%w: %s was applied, and this binary has no such file", ErrHistory, name)
		}
		// A file's sum covers those before it too; the first that differs is the one.
		sum, err := sums.SumByName(name)
		if err != nil {
			return nil, err
		}
		if sum != r.Hash && !isHalf(r) { // the rest of a half may be mended
			return nil, fmt.Errorf("%w: %s was changed after it had been applied", ErrHistory, name)
		}
	}
	return newer, nil
}

func (m *migrator) executor(q entsql.ExecQuerier) (*atlas.Executor, error) {
	open := sqlite.Open
	if m.postgres {
		open = postgres.Open
	}
	drv, err := open(q)
	if err != nil {
		return nil, err
	}
	return atlas.NewExecutor(drv, m.dir, history{q, m.postgres})
}

func (m *migrator) apply(ctx context.Context, f atlas.File) error {
	if m.postgres && hasNoTx(f) {
		return m.applyWithoutTx(ctx, f)
	}
	// A rebuild of a table in SQLite drops the old one: with foreign keys on, the
	// rows that point to it would be in the way or go with it. Inside of a
	// transaction the switch does nothing.
	rebuilds := !m.postgres && switchesForeignKeys(f)
	if !m.postgres {
		if _, err := m.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA foreign_keys = %t", !rebuilds)); err != nil {
			return err
		}
	}
	tx, err := m.conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	r, err := (history{tx, m.postgres}).ReadRevision(ctx, f.Version())
	if !errors.Is(err, atlas.ErrRevisionNotExist) && (err != nil || !isHalf(r)) {
		return err // another process was faster
	}
	start := time.Now()
	if err := m.execute(ctx, tx, f); err != nil {
		return fmt.Errorf("%s: nothing of it stays: %w", f.Name(), err)
	}
	if rebuilds {
		if err := checkForeignKeys(ctx, tx); err != nil {
			return fmt.Errorf("%s: nothing of it stays: %w", f.Name(), err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%s: commit: %w", f.Name(), err)
	}
	m.applied(ctx, f, start)
	return nil
}

// applyWithoutTx applies what PostgreSQL does not do in a transaction. When it
// fails half-way it goes on at the statement that failed.
func (m *migrator) applyWithoutTx(ctx context.Context, f atlas.File) error {
	h := history{m.conn, m.postgres}
	switch r, err := h.ReadRevision(ctx, f.Version()); {
	case errors.Is(err, atlas.ErrRevisionNotExist):
	case err != nil:
		return err
	default:
		m.log.WarnContext(ctx, "going on with a migration that stopped half-way", "version", r.Version, "name", r.Description, "half", half(r))
		if err := h.rehash(ctx, m.dir, f, r); err != nil {
			return err
		}
	}
	start := time.Now()
	if err := m.execute(ctx, m.conn, f); err != nil {
		return fmt.Errorf("%s: what comes before stays. Remove what the statement may have left, such as an invalid index (DROP INDEX), and migrate again, which goes on there: %w",
			f.Name(), err)
	}
	m.applied(ctx, f, start)
	return nil
}

func (m *migrator) execute(ctx context.Context, q entsql.ExecQuerier, f atlas.File) error {
	ex, err := m.executor(q)
	if err != nil {
		return err
	}
	return statementError(f, ex.Execute(ctx, f))
}

func (m *migrator) applied(ctx context.Context, f atlas.File, start time.Time) {
	m.log.InfoContext(ctx, "migration applied", "version", f.Version(), "name", f.Desc(), "took", time.Since(start).Round(time.Millisecond))
}

// hasNoTx tells whether a file asks to be run without a transaction.
func hasNoTx(f atlas.File) bool {
	local, ok := f.(*atlas.LocalFile)
	return ok && slices.Contains(local.Directive("txmode"), "none")
}

// switchesForeignKeys tells whether a file rebuilds tables; ent marks those.
func switchesForeignKeys(f atlas.File) bool {
	statements, err := f.Stmts()
	return err == nil && slices.ContainsFunc(statements, func(s string) bool {
		return strings.HasPrefix(strings.ToLower(s), "pragma foreign_keys = off")
	})
}

func checkForeignKeys(ctx context.Context, q entsql.ExecQuerier) error {
	rows, err := q.QueryContext(ctx, `SELECT DISTINCT "table", parent FROM pragma_foreign_key_check`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	if rows.Next() {
		var table, parent string
		if err := rows.Scan(&table, &parent); err != nil {
			return err
		}
		return fmt.Errorf("rows of %s would point to rows of %s that are not there", table, parent)
	}
	return rows.Err()
}

// statementError says where in its file the statement stands that failed.
func statementError(f atlas.File, err error) error {
	var failed *atlas.StmtExecError
	if !errors.As(err, &failed) {
		return err
	}
	before := f.Bytes()[:min(max(failed.Stmt.Pos, 0), len(f.Bytes()))]
	return fmt.Errorf("line %d: %w", 1+strings.Count(string(before), "\n"), failed.Err)
}
