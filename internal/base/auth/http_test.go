package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/mode"
)

// prover is a client that owns a key.
type prover struct {
	tb  *testBundle
	key *jose.Key
}

func (p prover) token(t testing.TB) string {
	t.Helper()
	return p.tb.token(t, "alice", map[string]any{"cnf": map[string]any{"jkt": p.key.Thumbprint()}})
}

// proof makes a good proof for token, or a spoiled one.
func (p prover) proof(t testing.TB, token string, spoil map[string]any) string {
	t.Helper()
	hash := sha256.Sum256([]byte(token))
	claims := map[string]any{
		"jti": id.New().String(), "htm": "POST", "htu": publicURL + "/graphql",
		"iat": p.tb.clock.Now(mode.Live).Unix(), "ath": base64.RawURLEncoding.EncodeToString(hash[:]),
	}
	for k, v := range spoil {
		if claims[k] = v; v == nil {
			delete(claims, k)
		}
	}
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := jose.SignProof(b, p.key, proofType)
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

func TestDPoP(t *testing.T) {
	t.Parallel()
	for _, alg := range []jose.Algorithm{jose.ES256, jose.EdDSA, jose.RS256} {
		tb := setup(t)
		p := prover{tb, newKey(t, alg)}
		token := p.token(t)
		for _, htu := range []string{
			publicURL + "/graphql", publicURL + "/graphql?a=b#c", "HTTPS://SOUK.example:443/graphql",
		} {
			r := request("", "Authorization", "DPoP "+token, "DPoP", p.proof(t, token, map[string]any{"htu": htu}))
			v, err := tb.VerifyRequest(t.Context(), r)
			if err != nil || v.UserID != tb.user {
				t.Errorf("%s, %s: %+v, %v", alg, htu, v, err)
			}
		}
	}
}

func TestDPoP_Refusals(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	p, other := prover{tb, newKey(t, jose.ES256)}, prover{tb, newKey(t, jose.ES256)}
	token := p.token(t)
	unix := func(d time.Duration) int64 { return start.Add(d).Unix() }
	withoutType, err := jose.Sign([]byte(`{}`), p.key, "JWT")
	if err != nil {
		t.Fatal(err)
	}
	unembedded, err := jose.Sign([]byte(`{}`), p.key, proofType)
	if err != nil {
		t.Fatal(err)
	}
	for name, proof := range map[string]string{
		"empty":             "",
		"garbage":           "a.b.c",
		"another's key":     other.proof(t, token, nil),
		"other method":      p.proof(t, token, map[string]any{"htm": "GET"}),
		"no method":         p.proof(t, token, map[string]any{"htm": nil}),
		"other path":        p.proof(t, token, map[string]any{"htu": publicURL + "/other"}),
		"other host":        p.proof(t, token, map[string]any{"htu": "https://evil.example/graphql"}),
		"other scheme":      p.proof(t, token, map[string]any{"htu": "http://souk.example/graphql"}),
		"user in the URL":   p.proof(t, token, map[string]any{"htu": "https://x@souk.example/graphql"}),
		"no URL":            p.proof(t, token, map[string]any{"htu": nil}),
		"old":               p.proof(t, token, map[string]any{"iat": unix(-91 * time.Second)}),
		"from the future":   p.proof(t, token, map[string]any{"iat": unix(31 * time.Second)}),
		"no iat":            p.proof(t, token, map[string]any{"iat": nil}),
		"no jti":            p.proof(t, token, map[string]any{"jti": nil}),
		"long jti":          p.proof(t, token, map[string]any{"jti": strings.Repeat("x", 256)}),
		"for another token": p.proof(t, tb.token(t, "alice", nil), nil),
		"no ath":            p.proof(t, token, map[string]any{"ath": nil}),
		"other type":        withoutType,
		"key not embedded":  unembedded,
		"too long":          p.proof(t, token, map[string]any{"x": strings.Repeat("x", 8<<10)}),
	} {
		_, err := tb.VerifyRequest(t.Context(), request("", "Authorization", "DPoP "+token, "DPoP", proof))
		wantCode(t, name, err, "UNAUTHENTICATED")
	}

	good := p.proof(t, token, nil)
	r := request("", "Authorization", "DPoP "+token, "DPoP", p.proof(t, token, nil))
	r.Header.Add("DPoP", p.proof(t, token, nil))
	_, err = tb.VerifyRequest(t.Context(), r)
	wantCode(t, "two proofs", err, "UNAUTHENTICATED")
	_, err = tb.VerifyRequest(t.Context(), request("", "Authorization", "DPoP "+token))
	wantCode(t, "no proof", err, "UNAUTHENTICATED")
	_, err = tb.VerifyRequest(t.Context(), request(token, "DPoP", good))
	wantCode(t, "bound token as a bearer's", err, "UNAUTHENTICATED")
	plain := tb.token(t, "alice", nil)
	_, err = tb.VerifyRequest(t.Context(), request("", "Authorization", "DPoP "+plain, "DPoP", p.proof(t, plain, nil)))
	wantCode(t, "bearer token as a bound one", err, "UNAUTHENTICATED")
	if _, err = tb.VerifyRequest(t.Context(), request("", "Authorization", "dpop "+token, "DPoP", good)); err != nil {
		t.Error("the good one:", err)
	}
}

func TestDPoP_Replay(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	other := tb.process(t)
	p := prover{tb, newKey(t, jose.EdDSA)}
	token := p.token(t)
	send := func(v *Verifier, proof string) error {
		_, err := v.VerifyRequest(t.Context(), request("", "Authorization", "DPoP "+token, "DPoP", proof))
		return err
	}
	once := p.proof(t, token, nil)
	wantCode(t, "first", send(tb.Verifier, once), "")
	wantCode(t, "again", send(tb.Verifier, once), "UNAUTHENTICATED")
	wantCode(t, "again, elsewhere", send(other, once), "UNAUTHENTICATED")

	tb.redis.Close()
	began := time.Now()
	for range 50 {
		alone := p.proof(t, token, nil)
		wantCode(t, "Redis away", send(tb.Verifier, alone), "")
		wantCode(t, "Redis away, again", send(tb.Verifier, alone), "UNAUTHENTICATED")
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("50 requests took %v without Redis", d)
	}
}

func TestVerifyInit(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	p := prover{tb, newKey(t, jose.ES256)}
	plain, bound := tb.token(t, "alice", nil), p.token(t)
	proof := func(spoil map[string]any) string {
		all := map[string]any{"htm": "GET", "htu": "wss://souk.example/graphql"}
		for k, v := range spoil {
			all[k] = v
		}
		return p.proof(t, bound, all)
	}
	for name, tc := range map[string]struct {
		token, proof, code string
		kind               Kind
	}{
		"nobody":         {"", "", "", Anonymous},
		"blank":          {" ", "", "", Anonymous},
		"only a scheme":  {"Bearer ", "", "UNAUTHENTICATED", Anonymous},
		"plain":          {plain, "", "", User},
		"with a scheme":  {"bearer " + plain, "", "", User},
		"bound":          {"DPoP " + bound, proof(nil), "", User},
		"bound, https":   {bound, proof(map[string]any{"htu": publicURL + "/graphql"}), "", User},
		"no proof":       {bound, "", "UNAUTHENTICATED", Anonymous},
		"proof for POST": {bound, proof(map[string]any{"htm": "POST"}), "UNAUTHENTICATED", Anonymous},
		"garbage":        {"x", "", "UNAUTHENTICATED", Anonymous},
		"other scheme":   {"Basic " + plain, "", "UNAUTHENTICATED", Anonymous},
	} {
		v, err := tb.VerifyInit(t.Context(), tc.token, tc.proof, "/graphql")
		wantCode(t, name, err, tc.code)
		if v.Kind != tc.kind {
			t.Errorf("%s: %v", name, v.Kind)
		}
	}
}

func TestVerifyRequest_Challenge(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	p := prover{tb, newKey(t, jose.ES256)}
	good, bound := tb.token(t, "alice", nil), p.token(t)
	invalid, algs := `Bearer error="invalid_token"`, `, algs="RS256 ES256 EdDSA"`
	for name, tc := range map[string]struct {
		headers   []string
		challenge string // none: the viewer is of the kind
		kind      Kind
	}{
		"no header":     {nil, "", Anonymous},
		"blank header":  {[]string{"  "}, "", Anonymous},
		"good":          {[]string{"Bearer " + good}, "", User},
		"spaces":        {[]string{" bearer   " + good + " "}, "", User},
		"no token":      {[]string{"Bearer"}, invalid, Anonymous},
		"bad":           {[]string{"Bearer x"}, invalid, Anonymous},
		"other scheme":  {[]string{"Basic YTpi"}, invalid, Anonymous},
		"no scheme":     {[]string{good}, invalid, Anonymous},
		"two tokens":    {[]string{"Bearer " + good + " " + good}, invalid, Anonymous},
		"two headers":   {[]string{"Bearer " + good, "Bearer " + good}, invalid, Anonymous},
		"bad and bound": {[]string{"DPoP x"}, `DPoP error="invalid_token"` + algs, Anonymous},
		"no proof":      {[]string{"DPoP " + bound}, `DPoP error="invalid_dpop_proof"` + algs, Anonymous},
	} {
		r := request("")
		r.Header.Del("Authorization")
		for _, h := range tc.headers {
			r.Header.Add("Authorization", h)
		}
		v, err := tb.VerifyRequest(t.Context(), r)
		if v.Kind != tc.kind || (err == nil) != (tc.challenge == "") {
			t.Errorf("%s: %v, %v", name, v.Kind, err)
			continue
		}
		if err == nil {
			continue
		}
		wantCode(t, name, err, "UNAUTHENTICATED")
		if got := Challenge(r, err); got != tc.challenge {
			t.Errorf("%s: %q", name, got)
		}
	}

	tb.directory.change(func(d *fakeDirectory) { d.down = io.ErrUnexpectedEOF })
	_, err := tb.VerifyRequest(t.Context(), request(tb.token(t, "alice", nil)))
	wantCode(t, "directory down", err, "UNAVAILABLE")
}

func FuzzVerifyInit(f *testing.F) {
	tb := setup(f)
	p := prover{tb, newKey(f, jose.ES256)}
	good, bound := tb.token(f, "alice", nil), p.token(f)
	f.Add(good, "")
	f.Add(bound, p.proof(f, bound, map[string]any{"htm": "GET"}))
	f.Add("a.b.c", "d.e.f")
	f.Fuzz(func(t *testing.T, token, proof string) {
		v, err := tb.VerifyInit(t.Context(), token, proof, "/graphql")
		if err == nil && v.Kind != Anonymous && !strings.Contains(token, good) && !strings.Contains(token, bound) {
			t.Errorf("%q passes", token)
		}
	})
}
