package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/soukhq/souk/internal/base/id"
)

// Pipe is a transaction whose statements are queued and sent together: on
// PostgreSQL a flush is one round trip, whatever the number of statements and
// rows. It is made for the payment executor, which commits many payments in two
// round trips.
//
// Statements are declared once (NewLock, NewInsert, NewUpdate) and given whole
// columns, so that the engine parses them once.
type Pipe struct {
	db    *DB
	conn  *pgxpool.Conn
	batch *pgx.Batch
	tx    *sql.Tx
	queue []func(ctx context.Context) error // SQLite
	// failed is why nothing may follow: PostgreSQL would answer a COMMIT with a
	// quiet roll-back, SQLite would commit the rest.
	failed error
}

// Rows is what a lock's callback reads a row from.
type Rows interface{ Scan(dest ...any) error }

// Begin opens a pipe. Nothing is sent before the first flush. End must be called
// in any case.
func (db *DB) Begin(ctx context.Context) (*Pipe, error) {
	if db.IsPostgres() {
		conn, err := db.pool.Acquire(ctx)
		if err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
		p := &Pipe{db: db, conn: conn, batch: &pgx.Batch{}}
		p.batch.Queue("BEGIN")
		// A plan that was made while a table was empty reads all of it, and is kept
		// when it is full. Rows are always found by their keys here.
		p.batch.Queue("SET LOCAL enable_seqscan = off")
		return p, nil
	}
	db.writer.Lock()
	tx, err := db.sql.BeginTx(ctx, nil)
	if err != nil {
		db.writer.Unlock()
		return nil, fmt.Errorf("begin: %w", err)
	}
	return &Pipe{db: db, tx: tx}, nil
}

// WaitForLocks bounds how long this transaction waits for a row that another one
// has locked; the error of a longer wait IsLocked. On SQLite none waits: there is
// one writer.
func (p *Pipe) WaitForLocks(most time.Duration) {
	if p.conn != nil {
		p.batch.Queue(fmt.Sprintf("SET LOCAL lock_timeout = %d", most.Milliseconds()))
	}
}

// Flush sends what is queued and reads every answer. Once it has failed, nothing
// can be sent or committed any more.
func (p *Pipe) Flush(ctx context.Context) error {
	if p.failed == nil {
		p.failed = p.send(ctx)
	}
	return p.failed
}

func (p *Pipe) send(ctx context.Context) error {
	if p.conn != nil {
		b := p.batch
		p.batch = &pgx.Batch{}
		return p.conn.SendBatch(ctx, b).Close()
	}
	q := p.queue
	p.queue = nil
	for _, run := range q {
		if err := run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Commit sends what is queued and commits, in the same round trip. When it fails
// with an error that IsGone, whether it committed is not known.
func (p *Pipe) Commit(ctx context.Context) error {
	if p.conn != nil {
		p.batch.Queue("COMMIT")
		return p.Flush(ctx)
	}
	if err := p.Flush(ctx); err != nil {
		return err
	}
	return p.tx.Commit()
}

// End gives the connection back; what was not committed is rolled back.
func (p *Pipe) End() {
	if p.conn != nil {
		if p.conn.Conn().PgConn().TxStatus() != 'I' {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if _, err := p.conn.Exec(ctx, "ROLLBACK"); err != nil {
				_ = p.conn.Conn().Close(ctx)
			}
		}
		p.conn.Release()
		p.conn = nil
		return
	}
	if p.tx != nil {
		_ = p.tx.Rollback()
		p.tx = nil
		p.db.writer.Unlock()
	}
}

// Query is a declared locking or plain read of rows by their key.
type Query struct{ pg, lite string }

// NewLock declares a read that locks the rows it finds, in the order of their
// keys, against other writers.
func NewLock(table, key string, columns ...string) *Query {
	q := NewRead(table, key, columns...)
	q.pg += " FOR NO KEY UPDATE"
	return q
}

// NewRead declares a read without a lock. key is a column and its PostgreSQL
// type, such as "id uuid".
func NewRead(table, key string, columns ...string) *Query {
	k, typ, _ := strings.Cut(key, " ")
	sel := "SELECT " + strings.Join(columns, ", ") + " FROM " + table + " WHERE " + k
	return &Query{
		pg:   sel + " = ANY($1::" + typ + "[]) ORDER BY " + k,
		lite: sel + " IN (SELECT value FROM json_each($1)) ORDER BY " + k,
	}
}

// Select queues a read of the rows whose keys are given (a slice of int64 or
// id.ID); scan is called with each row when the queue is flushed.
func (p *Pipe) Select(q *Query, keys any, scan func(Rows) error) {
	if reflect.ValueOf(keys).Len() == 0 {
		return
	}
	if p.conn != nil {
		p.batch.Queue(q.pg, keys).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				if err := scan(rows); err != nil {
					rows.Close()
					return err
				}
			}
			return rows.Err()
		})
		return
	}
	p.queue = append(p.queue, func(ctx context.Context) error {
		list, err := json.Marshal(keys)
		if err != nil {
			return err
		}
		rows, err := p.tx.QueryContext(ctx, q.lite, string(list))
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			if err := scan(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// Write is a declared bulk insert or update.
type Write struct {
	name     string
	pg, lite string
	columns  int
	counted  bool // every row given must change exactly one row
}

// NewInsert declares an insert of whole columns, each a name and its PostgreSQL
// type, such as "id uuid".
func NewInsert(table string, columns ...string) *Write {
	names, args, marks := split(columns)
	return &Write{
		name: "insert " + table, columns: len(columns),
		pg:   "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ") SELECT " + castJSON(names, columns) + " FROM unnest(" + args + ") AS v(" + strings.Join(names, ", ") + ")",
		lite: "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ") VALUES (" + marks + ")",
	}
}

// NewUpdate declares an update of rows by their key. Each row given must match
// exactly one row by its key and by all guards (columns with the values that
// they are expected to have before), or the whole transaction fails: it is the
// second line behind the locks. The columns are given in the order key, guards,
// set.
func NewUpdate(table, key string, guards, set []string) *Write {
	all := append(append([]string{key}, guards...), set...)
	names, args, _ := split(all)
	pgNames := make([]string, len(names))
	for i, n := range names {
		pgNames[i] = "c" + strconv.Itoa(i+1) + "_" + n
	}
	var pgSet, pgWhere, liteSet, liteWhere []string
	for i, n := range names {
		value := "v." + pgNames[i]
		if strings.HasSuffix(all[i], " jsonb") {
			value += "::jsonb"
		}
		if i <= len(guards) {
			pgWhere = append(pgWhere, "t."+n+" = "+value)
			liteWhere = append(liteWhere, n+" = $"+strconv.Itoa(i+1))
			continue
		}
		pgSet = append(pgSet, n+" = "+value)
		liteSet = append(liteSet, n+" = $"+strconv.Itoa(i+1))
	}
	return &Write{
		name: "update " + table, columns: len(all), counted: true,
		// A count that is off divides by zero, which aborts the transaction before
		// the COMMIT that is already behind it in the pipe.
		pg: "WITH changed AS (UPDATE " + table + " AS t SET " + strings.Join(pgSet, ", ") +
			" FROM unnest(" + args + ") AS v(" + strings.Join(pgNames, ", ") + ") WHERE " + strings.Join(pgWhere, " AND ") +
			" RETURNING 1) SELECT 1 / (count(*) = $" + strconv.Itoa(len(all)+1) + ")::int FROM changed",
		lite: "UPDATE " + table + " SET " + strings.Join(liteSet, ", ") + " WHERE " + strings.Join(liteWhere, " AND "),
	}
}

func split(columns []string) (names []string, args, marks string) {
	var a, m []string
	for i, c := range columns {
		name, typ, _ := strings.Cut(c, " ")
		if typ == "jsonb" {
			typ = "text"
		}
		names = append(names, name)
		a = append(a, "$"+strconv.Itoa(i+1)+"::"+typ+"[]")
		m = append(m, "$"+strconv.Itoa(i+1))
	}
	return names, strings.Join(a, ", "), strings.Join(m, ", ")
}

func castJSON(names, columns []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n
		if strings.HasSuffix(columns[i], " jsonb") {
			out[i] += "::jsonb"
		}
	}
	return strings.Join(out, ", ")
}

