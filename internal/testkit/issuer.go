package testkit

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/soukhq/souk/internal/base/jose"
)

// Issuer is an OpenID Connect issuer, as a chat app runs one: its keys are found
// by its discovery document. It is the source of keys for auth.Mint.
type Issuer struct {
	URL string
	// Key signs. Tests may sign with it what no issuer would.
	Key *jose.Key
}

// NewIssuer starts an issuer that signs with one key of an algorithm. It stops
// when the test ends.
func NewIssuer(t testing.TB, alg jose.Algorithm) *Issuer {
	t.Helper()
	key, err := jose.Generate(alg)
	if err != nil {
		t.Fatalf("testkit: make an issuer's key: %v", err)
	}
	i := &Issuer{Key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": i.URL, "jwks_uri": i.URL + "/jwks.json"})
	})
	mux.HandleFunc("GET /jwks.json", func(w http.ResponseWriter, r *http.Request) {
		if set, err := i.PublicJWKS(r.Context()); err == nil {
			_ = json.NewEncoder(w).Encode(set)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.URL = server.URL
	return i
}

// SigningKey gives the private key.
func (i *Issuer) SigningKey(context.Context) (*jose.Key, error) { return i.Key, nil }

// PublicJWKS gives the public key.
func (i *Issuer) PublicJWKS(context.Context) (*jose.KeySet, error) {
	return jose.NewKeySet(i.Key.Public())
}
