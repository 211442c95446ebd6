package outbox

import (
	"context"
	"time"

	"github.com/soukhq/souk/ent"
	"github.com/soukhq/souk/ent/outboxevent"
	"github.com/soukhq/souk/ent/predicate"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/store"
)

func (o *Outbox) create(ctx context.Context, e Event) error {
	return o.db.Client(ctx).OutboxEvent.Create().
		SetID(e.ID).SetMode(e.Mode).SetTopic(e.Topic).SetSubjectID(e.SubjectID).SetPayload(e.Payload).
		SetDueAt(machineNow()).SetCreatedAt(e.At).Exec(ctx)
}

// open says that an event is not done, as the partial index has it.
func open() predicate.OutboxEvent { return store.Literal("(state = 'NEW' OR state = 'SENT')") }

func (o *Outbox) claim(ctx context.Context, limit int, lease time.Duration) ([]Event, error) {
	now := machineNow()
	q := o.db.Client(ctx).OutboxEvent.Query().
		Where(open(), outboxevent.DueAtLTE(now)).
		Order(ent.Asc(outboxevent.FieldDueAt)).Limit(limit)
	rows, err := store.Claim(o.db, q).All(ctx)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	ids, out := make([]id.ID, len(rows)), make([]Event, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
		out[i] = fromRow(r)
	}
	return out, o.db.Client(ctx).OutboxEvent.Update().Where(outboxevent.IDIn(ids...)).
		SetState(outboxevent.StateSENT).SetDueAt(now.Add(lease)).Exec(ctx)
}

func fromRow(r *ent.OutboxEvent) Event {
	return Event{ID: r.ID, Mode: r.Mode, Topic: r.Topic, SubjectID: r.SubjectID, Payload: r.Payload, At: r.CreatedAt}
}

func (o *Outbox) makeDue(ctx context.Context, ids ...id.ID) (int, error) {
	u := o.db.Client(ctx).OutboxEvent.Update().Where(outboxevent.StateEQ(outboxevent.StateSENT))
	if len(ids) > 0 {
		u = u.Where(outboxevent.IDIn(ids...))
	}
	return u.SetState(outboxevent.StateNEW).SetDueAt(machineNow()).Save(ctx)
}

func (o *Outbox) markDone(ctx context.Context, event id.ID) error {
	return o.db.Client(ctx).OutboxEvent.Update().
		Where(outboxevent.ID(event), outboxevent.StateNEQ(outboxevent.StateDONE)).
		SetState(outboxevent.StateDONE).SetDoneAt(machineNow()).ClearLastError().Exec(ctx)
}

func (o *Outbox) markFailed(ctx context.Context, event id.ID, why string, final bool) error {
	row, err := store.Lock(o.db, o.db.Client(ctx).OutboxEvent.Query().Where(outboxevent.ID(event), open())).Only(ctx)
	if ent.IsNotFound(err) {
		return nil // done or dead by another hand
	}
	if err != nil {
		return err
	}
	tried := row.Attempts + 1
	u := row.Update().SetAttempts(tried).SetLastError(why)
	if final || tried >= patience {
		return u.SetState(outboxevent.StateDEAD).Exec(ctx)
	}
	return u.SetState(outboxevent.StateNEW).SetDueAt(machineNow().Add(pause(tried))).Exec(ctx)
}

func (o *Outbox) dead(ctx context.Context, limit int) ([]Failed, error) {
	rows, err := o.db.Client(ctx).OutboxEvent.Query().Where(outboxevent.StateEQ(outboxevent.StateDEAD)).
		Order(ent.Asc(outboxevent.FieldCreatedAt, outboxevent.FieldID)).Limit(limit).All(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Failed, len(rows))
	for i, r := range rows {
		out[i] = Failed{Event: fromRow(r), Times: int(r.Attempts), Why: r.LastError}
	}
	return out, nil
}

func (o *Outbox) revive(ctx context.Context, events ...id.ID) (int, error) {
	u := o.db.Client(ctx).OutboxEvent.Update().Where(outboxevent.StateEQ(outboxevent.StateDEAD))
	if len(events) > 0 {
		u = u.Where(outboxevent.IDIn(events...))
	}
	return u.SetState(outboxevent.StateNEW).SetDueAt(machineNow()).SetAttempts(0).Save(ctx)
}

func (o *Outbox) deleteDone(ctx context.Context, before time.Time, limit int) (int, error) {
	ids, err := o.db.Client(ctx).OutboxEvent.Query().
		Where(store.Literal("state = 'DONE'"), outboxevent.DoneAtLT(before)).
		Limit(limit).IDs(ctx)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	return o.db.Client(ctx).OutboxEvent.Delete().Where(outboxevent.IDIn(ids...)).Exec(ctx)
}

func (o *Outbox) depth(ctx context.Context) (n int, oldest time.Time, err error) {
	q := o.db.Client(ctx).OutboxEvent.Query().Where(open())
	if n, err = q.Clone().Count(ctx); err != nil || n == 0 {
		return n, oldest, err
	}
	first, err := q.Order(ent.Asc(outboxevent.FieldCreatedAt)).First(ctx)
	if ent.IsNotFound(err) {
		return 0, oldest, nil
	}
	if err != nil {
		return 0, oldest, err
	}
	return n, first.CreatedAt, nil
}
