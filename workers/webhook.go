package workers

import (
	"context"
	"time"

	"github.com/hibiken/asynq"

	"github.com/soukhq/souk/internal/base/id"
)

// Webhooks is what the tasks of webhooks call.
type Webhooks interface {
	// Due takes up to limit deliveries whose time has come and keeps them from
	// others for a moment.
	Due(ctx context.Context, limit int) ([]id.ID, error)
	// Attempt tries one once; what came of it is in the database.
	Attempt(ctx context.Context, delivery id.ID) error
	// Woken gives a signal when this process has made new deliveries.
	Woken() <-chan struct{}
	// Prune forgets deliveries that ended before a time.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
}

func (w *Workers) handleWebhooks(mux *asynq.ServeMux) {
	mux.Handle(taskDeliver, onDue(w.Log, w.Webhooks.Attempt))
}

func (w *Workers) deliverDue(ctx context.Context) (int, error) {
	due, err := w.Webhooks.Due(ctx, sweepBatch)
	return len(due), w.enqueueDue(ctx, taskDeliver, QueueOutside, due, err)
}
