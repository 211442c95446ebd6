package webhook

import (
	"context"
	"fmt"
	"time"

	"github.com/soukhq/souk/ent"
	"github.com/soukhq/souk/ent/webhookendpoint"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/store"
)

func (s *Service) insert(ctx context.Context, e Endpoint) error {
	return s.db.Client(ctx).WebhookEndpoint.Create().
		SetID(e.ID).SetMode(e.Mode).SetOwnerID(e.OwnerID).SetURL(e.URL).SetEventTypes(e.EventTypes).SetSecret(e.secret).
		SetStatus(webhookendpoint.Status(e.Status)).SetCreatedAt(e.CreatedAt).SetUpdatedAt(e.UpdatedAt).Exec(ctx)
}

// save writes a locked endpoint.
func (s *Service) save(ctx context.Context, e Endpoint) error {
	u := s.db.Client(ctx).WebhookEndpoint.Update().Where(webhookendpoint.ID(e.ID)).
		SetURL(e.URL).SetEventTypes(e.EventTypes).SetSecret(e.secret).
		SetStatus(webhookendpoint.Status(e.Status)).SetDisabledReason(e.DisabledReason).SetUpdatedAt(e.UpdatedAt)
	if e.previous != nil {
		u.SetPreviousSecret(e.previous).SetNillablePreviousUntil(e.PreviousSecretUntil)
	}
	return u.Exec(ctx)
}

// disable ends an endpoint, unless it has another URL by now than the one that
// gave the reason.
func (s *Service) disable(ctx context.Context, e Endpoint, reason string, now time.Time) error {
	return s.db.Client(ctx).WebhookEndpoint.Update().
		Where(webhookendpoint.ID(e.ID), webhookendpoint.URL(e.URL), webhookendpoint.StatusEQ(webhookendpoint.StatusENABLED)).
		SetStatus(webhookendpoint.StatusDISABLED).SetDisabledReason(reason).SetUpdatedAt(now).Exec(ctx)
}

func (s *Service) lockEndpoint(ctx context.Context, endpointID id.ID) (Endpoint, error) {
	r, err := store.Lock(s.db, s.db.Client(ctx).WebhookEndpoint.Query().Where(webhookendpoint.ID(endpointID))).Only(ctx)
	if ent.IsNotFound(err) {
		return Endpoint{}, ErrNotFound
	}
	if err != nil {
		return Endpoint{}, fmt.Errorf("read endpoint: %w", err)
	}
	return fromRow(r), nil
}

// lockAfter locks up to limit endpoints whose ids follow one.
func (s *Service) lockAfter(ctx context.Context, last id.ID, limit int) ([]Endpoint, error) {
	return fromRows(store.Lock(s.db, s.db.Client(ctx).WebhookEndpoint.Query().
		Where(webhookendpoint.IDGT(last)).Order(ent.Asc(webhookendpoint.FieldID)).Limit(limit)).All(ctx))
}

func (s *Service) countEndpoints(ctx context.Context, ownerID id.ID) (int, error) {
	return s.db.Client(ctx).WebhookEndpoint.Query().Where(webhookendpoint.OwnerID(ownerID)).Count(ctx)
}

// listening gives an owner's enabled endpoints.
func (s *Service) listening(ctx context.Context, ownerID id.ID, m mode.Mode) ([]Endpoint, error) {
	return fromRows(s.db.Client(ctx).WebhookEndpoint.Query().Where(
		webhookendpoint.OwnerID(ownerID), webhookendpoint.Mode(m), webhookendpoint.StatusEQ(webhookendpoint.StatusENABLED),
	).Order(ent.Asc(webhookendpoint.FieldID)).All(ctx))
}

// endpointsOf reads up to one endpoint more than the slice asks for.
func (s *Service) endpointsOf(ctx context.Context, ownerID id.ID, sl page.Slice) ([]Endpoint, error) {
	q := s.db.Client(ctx).WebhookEndpoint.Query().Where(webhookendpoint.OwnerID(ownerID)).Limit(sl.Limit + 1)
	if p := store.Position(sl.After); p != id.Nil {
		q = q.Where(webhookendpoint.IDLT(p))
	}
	if p := store.Position(sl.Before); p != id.Nil {
		q = q.Where(webhookendpoint.IDGT(p))
	}
	return s.current(q.Order(webhookendpoint.ByID(store.Newest(sl))).All(ctx))
}

func (s *Service) endpointsByIDs(ctx context.Context, ownerID id.ID, ids []id.ID) (map[id.ID]Endpoint, error) {
	rows, err := s.current(s.db.Client(ctx).WebhookEndpoint.Query().
		Where(webhookendpoint.IDIn(ids...), webhookendpoint.OwnerID(ownerID)).All(ctx))
	if err != nil {
		return nil, fmt.Errorf("read endpoints: %w", err)
	}
	out := make(map[id.ID]Endpoint, len(rows))
	for _, e := range rows {
		out[e.ID] = e
	}
	return out, nil
}

// current maps rows for somebody who looks at them: a previous secret whose time
// is over is none.
func (s *Service) current(rows []*ent.WebhookEndpoint, err error) ([]Endpoint, error) {
	out, err := fromRows(rows, err)
	for i, e := range out {
		if e.PreviousSecretUntil != nil && !s.clock.Now(e.Mode).Before(*e.PreviousSecretUntil) {
			out[i].PreviousSecretUntil = nil
		}
	}
	return out, err
}

func fromRows(rows []*ent.WebhookEndpoint, err error) ([]Endpoint, error) {
	out := make([]Endpoint, len(rows))
	for i, r := range rows {
		out[i] = fromRow(r)
	}
	return out, err
}

func fromRow(r *ent.WebhookEndpoint) Endpoint {
	return Endpoint{
		ID: r.ID, Mode: r.Mode, OwnerID: r.OwnerID, URL: r.URL, EventTypes: r.EventTypes, Status: Status(r.Status),
		DisabledReason: r.DisabledReason, PreviousSecretUntil: inUTC(r.PreviousUntil),
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(), secret: r.Secret, previous: r.PreviousSecret,
	}
}

func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
