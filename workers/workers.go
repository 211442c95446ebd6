package workers

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/soukhq/souk/internal/base/outbox"
)

// Wallets is what the sweep of top-ups and returns calls.
type Wallets interface {
	CheckDue(ctx context.Context, limit int) (int, error)
}

// Users is what the sweep of revoked tokens calls.
type Users interface {
	PruneTokens(ctx context.Context, limit int) (int, error)
}

// Keys is what the sweep of retired keys calls.
type Keys interface {
	Prune(ctx context.Context, before time.Time) (int, error)
}

// Chats is what the sweep of feeds calls.
type Chats interface {
	PruneFeed(ctx context.Context, before time.Time, limit int) (int, error)
}

// Deps is what the workers lean on.
type Deps struct {
	Redis     redis.UniversalClient
	Outbox    *outbox.Outbox
	Log       *slog.Logger
	Purchases Purchases
	Webhooks  Webhooks
	Wallets   Wallets
	Users     Users
	Chats     Chats
	Keys      Keys

	Concurrency int           // tasks at once
	PollEvery   time.Duration // how often the outbox is looked at when nobody calls
	SweepEvery  time.Duration // how often deadlines are looked at
	StopWithin  time.Duration // how long running tasks get to finish
	// KeepWebhooks is how long deliveries that have ended are kept.
	KeepWebhooks time.Duration
}

// Workers does the background work of this process.
type Workers struct {
	Deps
	queue *queue
}

// New makes the workers; Run runs them.
func New(d Deps) *Workers {
	return &Workers{Deps: d, queue: newQueue(d.Redis)}
}

// Run works until ctx ends, and then lets running tasks finish.
func (w *Workers) Run(ctx context.Context) error {
	server := asynq.NewServerFromRedisClient(w.Redis, asynq.Config{
		Concurrency:              w.Concurrency,
		Queues:                   queueWeights,
		RetryDelayFunc:           afterDeath,
		ShutdownTimeout:          w.StopWithin,
		TaskCheckInterval:        100 * time.Millisecond,
		DelayedTaskCheckInterval: time.Second,
		Logger:                   queueLog{w.Log},
		LogLevel:                 asynq.WarnLevel,
	})
	mux := asynq.NewServeMux()
	w.handlePurchases(mux)
	w.handleWebhooks(mux)
	if err := startQueue(ctx, server, mux, w.Log); err != nil {
		return err
	}
	r := &relay{outbox: w.Outbox, queue: w.queue, redis: w.Redis, log: w.Log, every: w.PollEvery}
	var wg sync.WaitGroup
	wg.Go(func() { r.run(ctx) })
	wg.Go(func() { w.runSchedule(ctx) })
	<-ctx.Done()
	wg.Wait()
	server.Shutdown()
	return nil
}

// startQueue starts the queue's server, waiting for Redis if it is away: the
// rest of Souk works without, and so does this process's API.
func startQueue(ctx context.Context, server *asynq.Server, mux *asynq.ServeMux, log *slog.Logger) error {
	for {
		err := server.Start(mux)
		if err == nil {
			return nil
		}
		log.Warn("workers: waiting for redis", "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// queueLog gives asynq's messages to the process's log.
type queueLog struct{ log *slog.Logger }

func (l queueLog) Debug(args ...any) { l.log.Debug("queue: " + fmt.Sprint(args...)) }
func (l queueLog) Info(args ...any)  { l.log.Info("queue: " + fmt.Sprint(args...)) }
func (l queueLog) Warn(args ...any)  { l.log.Warn("queue: " + fmt.Sprint(args...)) }
func (l queueLog) Error(args ...any) { l.log.Error("queue: " + fmt.Sprint(args...)) }

// Fatal is logged as an error: a library does not end the process.
func (l queueLog) Fatal(args ...any) { l.log.Error("queue: " + fmt.Sprint(args...)) }
