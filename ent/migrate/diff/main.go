// Command diff writes the migrations that bring the database from where the
// migrations so far have left it to what ent/schema says, one file for each
// engine. It needs a PostgreSQL to try them on:
//
//	scripts/with-services go run ./ent/migrate/diff NAME    writes new files
//	scripts/with-services go run ./ent/migrate/diff -check  fails if there would be any
//	go run ./ent/migrate/diff -sum                          after writing or editing a file by hand
//
// Read what it writes: the code of the release before must work with the new
// tables, since it runs on them while the new one is rolled out. So what is to
// go is first no longer used (ent: Optional and Deprecated), and dropped a
// release later. An index on a large table stops its writers unless its file
// begins with "-- atlas:txmode none", an empty line, and then
// "CREATE INDEX CONCURRENTLY" as the only statement.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	atlas "ariga.io/atlas/sql/migrate"

	"github.com/soukhq/souk/ent/migrate"
)

// errDrift is why -check fails.
var errDrift = errors.New("the migrations do not lead to ent/schema: run make migration name=…")

func main() {
	err := run(context.Background(), os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "diff:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	check, sum bool
	root       string // the folder of package migrate
	version    string
	name       string
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("diff", flag.ContinueOnError)
	f.BoolVar(&o.check, "check", false, "write nothing; fail if the migrations do not lead to ent/schema")
	f.BoolVar(&o.sum, "sum", false, "write atlas.sum anew, after a file was written or edited by hand")
	f.StringVar(&o.root, "root", "ent/migrate", "folder of package migrate")
	f.StringVar(&o.version, "version", atlas.NewVersion(), "version of the new files")
	if err := f.Parse(args); err != nil {
		return o, errors.Join(flag.ErrHelp, err)
	}
	o.name = f.Arg(0)
	if o.check || o.sum {
		return o, nil
	}
	if !regexp.MustCompile(`^[a-z][a-z0-9_]{0,59}$`).MatchString(o.name) || f.NArg() > 1 {
		return o, fmt.Errorf("name the migration in small letters, digits and _: %q is no name", o.name)
	}
	return o, atlas.CheckVersion(o.version)
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	drifted := false
	for _, e := range engines {
		folder := filepath.Join(o.root, filepath.FromSlash(migrate.Folder(e.name)))
		if o.sum {
			if err := writeSum(folder); err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
			continue
		}
		d, err := e.diff(ctx, os.DirFS(folder), o.version, o.name)
		if err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		d.report(out, e.name)
		drifted = drifted || !d.empty()
		if d.file != nil && !o.check {
			if err := write(folder, d.file); err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
			fmt.Fprintf(out, "%s: wrote %s\n", e.name, filepath.Join(folder, d.file.Name()))
		}
	}
	if o.check && drifted {
		return errDrift
	}
	return nil
}

// write adds a file to a folder of migrations.
func write(folder string, f atlas.File) error {
	dir, err := atlas.NewLocalDir(folder)
	if err != nil {
		return err
	}
	files, err := dir.Files()
	if err != nil {
		return err
	}
	if n := len(files); n > 0 && files[n-1].Version() >= f.Version() {
		return fmt.Errorf("version %s does not follow %s", f.Version(), files[n-1].Name())
	}
	if err := dir.WriteFile(f.Name(), f.Bytes()); err != nil {
		return err
	}
	return writeSum(folder)
}

func writeSum(folder string) error {
	dir, err := atlas.NewLocalDir(folder)
	if err != nil {
		return err
	}
	sum, err := dir.Checksum()
	if err != nil {
		return err
	}
	return atlas.WriteSumFile(dir, sum)
}

// load copies a folder of migrations into memory, where a plan can be written
// without touching it.
func load(files fs.FS) (*atlas.MemDir, error) {
	dir := &atlas.MemDir{}
	names, err := fs.Glob(files, "*.s*") // .sql and .sum
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		b, err := fs.ReadFile(files, n)
		if err != nil {
			return nil, err
		}
		if err := dir.WriteFile(n, b); err != nil {
			return nil, err
		}
	}
	return dir, nil
}
