package store_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	atlas "ariga.io/atlas/sql/migrate"

	"github.com/soukhq/souk/ent/migrate"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/testkit"
)

var quiet = slog.New(slog.DiscardHandler)

// history makes a folder of migrations: names and contents in turn.
func history(t *testing.T, namesAndContents ...string) *atlas.MemDir {
	t.Helper()
	dir := &atlas.MemDir{}
	for i := 0; i < len(namesAndContents); i += 2 {
		if err := dir.WriteFile(namesAndContents[i], []byte(namesAndContents[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := dir.Checksum()
	if err != nil {
		t.Fatal(err)
	}
	if err := atlas.WriteSumFile(dir, sum); err != nil {
		t.Fatal(err)
	}
	return dir
}

const (
	one   = "CREATE TABLE ones (id integer PRIMARY KEY);"
	two   = "CREATE TABLE twos (id integer PRIMARY KEY);\nINSERT INTO twos VALUES (2);"
	three = "ALTER TABLE ones ADD COLUMN name text;"
)

func TestDB_Migrate(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		ctx, db := t.Context(), testkit.OpenStore(t, url)
		before, err := db.MigrationStatus(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range before {
			if !m.Pending || !m.AppliedAt.IsZero() {
				t.Errorf("of an empty database it says %+v", m)
			}
		}
		log, said := logged()
		if err := db.Migrate(ctx, log); err != nil {
			t.Fatal(err)
		}
		after, err := db.MigrationStatus(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(before) == 0 || len(after) != len(before) {
			t.Fatalf("%d migrations before, %d after", len(before), len(after))
		}
		for _, m := range after {
			if m.Pending || m.Newer || m.Half != "" || time.Since(m.AppliedAt) > time.Hour {
				t.Errorf("of a migrated database it says %+v", m)
			}
			if !strings.Contains(said.String(), m.Version) {
				t.Errorf("the log does not tell of %s: %s", m.Version, said)
			}
		}
		if n := count(t, ctx, db, "SELECT count(*) FROM accounts"); n != 0 {
			t.Errorf("%d accounts", n)
		}

		said.Reset()
		if err := db.Migrate(ctx, log); err != nil {
			t.Fatal(err)
		}
		again, err := db.MigrationStatus(ctx)
		if err != nil || !slices.Equal(again, after) || said.Len() > 0 {
			t.Errorf("a second run: %v, %v, log %q", again, err, said)
		}
	})
}

func TestDB_Migrate_ManyProcessesAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		applied := make([]int, 4)
		var all sync.WaitGroup
		for i := range applied {
			all.Go(func() {
				c := exec.CommandContext(t.Context(), self)
				c.Env = append(os.Environ(), migrateEnv+"="+url)
				out, err := c.CombinedOutput()
				if err != nil {
					t.Errorf("process %d: %v: %s", i, err, out)
				}
				applied[i] = strings.Count(string(out), "migration applied")
			})
		}
		all.Wait()
		status, err := testkit.OpenStore(t, url).MigrationStatus(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sum := 0
		for _, n := range applied {
			sum += n
		}
		if sum != len(status) {
			t.Errorf("%d migrations were applied %v times", len(status), applied)
		}
	})
}

func TestDB_Migrate_StepByStep(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		ctx, db := t.Context(), testkit.OpenStore(t, url)
		first := history(t, "1_one.sql", one)
		both := history(t, "1_one.sql", one, "2_two.sql", two, "3_three.sql", three)
		if err := db.MigrateFrom(ctx, quiet, first); err != nil {
			t.Fatal(err)
		}
		status, err := db.StatusFrom(ctx, both)
		if err != nil || len(status) != 3 || status[0].Pending || !status[1].Pending || status[1].Name != "two" || !status[2].Pending {
			t.Fatalf("half-way: %+v, %v", status, err)
		}
		if err := db.MigrateFrom(ctx, quiet, both); err != nil {
			t.Fatal(err)
		}
		if n := count(t, ctx, db, "SELECT sum(id) FROM twos"); n != 2 {
			t.Errorf("twos hold %d", n)
		}
	})
}

