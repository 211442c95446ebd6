package workers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/outbox"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/buying/purchase"
	"github.com/soukhq/souk/internal/testkit"
	"github.com/soukhq/souk/workers"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// idle is a feature that has nothing to do.
type idle struct{}

func (idle) Tell(context.Context, outbox.Event) error               { return nil }
func (idle) Release(context.Context, id.ID) error                   { return nil }
func (idle) Forward(context.Context, id.ID) error                   { return nil }
func (idle) ClaimForwards(context.Context, int) ([]id.ID, error)    { return nil, nil }
func (idle) ExpireDue(context.Context, int) (int, error)            { return 0, nil }
func (idle) CheckDue(context.Context, int) (int, error)             { return 0, nil }
func (idle) PruneTokens(context.Context, int) (int, error)          { return 0, nil }
func (idle) PruneFeed(context.Context, time.Time, int) (int, error) { return 0, nil }
func (idle) Due(context.Context, int) ([]id.ID, error)              { return nil, nil }
func (idle) Attempt(context.Context, id.ID) error                   { return nil }
func (idle) Woken() <-chan struct{}                                 { return nil }

type idleHooks struct{ idle }

func (idleHooks) Prune(context.Context, time.Time, int) (int, error) { return 0, nil }

type idleKeys struct{}

func (idleKeys) Prune(context.Context, time.Time) (int, error) { return 0, nil }

// teller handles events as a test says, and counts how often it saw each.
type teller struct {
	idle
	tell func(seen int) error

	mu   sync.Mutex
	seen map[id.ID]int
}

func (p *teller) Tell(_ context.Context, e outbox.Event) error {
	p.mu.Lock()
	p.seen[e.ID]++
	n := p.seen[e.ID]
	p.mu.Unlock()
	return p.tell(n)
}

func (p *teller) times(e id.ID) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[e]
}

type testBundle struct {
	db     *store.DB
	outbox *outbox.Outbox
	redis  *redis.Client
	teller *teller
}

func setup(t *testing.T, db *store.DB, tell func(seen int) error) *testBundle {
	t.Helper()
	o, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	b := &testBundle{db: db, outbox: outbox.New(db), redis: redis.NewClient(o), teller: &teller{tell: tell, seen: map[id.ID]int{}}}
	t.Cleanup(func() { _ = b.redis.Close() })
	return b
}

func (b *testBundle) run(t *testing.T) {
	t.Helper()
	w := workers.New(workers.Deps{
		Redis: b.redis, Outbox: b.outbox, Log: slog.New(slog.DiscardHandler),
		Purchases: b.teller, Webhooks: idleHooks{}, Wallets: idle{}, Users: idle{}, Chats: idle{}, Keys: idleKeys{},
		Concurrency: 4, PollEvery: 50 * time.Millisecond, SweepEvery: time.Second, StopWithin: time.Second,
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("workers ended with %v", err)
		}
	})
}

func (b *testBundle) emit(t *testing.T, topic string) id.ID {
	t.Helper()
	e := outbox.Event{ID: id.New(), Mode: mode.Live, Topic: topic, SubjectID: id.New(), Payload: json.RawMessage(`{}`), At: time.Now()}
	if err := b.db.InTx(t.Context(), func(ctx context.Context) error { return b.outbox.Emit(ctx, e) }); err != nil {
		t.Fatal(err)
	}
	return e.ID
}

// settled waits until no event waits any more, and gives those that are dead.
func (b *testBundle) settled(t *testing.T) []outbox.Failed {
	t.Helper()
	testkit.Eventually(t, t.Context(), func() error {
		n, _, err := b.outbox.Depth(t.Context())
		if err == nil && n > 0 {
			err = fmt.Errorf("%d events still wait", n)
		}
		return err
	})
	dead, err := b.outbox.Dead(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	return dead
}

func TestWorkers_FailedEventIsTriedAgain(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db, func(seen int) error {
			switch seen {
			case 1:
				return errors.New("the database is away")
			case 2:
				panic("a fault in the handler")
			}
			return nil
		})
		e := b.emit(t, purchase.TopicPaid)
		b.run(t)
		if dead := b.settled(t); len(dead) > 0 {
			t.Errorf("dead: %+v", dead)
		}
		if n := b.teller.times(e); n != 3 {
			t.Errorf("handled %d times, want 3", n)
		}
	})
}

func TestWorkers_WhatIsRefusedIsDeadAtOnce(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db, func(int) error { return purchase.ErrSource })
		refused, unheard := b.emit(t, purchase.TopicPaid), b.emit(t, "order.nobody-listens")
		b.run(t)
		dead := b.settled(t)
		if len(dead) != 2 || b.teller.times(refused) != 1 || b.teller.times(unheard) != 0 {
			t.Errorf("dead are %+v; handled %d and %d times, want 1 and 0", dead, b.teller.times(refused), b.teller.times(unheard))
		}
	})
}

// A queue lays a task aside when worker after worker has died over it. Its event
// is still to be told.
func TestWorkers_TaskThatWasLaidAside(t *testing.T) {
	t.Parallel()
	b := setup(t, testkit.OpenStore(t, testkit.PostgresStore(t)), func(int) error { return nil })
	e := b.emit(t, purchase.TopicPaid)
	queue := asynq.NewClientFromRedisClient(b.redis)
	if _, err := queue.Enqueue(asynq.NewTask("purchase:tell", nil), asynq.TaskID(e.String()), asynq.Queue(workers.QueueEvents)); err != nil {
		t.Fatal(err)
	}
	if err := asynq.NewInspectorFromRedisClient(b.redis).ArchiveTask(workers.QueueEvents, e.String()); err != nil {
		t.Fatal(err)
	}
	b.run(t)
	if dead := b.settled(t); len(dead) > 0 || b.teller.times(e) != 1 {
		t.Errorf("handled %d times, want once; dead: %+v", b.teller.times(e), dead)
	}
}
