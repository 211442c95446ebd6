package user

import (
	"context"
	"fmt"
	"time"

	"github.com/soukhq/souk/ent"
	"github.com/soukhq/souk/ent/device"
	"github.com/soukhq/souk/ent/revokedtoken"
	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/store"
)

func (s *Service) devicesOf(ctx context.Context, userID id.ID) *ent.DeviceQuery {
	return s.db.Client(ctx).Device.Query().Where(device.UserID(userID))
}

// deviceCount is how many devices a user has.
type deviceCount struct{ all, active, same int }

// countDevices also counts those that have the key of this thumbprint.
func (s *Service) countDevices(ctx context.Context, userID id.ID, thumbprint string) (n deviceCount, err error) {
	for _, c := range []struct {
		into *int
		of   *ent.DeviceQuery
	}{
		{&n.all, s.devicesOf(ctx, userID)},
		{&n.active, s.devicesOf(ctx, userID).Where(device.RevokedAtIsNil())},
		{&n.same, s.devicesOf(ctx, userID).Where(device.Thumbprint(thumbprint))},
	} {
		if *c.into, err = c.of.Count(ctx); err != nil {
			return n, fmt.Errorf("count devices: %w", err)
		}
	}
	return n, nil
}

func (s *Service) insertDevice(ctx context.Context, d Device) error {
	return s.db.Client(ctx).Device.Create().
		SetID(d.ID).SetMode(d.Mode).SetUserID(d.UserID).SetName(d.Name).
		SetPublicKey(d.PublicKey).SetThumbprint(d.Thumbprint).SetCreatedAt(d.CreatedAt).Exec(ctx)
}

func (s *Service) lockDevice(ctx context.Context, userID, deviceID id.ID) (Device, error) {
	r, err := store.Lock(s.db, s.devicesOf(ctx, userID).Where(device.ID(deviceID))).Only(ctx)
	if ent.IsNotFound(err) {
		return Device{}, ErrDeviceNotFound
	}
	if err != nil {
		return Device{}, err
	}
	return deviceFromRow(r), nil
}

func (s *Service) saveRevocation(ctx context.Context, d Device) error {
	return s.db.Client(ctx).Device.Update().Where(device.ID(d.ID)).SetNillableRevokedAt(d.RevokedAt).Exec(ctx)
}

func (s *Service) hasDevice(ctx context.Context, userID, deviceID id.ID) (bool, error) {
	has, err := s.devicesOf(ctx, userID).Where(device.ID(deviceID), device.RevokedAtIsNil()).Exist(ctx)
	if err != nil {
		return false, fmt.Errorf("read device: %w", err)
	}
	return has, nil
}

func (s *Service) devices(ctx context.Context, userID id.ID, sl page.Slice) ([]Device, error) {
	q := s.devicesOf(ctx, userID).Limit(sl.Limit + 1)
	if p := store.Position(sl.After); p != id.Nil {
		q = q.Where(device.IDLT(p))
	}
	if p := store.Position(sl.Before); p != id.Nil {
		q = q.Where(device.IDGT(p))
	}
	rows, err := q.Order(device.ByID(store.Newest(sl))).All(ctx)
	if err != nil {
		return nil, err
	}
	return mapRows(rows, deviceFromRow), nil
}

func (s *Service) devicesByIDs(ctx context.Context, userID id.ID, ids []id.ID) (map[id.ID]Device, error) {
	rows, err := s.devicesOf(ctx, userID).Where(device.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read devices: %w", err)
	}
	out := make(map[id.ID]Device, len(rows))
	for _, r := range rows {
		out[r.ID] = deviceFromRow(r)
	}
	return out, nil
}

func (s *Service) allDevices(ctx context.Context, userID id.ID) ([]Device, error) {
	rows, err := s.devicesOf(ctx, userID).Order(ent.Asc(device.FieldID)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read devices: %w", err)
	}
	return mapRows(rows, deviceFromRow), nil
}

func (s *Service) deleteDevices(ctx context.Context, userID id.ID) error {
	_, err := s.db.Client(ctx).Device.Delete().Where(device.UserID(userID)).Exec(ctx)
	return err
}

func deviceFromRow(r *ent.Device) Device {
	return Device{
		ID: r.ID, UserID: r.UserID, Mode: r.Mode, Name: r.Name, PublicKey: r.PublicKey, Thumbprint: r.Thumbprint,
		CreatedAt: r.CreatedAt, RevokedAt: r.RevokedAt,
	}
}

func tokenKey(jti string) id.ID { return id.Of("token", jti) }

// insertRevokedToken remembers the token that the viewer showed, once.
func (s *Service) insertRevokedToken(ctx context.Context, v auth.Viewer) error {
	there, err := s.hasRevokedToken(ctx, v.TokenID)
	if err != nil || there {
		return err
	}
	return s.db.Client(ctx).RevokedToken.Create().
		SetID(tokenKey(v.TokenID)).SetMode(v.Mode).SetExpiresAt(v.ExpiresAt).SetCreatedAt(s.clock.Now(v.Mode)).Exec(ctx)
}

func (s *Service) hasRevokedToken(ctx context.Context, jti string) (bool, error) {
	has, err := s.db.Client(ctx).RevokedToken.Query().Where(revokedtoken.ID(tokenKey(jti))).Exist(ctx)
	if err != nil {
		return false, fmt.Errorf("read revoked tokens: %w", err)
	}
	return has, nil
}

// nameKey is all that is kept of an erased user's name. Tokens have keys of
// another kind, so that none collides.
func nameKey(r realm, externalID string) id.ID {
	return id.Of("name", r.Mode.String(), r.Issuer, externalID)
}

// revokeName remembers that tokens of a name count only if they were issued after
// a time.
func (s *Service) revokeName(ctx context.Context, r realm, externalID string, after time.Time) error {
	tokens, key := s.db.Client(ctx).RevokedToken, nameKey(r, externalID)
	if _, err := tokens.Delete().Where(revokedtoken.ID(key)).Exec(ctx); err != nil {
		return err
	}
	return tokens.Create().SetID(key).SetMode(r.Mode).SetCreatedAt(after).SetExpiresAt(after.Add(namesKeptFor)).Exec(ctx)
}

// nameRevoked gives that time; zero when the name was never revoked.
func (s *Service) nameRevoked(ctx context.Context, r realm, externalID string) (time.Time, error) {
	row, err := s.db.Client(ctx).RevokedToken.Get(ctx, nameKey(r, externalID))
	if ent.IsNotFound(err) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("read revoked names: %w", err)
	}
	return row.CreatedAt, nil
}

func (s *Service) deleteRevokedTokens(ctx context.Context, before time.Time, limit int) (int, error) {
	tokens := s.db.Client(ctx).RevokedToken
	ids, err := tokens.Query().Where(revokedtoken.ExpiresAtLT(before)).Limit(limit).IDs(ctx)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	return tokens.Delete().Where(revokedtoken.IDIn(ids...)).Exec(ctx)
}