func TestDB_Migrate_NewerDatabase(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		ctx, db := t.Context(), testkit.OpenStore(t, url)
		older := history(t, "1_one.sql", one)
		if err := db.MigrateFrom(ctx, quiet, history(t, "1_one.sql", one, "2_two.sql", two)); err != nil {
			t.Fatal(err)
		}
		log, said := logged()
		if err := db.MigrateFrom(ctx, log, older); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(said.String(), "newer than this binary") || !strings.Contains(said.String(), "2_two.sql") {
			t.Errorf("it said %q", said)
		}
		status, err := db.StatusFrom(ctx, older)
		if err != nil || len(status) != 2 || status[0].Newer || !status[1].Newer || status[1].Pending {
			t.Errorf("%+v, %v", status, err)
		}
	})
}

func TestDB_Migrate_ForeignHistory(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		names string
	}{
		"a file was changed":              {[]string{"1_one.sql", one + " ", "3_three.sql", three}, "1_one.sql was changed"},
		"the last file was changed":       {[]string{"1_one.sql", one, "3_three.sql", three + " "}, "3_three.sql was changed"},
		"a file is gone":                  {[]string{"3_three.sql", three}, "1_one.sql was applied"},
		"a file was renamed":              {[]string{"1_uno.sql", one, "3_three.sql", three}, "1_one.sql was applied"},
		"a file came too late":            {[]string{"1_one.sql", one, "2_two.sql", two, "3_three.sql", three}, "2_two.sql comes before 3_three.sql"},
		"another branch":                  {[]string{"1_one.sql", one, "2_two.sql", two}, "2_two.sql comes before 3_three.sql"},
		"another branch, and a file more": {[]string{"1_one.sql", one, "4_four.sql", two}, "3_three.sql was applied"},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, url string) {
				ctx, db := t.Context(), testkit.OpenStore(t, url)
				if err := db.MigrateFrom(ctx, quiet, history(t, "1_one.sql", one, "3_three.sql", three)); err != nil {
					t.Fatal(err)
				}
				dir := history(t, c.files...)
				err := db.MigrateFrom(ctx, quiet, dir)
				if !errors.Is(err, store.ErrHistory) || !strings.Contains(err.Error(), c.names) {
					t.Errorf("migrate said %v", err)
				}
				status, err := db.StatusFrom(ctx, dir)
				if !errors.Is(err, store.ErrHistory) || !strings.Contains(err.Error(), c.names) || len(status) < 2 {
					t.Errorf("status said %v, %v", status, err)
				}
			})
		})
	}
}

func TestDB_Migrate_NotEmpty(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		ctx, db := t.Context(), testkit.OpenStore(t, url)
		run(t, ctx, db, "CREATE TABLE somebody_elses (id integer)")
		err := db.Migrate(ctx, quiet)
		if !errors.Is(err, store.ErrHistory) || !strings.Contains(err.Error(), "not empty") {
			t.Errorf("it said %v", err)
		}
	})
}

func TestDB_Migrate_SumsDoNotFit(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		dir := history(t, "1_one.sql", one)
		if err := dir.WriteFile("1_one.sql", []byte(two)); err != nil {
			t.Fatal(err)
		}
		if err := testkit.OpenStore(t, url).MigrateFrom(t.Context(), quiet, dir); !errors.Is(err, atlas.ErrChecksumMismatch) {
			t.Errorf("it said %v", err)
		}
	})
}

func TestDB_Migrate_FailedFileLeavesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		ctx, db := t.Context(), testkit.OpenStore(t, url)
		err := db.MigrateFrom(ctx, quiet, history(t, "1_one.sql", one, "2_two.sql", two+"\n\nCREATE TABLE ones (id integer);"))
		if err == nil || !strings.Contains(err.Error(), "2_two.sql") || !strings.Contains(err.Error(), "line 4") {
			t.Fatalf("it said %v", err)
		}
		mended := history(t, "1_one.sql", one, "2_two.sql", two)
		status, err := db.StatusFrom(ctx, mended)
		if err != nil || len(status) != 2 || status[0].Pending || !status[1].Pending || status[1].Half != "" {
			t.Fatalf("%+v, %v", status, err)
		}
		if err := db.MigrateFrom(ctx, quiet, mended); err != nil {
			t.Fatal(err)
		}
	})
}

