package store_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"entgo.io/ent/dialect"

	"github.com/soukhq/souk/ent/migrate"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/testkit"
)

// migrateEnv makes a copy of the test binary migrate a database, as another
// process would.
const migrateEnv = "SOUK_STORE_TEST_MIGRATE"

func TestMain(m *testing.M) {
	if url := os.Getenv(migrateEnv); url != "" {
		if err := migrateAt(url, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testkit.Main(m)
}

func migrateAt(url string, log *slog.Logger) error {
	db, err := store.Open(context.Background(), store.Options{URL: url})
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return db.Migrate(context.Background(), log)
}

// onBoth runs a test on each engine, with an empty database.
func onBoth(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, filepath.Join(t.TempDir(), "souk.db"))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, testkit.Postgres(t))
	})
}

// withTables runs a test on each engine, with a migrated database.
func withTables(t *testing.T, test func(t *testing.T, db *store.DB)) {
	t.Helper()
	t.Parallel()
	testkit.Engines(t, test)
}

// migratedPostgres makes a PostgreSQL database with Souk's tables.
func migratedPostgres(t *testing.T) string {
	t.Helper()
	files, err := migrate.Files(dialect.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := fs.ReadFile(files, "atlas.sum")
	if err != nil {
		t.Fatal(err)
	}
	return testkit.PostgresFrom(t, testkit.PostgresTemplate(t, string(sum), func(url string) error { return migrateAt(url, quiet) }))
}

// logged is a log that a test can read.
func logged() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, nil)), &b
}

// newSignal is a log and a channel that is closed when the log says a thing.
func newSignal(thing string) (*slog.Logger, <-chan struct{}) {
	s := &signal{thing: thing, said: make(chan struct{})}
	return slog.New(slog.NewTextHandler(s, nil)), s.said
}

type signal struct {
	thing string
	once  sync.Once
	said  chan struct{}
}

// Write looks at a line of the log.
func (s *signal) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(s.thing)) {
		s.once.Do(func() { close(s.said) })
	}
	return len(line), nil
}

// run executes a statement in the transaction of ctx, or by itself.
func run(t *testing.T, ctx context.Context, db *store.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.SQL(ctx).ExecContext(ctx, statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// scan reads the one row that a query gives.
func scan(t *testing.T, ctx context.Context, db *store.DB, query string, into ...any) {
	t.Helper()
	rows, err := db.SQL(ctx).QueryContext(ctx, query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		t.Fatalf("%s: no row: %v", query, rows.Err())
	}
	if err := rows.Scan(into...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// count gives the one number that a query gives.
func count(t *testing.T, ctx context.Context, db *store.DB, query string) (n int) {
	t.Helper()
	scan(t, ctx, db, query, &n)
	return n
}
