package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
)

// audience is what the tokens are made for.
const audience = "souk"

// tokenLife outlives every run.
const tokenLife = 12 * time.Hour

// issuer is an OpenID Connect issuer, as a chat app runs one: Souk finds its keys
// by its discovery document.
type issuer struct {
	url    string
	key    *jose.Key
	server *http.Server
}

func startIssuer() (*issuer, error) {
	key, err := jose.Generate(jose.EdDSA)
	if err != nil {
		return nil, err
	}
	set, err := jose.NewKeySet(key.Public())
	if err != nil {
		return nil, err
	}
	jwks, err := json.Marshal(set)
	if err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i := &issuer{url: "http://" + l.Addr().String(), key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, i.url, i.url+"/jwks.json")
	})
	mux.HandleFunc("GET /jwks.json", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(jwks) })
	i.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = i.server.Serve(l) }()
	return i, nil
}

func (i *issuer) close() { _ = i.server.Close() }

// token signs a user's token.
func (i *issuer) token(subject string, now time.Time) (string, error) {
	claims, err := json.Marshal(map[string]any{
		"iss": i.url, "aud": audience, "sub": subject, "jti": id.New().String(),
		"iat": now.Unix(), "exp": now.Add(tokenLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	return jose.Sign(claims, i.key, "at+jwt")
}
