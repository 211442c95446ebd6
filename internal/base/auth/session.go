package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/mode"
)

// MerchantLifetimeMax is how long a merchant's own token may live. It is short
// because Souk keeps no list of merchants' tokens that were revoked.
const MerchantLifetimeMax = 5 * time.Minute

// MerchantType is the type of the global ids that name merchants.
const MerchantType = "Merchant"

// DeviceType is the type of the global ids that name devices.
const DeviceType = "Device"

var algorithms = []jose.Algorithm{jose.RS256, jose.ES256, jose.EdDSA}

// session is a token whose signature and claims were verified. It does not
// change; what may change is asked for by Verifier.stand.
type session struct {
	viewer  Viewer // what the token itself says
	boundTo string // thumbprint of the key whose possession must be proven
	hash    [32]byte

	issuer *issuerKeys // nil for a merchant's token
	header jose.Header
	key    string // thumbprint of the key that verified it

	standing atomic.Pointer[standing]
}

// verifiedBy tells whether the key that verified the token is still in the set.
func (s *session) verifiedBy(set *jose.KeySet) bool {
	k, err := set.Find(s.header.KeyID, s.header.Algorithm)
	return err == nil && k.Thumbprint() == s.key
}

// verify gives the token's session, checked now or before, and its viewer in
// good standing.
func (v *Verifier) verify(ctx context.Context, token string) (*session, Viewer, error) {
	if len(token) > maxToken {
		return nil, Viewer{}, reject("token too long")
	}
	hash := sha256.Sum256([]byte(token))
	s, ok := v.sessions.Get(hash)
	if ok {
		viewer, err := v.stand(ctx, s)
		if !errors.Is(err, errKeyGone) {
			return s, viewer, err
		}
		// Perhaps the key was replaced by another of its name: look again.
		v.sessions.Remove(hash)
	}
	s, err := v.check(ctx, token)
	if err != nil {
		return nil, Viewer{}, err
	}
	s.hash = hash
	viewer, err := v.stand(ctx, s)
	if err == nil {
		v.sessions.Add(hash, s)
	}
	return s, viewer, err
}

// claims are those beyond jose.Claims that Souk reads.
type claims struct {
	Device  string `json:"device"`
	Role    string `json:"souk_role"`
	Sandbox *int32 `json:"souk_sandbox"`
	// RFC 7800 §3.1. A token bound in a way that is not understood is refused.
	Confirm *struct {
		JKT string `json:"jkt"`
	} `json:"cnf"`
}

// check verifies signature and claims.
func (v *Verifier) check(ctx context.Context, token string) (*session, error) {
	u, err := jose.Parse(token)
	if err != nil {
		return nil, err
	}
	if !bearerType(u.Header.Type) {
		return nil, jose.ErrType
	}
	s := &session{header: u.Header, issuer: v.issuers[u.Claims.Issuer]}
	o := jose.VerifyOptions{Algorithms: algorithms, Now: v.now(), Leeway: v.cfg.Skew}
	if s.issuer != nil {
		o.Audience = s.issuer.Audience
		o.Keys, err = s.issuer.forToken(ctx, u.Header)
	} else {
		o.Audience = v.cfg.Audience
		s.viewer.Kind = Merchant
		s.viewer.MerchantID, o.Keys, err = v.merchantOf(ctx, u.Claims.Issuer)
	}
	if err != nil {
		return nil, err
	}
	t, err := u.Verify(o)
	if errors.Is(err, jose.ErrUnknownKey) && s.viewer.Kind == Merchant {
		// The merchant may have published a new key a moment ago.
		a, ferr := v.readMerchant(ctx, s.viewer.MerchantID, v.deps.Merchants.FreshKeys)
		if ferr != nil {
			return nil, ferr
		}
		o.Keys = a.keys
		t, err = u.Verify(o)
	}
	if err != nil {
		return nil, err
	}
	return s, v.accept(s, t)
}

