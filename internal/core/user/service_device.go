package user

import (
	"context"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/text"
)

// RegisterDevice registers a device of the viewer by its public key, a JWK. Only
// for users.
//
// Refusals: TEXT_INVALID, KEY_INVALID, DEVICE_EXISTS (also when the key was
// revoked: it does not come back), DEVICE_LIMIT.
func (s *Service) RegisterDevice(ctx context.Context, v auth.Viewer, name, publicKey string) (Device, error) {
	if err := person(v); err != nil {
		return Device{}, err
	}
	name, ok := text.Line(name, NameMax)
	if !ok {
		return Device{}, ErrText.In("name")
	}
	key, thumbprint, err := readKey(publicKey)
	if err != nil {
		return Device{}, err
	}
	d := Device{
		ID: id.New(), UserID: v.UserID, Mode: v.Mode, Name: name, PublicKey: key, Thumbprint: thumbprint,
		CreatedAt: s.clock.Now(v.Mode),
	}
	if err := s.db.InTx(ctx, func(ctx context.Context) error { return s.addDevice(ctx, d) }); err != nil {
		return Device{}, fmt.Errorf("register device: %w", err)
	}
	return d, nil
}

// addDevice counts under the lock of the user: two devices at once would each
// find room for the last.
func (s *Service) addDevice(ctx context.Context, d Device) error {
	owner, err := s.lockUser(ctx, d.UserID)
	if err != nil {
		return err
	}
	if owner.Status != Active { // since the token was checked
		return errs.ErrUnauthenticated
	}
	n, err := s.countDevices(ctx, d.UserID, d.Thumbprint)
	switch {
	case err != nil:
		return err
	case n.same > 0:
		return ErrDeviceExists.In("publicKey")
	case n.active >= DevicesMax || n.all >= devicesOfUser:
		return ErrDeviceLimit
	}
	return s.insertDevice(ctx, d)
}

// RevokeDevice revokes a device of the viewer: tokens made for it stop working
// and their subscriptions end. One that was revoked before stays so. Only for
// users.
//
// Refusals: DEVICE_NOT_FOUND.
func (s *Service) RevokeDevice(ctx context.Context, v auth.Viewer, deviceID id.ID) (d Device, err error) {
	if err := person(v); err != nil {
		return Device{}, err
	}
	err = s.db.InTx(ctx, func(ctx context.Context) error {
		if d, err = s.lockDevice(ctx, v.UserID, deviceID); err != nil || d.RevokedAt != nil {
			return err
		}
		d.RevokedAt = new(s.clock.Now(d.Mode))
		s.revoke(ctx, auth.Revocation{UserID: d.UserID, DeviceID: d.ID})
		return s.saveRevocation(ctx, d)
	})
	if err != nil {
		return Device{}, fmt.Errorf("revoke device: %w", err)
	}
	return d, nil
}

// Devices lists the viewer's devices, newest first, with those that were
// revoked. Positions are those of [DevicePosition]. Only for users.
func (s *Service) Devices(ctx context.Context, v auth.Viewer, sl page.Slice) (page.List[Device], error) {
	if err := person(v); err != nil {
		return page.List[Device]{}, err
	}
	rows, err := s.devices(ctx, v.UserID, sl)
	if err != nil {
		return page.List[Device]{}, fmt.Errorf("devices: %w", err)
	}
	return page.Cut(sl, rows), nil
}

// DevicesByIDs reads those of the devices that are the viewer's.
func (s *Service) DevicesByIDs(ctx context.Context, v auth.Viewer, ids []id.ID) (map[id.ID]Device, error) {
	if v.Kind != auth.User {
		return nil, nil
	}
	return s.devicesByIDs(ctx, v.UserID, ids)
}

// RevokeToken revokes the token that the viewer showed. For users and servers:
// merchants' tokens are short-lived and signed by themselves.
func (s *Service) RevokeToken(ctx context.Context, v auth.Viewer) error {
	if err := only(v, auth.User, auth.Service, auth.Operator); err != nil {
		return err
	}
	if v.TokenID == "" {
		return errTokenUnnamed
	}
	err := s.settle(ctx, func(ctx context.Context) error {
		s.revoke(ctx, auth.Revocation{TokenID: v.TokenID})
		return s.insertRevokedToken(ctx, v)
	})
	if err != nil {
		return fmt.Errorf("revoke token: %w", err)
	}
	return nil
}

// tokensKeptFor is how long after its expiry a revoked token is remembered: an
// issuer's clock may be behind.
const tokensKeptFor = time.Hour

// namesKeptFor is how long tokens of an erased user stay refused when somebody
// else has got the name: longer than any issuer lets a token live.
const namesKeptFor = 365 * 24 * time.Hour

// PruneTokens forgets up to limit revoked tokens that have expired by now.
func (s *Service) PruneTokens(ctx context.Context, limit int) (n int, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context) error {
		n, err = s.deleteRevokedTokens(ctx, s.clock.Now(mode.Live).Add(-tokensKeptFor), limit)
		return err
	})
	return n, err
}
