package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/soukhq/souk/ent"
)

type txKey struct{ db *DB }

type running struct {
	tx     *sql.Tx
	client *ent.Client
	failed error // set once fn failed: an inner error ends the whole
	after  []func()
}

// maxTries bounds how often a transaction that lost a race is run again.
const maxTries = 5

// InTx runs fn in a transaction: it begins one, or joins the one that ctx is
// already in. The transaction commits when the outermost fn returns nil. An
// error of any inner fn ends the whole, even if it is swallowed on the way.
//
// fn may run more than once (after a deadlock, say): it must do nothing outside
// the database. What has to follow a commit is given to After.
func (db *DB) InTx(ctx context.Context, fn func(context.Context) error) error {
	if r, ok := ctx.Value(txKey{db}).(*running); ok {
		if r.failed != nil {
			return r.failed
		}
		if err := fn(ctx); err != nil {
			r.failed = err
			return err
		}
		return nil
	}
	for try := 1; ; try++ {
		after, err := db.runTx(ctx, fn)
		for _, f := range after {
			f()
		}
		if err == nil || try == maxTries || !isTransient(err) || ctx.Err() != nil {
			return err
		}
		// Losers that come back together meet again.
		time.Sleep(time.Duration(try) * time.Duration(1+rand.IntN(5)) * time.Millisecond)
	}
}

// runTx gives what is to follow its commit: the caller runs it once SQLite's
// writer is free again, since it may want to write.
func (db *DB) runTx(ctx context.Context, fn func(context.Context) error) (after []func(), err error) {
	if !db.IsPostgres() {
		db.writer.Lock()
		defer db.writer.Unlock()
	}
	tx, err := db.sql.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	r := &running{tx: tx, client: newClient(db.engine, tx)}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if err := fn(context.WithValue(ctx, txKey{db}, r)); err != nil {
		return nil, err
	}
	if r.failed != nil {
		return nil, r.failed
	}
	if err := tx.Commit(); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	return r.after, nil
}

// InSnapshot runs fn in a transaction that reads one moment of the database and
// writes nothing.
func (db *DB) InSnapshot(ctx context.Context, fn func(context.Context) error) error {
	opts := &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
	if !db.IsPostgres() {
		opts = &sql.TxOptions{ReadOnly: true} // a read transaction of WAL is a snapshot
	}
	tx, err := db.sql.BeginTx(ctx, opts)
	if err != nil {
		return fmt.Errorf("begin snapshot: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	return fn(context.WithValue(ctx, txKey{db}, &running{tx: tx, client: newClient(db.engine, tx)}))
}

// After runs f once the transaction of ctx has committed, or at once if there is
// none. It is for wake-ups: f must be quick, and nothing may depend on it.
func (db *DB) After(ctx context.Context, f func()) {
	if r, ok := ctx.Value(txKey{db}).(*running); ok {
		r.after = append(r.after, f)
		return
	}
	f()
}

// Client gives the ent client of the transaction that ctx is in, or one outside
// of any.
func (db *DB) Client(ctx context.Context) *ent.Client {
	if r, ok := ctx.Value(txKey{db}).(*running); ok {
		return r.client
	}
	return db.client
}

// SQL gives the same connection for the few statements that ent cannot say.
// Placeholders are $1, $2… on both engines.
func (db *DB) SQL(ctx context.Context) entsql.ExecQuerier {
	if r, ok := ctx.Value(txKey{db}).(*running); ok {
		return r.tx
	}
	return db.sql
}

// NextNumber gives the next number of a counter: 1, 2, 3… Numbers of a
// transaction that was rolled back are given again.
func (db *DB) NextNumber(ctx context.Context, counter string) (n int64, err error) {
	err = db.InTx(ctx, func(ctx context.Context) error {
		rows, err := db.SQL(ctx).QueryContext(ctx,
			`INSERT INTO counters (id, value) VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET value = counters.value + 1 RETURNING value`, counter)
		if err != nil {
			return fmt.Errorf("count %s: %w", counter, err)
		}
		defer func() { _ = rows.Close() }()
		if !rows.Next() {
			return errors.Join(fmt.Errorf("count %s: no row", counter), rows.Err())
		}
		if err := rows.Scan(&n); err != nil {
			return err
		}
		return rows.Close()
	})
	return n, err
}

// lockable is any ent query.
type lockable[Q any] interface {
	ForUpdate(opts ...entsql.LockOption) Q
}

// Lock makes a query lock the rows that it reads, in the order in which it reads
// them: order by id. SQLite has one writer, who needs no row locks.
func Lock[Q lockable[Q]](db *DB, q Q) Q {
	if db.IsPostgres() {
		return q.ForUpdate()
	}
	return q
}

// Claim makes a query lock the rows that it reads and pass over those that
// another process has locked.
func Claim[Q lockable[Q]](db *DB, q Q) Q {
	if db.IsPostgres() {
		return q.ForUpdate(entsql.WithLockAction(entsql.SkipLocked))
	}
	return q
}

func isNetwork(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
