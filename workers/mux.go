package workers

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

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

// For every task a row in the database says when to try again, be it that its
// handling failed or that nobody is known to have finished it. So handlers end
// well for the queue whatever happened: it must forget a task, or the task's id
// would be taken when its row is due.

// onEvent handles tasks that carry an event of the outbox. An event that is
// refused will be refused again, and is dead at once.
func onEvent(log *slog.Logger, ob *outbox.Outbox, handle func(context.Context, outbox.Event) error) asynq.HandlerFunc {
	return func(ctx context.Context, t *asynq.Task) error {
		var e eventTask
		if err := json.Unmarshal(t.Payload(), &e); err != nil {
			return left(ctx, log, t, errors.Join(err, unreadable(ctx, ob, err)))
		}
		err := safely(func() error {
			return handle(ctx, outbox.Event{ID: e.ID, Mode: e.Mode, Topic: e.Topic, SubjectID: e.Subject, Payload: e.Payload, At: e.At})
		})
		if err == nil {
			return left(ctx, log, t, ob.Done(ctx, e.ID))
		}
		failed := ob.Fail(context.WithoutCancel(ctx), e.ID, err, errs.IsRefusal(err))
		return left(ctx, log, t, errors.Join(err, failed))
	}
}

// unreadable gives up an event whose task does not say what it is.
func unreadable(ctx context.Context, ob *outbox.Outbox, why error) error {
	task, _ := asynq.GetTaskID(ctx)
	event, err := id.Parse(task)
	if err != nil {
		return err
	}
	return ob.Fail(ctx, event, why, true)
}

// onDue handles tasks that name a row.
func onDue(log *slog.Logger, handle func(context.Context, id.ID) error) asynq.HandlerFunc {
	return func(ctx context.Context, t *asynq.Task) error {
		u, err := id.Parse(string(t.Payload()))
		if err == nil {
			err = safely(func() error { return handle(ctx, u) })
		}
		return left(ctx, log, t, err)
	}
}

// left leaves a task to its row, and writes down what went wrong with it.
func left(ctx context.Context, log *slog.Logger, t *asynq.Task, err error) error {
	if err != nil {
		task, _ := asynq.GetTaskID(ctx)
		log.Warn("task: left to its next time", "type", t.Type(), "task", task, "err", err)
	}
	return nil
}

// safely makes an error of a panic, with where it came from.
func safely(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errs.Panicked(p)
		}
	}()
	return do()
}
