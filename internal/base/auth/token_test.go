package auth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/mode"
)

func TestVerifier_User(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	got, err := verifyBearer(tb.Verifier, tb.token(t, "alice", map[string]any{
		"device": id.Global(DeviceType, tb.device), "jti": "t1", "souk_sandbox": 9, // a user's sandbox is in its row
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := Viewer{
		Kind: User, UserID: tb.user, Mode: 3, DeviceID: tb.device, TokenID: "t1",
		Issuer: tb.issuer.URL, Subject: "alice", IssuedAt: start, ExpiresAt: start.Add(time.Hour),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestVerifier_Algorithms(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	for _, alg := range []jose.Algorithm{jose.RS256, jose.ES256, jose.EdDSA} {
		tb.issuer.publish(newKey(t, alg))
		tb.clock.Advance(refreshGap)
		if _, err := verifyBearer(tb.Verifier, tb.token(t, "alice", nil)); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
	for _, alg := range []jose.Algorithm{"PS256", "ES384", "RS512"} {
		tb.issuer.publish(newKey(t, alg))
		tb.clock.Advance(refreshGap)
		_, err := verifyBearer(tb.Verifier, tb.token(t, "alice", nil))
		wantCode(t, string(alg), err, "UNAUTHENTICATED")
	}
}

func TestVerifier_Roles(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	for _, tc := range []struct {
		claims map[string]any
		kind   Kind
		mode   mode.Mode
	}{
		{map[string]any{"souk_role": "service"}, Service, 1},
		{map[string]any{"souk_role": "operator", "souk_sandbox": 12}, Operator, 12},
	} {
		v, err := verifyBearer(tb.Verifier, tb.token(t, "server", tc.claims))
		if err != nil || v.Kind != tc.kind || v.Mode != tc.mode || v.UserID != id.Nil {
			t.Errorf("%v: %+v, %v", tc.claims, v, err)
		}
	}
}

func TestVerifier_Refusals(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	good := tb.token(t, "alice", nil)
	unix := func(d time.Duration) int64 { return start.Add(d).Unix() }
	for name, claims := range map[string]map[string]any{
		"expired":                {"exp": unix(-31 * time.Second)},
		"no expiry":              {"exp": nil},
		"expiry is text":         {"exp": fmt.Sprint(unix(time.Hour))},
		"not yet":                {"nbf": unix(31 * time.Second)},
		"issued in the future":   {"iat": unix(31 * time.Second)},
		"other audience":         {"aud": "elsewhere"},
		"other audiences":        {"aud": []string{"a", "b"}},
		"no audience":            {"aud": nil},
		"other issuer":           {"iss": "https://elsewhere.example"},
		"issuer with a slash":    {"iss": tb.issuer.URL + "/"},
		"no issuer":              {"iss": nil},
		"no subject":             {"sub": nil},
		"long subject":           {"sub": strings.Repeat("x", 256)},
		"long jti":               {"jti": strings.Repeat("x", 256)},
		"unknown user":           {"sub": "mallory"},
		"unknown role":           {"souk_role": "admin"},
		"role is a list":         {"souk_role": []string{"operator"}},
		"live by claim":          {"souk_role": "service", "souk_sandbox": 0},
		"sandbox below 0":        {"souk_role": "service", "souk_sandbox": -1},
		"sandbox above the last": {"souk_role": "service", "souk_sandbox": int64(mode.Max) + 1},
		"sandbox beyond 32 bits": {"souk_role": "service", "souk_sandbox": 1 << 32},
		"unknown device":         {"device": id.Global(DeviceType, id.New())},
		"device of another type": {"device": id.Global("Order", tb.device)},
		"device is no id":        {"device": "phone"},
		"bound by a certificate": {"cnf": map[string]any{"x5t#S256": "x"}},
		"bound, no proof":        {"cnf": map[string]any{"jkt": "x"}},
	} {
		_, err := verifyBearer(tb.Verifier, tb.token(t, "alice", claims))
		wantCode(t, name, err, "UNAUTHENTICATED")
	}
	for name, header := range map[string]map[string]any{
		"alg none":     {"alg": "none"},
		"alg lies":     {"alg": "ES256"},
		"alg HMAC":     {"alg": "HS256"},
		"other type":   {"typ": "souk-order+jwt"},
		"crit":         {"crit": []string{"b64"}, "b64": true},
		"unknown key":  {"kid": "x"},
		"own key":      {"kid": nil, "jwk": newKey(t, jose.EdDSA).Public()},
		"key from web": {"kid": "x", "jku": "https://evil.example/jwks.json"},
	} {
		token := tb.mint(t, MintInput{Subject: "alice", Header: header})
		if name == "own key" { // with the one key of the set, kid is not needed
			token = mintWith(t, newKey(t, jose.EdDSA), tb, header)
		}
		_, err := verifyBearer(tb.Verifier, token)
		wantCode(t, name, err, "UNAUTHENTICATED")
	}
	parts := strings.Split(good, ".")
	for name, token := range map[string]string{
		"empty":             "",
		"no token":          "hello",
		"two parts":         parts[0] + "." + parts[1],
		"four parts":        good + ".x",
		"no signature":      parts[0] + "." + parts[1] + ".",
		"payload changed":   parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"bob"}`)) + "." + parts[2],
		"signature changed": parts[0] + "." + parts[1] + "." + strings.Repeat("A", 86),
		"padded":            good + "=",
		"too long":          tb.token(t, "alice", map[string]any{"x": strings.Repeat("x", 8<<10)}),
	} {
		r := request("")
		r.Header.Set("Authorization", "Bearer "+token)
		_, err := tb.VerifyRequest(t.Context(), r)
		wantCode(t, name, err, "UNAUTHENTICATED")
	}
	if _, err := verifyBearer(tb.Verifier, good); err != nil {
		t.Error("the good one:", err)
	}
}

func mintWith(t *testing.T, key *jose.Key, tb *testBundle, header map[string]any) string {
	t.Helper()
	token, err := Mint(t.Context(), oneKey{key}, MintInput{
		Issuer: tb.issuer.URL, Audience: audience, Subject: "alice", Now: start, Lifetime: time.Hour, Header: header,
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestVerifier_Accepts(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	unix := func(d time.Duration) int64 { return start.Add(d).Unix() }
	for name, in := range map[string]MintInput{
		"access token":            {Header: map[string]any{"typ": "at+jwt"}},
		"long type":               {Header: map[string]any{"typ": "application/AT+JWT"}},
		"no type":                 {Header: map[string]any{"typ": nil}},
		"no kid":                  {Header: map[string]any{"kid": nil}},
		"several audiences":       {Claims: map[string]any{"aud": []string{"x", audience}}},
		"expired within the skew": {Claims: map[string]any{"exp": unix(-29 * time.Second)}},
		"early within the skew":   {Claims: map[string]any{"nbf": unix(29 * time.Second), "iat": unix(29 * time.Second)}},
		"no jti, no iat":          {Claims: map[string]any{"jti": nil, "iat": nil}},
	} {
		in.Subject = "alice"
		if _, err := verifyBearer(tb.Verifier, tb.mint(t, in)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A cached token is held against the clock like a new one.
func TestVerifier_ExpiresInTheCache(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	token := tb.token(t, "alice", nil)
	if _, err := verifyBearer(tb.Verifier, token); err != nil {
		t.Fatal(err)
	}
	tb.clock.Advance(time.Hour + 31*time.Second)
	_, err := verifyBearer(tb.Verifier, token)
	wantCode(t, "later", err, "UNAUTHENTICATED")
}

func TestVerifier_Merchant(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	merchantID, key := tb.merchant(t)
	other, otherKey := tb.merchant(t)
	got, err := verifyBearer(tb.Verifier, tb.merchantToken(t, merchantID, key, nil))
	if err != nil || got.Kind != Merchant || got.MerchantID != merchantID || got.Mode != 7 {
		t.Fatalf("%+v, %v", got, err)
	}
	gid := id.Global(MerchantType, merchantID)
	for name, token := range map[string]string{
		"lives too long":        tb.merchantToken(t, merchantID, key, map[string]any{"exp": start.Add(MerchantLifetimeMax + time.Second).Unix()}),
		"no iat":                tb.merchantToken(t, merchantID, key, map[string]any{"iat": nil}),
		"no jti":                tb.merchantToken(t, merchantID, key, map[string]any{"jti": nil}),
		"other subject":         tb.merchantToken(t, merchantID, key, map[string]any{"sub": "alice"}),
		"no subject":            tb.merchantToken(t, merchantID, key, map[string]any{"sub": nil}),
		"for another":           tb.merchantToken(t, merchantID, key, map[string]any{"aud": "elsewhere"}),
		"another's key":         tb.merchantToken(t, merchantID, otherKey, nil),
		"another's name":        tb.merchantToken(t, merchantID, key, map[string]any{"iss": id.Global(MerchantType, other)}),
		"unknown merchant":      tb.merchantToken(t, id.New(), key, nil),
		"id of another type":    tb.merchantToken(t, merchantID, key, map[string]any{"iss": id.Global("User", merchantID), "sub": id.Global("User", merchantID)}),
		"issued by the issuer":  tb.token(t, gid, map[string]any{"iss": gid}),
		"user named like it":    tb.token(t, gid, nil),
		"role in its own token": tb.merchantToken(t, merchantID, key, map[string]any{"iss": tb.issuer.URL, "souk_role": "operator"}),
	} {
		_, err := verifyBearer(tb.Verifier, token)
		wantCode(t, name, err, "UNAUTHENTICATED")
	}
	v, err := verifyBearer(tb.Verifier, tb.merchantToken(t, merchantID, key, map[string]any{"souk_role": "operator", "souk_sandbox": 5}))
	if err != nil || v.Kind != Merchant || v.Mode != 7 {
		t.Errorf("a merchant's claims of a role count for nothing: %+v, %v", v, err)
	}
}

func TestVerifier_MerchantKeysChange(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	merchantID, key := tb.merchant(t)
	token := tb.merchantToken(t, merchantID, key, nil)
	for range 100 {
		if _, err := verifyBearer(tb.Verifier, token); err != nil {
			t.Fatal(err)
		}
	}
	if tb.merchants.asked != 1 {
		t.Errorf("asked %d times for keys", tb.merchants.asked)
	}
	next := newKey(t, jose.EdDSA)
	tb.merchants.set(merchantID, keySet(t, next.Public()))
	tb.Revoked(t.Context(), Revocation{MerchantID: merchantID})
	_, err := verifyBearer(tb.Verifier, token)
	wantCode(t, "old key", err, "UNAUTHENTICATED")
	if _, err := verifyBearer(tb.Verifier, tb.merchantToken(t, merchantID, next, nil)); err != nil {
		t.Error("new key:", err)
	}
}

// Nobody can tell is not the same as no: a client must keep its token.
func TestVerifier_DirectoryDown(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	token := tb.token(t, "alice", nil)
	tb.directory.change(func(d *fakeDirectory) { d.down = fmt.Errorf("no route to database") })
	_, err := verifyBearer(tb.Verifier, token)
	wantCode(t, "down", err, "UNAVAILABLE")
	tb.directory.change(func(d *fakeDirectory) { d.down = nil })
	if _, err := verifyBearer(tb.Verifier, token); err != nil {
		t.Error("up again:", err)
	}
}

func TestRequire(t *testing.T) {
	t.Parallel()
	ctx := NewContext(t.Context(), Viewer{Kind: User, Subject: "alice"})
	for name, tc := range map[string]struct {
		err  func() error
		want error
	}{
		"anonymous":     {func() error { _, err := Require(t.Context()); return err }, errs.ErrUnauthenticated},
		"any":           {func() error { _, err := Require(ctx); return err }, nil},
		"right kind":    {func() error { _, err := Require(ctx, Service, User); return err }, nil},
		"wrong kind":    {func() error { _, err := Require(ctx, Service); return err }, errs.ErrForbidden},
		"anonymous too": {func() error { _, err := Require(t.Context(), Anonymous); return err }, errs.ErrUnauthenticated},
	} {
		if got := tc.err(); !errors.Is(got, tc.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestMint_RoundTrip(t *testing.T) {
	t.Parallel()
	token, err := Mint(t.Context(), oneKey{newKey(t, jose.ES256)}, MintInput{
		Issuer: "http://127.0.0.1:1", Audience: "a", Subject: "s", Now: start.Add(123456 * time.Microsecond), Lifetime: time.Minute,
		Claims: map[string]any{"x": 1, "jti": nil}, Header: map[string]any{"typ": "x", "kid": nil},
	})
	if err != nil {
		t.Fatal(err)
	}
	part := func(n int) (m map[string]any) {
		b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[n])
		if err != nil || json.Unmarshal(b, &m) != nil {
			t.Fatal(token)
		}
		return m
	}
	if diff := cmp.Diff(map[string]any{"alg": "ES256", "typ": "x"}, part(0)); diff != "" {
		t.Error(diff)
	}
	at := float64(start.Unix()) + 0.123456
	want := map[string]any{"iss": "http://127.0.0.1:1", "aud": "a", "sub": "s", "iat": at, "exp": at + 60, "x": 1.0}
	if diff := cmp.Diff(want, part(1)); diff != "" {
		t.Error(diff)
	}
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()
	good := func() Config {
		return Config{Issuers: []Issuer{{URL: "https://i.example", Audience: "a"}}, Audience: "a", PublicURL: publicURL, Skew: time.Minute}
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"issuer no URL":      func(c *Config) { c.Issuers[0].URL = "issuer" },
		"issuer with query":  func(c *Config) { c.Issuers[0].URL += "?a=b" },
		"issuer no audience": func(c *Config) { c.Issuers[0].Audience = "" },
		"issuer twice":       func(c *Config) { c.Issuers = append(c.Issuers, c.Issuers[0]) },
		"no audience":        func(c *Config) { c.Audience = "" },
		"no public URL":      func(c *Config) { c.PublicURL = "" },
		"skew of hours":      func(c *Config) { c.Skew = time.Hour },
		"no such sandbox":    func(c *Config) { c.DefaultMode = -1 },
	} {
		c := good()
		spoil(&c)
		if c.Validate() == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestVerifier_MerchantPublishesKey(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	merchantID, key := tb.merchant(t)
	if _, err := verifyBearer(tb.Verifier, tb.merchantToken(t, merchantID, key, nil)); err != nil {
		t.Fatal(err)
	}
	next := newKey(t, jose.EdDSA)
	token := tb.merchantToken(t, merchantID, next, nil)
	_, err := verifyBearer(tb.Verifier, token)
	wantCode(t, "not published", err, "UNAUTHENTICATED")
	tb.merchants.publish(merchantID, keySet(t, key.Public(), next.Public()))
	if _, err := verifyBearer(tb.Verifier, token); err != nil {
		t.Error("published:", err)
	}
}
