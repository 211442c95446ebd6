package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/outbox"
)

const (
	relayBatch = 500
	// relayLease is how long an event may be on its way before it is sent again.
	// It may be shorter than its handling: the queue knows it by its id.
	relayLease = time.Minute
	senders    = 8
)

// relay carries events from the outbox to the queue.
type relay struct {
	outbox *outbox.Outbox
	queue  *queue
	redis  redis.UniversalClient
	log    *slog.Logger
	every  time.Duration
}

// run relays until ctx ends: at once when this process has committed something,
// and every now and then for what others have.
func (r *relay) run(ctx context.Context) {
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for ctx.Err() == nil {
		n, err := r.once(ctx)
		if err != nil && ctx.Err() == nil {
			r.log.Warn("relay: will try again", "err", err)
		}
		if n == relayBatch && err == nil {
			continue // there is more
		}
		select {
		case <-ctx.Done():
		case <-r.outbox.Woken():
		case <-tick.C:
		}
	}
}

func (r *relay) once(ctx context.Context) (int, error) {
	if err := r.noticeFlush(ctx); err != nil {
		return 0, err // leasing what cannot be sent would only delay it
	}
	events, err := r.outbox.Lease(ctx, relayBatch, relayLease)
	if err != nil {
		return 0, err
	}
	var (
		wg     sync.WaitGroup
		next   = make(chan outbox.Event)
		mu     sync.Mutex
		unsent []id.ID
		failed error
	)
	for range min(senders, len(events)) {
		wg.Go(func() {
			for e := range next {
				if err := r.send(ctx, e); err != nil {
					mu.Lock()
					unsent, failed = append(unsent, e.ID), err
					mu.Unlock()
				}
			}
		})
	}
	for _, e := range events {
		next <- e
	}
	close(next)
	wg.Wait()
	if len(unsent) > 0 {
		return 0, errors.Join(failed, r.outbox.Release(context.WithoutCancel(ctx), unsent))
	}
	return len(events), nil
}

// generation is a key that only a flushed or new Redis does not have.
const generation = "souk:queue:generation"

// noticeFlush sees whether the queue has lost its tasks, and if so has them all
// sent again.
func (r *relay) noticeFlush(ctx context.Context) error {
	fresh, err := r.redis.SetNX(ctx, generation, id.New().String(), 0).Result()
	if err != nil {
		return fmt.Errorf("reach redis: %w", err)
	}
	if !fresh {
		return nil
	}
	n, err := r.outbox.ResendAll(ctx)
	if err != nil {
		// Forget that it was seen, so that the next round sees it again.
		return errors.Join(err, r.redis.Del(context.WithoutCancel(ctx), generation).Err())
	}
	if n > 0 {
		r.log.Warn("relay: the queue was empty, sending again", "events", n)
	}
	return nil
}

// eventTask is the payload of a task that carries an event. Version 1.
type eventTask struct {
	ID      id.ID           `json:"id"`
	Mode    mode.Mode       `json:"mode"`
	Topic   string          `json:"topic"`
	Subject id.ID           `json:"subject"`
	Payload json.RawMessage `json:"payload"`
	At      time.Time       `json:"at"`
}

func (r *relay) send(ctx context.Context, e outbox.Event) error {
	typ, ok := taskOfTopic[e.Topic]
	if !ok {
		r.log.Error("relay: nobody listens", "topic", e.Topic, "event", e.ID)
		return r.outbox.Fail(ctx, e.ID, fmt.Errorf("no task for topic %q", e.Topic), true)
	}
	payload, err := json.Marshal(eventTask{e.ID, e.Mode, e.Topic, e.SubjectID, e.Payload, e.At})
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	err = r.queue.put(ctx, QueueEvents, e.ID.String(), asynq.NewTask(typ, payload))
	if errors.Is(err, errLaidAside) {
		return r.outbox.Fail(ctx, e.ID, err, false)
	}
	return err
}
