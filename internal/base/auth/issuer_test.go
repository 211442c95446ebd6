package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/mode"
)

func TestIssuer_KeyRotation(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	old, err := tb.issuer.SigningKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := tb.token(t, "alice", nil)
	if _, err := verifyBearer(tb.Verifier, before); err != nil {
		t.Fatal(err)
	}
	next := newKey(t, jose.ES256)
	tb.issuer.publish(next, old)
	after := tb.token(t, "alice", nil)
	_, err = verifyBearer(tb.Verifier, after)
	wantCode(t, "new key, just after a fetch", err, "UNAUTHENTICATED")
	tb.clock.Advance(refreshGap)
	if _, err := verifyBearer(tb.Verifier, after); err != nil {
		t.Error("new key:", err)
	}
	if _, err := verifyBearer(tb.Verifier, before); err != nil {
		t.Error("old key, still published:", err)
	}

	tb.issuer.publish(next)
	tb.clock.Advance(refreshGap)
	if err := tb.issuers[tb.issuer.URL].refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = verifyBearer(tb.Verifier, before)
	wantCode(t, "removed key", err, "UNAUTHENTICATED")
	if _, err := verifyBearer(tb.Verifier, after); err != nil {
		t.Error("other key:", err)
	}
}

// The issuer replaces a key by another of the same name.
func TestIssuer_KeyReplacedUnderItsName(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	first, next := newKey(t, jose.EdDSA), newKey(t, jose.EdDSA)
	first.ID, next.ID = "k", "k"
	tb.issuer.publish(first)
	tb.clock.Advance(refreshGap)
	before := tb.token(t, "alice", nil)
	if _, err := verifyBearer(tb.Verifier, before); err != nil {
		t.Fatal(err)
	}
	tb.issuer.publish(next)
	tb.clock.Advance(refreshGap)
	if err := tb.issuers[tb.issuer.URL].refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := verifyBearer(tb.Verifier, before)
	wantCode(t, "signed by the old one", err, "UNAUTHENTICATED")
	if _, err := verifyBearer(tb.Verifier, tb.token(t, "alice", nil)); err != nil {
		t.Error("signed by the new one:", err)
	}
}

// A stranger who makes up key names causes no storm of fetches.
func TestIssuer_UnknownKeysFetchSeldom(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	if _, err := verifyBearer(tb.Verifier, tb.token(t, "alice", nil)); err != nil {
		t.Fatal(err)
	}
	first := tb.issuer.fetches.Load()
	for range 3 {
		tb.clock.Advance(refreshGap)
		var wg sync.WaitGroup
		for i := range 50 {
			token := tb.mint(t, MintInput{Subject: "alice", Header: map[string]any{"kid": fmt.Sprint(i)}})
			wg.Go(func() {
				if _, err := verifyBearer(tb.Verifier, token); err == nil {
					t.Error("a made-up key passes")
				}
			})
		}
		wg.Wait()
	}
	if n := tb.issuer.fetches.Load() - first; n != 3 {
		t.Errorf("%d fetches, want one in each %v", n, refreshGap)
	}
}

func TestIssuer_Down(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	known := tb.token(t, "alice", nil)
	if _, err := verifyBearer(tb.Verifier, known); err != nil {
		t.Fatal(err)
	}
	tb.issuer.down.Store(true)
	tb.clock.Advance(30 * time.Minute)
	if _, err := verifyBearer(tb.Verifier, known); err != nil {
		t.Error("seen before:", err)
	}
	if _, err := verifyBearer(tb.Verifier, tb.token(t, "alice", nil)); err != nil {
		t.Error("new token of a known key:", err)
	}
	tb.clock.Advance(keysKeepFor)
	token := tb.token(t, "alice", nil)
	_, err := verifyBearer(tb.Verifier, token)
	wantCode(t, "for too long", err, "UNAVAILABLE")
	tb.issuer.down.Store(false)
	_, err = verifyBearer(tb.Verifier, token)
	wantCode(t, "up, but just asked", err, "UNAVAILABLE")
	tb.clock.Advance(refreshGap)
	if _, err := verifyBearer(tb.Verifier, token); err != nil {
		t.Error("up again:", err)
	}
}

func TestIssuer_EmbeddedNeedsNoNetwork(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	key := oneKey{newKey(t, jose.EdDSA)}
	cfg := tb.cfg
	cfg.Issuers = []Issuer{{URL: "http://127.0.0.1:1", Audience: audience, Keys: key.PublicJWKS}}
	deps := tb.deps
	deps.Get = nil
	v, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	token, err := Mint(t.Context(), key, MintInput{
		Issuer: "http://127.0.0.1:1", Audience: audience, Subject: "alice", Now: tb.clock.Now(mode.Live), Lifetime: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifyBearer(v, token); err != nil {
		t.Error(err)
	}
	_, err = verifyBearer(v, tb.token(t, "alice", nil))
	wantCode(t, "an issuer that is not configured", err, "UNAUTHENTICATED")
}

func TestDiscover_Refusals(t *testing.T) {
	t.Parallel()
	doc := func(issuer, keys string) Get {
		return func(_ context.Context, url string) ([]byte, error) {
			if strings.HasSuffix(url, discoveryPath) {
				return fmt.Appendf(nil, `{"issuer":%q,"jwks_uri":%q}`, issuer, keys), nil
			}
			return []byte(`{"keys":[]}`), nil
		}
	}
	const https = "https://i.example"
	for name, tc := range map[string]struct {
		issuer string
		get    Get
		ok     bool
	}{
		"good":             {https, doc(https, https+"/k"), true},
		"good on loopback": {"http://127.0.0.1", doc("http://127.0.0.1", "http://127.0.0.1/k"), true},
		"another issuer":   {https, doc(https+"/", https+"/k"), false},
		"keys without TLS": {https, doc(https, "http://i.example/k"), false},
		"keys from a file": {"http://i.example", doc("http://i.example", "file:///etc/passwd"), false},
		"not JSON":         {https, func(context.Context, string) ([]byte, error) { return []byte("<html>"), nil }, false},
		"down":             {https, func(context.Context, string) ([]byte, error) { return nil, errors.New("down") }, false},
	} {
		if _, err := discover(t.Context(), tc.get, tc.issuer); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHTTPGet_Limits(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/big":
			_, _ = w.Write(make([]byte, maxDocument+1))
		case "/gone":
			w.WriteHeader(http.StatusGone)
		}
	}))
	t.Cleanup(srv.Close)
	get := HTTPGet(srv.Client())
	for path, ok := range map[string]bool{"/": true, "/big": false, "/gone": false} {
		if _, err := get(t.Context(), srv.URL+path); (err == nil) != ok {
			t.Errorf("%s: %v", path, err)
		}
	}
}
