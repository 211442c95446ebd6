package testkit

import (
	"context"
	"io/fs"
	"log/slog"
	"path/filepath"
	"testing"

	"entgo.io/ent/dialect"

	"github.com/soukhq/souk/ent/migrate"
	"github.com/soukhq/souk/internal/base/store"
)

// Engines runs a test on SQLite and on PostgreSQL, each time with an empty
// database that has Souk's tables and is thrown away afterwards.
func Engines(t *testing.T, test func(t *testing.T, db *store.DB)) {
	t.Helper()
	EngineURLs(t, func(t *testing.T, url string) { test(t, OpenStore(t, url)) })
}

// EngineURLs is Engines for a test that opens its database more than once, as
// several processes do.
func EngineURLs(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "souk.db")
		if err := migrateStore(path); err != nil {
			t.Fatalf("testkit: make an SQLite database: %v", err)
		}
		test(t, path)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, PostgresStore(t))
	})
}

// PostgresStore makes a PostgreSQL database with Souk's tables and gives its URL.
// It is dropped when the test ends.
func PostgresStore(t testing.TB) string {
	t.Helper()
	return PostgresFrom(t, storeTemplate(t))
}

// OpenStore opens a database until the test ends.
func OpenStore(t testing.TB, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{URL: url})
	if err != nil {
		t.Fatalf("testkit: open a database: %v", err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// storeTemplate is a database with Souk's tables, made once for each set of
// migrations.
func storeTemplate(t testing.TB) string {
	t.Helper()
	files, err := migrate.Files(dialect.Postgres)
	if err != nil {
		t.Fatalf("testkit: migrations: %v", err)
	}
	sum, err := fs.ReadFile(files, "atlas.sum")
	if err != nil {
		t.Fatalf("testkit: migrations: %v", err)
	}
	return PostgresTemplate(t, string(sum), migrateStore)
}

func migrateStore(url string) error {
	ctx := context.Background() // a template outlives the test that makes it
	db, err := store.Open(ctx, store.Options{URL: url})
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return db.Migrate(ctx, slog.New(slog.DiscardHandler))
}
