package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/soukhq/souk/ent"
	"github.com/soukhq/souk/ent/sandbox"
	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/testkit"
)

var errNo = errors.New("no")

func addSandbox(ctx context.Context, db *store.DB, n int32) error {
	now := (&clock.System{}).Now(mode.Live)
	return db.Client(ctx).Sandbox.Create().SetID(n).SetName("try").SetCreatedAt(now).Exec(ctx)
}

func sandboxes(t *testing.T, ctx context.Context, db *store.DB) int {
	t.Helper()
	n, err := db.Client(ctx).Sandbox.Query().Count(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDB_InTx_Commits(t *testing.T) {
	withTables(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		err := db.InTx(ctx, func(tx context.Context) error {
			if err := addSandbox(tx, db, 1); err != nil {
				return err
			}
			if n := sandboxes(t, tx, db); n != 1 {
				t.Errorf("inside there are %d", n)
			}
			if n := sandboxes(t, ctx, db); n != 0 {
				t.Errorf("outside there are %d before the commit", n)
			}
			if n := count(t, tx, db, "SELECT count(*) FROM sandboxes"); n != 1 {
				t.Errorf("SQL sees %d inside", n)
			}
			return nil
		})
		if err != nil || sandboxes(t, ctx, db) != 1 {
			t.Errorf("%v; there are %d", err, sandboxes(t, ctx, db))
		}
	})
}

func TestDB_InTx_RollsBack(t *testing.T) {
	withTables(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		err := db.InTx(ctx, func(ctx context.Context) error {
			if err := addSandbox(ctx, db, 1); err != nil {
				t.Error(err)
			}
			return errNo
		})
		if !errors.Is(err, errNo) || sandboxes(t, ctx, db) != 0 {
			t.Errorf("%v; there are %d", err, sandboxes(t, ctx, db))
		}
	})
}

func TestDB_InTx_Panic(t *testing.T) {
	withTables(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		func() {
			defer func() { _ = recover() }()
			_ = db.InTx(ctx, func(ctx context.Context) error {
				if err := addSandbox(ctx, db, 1); err != nil {
					t.Error(err)
				}
				panic("broken")
			})
		}()
		if err := db.InTx(ctx, func(ctx context.Context) error { return addSandbox(ctx, db, 2) }); err != nil || sandboxes(t, ctx, db) != 1 {
			t.Errorf("%v; there are %d", err, sandboxes(t, ctx, db))
		}
	})
}

func TestDB_InTx_Joins(t *testing.T) {
	withTables(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		err := db.InTx(ctx, func(tx context.Context) error {
			if err := db.InTx(tx, func(inner context.Context) error { return addSandbox(inner, db, 1) }); err != nil {
				return err
			}
			if n := sandboxes(t, ctx, db); n != 0 {
				t.Error("the inner one committed by itself")
			}
			return addSandbox(tx, db, 2)
		})
		if err != nil || sandboxes(t, ctx, db) != 2 {
			t.Errorf("%v; there are %d", err, sandboxes(t, ctx, db))
		}
	})
}

func TestDB_InTx_SwallowedInnerErrorEndsAll(t *testing.T) {
	withTables(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		ran := false
		err := db.InTx(ctx, func(ctx context.Context) error {
			if err := addSandbox(ctx, db, 1); err != nil {
				return err
			}
			_ = db.InTx(ctx, func(context.Context) error { return errNo })
			if err := db.InTx(ctx, func(context.Context) error { ran = true; return nil }); !errors.Is(err, errNo) {
				t.Errorf("a later inner one said %v", err)
			}
			return nil
		})
		if !errors.Is(err, errNo) || ran || sandboxes(t, ctx, db) != 0 {
			t.Errorf("%v; ran: %t; there are %d", err, ran, sandboxes(t, ctx, db))
		}
	})
}

func TestDB_InTx_OtherDatabaseIsApart(t *testing.T) {
	withTables(t, func(t *testing.T, db *store.DB) {
		other := testkit.OpenStore(t, filepath.Join(t.TempDir(), "other.db"))
		if err := other.Migrate(t.Context(), quiet); err != nil {
			t.Fatal(err)
		}
		_ = db.InTx(t.Context(), func(ctx context.Context) error {
			if err := other.InTx(ctx, func(ctx context.Context) error { return addSandbox(ctx, other, 1) }); err != nil {
				t.Error(err)
			}
			return errNo
		})
		if n := sandboxes(t, t.Context(), other); n != 1 {
			t.Errorf("the other database has %d", n)
		}
	})
}

