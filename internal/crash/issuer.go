package crash

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/jose"
)

// audience is what tokens for Souk are made for.
const audience = "souk"

// Tokens of the issuer outlive every drill; a merchant's own may not.
const (
	tokenLife    = 12 * time.Hour
	merchantLife = 4 * time.Minute
)

// oneKey signs tokens with one key.
type oneKey struct{ key *jose.Key }

// SigningKey gives the key.
func (k oneKey) SigningKey(context.Context) (*jose.Key, error) { return k.key, nil }

// PublicJWKS gives its public half.
func (k oneKey) PublicJWKS(context.Context) (*jose.KeySet, error) {
	return jose.NewKeySet(k.key.Public())
}

// issuer is the chat app's OpenID Connect issuer, as small as one can be. It is
// not what the drill is about, and so is never killed.
type issuer struct {
	url  string
	keys oneKey
	http *http.Server
}

func startIssuer() (*issuer, error) {
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed with the server
	if err != nil {
		return nil, err
	}
	i := &issuer{url: "http://" + listener.Addr().String(), keys: oneKey{key}}
	set, err := i.keys.PublicJWKS(context.Background())
	if err != nil {
		return nil, err
	}
	jwks, err := json.Marshal(set)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for path, body := range map[string][]byte{"/.well-known/openid-configuration": auth.Discovery(i.url), auth.JWKSPath: jwks} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(body)
		})
	}
	i.http = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = i.http.Serve(listener) }()
	return i, nil
}

func (i *issuer) close() { _ = i.http.Close() }

// mint makes a token for a user, or for a server if role is not empty. All live
// in one sandbox.
func (i *issuer) mint(ctx context.Context, subject, role string) (string, error) {
	claims := map[string]any{"souk_sandbox": sandbox}
	if role != "" {
		claims["souk_role"] = role
	}
	return auth.Mint(ctx, i.keys, auth.MintInput{
		Issuer: i.url, Audience: audience, Subject: subject, Now: time.Now(), Lifetime: tokenLife, Claims: claims,
	})
}

// sandbox is where the drill takes place.
const sandbox = 1

// merchantToken makes the token with which a merchant's server calls Souk.
func merchantToken(ctx context.Context, key *jose.Key, merchantID string) (string, error) {
	return auth.Mint(ctx, oneKey{key}, auth.MintInput{
		Issuer: merchantID, Audience: audience, Subject: merchantID, Now: time.Now(), Lifetime: merchantLife,
	})
}
