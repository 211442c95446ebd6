package user

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/mode"
)

// Limits of a user's devices. Revoked ones are kept, so that their keys cannot
// come back, but not without end.
const (
	DevicesMax    = 20
	devicesOfUser = 500 // with those that were revoked
)

// Device is a user's phone or computer.
type Device struct {
	ID         id.ID
	UserID     id.ID
	Mode       mode.Mode
	Name       string
	PublicKey  json.RawMessage // JWK (RFC 7517)
	Thumbprint string          // RFC 7638, SHA-256, base64url
	CreatedAt  time.Time
	RevokedAt  *time.Time // nil while it may be used
}

// DevicePosition is where a device stands in its user's list.
func DevicePosition(d Device) []byte { return d.ID[:] }

// deviceAlgorithms are those that devices sign with. A key says by its type, or
// by its own "alg", which one it is for.
var deviceAlgorithms = []jose.Algorithm{jose.ES256, jose.EdDSA, jose.RS256}

// readKey reads the public key of a device. What is kept is the canonical form.
func readKey(jwk string) (canonical json.RawMessage, thumbprint string, err error) {
	k, err := jose.ParsePublicKey([]byte(jwk))
	if err != nil {
		return nil, "", ErrKey.Because(err)
	}
	alg, err := k.SigningAlgorithm()
	if err != nil {
		return nil, "", ErrKey.Because(err)
	}
	if !slices.Contains(deviceAlgorithms, alg) {
		return nil, "", ErrKey.Because(fmt.Errorf("a key for %s", alg))
	}
	if strings.ContainsRune(k.ID, 0) {
		return nil, "", ErrKey.Because(errors.New("a kid with NUL, which PostgreSQL does not take"))
	}
	if canonical, err = json.Marshal(k); err != nil {
		return nil, "", fmt.Errorf("encode key: %w", err)
	}
	return canonical, k.Thumbprint(), nil
}

// GlobalID is how the outside names it.
func (d Device) GlobalID() string { return id.Global("Device", d.ID) }