func TestDB_After(t *testing.T) {
	withTables(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		var said []string
		say := func(s string) func() { return func() { said = append(said, s) } }
		db.After(ctx, say("at once"))
		_ = db.InTx(ctx, func(ctx context.Context) error {
			db.After(ctx, say("never"))
			return errNo
		})
		err := db.InTx(ctx, func(tx context.Context) error {
			db.After(tx, func() {
				// It runs after the commit, and may begin another transaction.
				if n := sandboxes(t, ctx, db); n != 1 {
					t.Errorf("there are %d", n)
				}
				if err := db.InTx(ctx, func(ctx context.Context) error { return addSandbox(ctx, db, 2) }); err != nil {
					t.Error(err)
				}
			})
			if err := db.InTx(tx, func(tx context.Context) error { db.After(tx, say("inner")); return nil }); err != nil {
				return err
			}
			db.After(tx, say("outer"))
			if len(said) != 1 {
				t.Errorf("before the commit it said %v", said)
			}
			return addSandbox(tx, db, 1)
		})
		if want := []string{"at once", "inner", "outer"}; err != nil || !slices.Equal(said, want) {
			t.Errorf("%v; it said %v", err, said)
		}
	})
}

func TestDB_InTx_Unique(t *testing.T) {
	withTables(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		if err := addSandbox(ctx, db, 1); err != nil {
			t.Fatal(err)
		}
		err := db.InTx(ctx, func(ctx context.Context) error { return addSandbox(ctx, db, 1) })
		if !store.IsUnique(err) || !ent.IsConstraintError(err) || store.IsGone(err) {
			t.Errorf("a key that is there: %v", err)
		}
		err = db.InTx(ctx, func(ctx context.Context) error { return addSandbox(ctx, db, -1) })
		if err == nil || store.IsUnique(err) {
			t.Errorf("a refused value: %v", err)
		}
	})
}

