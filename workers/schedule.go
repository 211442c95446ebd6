package workers

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"github.com/soukhq/souk/internal/base/id"
)

// sweepBatch bounds what one look at a deadline takes in hand.
const sweepBatch = 500

// Keep says for how long what is done is remembered.
const (
	keepEvents = 30 * 24 * time.Hour
	keepFeed   = 14 * 24 * time.Hour // how long a client may be away and still resume
	feedBatch  = 200
	pruneEvery = 10 * time.Minute
	pruneBatch = 1000
)

// sweep looks for what has fallen due. It says how much it found; a full batch
// is followed by another look at once.
type sweep struct {
	name  string
	every time.Duration
	look  func(ctx context.Context) (int, error)
	batch int
	woken <-chan struct{} // says that there is something at once; may be nil
}

func (w *Workers) sweeps() []sweep {
	return []sweep{
		{name: "forward orders", every: w.SweepEvery, batch: sweepBatch, look: w.forwardDue},
		{name: "deliver webhooks", every: w.SweepEvery, batch: sweepBatch, look: w.deliverDue, woken: w.Webhooks.Woken()},
		{name: "expire orders", every: w.SweepEvery, batch: sweepBatch, look: func(ctx context.Context) (int, error) {
			return w.Purchases.ExpireDue(ctx, sweepBatch)
		}},
		{name: "check funding", every: w.SweepEvery, batch: sweepBatch, look: func(ctx context.Context) (int, error) {
			return w.Wallets.CheckDue(ctx, sweepBatch)
		}},
		{name: "prune tokens", every: pruneEvery, batch: pruneBatch, look: func(ctx context.Context) (int, error) {
			return w.Users.PruneTokens(ctx, pruneBatch)
		}},
		{name: "prune feeds", every: pruneEvery, batch: 1, look: func(ctx context.Context) (int, error) {
			return w.Chats.PruneFeed(ctx, time.Now().Add(-keepFeed), feedBatch)
		}},
		{name: "prune webhooks", every: pruneEvery, batch: pruneBatch, look: func(ctx context.Context) (int, error) {
			return w.Webhooks.Prune(ctx, time.Now().Add(-w.KeepWebhooks), pruneBatch)
		}},
		{name: "prune keys", every: pruneEvery, batch: pruneBatch, look: func(ctx context.Context) (int, error) {
			return w.Keys.Prune(ctx, time.Now().Add(-keepEvents))
		}},
		{name: "prune outbox", every: pruneEvery, batch: pruneBatch, look: func(ctx context.Context) (int, error) {
			return w.Outbox.Prune(ctx, time.Now().Add(-keepEvents), pruneBatch)
		}},
	}
}

// runSchedule runs every sweep until ctx ends.
func (w *Workers) runSchedule(ctx context.Context) {
	var wg sync.WaitGroup
	for _, s := range w.sweeps() {
		wg.Go(func() { w.runSweep(ctx, s) })
	}
	wg.Wait()
}

func (w *Workers) runSweep(ctx context.Context, s sweep) {
	for ctx.Err() == nil {
		n, err := s.look(ctx)
		if err != nil && ctx.Err() == nil {
			w.Log.Warn("sweep: will look again", "sweep", s.name, "err", err)
		}
		if n >= s.batch && err == nil {
			continue
		}
		// Processes that were started together should not all look at once.
		wait := s.every*3/4 + rand.N(s.every/2+1)
		select {
		case <-ctx.Done():
		case <-s.woken:
		case <-time.After(wait):
		}
	}
}

// enqueueDue puts a task for each id on the queue.
func (w *Workers) enqueueDue(ctx context.Context, typ, queue string, ids []id.ID, err error) error {
	if err != nil {
		return err
	}
	for _, u := range ids {
		if err := w.queue.put(ctx, queue, typ+":"+u.String(), asynq.NewTask(typ, []byte(u.String()))); err != nil && !errors.Is(err, errLaidAside) {
			return err
		}
	}
	return nil
}
