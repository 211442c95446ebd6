package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/outbox"
	"github.com/soukhq/souk/internal/base/store"
)

// Limits of the executor.
const (
	MaxBatch = 256  // commands in one transaction
	MaxQueue = 4096 // commands that wait; more are refused, and may be sent again
)

// How long a command waits while the database is away. A caller who waits longer
// than that is told that the outcome is not known.
const outage = 15 * time.Second

// Souk keeps rows locked for milliseconds. If something else keeps one for longer
// than a connection waits, commands that need the row are refused after a short
// wait for some time, so that they do not hold up all the others: the first of a
// batch after lockedWait, the rest, which may be hundreds, after lockedBrief.
const (
	lockedWait  = 50 * time.Millisecond
	lockedBrief = 5 * time.Millisecond
	lockedFor   = 10 * time.Second
)

// Reply is the answer to a command, given after its transaction was committed.
type Reply struct {
	Result   []byte
	Replayed bool // the answer is that of an earlier command with the same key
	Err      error
}

// Executor commits commands in batches. One runs in each process; several
// processes are kept exact by row locks and unique keys.
type Executor struct {
	db     *store.DB
	log    *slog.Logger
	outbox *outbox.Outbox
	books  []Book
	batch  *Batch
	queue  chan *pending
	stop   chan struct{}
	done   chan struct{}
	once   sync.Once
	// hurry is until when commands wait for a row no longer than lockWait.
	hurry    time.Time
	lockWait time.Duration
}

type pending struct {
	cmd   Command
	key   Key
	since time.Time
	reply chan Reply
	// answer is what will be said once the batch is committed.
	answer Reply
	// unsure is set when the connection was lost in a run: it may have committed.
	unsure bool
}

// NewExecutor starts an executor. Books are locked and written in the order in
// which they are given, before holds and accounts; every process must give them
// in the same order. Close stops it.
func NewExecutor(db *store.DB, c clock.Clock, ob *outbox.Outbox, log *slog.Logger, books ...Book) *Executor {
	x := &Executor{
		db: db, log: log, outbox: ob, books: books, batch: newBatch(c),
		queue: make(chan *pending, MaxQueue), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go x.run()
	return x
}

// Close finishes what is queued and stops. Commands given afterwards are refused.
func (x *Executor) Close() {
	x.once.Do(func() { close(x.stop) })
	<-x.done
}

// Do runs a command and waits for its answer. A full queue refuses at once. When
// ctx ends first the command still runs: its key tells later what became of it.
func (x *Executor) Do(ctx context.Context, cmd Command) Reply {
	p := &pending{cmd: cmd, key: cmd.Key(), since: time.Now(), reply: make(chan Reply, 1)}
	select {
	case <-x.stop:
		return Reply{Err: ErrBusy}
	default:
	}
	select {
	case x.queue <- p:
	default:
		return Reply{Err: ErrBusy}
	}
	select {
	case r := <-p.reply:
		return r
	case <-ctx.Done():
		return Reply{Err: ErrUnknownOutcome.Because(ctx.Err())}
	case <-x.done:
		select { // it may have been answered on the way out
		case r := <-p.reply:
			return r
		default:
			return Reply{Err: ErrBusy}
		}
	}
}

func (x *Executor) run() {
	defer close(x.done)
	batch := make([]*pending, 0, MaxBatch)
	for {
		select {
		case p := <-x.queue:
			batch = x.gather(append(batch[:0], p))
		case <-x.stop:
			if batch = x.gather(batch[:0]); len(batch) == 0 {
				return
			}
		}
		x.lockWait = lockedWait
		x.execute(batch)
	}
}

// gather takes what is there. It does not wait for more: while a batch commits
// the next one gathers by itself, and waiting only adds latency.
func (x *Executor) gather(batch []*pending) []*pending {
	for len(batch) < MaxBatch {
		select {
		case p := <-x.queue:
			batch = append(batch, p)
		default:
			return batch
		}
	}
	return batch
}

// execute commits a batch and answers it. If it fails for a reason that lies in
// one of its commands, halves are tried, so that a poison command fails alone. If
// somebody keeps a row locked, each command is tried by itself: many may want it.
func (x *Executor) execute(batch []*pending) {
	err := x.persist(batch)
	switch {
	case err == nil:
		for _, p := range batch {
			p.reply <- p.answer
		}
		x.outbox.Wake()
	case store.IsGone(err):
		x.log.Error("payments: database away", "err", err, "commands", len(batch))
		for _, p := range batch {
			p.reply <- Reply{Err: ErrUnknownOutcome.Because(err)}
		}
	case store.IsLocked(err):
		x.hurry = time.Now().Add(lockedFor)
		x.executeLocked(batch, err)
	case len(batch) == 1:
		x.log.Error("payments: command failed", "err", err, "command", fmt.Sprintf("%T", batch[0].cmd))
		batch[0].reply <- Reply{Err: fmt.Errorf("%T: %w", batch[0].cmd, err)}
	default:
		x.log.Warn("payments: batch failed, trying halves", "err", err, "commands", len(batch))
		x.execute(batch[:len(batch)/2])
		x.execute(batch[len(batch)/2:])
	}
}

// executeLocked tries each command of a batch by itself, and refuses one that
// needs a row which is locked.
func (x *Executor) executeLocked(batch []*pending, err error) {
	if len(batch) > 1 {
		x.log.Warn("payments: a row is locked by another, trying commands one by one", "err", err, "commands", len(batch))
		for i := range batch {
			x.execute(batch[i : i+1])
		}
		return
	}
	x.lockWait = lockedBrief
	x.log.Warn("payments: a row is locked by another", "err", err, "command", fmt.Sprintf("%T", batch[0].cmd))
	refusal := ErrBusy
	if batch[0].unsure { // what holds the row may be its own commit
		refusal = ErrUnknownOutcome
	}
	batch[0].reply <- Reply{Err: refusal.Because(err)}
}

// persist runs a batch until it is committed, or fails for good. To run it again
// is always safe: what an earlier run committed is found by its keys, or by the
// state that it left.
func (x *Executor) persist(batch []*pending) error {
	deadline := batch[0].since.Add(outage)
	for try := 1; ; try++ {
		err := x.commit(batch)
		switch {
		case err == nil:
			return nil
		case store.IsGone(err):
			for _, p := range batch {
				p.unsure = true
			}
			if time.Now().After(deadline) {
				return err
			}
			time.Sleep(min(time.Duration(try)*20*time.Millisecond, 500*time.Millisecond))
		case store.IsLocked(err):
			return err
		case store.IsRace(err) && try < 10:
			// Another process was faster with a key, or won a deadlock: what it did
			// is seen by the next run.
		default:
			return err
		}
	}
}

// commitTimeout bounds one run of a batch, so that a hung connection is given up.
const commitTimeout = 12 * time.Second

func (x *Executor) commit(batch []*pending) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	p, err := x.db.Begin(ctx)
	if err != nil {
		return err
	}
	defer p.End()
	defer func() {
		// A command that cannot say what it wants must not take the process along.
		if r := recover(); r != nil {
			err = errs.Panicked(r)
		}
	}()

	if time.Now().Before(x.hurry) {
		p.WaitForLocks(x.lockWait)
	}
	x.batch.reset()
	for _, b := range x.books {
		b.Reset()
	}
	x.lock(p, batch)
	if err := p.Flush(ctx); err != nil {
		return err
	}
	if wrote := x.decide(batch); !wrote {
		return nil // all were repetitions, or failed: there is nothing to commit
	}
	x.write(p)
	return p.Commit(ctx)
}

