package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math"
	"strings"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
)

// KeySource holds the keys of an issuer that Souk itself is.
type KeySource interface {
	// SigningKey gives the private key that signs now.
	SigningKey(ctx context.Context) (*jose.Key, error)
	// PublicJWKS gives the public keys that count now.
	PublicJWKS(ctx context.Context) (*jose.KeySet, error)
}

// JWKSPath is where an issuer that Souk itself is publishes its keys.
const JWKSPath = "/.well-known/jwks.json"

// MintInput says what token to mint.
type MintInput struct {
	Issuer   string
	Audience string
	Subject  string
	Now      time.Time
	Lifetime time.Duration
	Claims   map[string]any // beside or instead of the usual; nil takes one away
	Header   map[string]any // the same for the header
}

// Mint makes a token of the embedded issuer. By its claims and header any other
// can be made for a test, wrong ones too: the signature is always the key's, over
// whatever the header says, but for "alg": "none", which leaves it out.
func Mint(ctx context.Context, source KeySource, in MintInput) (string, error) {
	key, err := source.SigningKey(ctx)
	if err != nil {
		return "", err
	}
	alg, err := key.SigningAlgorithm()
	if err != nil {
		return "", err
	}
	header, err := encodePart(map[string]any{"alg": alg, "kid": key.ID, "typ": "JWT"}, in.Header)
	if err != nil {
		return "", err
	}
	claims, err := encodePart(map[string]any{
		"iss": in.Issuer, "aud": in.Audience, "sub": in.Subject, "jti": id.New().String(),
		"iat": numericDate(in.Now), "exp": numericDate(in.Now.Add(in.Lifetime)),
	}, in.Claims)
	if err != nil {
		return "", err
	}
	signed := header + "." + claims
	if in.Header["alg"] == "none" {
		return signed + ".", nil
	}
	signature, err := key.Sign(alg, []byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), err
}

// encodePart writes the usual members as others would have them.
func encodePart(usual, others map[string]any) (string, error) {
	maps.Copy(usual, others)
	maps.DeleteFunc(usual, func(_ string, value any) bool { return value == nil })
	b, err := json.Marshal(usual)
	return base64.RawURLEncoding.EncodeToString(b), err
}

// numericDate is seconds with a fraction (RFC 7519 §2), so that a token minted in
// the second in which a user's tokens were revoked is on the right side of it.
func numericDate(t time.Time) json.Number {
	b, _ := json.Marshal(math.Round(float64(t.UnixMicro())) / 1e6)
	return json.Number(b)
}

// Discovery is the discovery document of an issuer that Souk itself is (OpenID
// Connect Discovery §3). It has no endpoints: tokens are minted by a command.
func Discovery(issuer string) []byte {
	b, err := json.Marshal(map[string]any{
		"issuer":                                issuer,
		"jwks_uri":                              strings.TrimSuffix(issuer, "/") + JWKSPath,
		"response_types_supported":              []string{"token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": algorithms,
	})
	if err != nil {
		panic(err) // of strings
	}
	return b
}
