package app_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/driver"
)

const (
	deviceRegister = `mutation DeviceRegister($input: DeviceRegisterInput!) {
  deviceRegister(input: $input) { device { id name thumbprint revokedAt } userErrors { code message field } }
}`
	deviceRevoke = `mutation DeviceRevoke($input: DeviceRevokeInput!) {
  deviceRevoke(input: $input) { device { id revokedAt } userErrors { code message field } }
}`
	devicesShow = `query DevicesShow { viewer { devices(first: 10) { nodes { id name revokedAt } } } }`
)

// device registers a user's new phone and gives its id and key.
func (b *testBundle) device(t *testing.T, p *person) (deviceID string, key *jose.Key) {
	t.Helper()
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		Device struct{ ID, Thumbprint string }
	}
	b.do(t, p.Token, deviceRegister, map[string]any{"name": "Phone", "publicKey": publicJWK(t, key)}, &out)
	if out.Device.Thumbprint != key.Thumbprint() {
		t.Errorf("the thumbprint is %s, want %s", out.Device.Thumbprint, key.Thumbprint())
	}
	return out.Device.ID, key
}

func publicJWK(t *testing.T, key *jose.Key) string {
	t.Helper()
	text, err := json.Marshal(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDevice(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		alice, bob := b.user(t, "Alice"), b.user(t, "Bob")
		phone, key := b.device(t, alice)
		private, err := key.MarshalPrivate()
		if err != nil {
			t.Fatal(err)
		}
		b.leavesNothing(t, func() {
			for publicKey, want := range map[string]string{
				publicJWK(t, key): "DEVICE_EXISTS", string(private): "KEY_INVALID", "{}": "KEY_INVALID",
				`{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0"}`: "KEY_INVALID",
			} {
				err := b.api.Mutate(ctx, alice.Token, deviceRegister, map[string]any{"name": "Phone", "publicKey": publicKey}, nil)
				wantRefusal(t, err, want, "publicKey")
			}
			wantRefusal(t, b.api.Mutate(ctx, bob.Token, deviceRevoke, map[string]any{"deviceId": phone}, nil), "DEVICE_NOT_FOUND")
		})
		onPhone := b.token(t, alice.Subject, map[string]any{"device": phone})
		b.view(t, onPhone)
		stolen := b.token(t, bob.Subject, map[string]any{"device": phone})
		wantFault(t, b.api.Do(ctx, stolen, viewerShow, nil, nil), "UNAUTHENTICATED")

		b.do(t, alice.Token, deviceRevoke, map[string]any{"deviceId": phone}, nil)
		wantFault(t, b.api.Do(ctx, onPhone, viewerShow, nil, nil), "UNAUTHENTICATED")
		b.view(t, alice.Token)
		var out struct {
			Viewer struct {
				Devices struct {
					Nodes []struct {
						ID        string
						RevokedAt *time.Time
					}
				}
			}
		}
		b.ask(t, alice.Token, devicesShow, nil, &out)
		if list := out.Viewer.Devices.Nodes; len(list) != 1 || list[0].ID != phone || list[0].RevokedAt == nil {
			t.Errorf("the devices are %+v", list)
		}
	})
}

// prover sends a bound token with a proof of possession (RFC 9449).
type prover struct {
	key    *jose.Key
	public string               // how Souk is known
	spoil  func(proof claimsOf) // makes the next proof wrong
	keep   *string              // the proof that was sent last
	replay *string              // sent instead of a new one
	next   http.RoundTripper
}

type claimsOf map[string]any

func (p *prover) RoundTrip(r *http.Request) (*http.Response, error) {
	_, token, bearer := strings.Cut(r.Header.Get("Authorization"), "Bearer ")
	if !bearer {
		return p.next.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	proof, err := p.proof(r.Method, r.URL.Path, token)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "DPoP "+token)
	r.Header.Set("DPoP", proof)
	return p.next.RoundTrip(r)
}

func (p *prover) proof(method, path, token string) (string, error) {
	if p.replay != nil {
		return *p.replay, nil
	}
	hash := sha256.Sum256([]byte(token))
	claims := claimsOf{
		"jti": newKey(), "htm": method, "htu": p.public + path, "iat": time.Now().Unix(), "ath": base64.RawURLEncoding.EncodeToString(hash[:]),
	}
	if p.spoil != nil {
		p.spoil(claims)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	proof, err := jose.SignProof(payload, p.key, "dpop+jwt")
	if p.keep != nil {
		*p.keep = proof
	}
	return proof, err
}

// bound gives a client whose token only the owner of the key may use.
func (b *testBundle) bound(t *testing.T, p *person, device string, key *jose.Key) (*driver.Client, *prover, string) {
	t.Helper()
	c := newClient(t, b.url)
	pr := &prover{key: key, public: b.url, next: http.DefaultTransport}
	c.HTTP.Transport = pr
	return c, pr, b.token(t, p.Subject, map[string]any{"device": device, "cnf": map[string]string{"jkt": key.Thumbprint()}})
}

// A token that is bound to a device's key is worth nothing without the key.
func TestDevice_BoundToken(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		alice := b.user(t, "Alice")
		phone, key := b.device(t, alice)
		api, prove, token := b.bound(t, alice, phone, key)
		var v view
		if err := api.Do(ctx, token, viewerShow, nil, &v); err != nil || v.Viewer.User.ID != alice.ID {
			t.Fatalf("with a proof: %+v, %v", v, err)
		}
		wantFault(t, b.api.Do(ctx, token, viewerShow, nil, nil), "UNAUTHENTICATED")     // as a bearer token
		wantFault(t, api.Do(ctx, alice.Token, viewerShow, nil, nil), "UNAUTHENTICATED") // the other way round

		for what, spoil := range map[string]func(claimsOf){
			"for another method": func(c claimsOf) { c["htm"] = "GET" },
			"for another place":  func(c claimsOf) { c["htu"] = b.url + "/elsewhere" },
			"for another host":   func(c claimsOf) { c["htu"] = "https://other.example/graphql" },
			"for another token":  func(c claimsOf) { c["ath"] = "AAAA" },
			"of long ago":        func(c claimsOf) { c["iat"] = time.Now().Add(-5 * time.Minute).Unix() },
			"of the future":      func(c claimsOf) { c["iat"] = time.Now().Add(5 * time.Minute).Unix() },
			"without a name":     func(c claimsOf) { delete(c, "jti") },
		} {
			prove.spoil = spoil
			if got := faultOf(api.Do(ctx, token, viewerShow, nil, nil)); got != "UNAUTHENTICATED" {
				t.Errorf("a proof %s: %s", what, got)
			}
		}
		prove.spoil = nil
		var used string
		prove.keep = &used
		if err := api.Do(ctx, token, viewerShow, nil, nil); err != nil {
			t.Fatal(err)
		}
		prove.replay = &used
		wantFault(t, api.Do(ctx, token, viewerShow, nil, nil), "UNAUTHENTICATED")
		prove.replay = nil
		thief, err := jose.Generate(jose.ES256)
		if err != nil {
			t.Fatal(err)
		}
		prove.key = thief
		wantFault(t, api.Do(ctx, token, viewerShow, nil, nil), "UNAUTHENTICATED")
		prove.key = key

		stream, err := api.Follow(ctx, driver.Events, token, feedFollow, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		b.do(t, alice.Token, deviceRevoke, map[string]any{"deviceId": phone}, nil)
		soon, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		wantFault(t, stream.Next(soon, nil), "UNAUTHENTICATED")
		wantFault(t, api.Do(ctx, token, viewerShow, nil, nil), "UNAUTHENTICATED")
	})
}
