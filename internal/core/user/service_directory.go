package user

import (
	"context"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
)

var _ auth.Directory = (*Service)(nil)

// ResolveUser finds the user whom a token names. Those who ask at the same time are
// answered by one query.
//
// Refusals: USER_NOT_FOUND.
func (s *Service) ResolveUser(ctx context.Context, m mode.Mode, issuer, name string) (auth.Account, error) {
	a, ok, err := s.accounts.Load(ctx, subject{m, issuer, name})
	if err == nil && !ok {
		err = ErrNotFound
	}
	return a, err
}

// DeviceActive tells whether the user has the device and it is not revoked.
func (s *Service) DeviceActive(ctx context.Context, userID, deviceID id.ID) (bool, error) {
	return s.hasDevice(ctx, userID, deviceID)
}

// TokenRevoked tells whether the token of this "jti" was revoked. Those who ask at
// the same time are answered by one query.
func (s *Service) TokenRevoked(ctx context.Context, jti string) (bool, error) {
	_, revoked, err := s.revoked.Load(ctx, tokenKey(jti))
	return revoked, err
}