// bearerType tells whether "typ" is that of a bearer token. Merchants and Souk
// sign other things with the same keys, each under a type of its own (RFC 8725
// §3.11); many libraries write no type into a JWT, so none is taken as "JWT".
func bearerType(typ string) bool {
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	return typ == "" || typ == "jwt" || typ == "at+jwt"
}

// merchantOf finds the keys of the merchant that a token claims to be from.
func (v *Verifier) merchantOf(ctx context.Context, issuer string) (id.ID, *jose.KeySet, error) {
	typ, merchantID, err := id.ParseGlobal(issuer)
	if err != nil || typ != MerchantType {
		return id.Nil, nil, jose.ErrIssuer
	}
	a, err := v.merchant(ctx, merchantID)
	if err != nil {
		return id.Nil, nil, err
	}
	return merchantID, a.keys, nil
}

// accept reads the claims of a token whose signature is good, and fills the
// session.
func (v *Verifier) accept(s *session, t *jose.Token) error {
	var own claims
	if err := t.Decode(&own); err != nil {
		return err
	}
	c := t.Claims
	if c.Subject == "" || len(c.Subject) > maxText || len(c.ID) > maxText || strings.ContainsRune(c.Subject+c.ID, 0) {
		return reject("sub or jti missing, too long or with NUL")
	}
	if c.IssuedAt.After(v.now().Add(v.cfg.Skew)) {
		return jose.ErrNotYetValid
	}
	s.key = t.Key.Thumbprint()
	s.viewer.TokenID, s.viewer.Issuer, s.viewer.Subject = c.ID, c.Issuer, c.Subject
	s.viewer.IssuedAt, s.viewer.ExpiresAt = c.IssuedAt, c.ExpiresAt
	if own.Confirm != nil {
		if s.boundTo = own.Confirm.JKT; s.boundTo == "" {
			return reject("bound in an unknown way")
		}
	}
	if s.viewer.Kind == Merchant {
		return acceptMerchant(c)
	}
	return v.acceptRole(s, own)
}

func acceptMerchant(c jose.Claims) error {
	switch {
	case c.Subject != c.Issuer:
		return reject("sub is not the merchant")
	case c.ID == "":
		return reject("jti missing")
	case c.IssuedAt.IsZero() || c.ExpiresAt.Sub(c.IssuedAt) > MerchantLifetimeMax:
		return jose.ErrLifetime
	}
	return nil
}

// acceptRole reads what a token of an issuer says of its bearer.
func (v *Verifier) acceptRole(s *session, own claims) error {
	s.viewer.Issuer = s.issuer.realm()
	s.viewer.Mode = v.cfg.DefaultMode
	if own.Sandbox != nil {
		s.viewer.Mode = mode.Mode(*own.Sandbox)
		if s.viewer.Mode.IsLive() || !s.viewer.Mode.Valid() {
			return reject("no such sandbox")
		}
	}
	switch own.Role {
	case "":
		s.viewer.Kind = User
		return s.readDevice(own.Device)
	case "service":
		s.viewer.Kind = Service
	case "operator":
		s.viewer.Kind = Operator
	default:
		return reject("unknown role")
	}
	return nil
}

func (s *session) readDevice(device string) error {
	if device == "" {
		return nil
	}
	typ, deviceID, err := id.ParseGlobal(device)
	if err != nil || typ != DeviceType {
		return reject("device is not the id of one")
	}
	s.viewer.DeviceID = deviceID
	return nil
}

// unavailable turns an error of somebody who was asked into an answer: a plain
// no stays a refusal, everything else means that nobody can tell now.
func unavailable(err error) error {
	if slices.Contains([]errs.Kind{errs.NotFound, errs.Unauthenticated, errs.Forbidden}, errs.KindOf(err)) {
		return err
	}
	return errs.ErrUnavailable.Because(err)
}
