package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	atlas "ariga.io/atlas/sql/migrate"
	atlasschema "ariga.io/atlas/sql/schema"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"
	_ "github.com/jackc/pgx/v5/stdlib" // PostgreSQL
	_ "modernc.org/sqlite"             // SQLite

	"github.com/soukhq/souk/ent/migrate"
)

// postgresEnv names the variable with the URL of a PostgreSQL where databases
// may be made and dropped; scripts/with-services sets it.
const postgresEnv = "SOUK_TEST_POSTGRES_URL"

// engine is a database to try migrations on. open gives an empty one, to be
// thrown away by the function that comes with it.
type engine struct {
	name string
	open func(ctx context.Context) (*sql.DB, func() error, error)
}

var engines = []engine{{dialect.Postgres, openPostgres}, {dialect.SQLite, openSQLite}}

// drift is what separates the migrations so far from ent/schema.
type drift struct {
	file  atlas.File // what would lead there; nil if nothing
	left  []string   // tables that ent/schema does not know (any more)
	notes []string   // what in file may hurt
}

func (d drift) empty() bool { return d.file == nil && len(d.left) == 0 }

func (d drift) report(out io.Writer, engine string) {
	if d.empty() {
		fmt.Fprintf(out, "%s: no change\n", engine)
	}
	if d.file != nil {
		fmt.Fprintf(out, "%s: differs by\n%s", engine, d.file.Bytes())
	}
	for _, t := range d.left {
		fmt.Fprintf(out, "%s: ent/schema has no table %s: write a file by hand that drops it\n", engine, t)
	}
	for _, n := range d.notes {
		fmt.Fprintf(out, "%s: mind: %s\n", engine, n)
	}
}

// diff replays the migrations on an empty database and compares what they make
// with ent/schema. It refuses files that their sums do not vouch for.
func (e engine) diff(ctx context.Context, files fs.FS, version, name string) (d drift, err error) {
	dir, err := load(files)
	if err != nil {
		return d, err
	}
	db, discard, err := e.open(ctx)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, discard()) }()

	err = migrate.NewSchema(entsql.OpenDB(e.name, db)).NamedDiff(ctx, name,
		schema.WithDir(dir), schema.WithMigrationMode(schema.ModeReplay),
		schema.WithDropColumn(true), schema.WithDropIndex(true), schema.WithErrNoPlan(true),
		schema.WithIndent("  "), schema.WithFormatter(d.keep(version)), schema.WithDiffHook(d.look))
	var sums *atlas.ChecksumError
	switch {
	case errors.Is(err, atlas.ErrNoPlan):
		err = nil
	case errors.As(err, &sums):
		err = fmt.Errorf("%s was %s since atlas.sum was written; if that was meant, run this with -sum", sums.File, sums.Reason)
	}
	return d, err
}

// formatter lets a function format plans.
type formatter func(*atlas.Plan) ([]atlas.File, error)

// Format formats a plan.
func (f formatter) Format(p *atlas.Plan) ([]atlas.File, error) { return f(p) }

// keep formats a plan as a file of a version, and keeps the file.
func (d *drift) keep(version string) formatter {
	return func(p *atlas.Plan) ([]atlas.File, error) {
		p.Version = version
		f, err := atlas.DefaultFormatter.FormatFile(p)
		d.file = f
		return []atlas.File{f}, err
	}
}

// look notes the changes that a reader of the file should think about, and the
// tables to be dropped, for which ent plans nothing.
func (d *drift) look(next schema.Differ) schema.Differ {
	return schema.DiffFunc(func(current, desired *atlasschema.Schema) ([]atlasschema.Change, error) {
		changes, err := next.Diff(current, desired)
		for _, c := range changes {
			switch c := c.(type) {
			case *atlasschema.DropTable:
				d.left = append(d.left, c.T.Name)
			case *atlasschema.ModifyTable:
				d.lookAtTable(c)
			}
		}
		return changes, err
	})
}

func (d *drift) lookAtTable(m *atlasschema.ModifyTable) {
	for _, c := range m.Changes {
		switch c := c.(type) {
		case *atlasschema.DropColumn:
			d.notes = append(d.notes, fmt.Sprintf("it drops %s.%s, which the release before must no longer use", m.T.Name, c.C.Name))
		case *atlasschema.AddColumn:
			if !c.C.Type.Null && c.C.Default == nil {
				d.notes = append(d.notes, fmt.Sprintf("%s.%s has no default: it fails if there are rows, and so do inserts by the release before", m.T.Name, c.C.Name))
			}
		}
	}
}

func openPostgres(ctx context.Context) (*sql.DB, func() error, error) {
	server, err := url.Parse(os.Getenv(postgresEnv))
	if err != nil || server.Host == "" {
		return nil, nil, fmt.Errorf("%s names no PostgreSQL: run this under scripts/with-services", postgresEnv)
	}
	admin, err := sql.Open("pgx", server.String())
	if err != nil {
		return nil, nil, err
	}
	name := "diff_" + rand.Text()
	if _, err := admin.ExecContext(ctx, `CREATE DATABASE "`+name+`" TEMPLATE template0`); err != nil {
		return nil, nil, errors.Join(err, admin.Close())
	}
	server.Path = "/" + name
	db, err := sql.Open("pgx", server.String())
	if err != nil {
		return nil, nil, errors.Join(err, admin.Close())
	}
	return db, func() error {
		_, err := admin.ExecContext(context.WithoutCancel(ctx), `DROP DATABASE "`+name+`" WITH (FORCE)`)
		return errors.Join(db.Close(), err, admin.Close())
	}, nil
}

func openSQLite(context.Context) (*sql.DB, func() error, error) {
	folder, err := os.MkdirTemp("", "souk-diff-")
	if err != nil {
		return nil, nil, err
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(folder, "diff.db")+"?_pragma=foreign_keys(1)")
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(folder))
	}
	// A rebuild of a table switches foreign keys off and on: on its connection.
	db.SetMaxOpenConns(1)
	return db, func() error { return errors.Join(db.Close(), os.RemoveAll(folder)) }, nil
}