func TestDB_Migrate_HalfApplied(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), testkit.OpenStore(t, testkit.Postgres(t))
	const noTx = "-- atlas:txmode none\n\n"
	broken := history(t, "1_one.sql", one, "2_two.sql", noTx+two+"\nCREATE UNIQUE INDEX CONCURRENTLY again ON tows (id);\nDROP TABLE ones;")
	mended := history(t, "1_one.sql", one, "2_two.sql", noTx+two+"\nCREATE UNIQUE INDEX CONCURRENTLY again ON twos (id);")
	err := db.MigrateFrom(ctx, quiet, broken)
	if err == nil || !strings.Contains(err.Error(), "2_two.sql") || !strings.Contains(err.Error(), "line 5") || !strings.Contains(err.Error(), "goes on there") {
		t.Fatalf("it said %v", err)
	}
	status, err := db.StatusFrom(ctx, broken)
	if err != nil || len(status) != 2 || !status[1].Pending || !strings.Contains(status[1].Half, "2 of 4") || !strings.Contains(status[1].Half, "CONCURRENTLY") {
		t.Fatalf("%+v, %v", status, err)
	}
	short := history(t, "1_one.sql", one, "2_two.sql", noTx+one)
	if err := db.MigrateFrom(ctx, quiet, short); !errors.Is(err, store.ErrHistory) {
		t.Errorf("a half-applied file that lost statements: %v", err)
	}
	other := history(t, "1_one.sql", one, "2_two.sql", noTx+three+two)
	if err := db.MigrateFrom(ctx, quiet, other); err == nil {
		t.Error("a half-applied file whose first statements were changed was taken")
	}
	log, said := logged()
	if err := db.MigrateFrom(ctx, log, mended); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "stopped half-way") {
		t.Errorf("it said %q", said)
	}
	if err := db.MigrateFrom(ctx, quiet, mended); err != nil {
		t.Errorf("once more: %v", err)
	}
	status, err = db.StatusFrom(ctx, mended)
	if err != nil || status[1].Pending || status[1].Half != "" {
		t.Errorf("%+v, %v", status, err)
	}
	if n := count(t, ctx, db, "SELECT count(*) FROM twos"); n != 1 {
		t.Errorf("%d rows: a statement ran twice", n)
	}
}