func TestDB_NextNumber_Concurrent(t *testing.T) {
	withTables(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		const workers, each = 8, 10
		var (
			all  sync.WaitGroup
			mu   sync.Mutex
			seen []int64
		)
		for range workers {
			all.Go(func() {
				for range each {
					n, err := db.NextNumber(ctx, "account")
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					seen = append(seen, n)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		slices.Sort(seen)
		for i, n := range seen {
			if n != int64(i)+1 {
				t.Fatalf("numbers are missing or were given twice: %v", seen)
			}
		}
		_ = db.InTx(ctx, func(ctx context.Context) error {
			if n, err := db.NextNumber(ctx, "account"); err != nil || n != workers*each+1 {
				t.Errorf("%d, %v", n, err)
			}
			return errNo
		})
		if n, err := db.NextNumber(ctx, "account"); err != nil || n != workers*each+1 {
			t.Errorf("after a roll-back: %d, %v", n, err)
		}
		if n, err := db.NextNumber(ctx, "another"); err != nil || n != 1 {
			t.Errorf("another counter: %d, %v", n, err)
		}
	})
}

func TestDB_Lock(t *testing.T) {
	withTables(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		if err := addSandbox(ctx, db, 1); err != nil {
			t.Fatal(err)
		}
		const workers = 8
		var all sync.WaitGroup
		for range workers {
			all.Go(func() {
				err := db.InTx(ctx, func(ctx context.Context) error {
					row, err := store.Lock(db, db.Client(ctx).Sandbox.Query().Where(sandbox.ID(1))).Only(ctx)
					if err != nil {
						return err
					}
					return row.Update().SetAheadUs(row.AheadUs + 1).Exec(ctx)
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := count(t, ctx, db, "SELECT ahead_us FROM sandboxes"); n != workers {
			t.Errorf("%d of %d changes are there", n, workers)
		}
	})
}

func TestDB_Claim_PassesOverLocked(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testkit.OpenStore(t, migratedPostgres(t))
	for n := range int32(4) {
		if err := addSandbox(ctx, db, n+1); err != nil {
			t.Fatal(err)
		}
	}
	claim := func(ctx context.Context) []int32 {
		ids, err := store.Claim(db, db.Client(ctx).Sandbox.Query().Order(sandbox.ByID()).Limit(2)).IDs(ctx)
		if err != nil {
			t.Error(err)
		}
		return ids
	}
	err := db.InTx(ctx, func(mine context.Context) error {
		first := claim(mine)
		return db.InTx(ctx, func(theirs context.Context) error {
			if second := claim(theirs); !slices.Equal(append(first, second...), []int32{1, 2, 3, 4}) {
				t.Errorf("one claimed %v, the other %v", first, second)
			}
			return nil
		})
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDB_Claim_SQLite(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testkit.OpenStore(t, filepath.Join(t.TempDir(), "souk.db"))
	if err := db.Migrate(ctx, quiet); err != nil {
		t.Fatal(err)
	}
	if err := addSandbox(ctx, db, 1); err != nil {
		t.Fatal(err)
	}
	ids, err := store.Claim(db, db.Client(ctx).Sandbox.Query()).IDs(ctx)
	if err != nil || len(ids) != 1 {
		t.Errorf("%v, %v", ids, err)
	}
}

// Two transactions that lock the same rows in opposite order: one is thrown out,
// and run again.
func TestDB_InTx_RunsAgainAfterDeadlock(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testkit.OpenStore(t, migratedPostgres(t))
	for n := range int32(2) {
		if err := addSandbox(ctx, db, n+1); err != nil {
			t.Fatal(err)
		}
	}
	var both, all sync.WaitGroup
	both.Add(2)
	var mu sync.Mutex
	runs := 0
	for _, order := range [][]int32{{1, 2}, {2, 1}} {
		all.Go(func() {
			first := true
			err := db.InTx(ctx, func(ctx context.Context) error {
				mu.Lock()
				runs++
				mu.Unlock()
				for i, n := range order {
					if err := db.Client(ctx).Sandbox.UpdateOneID(n).AddAheadUs(1).Exec(ctx); err != nil {
						return err
					}
					if i == 0 && first {
						first = false
						both.Done()
						both.Wait()
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := count(t, ctx, db, "SELECT sum(ahead_us) FROM sandboxes"); n != 4 || runs < 3 {
		t.Errorf("%d changes in %d runs", n, runs)
	}
}

// A migration that changes a column's type must not fail the transactions of
// processes that have prepared statements on it.
func TestDB_InTx_RunsAgainAfterMigration(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), testkit.Postgres(t)
	db, other := testkit.OpenStore(t, url), testkit.OpenStore(t, url)
	run(t, ctx, other, "CREATE TABLE coins (n integer)")
	run(t, ctx, other, "INSERT INTO coins VALUES (7)")
	read := func(ctx context.Context) (n int) {
		rows, err := db.SQL(ctx).QueryContext(ctx, "SELECT n FROM coins")
		if err != nil {
			return -1
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			if err := rows.Scan(&n); err != nil {
				t.Error(err)
			}
		}
		return n
	}
	for range 3 {
		if n := read(ctx); n != 7 {
			t.Fatalf("read %d", n)
		}
	}
	run(t, ctx, other, "ALTER TABLE coins ALTER n TYPE bigint")
	var n int
	err := db.InTx(ctx, func(ctx context.Context) error {
		rows, err := db.SQL(ctx).QueryContext(ctx, "SELECT n FROM coins")
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			if err := rows.Scan(&n); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err != nil || n != 7 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestDB_InTx_Gone(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), migratedPostgres(t)
	db, killer := testkit.OpenStore(t, url), testkit.OpenStore(t, url)
	err := db.InTx(ctx, func(tx context.Context) error {
		run(t, ctx, killer, "SELECT pg_terminate_backend($1)", count(t, tx, db, "SELECT pg_backend_pid()"))
		return addSandbox(tx, db, 1)
	})
	if !store.IsGone(err) {
		t.Errorf("a connection that is cut inside: %v", err)
	}
	err = db.InTx(ctx, func(tx context.Context) error {
		run(t, ctx, killer, "SELECT pg_terminate_backend($1)", count(t, tx, db, "SELECT pg_backend_pid()"))
		return nil
	})
	if !store.IsGone(err) {
		t.Errorf("a connection that is cut before its commit: %v", err)
	}
	if err := db.InTx(ctx, func(ctx context.Context) error { return addSandbox(ctx, db, 2) }); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestOpen_Unreachable(t *testing.T) {
	t.Parallel()
	_, err := store.Open(t.Context(), store.Options{URL: "postgres://souk:secret@127.0.0.1:1/souk?sslmode=disable"})
	if !store.IsGone(err) {
		t.Errorf("nobody listens: %v", err)
	}
	_, err = store.Open(t.Context(), store.Options{URL: "postgres://souk:secret@127.0.0.1:1/souk?sslmode=wrong"})
	if err == nil || store.IsGone(err) {
		t.Errorf("a wrong setting: %v", err)
	}
	if _, err = store.Open(t.Context(), store.Options{URL: filepath.Join(t.TempDir(), "missing", "souk.db")}); err == nil {
		t.Error("a folder that is not there was taken")
	}
}

func TestDB_InSnapshot(t *testing.T) {
	withTables(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		err := db.InSnapshot(ctx, func(snap context.Context) error {
			if n := sandboxes(t, snap, db); n != 0 {
				t.Errorf("at first there are %d", n)
			}
			if err := db.InTx(ctx, func(ctx context.Context) error { return addSandbox(ctx, db, 1) }); err != nil {
				t.Error(err)
			}
			if n := sandboxes(t, snap, db); n != 0 {
				t.Errorf("it sees %d that came later", n)
			}
			return nil
		})
		if err != nil || sandboxes(t, ctx, db) != 1 {
			t.Errorf("%v; there are %d", err, sandboxes(t, ctx, db))
		}
		_ = db.InSnapshot(ctx, func(snap context.Context) error { return addSandbox(snap, db, 2) })
		if n := sandboxes(t, ctx, db); n != 1 {
			t.Errorf("a snapshot wrote: there are %d", n)
		}
	})
}

func TestOpen_SQLitePath(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b?c#d%20e&_pragma=x.db")
	for _, url := range []string{path, "sqlite:" + path} {
		db := testkit.OpenStore(t, url)
		run(t, t.Context(), db, "CREATE TABLE IF NOT EXISTS coins (n integer)")
		if db.IsPostgres() || db.Engine() != "sqlite3" || db.Ping(t.Context()) != nil {
			t.Errorf("%s opened %s", url, db.Engine())
		}
		if count(t, t.Context(), db, "PRAGMA foreign_keys") != 1 || count(t, t.Context(), db, "PRAGMA synchronous") != 2 {
			t.Errorf("%s: its settings are gone", url)
		}
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
