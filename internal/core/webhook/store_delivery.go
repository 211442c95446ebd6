package webhook

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/soukhq/souk/ent"
	"github.com/soukhq/souk/ent/predicate"
	"github.com/soukhq/souk/ent/webhookattempt"
	"github.com/soukhq/souk/ent/webhookdelivery"
	"github.com/soukhq/souk/ent/webhookendpoint"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/store"
)

// insertDelivery adds a delivery unless the endpoint has the event.
func (s *Service) insertDelivery(ctx context.Context, d Delivery) (isNew bool, err error) {
	res, err := s.db.SQL(ctx).ExecContext(ctx,
		`INSERT INTO webhook_deliveries (id, mode, endpoint_id, event_id, event_type, payload, state, attempt_count, next_attempt_at, created_at, updated_at)
		 VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $10) ON CONFLICT (endpoint_id, event_id) DO NOTHING`,
		d.ID, int32(d.Mode), d.EndpointID, d.EventID, d.EventType, d.Payload, string(d.State), *d.NextAttemptAt, d.CreatedAt, d.UpdatedAt)
	if err != nil {
		return false, fmt.Errorf("insert delivery: %w", err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// isPending is written out, for the index of pending deliveries holds for this
// text only.
func isPending(sel *sql.Selector) { sel.Where(sql.ExprP("state = 'PENDING'")) }

// claim locks deliveries that are due by the clocks of their modes.
func (s *Service) claim(ctx context.Context, c clocks, limit int) ([]Delivery, error) {
	latest, moved := c.usual, slices.Sorted(maps.Keys(c.moved))
	due := []predicate.WebhookDelivery{
		webhookdelivery.And(webhookdelivery.ModeNotIn(moved...), webhookdelivery.NextAttemptAtLTE(c.usual)),
	}
	for _, m := range moved {
		due = append(due, webhookdelivery.And(webhookdelivery.Mode(m), webhookdelivery.NextAttemptAtLTE(c.moved[m])))
		if c.moved[m].After(latest) {
			latest = c.moved[m]
		}
	}
	q := s.db.Client(ctx).WebhookDelivery.Query().
		Where(isPending, webhookdelivery.NextAttemptAtLTE(latest), webhookdelivery.Or(due...)).
		Order(ent.Asc(webhookdelivery.FieldNextAttemptAt)).Limit(limit)
	return deliveries(store.Claim(s.db, q).All(ctx))
}

func (s *Service) lease(ctx context.Context, ids []id.ID, until time.Time) error {
	return s.db.Client(ctx).WebhookDelivery.Update().Where(webhookdelivery.IDIn(ids...)).SetNextAttemptAt(until).Exec(ctx)
}

func (s *Service) deliveryWithEndpoint(ctx context.Context, deliveryID id.ID) (Delivery, Endpoint, error) {
	r, err := s.db.Client(ctx).WebhookDelivery.Query().Where(webhookdelivery.ID(deliveryID)).WithEndpoint().Only(ctx)
	if ent.IsNotFound(err) {
		return Delivery{}, Endpoint{}, ErrNotFound
	}
	if err != nil {
		return Delivery{}, Endpoint{}, fmt.Errorf("read delivery: %w", err)
	}
	return deliveryFromRow(r), fromRow(r.Edges.Endpoint), nil
}

func (s *Service) lockDelivery(ctx context.Context, deliveryID id.ID) (Delivery, error) {
	r, err := store.Lock(s.db, s.db.Client(ctx).WebhookDelivery.Query().Where(webhookdelivery.ID(deliveryID))).Only(ctx)
	if err != nil {
		return Delivery{}, fmt.Errorf("read delivery: %w", err)
	}
	return deliveryFromRow(r), nil
}

// saveDelivery writes a locked delivery.
func (s *Service) saveDelivery(ctx context.Context, d Delivery) error {
	u := s.db.Client(ctx).WebhookDelivery.Update().Where(webhookdelivery.ID(d.ID)).
		SetState(webhookdelivery.State(d.State)).SetAttemptCount(int32(d.AttemptCount)).SetLastError(d.LastError).SetUpdatedAt(d.UpdatedAt).
		SetNillableNextAttemptAt(d.NextAttemptAt)
	if d.NextAttemptAt == nil {
		u.ClearNextAttemptAt()
	}
	if d.LastStatus == nil {
		u.ClearLastStatus()
	} else {
		u.SetLastStatus(int32(*d.LastStatus))
	}
	return u.Exec(ctx)
}

func (s *Service) insertAttempt(ctx context.Context, deliveryID id.ID, a answer, took time.Duration, now time.Time) error {
	c := s.db.Client(ctx).WebhookAttempt.Create().
		SetID(id.New()).SetDeliveryID(deliveryID).SetError(a.problem()).SetDurationMs(took.Milliseconds()).SetCreatedAt(now)
	if a.status != 0 {
		c.SetStatus(int32(a.status))
	}
	return c.Exec(ctx)
}

// where gives the filter's restrictions.
func (f Filter) where() []predicate.WebhookDelivery {
	var out []predicate.WebhookDelivery
	if len(f.States) > 0 {
		states := make([]webhookdelivery.State, len(f.States))
		for i, st := range f.States {
			states[i] = webhookdelivery.State(st)
		}
		out = append(out, webhookdelivery.StateIn(states...))
	}
	if len(f.EventTypes) > 0 {
		out = append(out, webhookdelivery.EventTypeIn(f.EventTypes...))
	}
	if f.From != nil {
		out = append(out, webhookdelivery.CreatedAtGTE(*f.From))
	}
	if f.Until != nil {
		out = append(out, webhookdelivery.CreatedAtLT(*f.Until))
	}
	return out
}

// replayable locks a batch of deliveries that the filter picks: those that have
// ended, and those that wait for longer than until the given time.
func (s *Service) replayable(ctx context.Context, endpointID id.ID, f Filter, last id.ID, later time.Time) ([]id.ID, error) {
	q := s.db.Client(ctx).WebhookDelivery.Query().
		Where(webhookdelivery.EndpointID(endpointID), webhookdelivery.IDGT(last)).Where(f.where()...).
		Where(webhookdelivery.Or(
			webhookdelivery.StateIn(webhookdelivery.StateDELIVERED, webhookdelivery.StateFAILED),
			webhookdelivery.NextAttemptAtGT(later),
		)).
		Order(ent.Asc(webhookdelivery.FieldID)).Limit(replayBatch)
	return store.Lock(s.db, q).IDs(ctx)
}

// makePending makes deliveries due one after the other.
func (s *Service) makePending(ctx context.Context, ids []id.ID, first, now time.Time) error {
	const step = 50 // as many share a time
	for i := 0; i < len(ids); i += step {
		err := s.db.Client(ctx).WebhookDelivery.Update().Where(webhookdelivery.IDIn(ids[i:min(i+step, len(ids))]...)).
			SetState(webhookdelivery.StatePENDING).SetAttemptCount(0).
			SetNextAttemptAt(first.Add(time.Duration(i) * replayPace)).SetUpdatedAt(now).Exec(ctx)
		if err != nil {
			return err
		}
	}
	return nil
}

// deliveriesOf reads up to one delivery more than the slice asks for.
func (s *Service) deliveriesOf(ctx context.Context, endpointID id.ID, f Filter, sl page.Slice) ([]Delivery, error) {
	q := s.db.Client(ctx).WebhookDelivery.Query().
		Where(webhookdelivery.EndpointID(endpointID)).Where(f.where()...).Limit(sl.Limit + 1)
	if p := store.Position(sl.After); p != id.Nil {
		q = q.Where(webhookdelivery.IDLT(p))
	}
	if p := store.Position(sl.Before); p != id.Nil {
		q = q.Where(webhookdelivery.IDGT(p))
	}
	return deliveries(q.Order(webhookdelivery.ByID(store.Newest(sl))).All(ctx))
}

func (s *Service) deliveriesByIDs(ctx context.Context, ownerID id.ID, ids []id.ID) (map[id.ID]Delivery, error) {
	rows, err := deliveries(s.db.Client(ctx).WebhookDelivery.Query().
		Where(webhookdelivery.IDIn(ids...), ownedBy(ownerID)).All(ctx))
	if err != nil {
		return nil, fmt.Errorf("read deliveries: %w", err)
	}
	out := make(map[id.ID]Delivery, len(rows))
	for _, d := range rows {
		out[d.ID] = d
	}
	return out, nil
}

func ownedBy(ownerID id.ID) predicate.WebhookDelivery {
	return webhookdelivery.HasEndpointWith(webhookendpoint.OwnerID(ownerID))
}

// isShown picks attempts that have fewer than attemptsShown after them.
func isShown(sel *sql.Selector) {
	sel.Where(sql.ExprP(fmt.Sprintf(`(SELECT COUNT(*) FROM webhook_attempts AS later
		WHERE later.delivery_id = webhook_attempts.delivery_id AND later.id > webhook_attempts.id) < %d`, attemptsShown)))
}

func (s *Service) attempts(ctx context.Context, ownerID id.ID, deliveryIDs []id.ID) (map[id.ID][]Attempt, error) {
	rows, err := s.db.Client(ctx).WebhookAttempt.Query().
		Where(webhookattempt.DeliveryIDIn(deliveryIDs...), webhookattempt.HasDeliveryWith(ownedBy(ownerID)), isShown).
		Order(ent.Asc(webhookattempt.FieldDeliveryID, webhookattempt.FieldID)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read attempts: %w", err)
	}
	out := map[id.ID][]Attempt{}
	for _, r := range rows {
		out[r.DeliveryID] = append(out[r.DeliveryID], Attempt{
			DeliveryID: r.DeliveryID, At: r.CreatedAt.UTC(), Status: toInt(r.Status), Error: r.Error,
			Duration: time.Duration(r.DurationMs) * time.Millisecond,
		})
	}
	return out, nil
}

// deleteEnded removes ended deliveries whose ids come before one.
func (s *Service) deleteEnded(ctx context.Context, before id.ID, limit int) (int, error) {
	c := s.db.Client(ctx)
	ids, err := store.Claim(s.db, c.WebhookDelivery.Query().
		Where(webhookdelivery.IDLT(before), webhookdelivery.StateNEQ(webhookdelivery.StatePENDING)).
		Order(ent.Asc(webhookdelivery.FieldID)).Limit(limit)).IDs(ctx)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	if _, err := c.WebhookAttempt.Delete().Where(webhookattempt.DeliveryIDIn(ids...)).Exec(ctx); err != nil {
		return 0, err
	}
	return c.WebhookDelivery.Delete().Where(webhookdelivery.IDIn(ids...)).Exec(ctx)
}

func deliveries(rows []*ent.WebhookDelivery, err error) ([]Delivery, error) {
	out := make([]Delivery, len(rows))
	for i, r := range rows {
		out[i] = deliveryFromRow(r)
	}
	return out, err
}

func deliveryFromRow(r *ent.WebhookDelivery) Delivery {
	return Delivery{
		ID: r.ID, Mode: r.Mode, EndpointID: r.EndpointID, EventID: r.EventID, EventType: r.EventType, Payload: r.Payload,
		State: State(r.State), AttemptCount: int(r.AttemptCount), NextAttemptAt: inUTC(r.NextAttemptAt),
		LastStatus: toInt(r.LastStatus), LastError: r.LastError, CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
	}
}

func toInt(n *int32) *int {
	if n == nil {
		return nil
	}
	i := int(*n)
	return &i
}
