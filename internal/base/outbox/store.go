package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/soukhq/souk/ent"
	"github.com/soukhq/souk/ent/outboxevent"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/store"
)

func (o *Outbox) create(ctx context.Context, e Event) error {
	return o.db.Client(ctx).OutboxEvent.Create().
		SetID(e.ID).SetMode(e.Mode).SetTopic(e.Topic).SetSubjectID(e.SubjectID).SetPayload(e.Payload).
		SetDueAt(machineNow()).SetCreatedAt(e.At).Exec(ctx)
}

// Lease takes up to limit events that are due and keeps them from other relays
// for the given time, after which an event that is not done is due again.
func (o *Outbox) Lease(ctx context.Context, limit int, lease time.Duration) ([]Event, error) {
	var out []Event
	err := o.db.InTx(ctx, func(ctx context.Context) error {
		out = nil
		now := machineNow()
		q := o.db.Client(ctx).OutboxEvent.Query().
			Where(outboxevent.StateIn(outboxevent.StateNEW, outboxevent.StateSENT), outboxevent.DueAtLTE(now)).
			Order(ent.Asc(outboxevent.FieldDueAt)).Limit(limit)
		rows, err := store.Claim(o.db, q).All(ctx)
		if err != nil || len(rows) == 0 {
			return err
		}
		ids := make([]id.ID, len(rows))
		for i, r := range rows {
			ids[i] = r.ID
			out = append(out, Event{ID: r.ID, Mode: r.Mode, Topic: r.Topic, SubjectID: r.SubjectID, Payload: r.Payload, At: r.CreatedAt})
		}
		return o.db.Client(ctx).OutboxEvent.Update().Where(outboxevent.IDIn(ids...)).
			SetState(outboxevent.StateSENT).SetDueAt(now.Add(lease)).AddAttempts(1).Exec(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("lease outbox: %w", err)
	}
	return out, nil
}

// Release makes leased events due at once, for a relay that could not send them.
func (o *Outbox) Release(ctx context.Context, ids []id.ID) error {
	return o.db.InTx(ctx, func(ctx context.Context) error {
		return o.db.Client(ctx).OutboxEvent.Update().
			Where(outboxevent.IDIn(ids...), outboxevent.StateEQ(outboxevent.StateSENT)).
			SetState(outboxevent.StateNEW).SetDueAt(machineNow()).Exec(ctx)
	})
}

// ResendAll makes every event that was sent and is not done due at once: the
// queue has lost them.
func (o *Outbox) ResendAll(ctx context.Context) (n int, err error) {
	err = o.db.InTx(ctx, func(ctx context.Context) error {
		n, err = o.db.Client(ctx).OutboxEvent.Update().
			Where(outboxevent.StateEQ(outboxevent.StateSENT)).
			SetState(outboxevent.StateNEW).SetDueAt(machineNow()).Save(ctx)
		return err
	})
	return n, err
}

// Done marks an event as handled.
func (o *Outbox) Done(ctx context.Context, event id.ID) error {
	return o.db.InTx(ctx, func(ctx context.Context) error {
		return o.db.Client(ctx).OutboxEvent.Update().
			Where(outboxevent.ID(event), outboxevent.StateNEQ(outboxevent.StateDONE)).
			SetState(outboxevent.StateDONE).SetDoneAt(machineNow()).ClearLastError().Exec(ctx)
	})
}

// Fail records why handling failed. A final failure is not sent again until an
// operator says so; any other is the queue's to retry, and the relay's when the
// queue has lost it.
func (o *Outbox) Fail(ctx context.Context, event id.ID, cause error, final bool) error {
	return o.db.InTx(ctx, func(ctx context.Context) error {
		text := cause.Error()
		if len(text) > 500 {
			text = text[:500]
		}
		u := o.db.Client(ctx).OutboxEvent.Update().
			Where(outboxevent.ID(event), outboxevent.StateNEQ(outboxevent.StateDONE)).
			SetLastError(text)
		if final {
			u = u.SetState(outboxevent.StateDEAD)
		}
		return u.Exec(ctx)
	})
}

// Prune removes up to limit events that were done before the given time.
func (o *Outbox) Prune(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = o.db.InTx(ctx, func(ctx context.Context) error {
		ids, err := o.db.Client(ctx).OutboxEvent.Query().
			Where(outboxevent.StateEQ(outboxevent.StateDONE), outboxevent.DoneAtLT(before)).
			Limit(limit).IDs(ctx)
		if err != nil || len(ids) == 0 {
			return err
		}
		n, err = o.db.Client(ctx).OutboxEvent.Delete().Where(outboxevent.IDIn(ids...)).Exec(ctx)
		return err
	})
	return n, err
}

// Depth counts the events that are not done, and tells when the oldest was made.
func (o *Outbox) Depth(ctx context.Context) (n int, oldest time.Time, err error) {
	open := o.db.Client(ctx).OutboxEvent.Query().Where(outboxevent.StateIn(outboxevent.StateNEW, outboxevent.StateSENT))
	if n, err = open.Clone().Count(ctx); err != nil || n == 0 {
		return n, oldest, err
	}
	first, err := open.Order(ent.Asc(outboxevent.FieldDueAt)).First(ctx)
	if ent.IsNotFound(err) {
		return 0, oldest, nil
	}
	if err != nil {
		return 0, oldest, err
	}
	return n, first.CreatedAt, nil
}
