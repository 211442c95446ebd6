package testkit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// PostgresEnv names the variable that holds the URL of the test server.
const PostgresEnv = "SOUK_TEST_POSTGRES_URL"

// adminTimeout bounds each statement on the test server: making a database may
// wait for a checkpoint, but never this long.
const adminTimeout = time.Minute

// Postgres makes an empty database for this test and gives its URL. The
// database is dropped when the test ends.
func Postgres(t testing.TB) string {
	t.Helper()
	return PostgresFrom(t, "template0")
}

// PostgresFrom makes a database as a copy of another and gives its URL. The
// copy is dropped when the test ends. Nobody may be connected to the template.
func PostgresFrom(t testing.TB, template string) string {
	t.Helper()
	server := needEnv(t, PostgresEnv)
	name := "test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if err := onPostgres(server, func(ctx context.Context, conn *pgx.Conn) error {
		return createDatabase(ctx, conn, name, template)
	}); err != nil {
		t.Fatalf("testkit: make a database from %s: %v", template, err)
	}
	t.Cleanup(func() {
		// A test that failed may have left connections: they must not keep the database.
		if err := onPostgres(server, func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)")
			return err
		}); err != nil {
			t.Errorf("testkit: drop database %s: %v", name, err)
		}
	})
	return databaseURL(t, server, name)
}

// PostgresTemplate gives the name of a template that build has filled, for
// PostgresFrom. It is built once per server and version, however many tests and
// packages ask at the same time: version must change whenever build would give
// something else, as a digest of the migrations does. Build must close its
// connections before it returns.
func PostgresTemplate(t testing.TB, version string, build func(databaseURL string) error) string {
	t.Helper()
	server := needEnv(t, PostgresEnv)
	digest := sha256.Sum256([]byte(version))
	name := "template_" + hex.EncodeToString(digest[:12])
	if err := onPostgres(server, func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtextextended($1, 0))", name); err != nil {
			return fmt.Errorf("wait for its builder: %w", err)
		}
		return buildTemplate(ctx, conn, name, func(draft string) error {
			return build(databaseURL(t, server, draft))
		})
	}); err != nil {
		t.Fatalf("testkit: build template %s: %v", version, err)
	}
	return name
}

// buildTemplate fills a draft and gives it the template's name only when it is
// complete, so that a builder that dies half-way leaves no half template. The
// caller holds the lock of the name.
func buildTemplate(ctx context.Context, conn *pgx.Conn, name string, build func(draft string) error) error {
	var there bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there); err != nil || there {
		return err
	}
	draft := name + "_draft"
	if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(draft)+" WITH (FORCE)"); err != nil {
		return err
	}
	if err := createDatabase(ctx, conn, draft, "template0"); err != nil {
		return err
	}
	if err := build(draft); err != nil {
		return err
	}
	return whileBusy(ctx, func() error {
		_, err := conn.Exec(ctx, "ALTER DATABASE "+quote(draft)+" RENAME TO "+quote(name))
		return err
	})
}

func createDatabase(ctx context.Context, conn *pgx.Conn, name, template string) error {
	return whileBusy(ctx, func() error {
		_, err := conn.Exec(ctx, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(template))
		return err
	})
}

// whileBusy repeats do as long as somebody is connected to its database: a
// session that was just closed, or autovacuum, lingers for a moment.
func whileBusy(ctx context.Context, do func() error) error {
	const objectInUse = "55006"
	for {
		err := do()
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != objectInUse {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// onPostgres runs do on a connection of its own: a test that has ended cannot
// take it away.
func onPostgres(server string, do func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	return do(ctx, conn)
}

func databaseURL(t testing.TB, server, name string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("testkit: %s is no URL", PostgresEnv)
	}
	u.Path = "/" + name
	return u.String()
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
