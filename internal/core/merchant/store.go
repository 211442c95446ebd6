package merchant

import (
	"context"
	"fmt"
	"time"

	"github.com/soukhq/souk/ent"
	"github.com/soukhq/souk/ent/merchant"
	"github.com/soukhq/souk/ent/predicate"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/store"
)

func (s *Service) insert(ctx context.Context, m Merchant, jwks []byte) error {
	c := s.db.Client(ctx).Merchant.Create().
		SetID(m.ID).SetMode(m.Mode).SetName(m.Name).SetStatus(merchant.Status(m.Status)).SetEndpointURL(m.EndpointURL).
		SetJwksURL(m.JWKSURL).SetJwks(jwks).SetCreatedAt(m.CreatedAt).SetUpdatedAt(m.UpdatedAt)
	if !m.keysFetchedAt.IsZero() {
		c.SetJwksFetchedAt(m.keysFetchedAt)
	}
	return asText(c.Exec(ctx))
}

// save writes a locked merchant, and its keys if they are not nil.
func (s *Service) save(ctx context.Context, m Merchant, jwks []byte) error {
	u := s.db.Client(ctx).Merchant.Update().Where(merchant.ID(m.ID)).
		SetName(m.Name).SetStatus(merchant.Status(m.Status)).SetEndpointURL(m.EndpointURL).
		SetJwksURL(m.JWKSURL).SetUpdatedAt(m.UpdatedAt)
	if jwks != nil {
		u.SetJwks(jwks).ClearJwksFetchedAt()
		if !m.keysFetchedAt.IsZero() {
			u.SetJwksFetchedAt(m.keysFetchedAt)
		}
	}
	return asText(u.Exec(ctx))
}

// saveKeys writes fetched keys, unless the merchant has another URL by now or
// somebody fetched later.
func (s *Service) saveKeys(ctx context.Context, h *heldKeys, jwks []byte) (bool, error) {
	n, err := s.db.Client(ctx).Merchant.Update().
		Where(merchant.ID(h.merchantID), merchant.JwksURL(h.url), merchant.Or(merchant.JwksFetchedAtIsNil(), merchant.JwksFetchedAtLT(h.fetchedAt))).
		SetJwks(jwks).SetJwksFetchedAt(h.fetchedAt).Save(ctx)
	if err != nil {
		return false, fmt.Errorf("keep merchant's keys: %w", err)
	}
	return n == 1, nil
}

// readKeys reads key sets for a batch.
func (s *Service) readKeys(ctx context.Context, ids []id.ID) (map[id.ID]*heldKeys, error) {
	rows, err := s.db.Client(ctx).Merchant.Query().Where(merchant.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[id.ID]*heldKeys, len(rows))
	for _, r := range rows {
		set, err := parseKeys(r.Jwks)
		if err != nil {
			return nil, fmt.Errorf("keys of merchant %s: %w", r.ID, err)
		}
		out[r.ID] = &heldKeys{keySet: set, merchantID: r.ID, url: r.JwksURL, updatedAt: r.UpdatedAt, fetchedAt: timeOf(r.JwksFetchedAt)}
	}
	return out, nil
}

func (s *Service) lock(ctx context.Context, merchantID id.ID) (Merchant, error) {
	return one(store.Lock(s.db, s.db.Client(ctx).Merchant.Query().Where(merchant.ID(merchantID))).Only(ctx))
}

func (s *Service) byID(ctx context.Context, merchantID id.ID) (Merchant, error) {
	return one(s.db.Client(ctx).Merchant.Get(ctx, merchantID))
}

func (s *Service) byIDs(ctx context.Context, ids []id.ID, which ...predicate.Merchant) (map[id.ID]Merchant, error) {
	rows, err := s.db.Client(ctx).Merchant.Query().Where(merchant.IDIn(ids...)).Where(which...).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read merchants: %w", err)
	}
	out := make(map[id.ID]Merchant, len(rows))
	for _, r := range rows {
		out[r.ID] = fromRow(r)
	}
	return out, nil
}

func (s *Service) byIDsIn(ctx context.Context, m mode.Mode, ids []id.ID) (map[id.ID]Merchant, error) {
	return s.byIDs(ctx, ids, merchant.Mode(m))
}

func one(r *ent.Merchant, err error) (Merchant, error) {
	if ent.IsNotFound(err) {
		return Merchant{}, ErrNotFound.In("merchantId")
	}
	if err != nil {
		return Merchant{}, fmt.Errorf("read merchant: %w", err)
	}
	return fromRow(r), nil
}

func fromRow(r *ent.Merchant) Merchant {
	return Merchant{
		ID: r.ID, Mode: r.Mode, Name: r.Name, Status: Status(r.Status), EndpointURL: r.EndpointURL, JWKSURL: r.JwksURL,
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(), keysFetchedAt: timeOf(r.JwksFetchedAt),
	}
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// asText turns what the table refuses of a text, which it measures in bytes, into
// a refusal.
func asText(err error) error {
	if ent.IsValidationError(err) {
		return ErrText.Because(err)
	}
	return err
}
