package jose

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

var at = time.Unix(1_800_000_000, 0)

// raw builds a token from texts, signed as they are.
func raw(t testing.TB, k *Key, alg Algorithm, header, payload string) string {
	t.Helper()
	signed := encode64([]byte(header)) + "." + encode64([]byte(payload))
	signature, err := k.Sign(alg, []byte(signed))
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + encode64(signature)
}

func TestVerify_Claims(t *testing.T) {
	t.Parallel()
	k := generated(t, EdDSA)
	keys := setOf(t, k.Public())
	base := VerifyOptions{Keys: keys, Now: at}
	with := func(change func(*VerifyOptions)) VerifyOptions {
		o := base
		change(&o)
		return o
	}
	issuer := with(func(o *VerifyOptions) { o.Issuer = "https://i" })
	audience := with(func(o *VerifyOptions) { o.Audience = "souk" })
	leeway := with(func(o *VerifyOptions) { o.Leeway = 30 * time.Second })
	age := with(func(o *VerifyOptions) { o.MaxAge, o.Leeway = time.Minute, 5*time.Second })
	life := with(func(o *VerifyOptions) { o.MaxLifetime, o.Leeway = 5*time.Minute, 5*time.Second })
	open := with(func(o *VerifyOptions) { o.NoExpiry = true })

	tests := []struct {
		name   string
		o      VerifyOptions
		claims string
		want   error
	}{
		{"good", base, `{"exp":1800000001}`, nil},
		{"at exp", base, `{"exp":1800000000}`, ErrExpired},
		{"after exp", base, `{"exp":1799999999}`, ErrExpired},
		{"before a fraction", base, `{"exp":1800000000.5}`, nil},
		{"fraction", base, `{"exp":1799999999.999}`, ErrExpired},
		{"exponent", base, `{"exp":1.9e9}`, nil},
		{"very far", base, `{"exp":1e300}`, nil},
		{"an integer beyond 64 bits", base, `{"exp":99999999999999999999999}`, nil},
		{"very long ago", base, `{"exp":-1e300}`, ErrExpired},
		{"beyond a float", base, `{"exp":1e999}`, ErrMalformed},
		{"the zero of time.Time", open, `{"exp":-62135596800}`, ErrExpired},
		{"no exp", base, `{}`, ErrExpired},
		{"no exp needed", open, `{}`, nil},
		{"exp is a string", base, `{"exp":"1900000000"}`, ErrMalformed},
		{"exp is null", open, `{"exp":null}`, ErrMalformed},
		{"exp is true", base, `{"exp":true}`, ErrMalformed},
		{"exp is a list", base, `{"exp":[1900000000]}`, ErrMalformed},
		{"exp in capitals", base, `{"EXP":1900000000}`, ErrExpired},
		{"two exp", base, `{"exp":1,"exp":1900000000}`, ErrMalformed},
		{"two exp, one escaped", base, `{"exp":1900000000,"e\u0078p":1900000000}`, ErrMalformed},
		{"leeway", leeway, `{"exp":1799999971}`, nil},
		{"at the end of the leeway", leeway, `{"exp":1799999970}`, ErrExpired},
		{"at nbf", base, `{"exp":1800000001,"nbf":1800000000}`, nil},
		{"before nbf", base, `{"exp":1900000000,"nbf":1800000001}`, ErrNotYetValid},
		{"nbf with leeway", leeway, `{"exp":1900000000,"nbf":1800000030}`, nil},
		{"nbf is a string", base, `{"exp":1900000000,"nbf":"1"}`, ErrMalformed},
		{"iat in the future, no age asked", base, `{"exp":1900000000,"iat":1850000000}`, nil},
		{"iat is a string", base, `{"exp":1900000000,"iat":"1"}`, ErrMalformed},
		{"young", age, `{"exp":1900000000,"iat":1799999935}`, nil},
		{"too old", age, `{"exp":1900000000,"iat":1799999934}`, ErrExpired},
		{"no iat", age, `{"exp":1900000000}`, ErrExpired},
		{"iat within the leeway", age, `{"exp":1900000000,"iat":1800000005}`, nil},
		{"iat in the future", age, `{"exp":1900000000,"iat":1800000006}`, ErrNotYetValid},
		{"short life", life, `{"exp":1800000305}`, nil},
		{"long life", life, `{"exp":1800000306}`, ErrLifetime},
		{"issuer", issuer, `{"exp":1900000000,"iss":"https://i"}`, nil},
		{"another issuer", issuer, `{"exp":1900000000,"iss":"https://i/"}`, ErrIssuer},
		{"no issuer", issuer, `{"exp":1900000000}`, ErrIssuer},
		{"issuer is null", issuer, `{"exp":1900000000,"iss":null}`, ErrIssuer},
		{"issuer is a list", issuer, `{"exp":1900000000,"iss":["https://i"]}`, ErrMalformed},
		{"issuer is an object", base, `{"exp":1900000000,"iss":{}}`, ErrMalformed},
		{"audience", audience, `{"exp":1900000000,"aud":"souk"}`, nil},
		{"one of the audience", audience, `{"exp":1900000000,"aud":["x","souk"]}`, nil},
		{"another audience", audience, `{"exp":1900000000,"aud":"Souk"}`, ErrAudience},
		{"a longer audience", audience, `{"exp":1900000000,"aud":"souk2"}`, ErrAudience},
		{"none of the audience", audience, `{"exp":1900000000,"aud":["x"]}`, ErrAudience},
		{"empty audience", audience, `{"exp":1900000000,"aud":[]}`, ErrAudience},
		{"no audience", audience, `{"exp":1900000000}`, ErrAudience},
		{"audience is null", audience, `{"exp":1900000000,"aud":null}`, ErrMalformed},
		{"audience holds a number", audience, `{"exp":1900000000,"aud":["souk",5]}`, ErrMalformed},
		{"audience is an object", audience, `{"exp":1900000000,"aud":{"souk":1}}`, ErrMalformed},
		{"not an object", base, `["exp"]`, ErrMalformed},
		{"null", open, `null`, ErrMalformed},
		{"empty", open, ``, ErrMalformed},
		{"not JSON", open, `exp`, ErrMalformed},
		{"more behind", base, `{"exp":1900000000}{}`, ErrMalformed},
		{"not UTF-8", base, "{\"exp\":1900000000,\"sub\":\"\xff\"}", ErrMalformed},
		{"white space", base, " {\"exp\" : 1900000000 }\n", nil},
		{"byte order mark", base, "\ufeff{\"exp\":1900000000}", ErrMalformed},
		{"no time given", VerifyOptions{Keys: keys}, `{"exp":1900000000}`, ErrExpired},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			token, err := Sign([]byte(tt.claims), k, "")
			if err != nil {
				t.Fatal(err)
			}
			if _, err = Verify(token, tt.o); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			u, err := Parse(token)
			if err == nil {
				_, err = u.Verify(tt.o)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("in two steps: got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestVerify_Result(t *testing.T) {
	t.Parallel()
	k := generated(t, ES256)
	payload := `{"iss":"i","sub":"s","aud":["a","b"],"exp":1800000060,"nbf":1799999990,"iat":1799999991.25,"jti":"j","n":{"x":1}}`
	token, err := Sign([]byte(payload), k, "souk-order+jwt")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := Verify(token, VerifyOptions{Keys: setOf(t, k.Public()), Now: at, Typ: "application/SOUK-order+jwt", Issuer: "i", Audience: "b"})
	if err != nil {
		t.Fatal(err)
	}
	c := tok.Claims
	if c.Issuer != "i" || c.Subject != "s" || len(c.Audience) != 2 || c.ID != "j" || c.ExpiresAt.Unix() != 1800000060 ||
		c.NotBefore.Unix() != 1799999990 || c.IssuedAt.UnixMilli() != 1799999991250 {
		t.Errorf("got %+v", c)
	}
	if string(tok.Payload) != payload || tok.Header != (Header{ES256, k.ID, "souk-order+jwt", ""}) || tok.Key.Thumbprint() != k.Thumbprint() {
		t.Errorf("got %+v", tok)
	}
	var v struct{ N struct{ X int } }
	if err := tok.Decode(&v); err != nil || v.N.X != 0 {
		t.Error("names are compared with their case", v, err)
	}
	u, err := Parse(token)
	if err != nil || u.Claims.Issuer != "i" || u.Header.KeyID != k.ID {
		t.Error(u, err)
	}
}

// Each case is one change to a good token.
func TestVerify_Refused(t *testing.T) {
	t.Parallel()
	k, rs, other := generated(t, ES256), generated(t, RS256), generated(t, ES256)
	claims := `{"exp":1900000000}`
	good, err := Sign([]byte(claims), k, "JWT")
	if err != nil {
		t.Fatal(err)
	}
	p := strings.Split(good, ".")
	signature, _ := base64.RawURLEncoding.DecodeString(p[2])
	flipped := append([]byte{}, signature...)
	flipped[5] ^= 1
	header := func(h string) string { return raw(t, k, ES256, h, claims) }
	named := func(more string) string { return header(`{"alg":"ES256","kid":"` + k.ID + `"` + more + `}`) }
	otherJWK := string(marshal(t, other))
	stranger := encode64([]byte(`{"alg":"ES256","kid":"`+k.ID+`","jwk":`+otherJWK+`}`)) + "." + p[1]
	strange, _ := other.Sign(ES256, []byte(stranger))
	hs := "eyJhbGciOiJIUzI1NiJ9." + p[1] + "." + encode64(make([]byte, 32))

	tests := []struct {
		name, token string
		want        error
	}{
		{"as it is", good, nil},
		{"unknown header", named(`,"x":{"y":[1]}`), nil},
		{"hints of keys are not looked at", named(`,"jku":"https://evil","x5u":"https://evil","x5t":"AA","x5c":["AA"],"jwk":` + otherJWK), nil},
		{"jwk of a stranger", stranger + "." + encode64(strange), ErrSignature},
		{"signed by another", raw(t, other, ES256, `{"alg":"ES256","kid":"`+k.ID+`"}`, claims), ErrSignature},
		{"bit of the signature", p[0] + "." + p[1] + "." + encode64(flipped), ErrSignature},
		{"signature cut", p[0] + "." + p[1] + "." + encode64(signature[:63]), ErrSignature},
		{"signature longer", p[0] + "." + p[1] + "." + encode64(append(signature, 0)), ErrSignature},
		{"signature is zero", p[0] + "." + p[1] + "." + encode64(make([]byte, 64)), ErrSignature},
		{"no signature", p[0] + "." + p[1] + ".", ErrSignature},
		{"other claims", p[0] + "." + encode64([]byte(`{"exp":1900000001}`)) + "." + p[2], ErrSignature},
		{"stray bits", p[0] + "." + p[1] + "." + p[2][:85] + string(p[2][85]+1), ErrMalformed},
		{"padding", good + "==", ErrMalformed},
		{"line end", good + "\n", ErrMalformed},
		{"line end within", p[0] + ".\n" + p[1] + "." + p[2], ErrMalformed},
		{"space before", " " + good, ErrMalformed},
		{"space within", p[0] + " ." + p[1] + "." + p[2], ErrMalformed},
		{"standard alphabet", p[0] + "." + p[1] + "." + "+" + p[2][1:], ErrMalformed},
		{"two parts", p[0] + "." + p[1], ErrMalformed},
		{"four parts", good + ".", ErrMalformed},
		{"five parts", good + "..", ErrMalformed},
		{"no header", "." + p[1] + "." + p[2], ErrMalformed},
		{"empty", "", ErrMalformed},
		{"dots", "..", ErrMalformed},
		{"JSON serialization", `{"payload":"` + p[1] + `","protected":"` + p[0] + `","signature":"` + p[2] + `"}`, ErrMalformed},
		{"huge", good + strings.Repeat("A", MaxToken), ErrTooLarge},
		{"huge header", named(`,"x":"` + strings.Repeat("a", maxHeader) + `"`), ErrTooLarge},
		{"deep header", named(`,"x":` + strings.Repeat("[", 11000)), ErrMalformed},
		{"alg none", "eyJhbGciOiJub25lIn0." + p[1] + ".", ErrAlgorithm},
		{"alg None", encode64([]byte(`{"alg":"None"}`)) + "." + p[1] + ".", ErrAlgorithm},
		{"HMAC under the public key", hs, ErrAlgorithm},
		{"alg is not there", header(`{"kid":"` + k.ID + `"}`), ErrAlgorithm},
		{"alg in small letters", header(`{"alg":"es256"}`), ErrAlgorithm},
		{"name in capitals", header(`{"ALG":"ES256"}`), ErrAlgorithm},
		{"alg is null", header(`{"alg":null}`), ErrAlgorithm},
		{"alg is a number", header(`{"alg":256}`), ErrMalformed},
		{"alg not allowed", header(`{"alg":"ES384","kid":"` + k.ID + `"}`), ErrAlgorithm},
		{"alg of encryption", header(`{"alg":"ECDH-ES","kid":"` + k.ID + `"}`), ErrAlgorithm},
		{"alg of another type", header(`{"alg":"RS256","kid":"` + k.ID + `"}`), ErrKey},
		{"kid of another type", raw(t, k, ES256, `{"alg":"ES256","kid":"`+rs.ID+`"}`, claims), ErrKey},
		{"kid unknown", header(`{"alg":"ES256","kid":"x"}`), ErrUnknownKey},
		{"kid is a number", header(`{"alg":"ES256","kid":1}`), ErrMalformed},
		{"no kid", header(`{"alg":"ES256"}`), nil},
		{"crit", named(`,"crit":["exp"],"exp":1`), ErrCritical},
		{"crit of b64", named(`,"crit":["b64"],"b64":true`), ErrCritical},
		{"crit is empty", named(`,"crit":[]`), ErrCritical},
		{"crit is null", named(`,"crit":null`), ErrCritical},
		{"two alg", header(`{"alg":"none","alg":"ES256"}`), ErrMalformed},
		{"two of an unknown name", named(`,"x":1,"x":1`), ErrMalformed},
		{"header is a list", header(`["ES256"]`), ErrMalformed},
		{"header is null", header(`null`), ErrMalformed},
		{"header is no JSON", header(`alg`), ErrMalformed},
		{"header is not UTF-8", named(",\"x\":\"\xff\""), ErrMalformed},
		{"more behind the header", header(`{"alg":"ES256"} x`), ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := VerifyOptions{Keys: setOf(t, k.Public(), rs.Public()), Now: at}
			if _, err := Verify(tt.token, o); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestVerify_Options(t *testing.T) {
	t.Parallel()
	k := generated(t, ES256)
	token, err := Sign([]byte(`{"exp":1900000000}`), k, "souk-card+jwt")
	if err != nil {
		t.Fatal(err)
	}
	keys := setOf(t, k.Public())
	for name, tt := range map[string]struct {
		o    VerifyOptions
		want error
	}{
		"zero":             {VerifyOptions{}, ErrUnknownKey},
		"type":             {VerifyOptions{Keys: keys, Now: at, Typ: "souk-card+jwt"}, nil},
		"another type":     {VerifyOptions{Keys: keys, Now: at, Typ: "souk-order+jwt"}, ErrType},
		"other algorithms": {VerifyOptions{Keys: keys, Now: at, Algorithms: []Algorithm{RS256}}, ErrAlgorithm},
		"not a signature":  {VerifyOptions{Keys: keys, Now: at, Algorithms: []Algorithm{ECDHES, "none"}}, ErrAlgorithm},
		"embedded wanted":  {VerifyOptions{EmbeddedKey: true, Now: at}, ErrUnknownKey},
	} {
		if _, err := Verify(token, tt.o); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
}

// HMAC is there when it is asked for by name, with a secret of the right size,
// and never with a public key.
func TestVerify_HMAC(t *testing.T) {
	t.Parallel()
	file := load[struct {
		Vectors []struct {
			Alg   Algorithm
			Key   json.RawMessage
			At    int64
			Token string
			Valid bool
		}
	}](t, "jws.json")
	n := 0
	for _, v := range file.Vectors {
		k, err := ParseKey(v.Key)
		if err != nil {
			t.Fatal(err)
		}
		o := VerifyOptions{Keys: setOf(t, k), Now: time.Unix(v.At, 0)}
		if k.secret == nil || !v.Valid {
			continue
		}
		n++
		if _, err := Verify(v.Token, o); !errors.Is(err, ErrAlgorithm) {
			t.Error("HMAC by default", err)
		}
		o.Algorithms = []Algorithm{v.Alg}
		if _, err := Verify(v.Token, o); err != nil {
			t.Error(err)
		}
	}
	if n == 0 {
		t.Error("no vectors")
	}
	short, _ := ParseKey([]byte(`{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODw"}`))
	if err := short.Verify("HS256", nil, nil); !errors.Is(err, ErrKey) {
		t.Error("a secret shorter than the hash", err)
	}
	if err := generated(t, ES256).Verify("HS256", nil, nil); !errors.Is(err, ErrKey) {
		t.Error("a public key as a secret", err)
	}
}

func TestSignProof(t *testing.T) {
	t.Parallel()
	k := generated(t, ES256)
	token, err := SignProof([]byte(`{"iat":1800000000,"htm":"POST"}`), k, "dpop+jwt")
	if err != nil {
		t.Fatal(err)
	}
	o := VerifyOptions{EmbeddedKey: true, Typ: "dpop+jwt", Now: at, NoExpiry: true, MaxAge: time.Minute}
	tok, err := Verify(token, o)
	if err != nil {
		t.Fatal(err)
	}
	if tok.Key.Thumbprint() != k.Thumbprint() || tok.Key.IsPrivate() {
		t.Errorf("got %v", tok.Key)
	}
	o.Keys = setOf(t, k)
	if _, err := Verify(token, o); !errors.Is(err, ErrUnknownKey) {
		t.Error("both kinds of trust at once", err)
	}
	o.Keys = nil
	for name, jwk := range map[string]string{
		"private": string(marshal(t, privateJSON(t, k))), "symmetric": `{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}`,
	} {
		token := raw(t, k, ES256, `{"typ":"dpop+jwt","alg":"ES256","jwk":`+jwk+`}`, `{"iat":1800000000}`)
		if _, err := Verify(token, o); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSign_Refused(t *testing.T) {
	t.Parallel()
	k := generated(t, ES256)
	for name, key := range map[string]*Key{"public": k.Public(), "of encryption": generated(t, ECDHESA256KW)} {
		if _, err := Sign(nil, key, ""); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Sign(make([]byte, MaxToken), k, ""); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if _, err := k.Sign(RS256, nil); !errors.Is(err, ErrKey) {
		t.Error(err)
	}
}
