package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	atlas "ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect"

	"github.com/soukhq/souk/ent/migrate"
)

// These tests run one after another: ent's engine writes to the tables that it
// compares.

// The migrations in the binary must lead to the tables that the code expects.
func TestMigrations_LeadToSchema(t *testing.T) {
	for _, e := range engines {
		files, err := migrate.Files(e.name)
		if err != nil {
			t.Fatal(err)
		}
		d, err := e.diff(t.Context(), files, "20990101000000", "missing")
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		if !d.empty() {
			var said bytes.Buffer
			d.report(&said, e.name)
			t.Errorf("%v\n%s", errDrift, &said)
		}
	}
}

func TestDiff_FindsDrift(t *testing.T) {
	drifts := []struct{ drift, says string }{
		{"DROP INDEX hold_account_id;", "hold_account_id"},                                                               // missing
		{"CREATE INDEX extra ON holds (ended_at);", "DROP INDEX"},                                                        // too many
		{"DROP INDEX outboxevent_done_at; CREATE INDEX outboxevent_done_at ON outbox_events (due_at);", "(%cdone_at%c)"}, // another
		{"ALTER TABLE transfers DROP COLUMN kind;", "transfers.kind has no default"},
		{"ALTER TABLE counters ADD COLUMN extra text;", "drops counters.extra"},
		{"CREATE TABLE surplus (id integer);", "no table surplus"},
		{"DROP TABLE feeds;", "CREATE TABLE %cfeeds%c"},
		{"ALTER TABLE feed_entries ADD CONSTRAINT extra CHECK (seq > 0);", "DROP CONSTRAINT %cextra%c"},
		{"ALTER TABLE refunds DROP CONSTRAINT refunds_amount_positive;", "ADD CONSTRAINT %crefunds_amount_positive%c"},
	}
	for _, e := range engines {
		quote := '"'
		if e.name == dialect.SQLite {
			quote = '`'
		}
		var (
			all  strings.Builder
			want []string
		)
		for _, d := range drifts {
			if e.name == dialect.SQLite && strings.Contains(d.drift, "CONSTRAINT") {
				continue // it cannot change those
			}
			all.WriteString(d.drift + "\n")
			want = append(want, strings.ReplaceAll(d.says, "%c", string(quote)))
		}
		d, err := e.diff(t.Context(), with(t, e, all.String()), "20990101000000", "mend")
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		var said bytes.Buffer
		d.report(&said, e.name)
		for _, w := range want {
			if !strings.Contains(said.String(), w) {
				t.Errorf("%s: it does not say %q: %s", e.name, w, &said)
			}
		}
	}
}

// with gives an engine's migrations and one more.
func with(t *testing.T, e engine, more string) fs.FS {
	t.Helper()
	root := copied(t)
	folder := filepath.Join(root, migrate.Folder(e.name))
	if err := os.WriteFile(filepath.Join(folder, "20980101000000_more.sql"), []byte(more), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeSum(folder); err != nil {
		t.Fatal(err)
	}
	return os.DirFS(folder)
}

// copied gives a folder with a copy of all migrations.
func copied(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, e := range engines {
		files, err := migrate.Files(e.name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(root, migrate.Folder(e.name)), files); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestRun_WritesOnce(t *testing.T) {
	root := t.TempDir()
	for _, e := range engines {
		if err := os.MkdirAll(filepath.Join(root, migrate.Folder(e.name)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var said bytes.Buffer
	if err := run(t.Context(), []string{"-root", root, "-check"}, &said); !errors.Is(err, errDrift) {
		t.Fatalf("a check of empty folders: %v", err)
	}
	for _, e := range engines {
		if n := len(list(t, root, e)); n != 0 {
			t.Errorf("%s: a check wrote %d files", e.name, n)
		}
	}
	if err := run(t.Context(), []string{"-root", root, "-version", "20260101000000", "first"}, &said); err != nil {
		t.Fatal(err)
	}
	said.Reset()
	if err := run(t.Context(), []string{"-root", root, "second"}, &said); err != nil || strings.Count(said.String(), "no change") != len(engines) {
		t.Errorf("with no change: %v, %s", err, &said)
	}
	if err := run(t.Context(), []string{"-root", root, "-check"}, &said); err != nil {
		t.Error(err)
	}
	for _, e := range engines {
		files := list(t, root, e)
		if len(files) != 2 || filepath.Base(files[0]) != "20260101000000_first.sql" || filepath.Base(files[1]) != atlas.HashFileName {
			t.Errorf("%s: %v", e.name, files)
		}
	}
}

func TestRun_Refuses(t *testing.T) {
	root := copied(t)
	edited := filepath.Join(root, migrate.Folder(dialect.SQLite), "20260101000000_init.sql")
	b, err := os.ReadFile(edited)
	if err == nil {
		err = os.WriteFile(edited, append(b, "-- changed\n"...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	if err := run(t.Context(), []string{"-root", root, "-check"}, &said); err == nil || !strings.Contains(err.Error(), "_init.sql was edited") {
		t.Errorf("an edited file: %v", err)
	}
	if err := run(t.Context(), []string{"-root", root, "-sum"}, &said); err != nil {
		t.Error(err)
	}
	if err := run(t.Context(), []string{"-root", root, "-check"}, &said); err != nil && !errors.Is(err, errDrift) {
		t.Errorf("an edited file with its sum: %v", err)
	}
	for _, args := range [][]string{{}, {"Name"}, {"a name"}, {"../up"}, {"one", "two"}, {"-version", "1", "one"}} {
		if err := run(t.Context(), append([]string{"-root", root}, args...), &said); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}

func list(t *testing.T, root string, e engine) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, migrate.Folder(e.name), "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}
