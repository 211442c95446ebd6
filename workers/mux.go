package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/outbox"
	"github.com/soukhq/souk/internal/buying/purchase"
)

// Queues, the more urgent with the higher weight.
const (
	QueueMoney   = "money"   // what holds money back until it is done
	QueueEvents  = "events"  // what others are told
	QueueOutside = "outside" // what calls third parties, who may be slow
)

var queueWeights = map[string]int{QueueMoney: 6, QueueEvents: 3, QueueOutside: 2}

// Types of tasks.
const (
	taskTell    = "purchase:tell"
	taskRelease = "purchase:release"
	taskForward = "purchase:forward"
	taskDeliver = "webhook:deliver"
)

// taskOfTopic says which task an event becomes.
var taskOfTopic = map[string]string{
	purchase.TopicPaid:      taskTell,
	purchase.TopicDeclined:  taskTell,
	purchase.TopicCancelled: taskTell,
	purchase.TopicExpired:   taskTell,
	purchase.TopicRefunded:  taskTell,
	purchase.TopicRelease:   taskRelease,
}

// onEvent handles tasks that carry an event of the outbox. What goes wrong is
// retried by the queue, and written down for operators; an event that can never
// be handled, or was tried often enough, is dead until one of them revives it.
func onEvent(ob *outbox.Outbox, handle func(context.Context, outbox.Event) error) asynq.HandlerFunc {
	return func(ctx context.Context, t *asynq.Task) error {
		var e eventTask
		if err := json.Unmarshal(t.Payload(), &e); err != nil {
			return fmt.Errorf("decode event: %w: %w", err, asynq.SkipRetry)
		}
		err := handle(ctx, outbox.Event{ID: e.ID, Mode: e.Mode, Topic: e.Topic, SubjectID: e.Subject, Payload: e.Payload, At: e.At})
		if err == nil {
			return ob.Done(ctx, e.ID)
		}
		tried, _ := asynq.GetRetryCount(ctx)
		most, _ := asynq.GetMaxRetry(ctx)
		final := tried >= most || errs.IsRefusal(err)
		if final {
			err = fmt.Errorf("%w: %w", err, asynq.SkipRetry)
		}
		return errors.Join(err, ob.Fail(context.WithoutCancel(ctx), e.ID, err, final))
	}
}

// onDue handles tasks for which a row in the database says when to try again:
// the queue must forget them, or their ids would be taken when they are due.
func onDue(log *slog.Logger, handle func(context.Context, id.ID) error) asynq.HandlerFunc {
	return func(ctx context.Context, t *asynq.Task) error {
		u, err := id.Parse(string(t.Payload()))
		if err == nil {
			err = handle(ctx, u)
		}
		if err != nil {
			log.Warn("task: left to its next time", "type", t.Type(), "subject", string(t.Payload()), "err", err)
		}
		return nil
	}
}

// retryDelay spaces the queue's own retries: 1 s, 2 s, 4 s… up to ten minutes,
// half of it by chance.
func retryDelay(n int, _ error, _ *asynq.Task) time.Duration {
	d := min(time.Second<<min(n, 10), 10*time.Minute)
	return d/2 + rand.N(d/2+1)
}