// An index that is made concurrently waits for all other sessions' transactions:
// those that wait for their turn to migrate must not be among them.
func TestDB_Migrate_ConcurrentIndexBesideOthers(t *testing.T) {
	t.Parallel()
	url := testkit.Postgres(t)
	var files []string
	files = append(files, "1_one.sql", one)
	for _, n := range []string{"2", "3", "4", "5"} {
		files = append(files, n+"_index.sql", "-- atlas:txmode none\n\nCREATE INDEX CONCURRENTLY ones_"+n+" ON ones (id);")
	}
	dir := history(t, files...)
	var all sync.WaitGroup
	for range 4 {
		db := testkit.OpenStore(t, url)
		all.Go(func() {
			if err := db.MigrateFrom(t.Context(), quiet, dir); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestDB_Migrate_LockInTheWay(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), testkit.Postgres(t)
	db := testkit.OpenStore(t, url)
	if err := db.MigrateFrom(ctx, quiet, history(t, "1_one.sql", one)); err != nil {
		t.Fatal(err)
	}
	log, said := newSignal("lock is in the way")
	err := db.InTx(ctx, func(tx context.Context) error {
		run(t, tx, db, "LOCK TABLE ones IN ACCESS SHARE MODE")
		done := make(chan error, 1)
		other := testkit.OpenStore(t, url)
		go func() {
			done <- other.MigrateFrom(ctx, log, history(t, "1_one.sql", one, "3_three.sql", three))
		}()
		<-said
		db.After(tx, func() {
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDB_Migrate_GivesUpWaiting(t *testing.T) {
	t.Parallel()
	url := testkit.Postgres(t)
	holder := testkit.OpenStore(t, url)
	ctx, cancel := context.WithCancel(t.Context())
	err := holder.InTx(t.Context(), func(tx context.Context) error {
		run(t, tx, holder, "SELECT pg_advisory_xact_lock(x'736f756b6d696772'::bigint)")
		log, said := newSignal("waiting for another process")
		go func() {
			<-said
			cancel()
		}()
		if err := testkit.OpenStore(t, url).Migrate(ctx, log); !errors.Is(err, context.Canceled) {
			t.Errorf("it said %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A rebuild, as ent plans it for SQLite, drops the table that others point to.
func TestDB_Migrate_Rebuild(t *testing.T) {
	t.Parallel()
	const (
		start = "CREATE TABLE parents (id integer PRIMARY KEY, extra text);\n" +
			"CREATE TABLE children (id integer PRIMARY KEY, parent integer NOT NULL REFERENCES parents (id) ON DELETE CASCADE);\n" +
			"INSERT INTO parents VALUES (1, ''), (2, '');\nINSERT INTO children VALUES (11, 1), (12, 2);"
		rebuild = "PRAGMA foreign_keys = off;\nCREATE TABLE new_parents (id integer PRIMARY KEY);\n" +
			"INSERT INTO new_parents SELECT id FROM parents;\nDROP TABLE parents;\nALTER TABLE new_parents RENAME TO parents;\nPRAGMA foreign_keys = on;"
		cascade = "DELETE FROM parents WHERE id = 2;"
	)
	ctx, db := t.Context(), testkit.OpenStore(t, filepath.Join(t.TempDir(), "souk.db"))
	losing := strings.Replace(rebuild, "FROM parents;", "FROM parents WHERE id = 1;", 1)
	err := db.MigrateFrom(ctx, quiet, history(t, "1_start.sql", start, "2_rebuild.sql", losing))
	if err == nil || !strings.Contains(err.Error(), "rows of children") {
		t.Errorf("a rebuild that loses rows: %v", err)
	}
	if n := count(t, ctx, db, "SELECT count(*) FROM parents"); n != 2 {
		t.Errorf("%d parents are left", n)
	}
	if err := db.MigrateFrom(ctx, quiet, history(t, "1_start.sql", start, "2_rebuild.sql", rebuild, "3_cascade.sql", cascade)); err != nil {
		t.Fatal(err)
	}
	if n := count(t, ctx, db, "SELECT sum(id) FROM children"); n != 11 {
		t.Errorf("children: %d; foreign keys must be off in a rebuild and on elsewhere", n)
	}
	for range 20 { // no connection may keep the setting
		if count(t, ctx, db, "PRAGMA foreign_keys") != 1 {
			t.Fatal("foreign keys are off after a migration")
		}
	}
}

// Both engines must come to the same tables and columns.
func TestMigrations_SameTables(t *testing.T) {
	t.Parallel()
	lists := map[string]string{
		migratedPostgres(t): `SELECT string_agg(table_name || '.' || column_name, ',' ORDER BY table_name COLLATE "C", column_name COLLATE "C")
			FROM information_schema.columns WHERE table_schema = 'public'`,
		filepath.Join(t.TempDir(), "souk.db"): `SELECT group_concat(c) FROM (SELECT t.name || '.' || i.name AS c FROM sqlite_schema t, pragma_table_info(t.name) i
			WHERE t.type = 'table' ORDER BY t.name, i.name)`,
	}
	var seen []string
	for url, query := range lists {
		db := testkit.OpenStore(t, url)
		if err := db.Migrate(t.Context(), quiet); err != nil {
			t.Fatal(err)
		}
		var list string
		scan(t, t.Context(), db, query, &list)
		seen = append(seen, list)
	}
	if seen[0] != seen[1] {
		t.Errorf("the engines differ:\n%s\n%s", seen[0], seen[1])
	}
}

func TestMigrations_AreEmbedded(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"postgres", "sqlite3"} {
		files, err := migrate.Files(engine)
		if err != nil {
			t.Fatal(err)
		}
		if names, err := fs.Glob(files, "*_init.sql"); err != nil || len(names) != 1 {
			t.Errorf("%s: %v, %v", engine, names, err)
		}
	}
}