// lock queues the reads of a batch: the rows that its commands want, tables and
// rows in one fixed order for every process, and the keys that are known.
func (x *Executor) lock(p *store.Pipe, batch []*pending) {
	for _, c := range batch {
		if c.key.ID != id.Nil {
			x.batch.WantKey(c.key.ID)
		}
		c.cmd.Want(x.batch)
	}
	for _, b := range x.books {
		b.Lock(p)
	}
	x.batch.lock(p)
	// Last, so that what another process committed while the locks were waited for
	// is known. Processes that share no row meet at the unique key.
	x.batch.readKeys(p)
}

// decide lets the commands decide one after another. It tells whether there is
// anything to write.
func (x *Executor) decide(batch []*pending) (wrote bool) {
	for _, c := range batch {
		if row, ok := x.batch.known[c.key.ID]; ok {
			c.answer = row.replay(c.key.Hash)
			continue
		}
		result, err := x.decideOne(c.cmd)
		if err != nil && !errs.IsRefusal(err) {
			c.answer = Reply{Err: err}
			continue
		}
		row := keyRow{id: c.key.ID, hash: c.key.Hash[:]}
		if refused := errs.As(err); refused != nil {
			row.result = encodeRefusal(refused)
			c.answer = Reply{Err: refused.With(storedRetry(refused))}
		} else {
			row.result = encodeResult(result)
			c.answer = Reply{Result: result}
			wrote = true
		}
		if c.key.ID != id.Nil {
			x.batch.keys.Add(row)
			wrote = true
		}
		// A later command of this batch with the same key joins this one.
		for _, k := range x.batch.keys.Since() {
			x.batch.known[k.id] = k
		}
	}
	return wrote
}

// decideOne runs one decision. A panic fails its command alone.
func (x *Executor) decideOne(cmd Command) (result []byte, err error) {
	x.batch.mark()
	for _, b := range x.books {
		b.Mark()
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%T: %w", cmd, errs.Panicked(r))
		}
		if err != nil {
			x.batch.rollback()
			for _, b := range x.books {
				b.Rollback()
			}
		}
	}()
	result, err = cmd.Decide(x.batch)
	if err == nil && len(result) == 0 && cmd.Key().ID != id.Nil {
		err = errors.New("a command with a key gave no result")
	}
	return result, err
}