// ErrGuard says that a guarded update found other rows than it expected.
var ErrGuard = errors.New("store: a guarded update did not find its rows as expected")

// Write queues a bulk insert or update of n rows; each column is a slice of n
// values. n may be 0.
func (p *Pipe) Write(w *Write, n int, columns ...any) {
	if n == 0 {
		return
	}
	if len(columns) != w.columns {
		panic(fmt.Sprintf("store: %s was given %d columns, not %d", w.name, len(columns), w.columns))
	}
	if p.conn != nil {
		if w.counted {
			columns = append(columns, n)
			p.batch.Queue(w.pg, columns...).QueryRow(func(row pgx.Row) error {
				var one int
				if err := row.Scan(&one); err != nil {
					return fmt.Errorf("%s: %w", w.name, guardError(err))
				}
				return nil
			})
			return
		}
		p.batch.Queue(w.pg, columns...)
		return
	}
	p.queue = append(p.queue, func(ctx context.Context) error { return p.writeRows(ctx, w, n, columns) })
}

func guardError(err error) error {
	if pgCode(err) == "22012" { // division by zero
		return ErrGuard
	}
	return err
}

func (p *Pipe) writeRows(ctx context.Context, w *Write, n int, columns []any) error {
	stmt, err := p.tx.PrepareContext(ctx, w.lite)
	if err != nil {
		return fmt.Errorf("%s: %w", w.name, err)
	}
	defer func() { _ = stmt.Close() }()
	args := make([]any, len(columns))
	for i := range n {
		for c := range columns {
			args[c] = cell(columns[c], i)
		}
		res, err := stmt.ExecContext(ctx, args...)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		if !w.counted {
			continue
		}
		if changed, err := res.RowsAffected(); err != nil || changed != 1 {
			return fmt.Errorf("%s: %w", w.name, errors.Join(ErrGuard, err))
		}
	}
	return nil
}

// cell gives one value of a column in a form that SQLite's driver takes.
func cell(column any, i int) any {
	switch c := column.(type) {
	case []int64:
		return c[i]
	case []string:
		return c[i]
	case []id.ID:
		return c[i].String()
	case []time.Time:
		return c[i]
	}
	v := reflect.ValueOf(column).Index(i)
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	x := v.Interface()
	switch x := x.(type) {
	case driver.Valuer, time.Time:
		return x
	}
	switch v.Kind() {
	case reflect.Int32, reflect.Int64, reflect.Int:
		return v.Int()
	case reflect.String:
		return v.String()
	}
	return x
}
