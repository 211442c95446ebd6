package workers

import (
	"context"

	"github.com/hibiken/asynq"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/outbox"
)

// Purchases is what the tasks of purchases call.
type Purchases interface {
	Tell(ctx context.Context, e outbox.Event) error
	Release(ctx context.Context, order id.ID) error
	Forward(ctx context.Context, order id.ID) error
	ClaimForwards(ctx context.Context, limit int) ([]id.ID, error)
	ExpireDue(ctx context.Context, limit int) (int, error)
}

func (w *Workers) handlePurchases(mux *asynq.ServeMux) {
	p := w.Purchases
	mux.Handle(taskTell, onEvent(w.Log, w.Outbox, p.Tell))
	mux.Handle(taskRelease, onEvent(w.Log, w.Outbox, func(ctx context.Context, e outbox.Event) error { return p.Release(ctx, e.SubjectID) }))
	mux.Handle(taskForward, onDue(w.Log, p.Forward))
}

func (w *Workers) forwardDue(ctx context.Context) (int, error) {
	orders, err := w.Purchases.ClaimForwards(ctx, sweepBatch)
	return len(orders), w.enqueueDue(ctx, taskForward, QueueMoney, orders, err)
}
