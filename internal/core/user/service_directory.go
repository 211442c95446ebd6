package user

import (
	"context"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
)

var _ auth.Directory = (*Service)(nil)

// ResolveUser finds the user whom a token names.
//
// Refusals: USER_NOT_FOUND.
func (s *Service) ResolveUser(ctx context.Context, m mode.Mode, issuer, subject string) (auth.Account, error) {
	u, err := s.find(ctx, realm{m, issuer}, subject)
	if err != nil {
		return auth.Account{}, err
	}
	return auth.Account{UserID: u.ID, Mode: u.Mode, Active: u.Status == Active, TokensValidAfter: u.TokensValidAfter}, nil
}

// DeviceActive tells whether the user has the device and it is not revoked.
func (s *Service) DeviceActive(ctx context.Context, userID, deviceID id.ID) (bool, error) {
	return s.hasDevice(ctx, userID, deviceID)
}

// TokenRevoked tells whether the token of this "jti" was revoked.
func (s *Service) TokenRevoked(ctx context.Context, jti string) (bool, error) {
	return s.hasRevokedToken(ctx, jti)
}
