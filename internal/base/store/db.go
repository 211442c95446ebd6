// Package store is the one way to the database: it opens SQLite or PostgreSQL,
// hands out the ent client of the running transaction, runs the payment
// executor's bulk statements in few round trips, and applies migrations.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/soukhq/souk/ent"
)

// DB is an open database of either engine.
type DB struct {
	engine string
	sql    *sql.DB
	pool   *pgxpool.Pool // PostgreSQL only
	client *ent.Client

	// writer keeps this process's writers in line on SQLite, which has room for
	// one: waiting on a mutex is fair and wakes at once, SQLite's own busy
	// handler sleeps and starves.
	writer sync.Mutex
}

// Options say which database to open.
type Options struct {
	// URL is postgres://…, or sqlite:PATH, or the path of an SQLite file.
	URL string
	// MaxConns bounds the connections to PostgreSQL; 0 means 8. On small machines
	// more are slower.
	MaxConns int
}

// Open opens the database and checks that it answers. It does not migrate.
func Open(ctx context.Context, o Options) (*DB, error) {
	if strings.HasPrefix(o.URL, "postgres://") || strings.HasPrefix(o.URL, "postgresql://") {
		return openPostgres(ctx, o)
	}
	return openSQLite(ctx, strings.TrimPrefix(o.URL, "sqlite:"))
}

func openPostgres(ctx context.Context, o Options) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("database url: %w", redactURL(err, o.URL))
	}
	cfg.MaxConns = 8
	if o.MaxConns > 0 {
		cfg.MaxConns = int32(min(o.MaxConns, 1000))
	}
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	// A commit that was acknowledged must survive; a careless role or database
	// setting may not take that away.
	if cfg.ConnConfig.RuntimeParams["synchronous_commit"] == "" {
		cfg.ConnConfig.RuntimeParams["synchronous_commit"] = "on"
	}
	if cfg.ConnConfig.RuntimeParams["lock_timeout"] == "" {
		cfg.ConnConfig.RuntimeParams["lock_timeout"] = "3s"
	}
	cfg.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "30s"
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	cfg.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		readTimesAsUTC(conn.TypeMap())
		readIDsPlainly(conn.TypeMap())
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open postgres: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("reach postgres: %w", err)
	}
	db := stdlib.OpenDBFromPool(pool)
	db.SetMaxIdleConns(0) // the pool below keeps them
	return &DB{engine: dialect.Postgres, sql: db, pool: pool, client: newClient(dialect.Postgres, db)}, nil
}

// readTimesAsUTC keeps the machine's time zone out of what is read.
func readTimesAsUTC(m *pgtype.Map) {
	m.RegisterType(&pgtype.Type{Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC}})
}

func openSQLite(ctx context.Context, path string) (*DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open sqlite: %w", err)
	}
	q := url.Values{
		"_pragma": {"foreign_keys(1)", "busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "cache_size(-65536)"},
		"_txlock": {"immediate"}, // a write that begins as a read can deadlock with another
		// Times are stored as whole microseconds: compact, and they compare as times.
		"_time_integer_format": {"unix_micro"}, "_inttotime": {"1"},
	}
	dsn := (&url.URL{Scheme: "file", OmitHost: true, Path: abs, RawQuery: q.Encode()}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open sqlite: %w", err)
	}
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("open sqlite %s: %w", path, err)
	}
	return &DB{engine: dialect.SQLite, sql: db, client: newClient(dialect.SQLite, db)}, nil
}

func newClient(engine string, conn entsql.ExecQuerier) *ent.Client {
	drv := entsql.NewDriver(engine, entsql.Conn{ExecQuerier: conn})
	if _, ok := conn.(*sql.Tx); ok {
		return ent.NewClient(ent.Driver(inTx{drv}))
	}
	return ent.NewClient(ent.Driver(drv))
}

// inTx is the driver of a transaction's client. Some of ent's builders begin a
// transaction of their own, which here is the one that is running.
type inTx struct{ *entsql.Driver }

// Tx gives the running transaction; whoever began it will end it.
func (d inTx) Tx(context.Context) (dialect.Tx, error) { return dialect.NopTx(d), nil }

// redactURL keeps a password out of an error that quotes its URL.
func redactURL(err error, raw string) error {
	if u, perr := url.Parse(raw); perr == nil && u.User != nil {
		if pw, ok := u.User.Password(); ok && pw != "" {
			return errors.New(strings.ReplaceAll(err.Error(), pw, "…"))
		}
	}
	return err
}

// Close ends all connections.
func (db *DB) Close() error {
	err := db.sql.Close()
	if db.pool != nil {
		db.pool.Close()
	}
	return err
}

// Ping tells whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.sql.PingContext(ctx) }

// IsPostgres tells which engine it is.
func (db *DB) IsPostgres() bool { return db.engine == dialect.Postgres }

// Engine is "postgres" or "sqlite3".
func (db *DB) Engine() string { return db.engine }

// IsUnique tells whether err says that a unique key was already there.
func IsUnique(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505"
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	return false
}

// isTransient tells whether a whole transaction may be tried again: it was
// rolled back for reasons that lie in its timing.
func isTransient(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "40001", "40P01", "55P03": // serialization failure, deadlock, lock timeout
			return true
		case "0A000":
			// A migration changed a column that a prepared statement gives; it is
			// prepared anew next time.
			return pg.Routine == "RevalidateCachedQuery"
		}
		return false
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code()&0xff == sqlite3.SQLITE_BUSY
	}
	return false
}

// IsLocked tells whether err says that somebody kept a row locked for too long:
// nothing was done.
func IsLocked(err error) bool { return pgCode(err) == "55P03" }

// IsRace tells whether err says that another transaction was faster: what it did
// can be read now, and running again is safe.
func IsRace(err error) bool { return IsUnique(err) || isTransient(err) || errors.Is(err, ErrGuard) }

// IsGone tells whether err says that the database, or the way to it, is away:
// the outcome of what was sent is not known.
func IsGone(err error) bool {
	if err == nil {
		return false
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		// Class 08: connection; 57P: the server is stopping, crashed or starting;
		// 53300: it has no connection to give; 25006: it is a stand-by now; 25P03: it
		// waited too long for us.
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "57P") || pg.Code == "53300" || pg.Code == "25006" || pg.Code == "25P03"
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return false
	}
	var connect *pgconn.ConnectError
	return errors.As(err, &connect) || pgconn.Timeout(err) || errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, sql.ErrConnDone) || isNetwork(err)
}

func pgCode(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}
