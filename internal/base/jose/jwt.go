package jose

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4/json"
)

// VerifyOptions says which tokens are accepted. The zero value accepts none:
// there are no keys.
type VerifyOptions struct {
	Keys *KeySet
	// EmbeddedKey takes the key from the token's own header, and Keys must be
	// nil. That proves possession of the key and nothing else: the caller must
	// know the key, by Token.Key's thumbprint, from elsewhere.
	EmbeddedKey bool
	// Algorithms allowed; RS256, ES256 and EdDSA if there are none.
	Algorithms []Algorithm

	Typ      string // "typ", any if empty. Set it wherever one key signs more than one kind
	Issuer   string // "iss", any if empty
	Audience string // one of "aud", any if empty

	Now         time.Time     // the time against which the token's times are held; needed
	Leeway      time.Duration // how far clocks may differ
	MaxAge      time.Duration // since "iat", which is then needed; 0 for any
	MaxLifetime time.Duration // how far ahead "exp" may be; 0 for any
	NoExpiry    bool          // accept a token without "exp"
}

// Claims are the registered claims of a JWT (RFC 7519 §4.1). A time that is not
// there is zero.
type Claims struct {
	Issuer    string
	Subject   string
	Audience  []string
	ExpiresAt time.Time
	NotBefore time.Time
	IssuedAt  time.Time
	ID        string // "jti"
}

// Token is a verified token.
type Token struct {
	Header  Header
	Claims  Claims // zero after VerifyPayload
	Payload []byte // as it was signed
	Key     *Key   // the key that verified it
}

// Decode reads the payload into v, as strictly as the claims were read. Take it
// instead of encoding/json, which does not mind case and duplicates.
func (t *Token) Decode(v any) error { return decodeObject(t.Payload, v) }

// Untrusted is a JWT taken apart before it is verified, to find out whose keys
// to verify it with. Nothing in it is true yet.
type Untrusted struct {
	Header Header
	Claims Claims

	jws *jws
}

// Parse takes a JWT apart and verifies nothing.
func Parse(token string) (*Untrusted, error) {
	m, err := parseJWS(token)
	if err != nil {
		return nil, err
	}
	c, err := parseClaims(m.payload)
	if err != nil {
		return nil, err
	}
	return &Untrusted{Header: m.public(), Claims: c, jws: m}, nil
}

// Verify checks the signature, then the claims.
func (u *Untrusted) Verify(o VerifyOptions) (*Token, error) {
	k, err := u.jws.check(o)
	if err != nil {
		return nil, err
	}
	if err := u.Claims.check(o); err != nil {
		return nil, err
	}
	return &Token{Header: u.Header, Claims: u.Claims, Payload: u.jws.payload, Key: k}, nil
}

// Verify checks a JWT: its signature, and the claims that o names.
func Verify(token string, o VerifyOptions) (*Token, error) {
	t, err := VerifyPayload(token, o)
	if err != nil {
		return nil, err
	}
	if t.Claims, err = parseClaims(t.Payload); err != nil {
		return nil, err
	}
	if err := t.Claims.check(o); err != nil {
		return nil, err
	}
	return t, nil
}

func parseClaims(payload []byte) (Claims, error) {
	var c struct {
		Iss string      `json:"iss"`
		Sub string      `json:"sub"`
		Aud audience    `json:"aud"`
		Exp numericDate `json:"exp"`
		Nbf numericDate `json:"nbf"`
		Iat numericDate `json:"iat"`
		Jti string      `json:"jti"`
	}
	if err := decodeObject(payload, &c); err != nil {
		return Claims{}, err
	}
	return Claims{
		Issuer: c.Iss, Subject: c.Sub, Audience: c.Aud, ID: c.Jti,
		ExpiresAt: c.Exp.Time, NotBefore: c.Nbf.Time, IssuedAt: c.Iat.Time,
	}, nil
}

// check holds the claims against the options. A token is good before "exp" and
// from "nbf" on (RFC 7519 §4.1.4, §4.1.5).
func (c Claims) check(o VerifyOptions) error {
	if o.Issuer != "" && c.Issuer != o.Issuer {
		return ErrIssuer
	}
	if o.Audience != "" && !slices.Contains(c.Audience, o.Audience) {
		return ErrAudience
	}
	if o.Now.IsZero() {
		return fmt.Errorf("%w: no time to hold it against", ErrExpired)
	}
	switch {
	case c.ExpiresAt.IsZero():
		if !o.NoExpiry {
			return ErrExpired
		}
	case !o.Now.Before(c.ExpiresAt.Add(o.Leeway)):
		return ErrExpired
	case o.MaxLifetime > 0 && c.ExpiresAt.After(o.Now.Add(o.MaxLifetime+o.Leeway)):
		return ErrLifetime
	}
	if c.NotBefore.After(o.Now.Add(o.Leeway)) {
		return ErrNotYetValid
	}
	return c.checkAge(o)
}

func (c Claims) checkAge(o VerifyOptions) error {
	switch {
	case o.MaxAge == 0:
		return nil
	case c.IssuedAt.IsZero() || o.Now.After(c.IssuedAt.Add(o.MaxAge+o.Leeway)):
		return ErrExpired
	case c.IssuedAt.After(o.Now.Add(o.Leeway)):
		return ErrNotYetValid
	}
	return nil
}

// audience is one string or several (RFC 7519 §4.1.3).
type audience []string

// UnmarshalJSON refuses anything else, null too.
func (a *audience) UnmarshalJSON(b []byte) error {
	var one any
	if json.Unmarshal(b, &one) != nil {
		return ErrMalformed
	}
	list, ok := one.([]any)
	if !ok {
		list = []any{one}
	}
	for _, x := range list {
		s, ok := x.(string)
		if !ok {
			return ErrMalformed
		}
		*a = append(*a, s)
	}
	return nil
}

// numericDate is seconds since 1970, perhaps with a fraction (RFC 7519 §2).
type numericDate struct{ time.Time }

// Times are held between these, some years near 1650 and 30000, so that
// arithmetic on them never runs over and none of them is time.Time's zero.
const (
	earliest = -1e10
	latest   = 1e12
)

// UnmarshalJSON refuses strings, null and what no float64 holds. The whole
// seconds that everybody writes are exact.
func (d *numericDate) UnmarshalJSON(b []byte) error {
	seconds, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return ErrMalformed
	}
	whole, part := math.Modf(max(earliest, min(latest, seconds)))
	d.Time = time.Unix(int64(whole), int64(part*1e9))
	return nil
}
