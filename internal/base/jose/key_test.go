package jose

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// generated makes one key for each of the algorithms that Souk writes with.
func generated(t testing.TB, alg Algorithm) *Key {
	t.Helper()
	k, err := Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func publicJSON(t testing.TB, k *Key) map[string]any {
	t.Helper()
	b, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func privateJSON(t testing.TB, k *Key) map[string]any {
	t.Helper()
	b, err := k.MarshalPrivate()
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The examples of RFC 7638 §3.1 and RFC 8037 A.3.
func TestKey_Thumbprint(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		`{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
		`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
	} {
		k, err := ParsePublicKey([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		if k.Thumbprint() != want {
			t.Errorf("got %s, want %s", k.Thumbprint(), want)
		}
	}
	secret, err := ParseKey([]byte(`{"kty":"oct","k":"AAECAw"}`))
	if err != nil || secret.Thumbprint() != "" || secret.Public() != nil {
		t.Error("a secret has no thumbprint and no public part", err)
	}
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	for _, alg := range []Algorithm{RS256, "PS256", ES256, "ES384", "ES512", EdDSA, ECDHES, ECDHESA256KW, RSAOAEP256} {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			k := generated(t, alg)
			if !k.IsPrivate() || k.Public().IsPrivate() || k.ID != k.Thumbprint() || k.Alg != alg {
				t.Errorf("got %v", k)
			}
			again, err := ParseKey(marshal(t, privateJSON(t, k)))
			if err != nil {
				t.Fatal(err)
			}
			if again.ID != k.ID || !again.IsPrivate() || again.Thumbprint() != k.Thumbprint() {
				t.Error("the key does not survive being stored")
			}
			pub, err := ParsePublicKey(marshal(t, k))
			if err != nil {
				t.Fatal(err)
			}
			if pub.ID != k.ID || pub.Use != profiles[alg].use() {
				t.Errorf("got %v", pub)
			}
			same, err := NewPublicKey(k.CryptoPublic())
			if err != nil || same.Thumbprint() != k.Thumbprint() {
				t.Error("the standard library's key is another", err)
			}
		})
	}
	for _, alg := range []Algorithm{"", "none", "HS256", "dir", "A256KW", "RSA1_5"} {
		if _, err := Generate(alg); err == nil {
			t.Errorf("made a key for %q", alg)
		}
	}
}

func TestKey_NeverShown(t *testing.T) {
	t.Parallel()
	for _, alg := range []Algorithm{ES256, EdDSA, RS256} {
		k := generated(t, alg)
		d := privateJSON(t, k)["d"].(string)
		shown := fmt.Sprintf("%v %+v %#v %s %q %x %d", k, k, k, k, k, k, k) + string(marshal(t, k)) +
			string(marshal(t, setOf(t, k))) + fmt.Sprintf("%+v %#v", setOf(t, k), Token{Key: k})
		if strings.Contains(shown, d) || strings.Contains(shown, `"d"`) {
			t.Error("the private part was printed")
		}
	}
	secret, _ := ParseKey([]byte(`{"kty":"oct","k":"AAECAwQFBgc"}`))
	if shown := fmt.Sprintf("%+v", secret) + string(marshal(t, secret)) + string(marshal(t, setOf(t, secret))); strings.Contains(shown, "AAEC") {
		t.Error("the secret was printed")
	}
}

// Each case spoils one member of a good key.
func TestParseKey_Refused(t *testing.T) {
	t.Parallel()
	ec, ed, rs := generated(t, ES256), generated(t, EdDSA), generated(t, RS256)
	p384, agreement := generated(t, "ES384"), generated(t, ECDHESA256KW)
	x := func(k *Key) string { return publicJSON(t, k)["x"].(string) }
	n := publicJSON(t, rs)["n"].(string)
	raw, err := decode64(n)
	if err != nil {
		t.Fatal(err)
	}
	even := append([]byte{}, raw...)
	even[len(even)-1] &^= 1
	small := strings.Repeat("_", 168)

	tests := []struct {
		name  string
		key   *Key
		field string
		value any
		want  error
	}{
		{"unknown type", ec, "kty", "EC2", errUnsupported},
		{"type in other case", ec, "kty", "ec", errUnsupported},
		{"no type", ec, "kty", nil, errUnsupported},
		{"type of another kind", ec, "kty", 5, ErrMalformed},
		{"type of another key", ec, "kty", "OKP", errUnsupported},
		{"unknown curve", ec, "crv", "secp256k1", errUnsupported},
		{"curve of another size", ec, "crv", "P-384", ErrKey},
		{"curve Ed448", ed, "crv", "Ed448", errUnsupported},
		{"unknown use", ec, "use", "both", errUnsupported},
		{"off the curve", ec, "y", x(ec), ErrKey},
		{"x of another key", ec, "x", x(ed), ErrKey},
		{"no y", ec, "y", nil, ErrKey},
		{"coordinate too short", ec, "x", "AAAA", ErrKey},
		{"coordinate too long", ec, "x", "AAAA" + x(ec), ErrKey},
		{"padding", ec, "x", x(ec) + "=", ErrMalformed},
		{"line end", ec, "x", x(ec) + "\n", ErrMalformed},
		{"not URL-safe", ec, "x", "+" + x(ec)[1:], ErrMalformed},
		{"private of another key", ec, "d", privateJSON(t, agreement)["d"], ErrKey},
		{"private is zero", ec, "d", encode64(make([]byte, 32)), ErrKey},
		{"private beyond the order", ec, "d", strings.Repeat("_", 42) + "8", ErrKey},
		{"private of another size", ec, "d", privateJSON(t, p384)["d"], ErrKey},
		{"RSA member in an EC key", ec, "p", "AQAB", ErrKey},
		{"secret in an EC key", ec, "k", "AQAB", ErrKey},
		{"Ed25519 too short", ed, "x", "AAAA", ErrKey},
		{"Ed25519 of another key", ed, "x", x(ec), ErrKey},
		{"weak modulus", rs, "n", small, ErrKey},
		{"even modulus", rs, "n", encode64(even), ErrKey},
		{"modulus with a leading zero", rs, "n", "AAAA" + n, ErrKey},
		{"modulus of 16384 bits", rs, "n", strings.Repeat("_", 2730) + "8", ErrKey},
		{"exponent 1", rs, "e", "AQ", ErrKey},
		{"even exponent", rs, "e", "AQAA", ErrKey},
		{"exponent of 32 bits", rs, "e", "_____w", ErrKey},
		{"no exponent", rs, "e", nil, ErrKey},
		{"no primes", rs, "p", nil, ErrKey},
		{"prime 1", rs, "p", "AQ", ErrKey},
		{"another dp", rs, "dp", "AQAB", ErrKey},
		{"another d", rs, "d", "AQAB", ErrKey},
		{"more primes", rs, "oth", []any{map[string]string{"r": "AQAB"}}, ErrKey},
		{"operations of the other use", ec, "key_ops", []string{"encrypt"}, ErrKey},
		{"operations of two uses", rs, "key_ops", []string{"sign", "encrypt"}, ErrKey},
		{"unknown operation", rs, "key_ops", []string{"sing"}, errUnsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := privateJSON(t, tt.key)
			if m[tt.field] = tt.value; tt.value == nil {
				delete(m, tt.field)
			}
			if _, err := ParseKey(marshal(t, m)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestParseKey_Form(t *testing.T) {
	t.Parallel()
	good := string(marshal(t, generated(t, EdDSA)))
	for name, text := range map[string]string{
		"empty": "", "null": "null", "array": "[]", "string": `"x"`, "cut": good[:len(good)-1],
		"more behind": good + "{}", "duplicate member": strings.Replace(good, "{", `{"kty":"OKP",`, 1),
		"duplicate by escape": strings.Replace(good, "{", `{"\u006bty":"OKP",`, 1),
		"not UTF-8":           strings.Replace(good, "{", "{\"a\":\"\xff\",", 1),
		"name in capitals":    strings.Replace(good, `"kty"`, `"KTY"`, 1),
		"huge":                `{"x":"` + strings.Repeat("A", maxKey) + `"}`,
		"deep":                strings.Repeat(`{"a":`, 12000) + "1" + strings.Repeat("}", 12000),
		"empty secret":        `{"kty":"oct","k":""}`,
		"no secret":           `{"kty":"oct"}`,
		"huge secret":         `{"kty":"oct","k":"` + strings.Repeat("AAAA", 500) + `"}`,
	} {
		if _, err := ParseKey([]byte(text)); err == nil {
			t.Errorf("%s: read", name)
		}
	}
	if _, err := ParseKey([]byte(" \n" + good)); err != nil {
		t.Error("white space around JSON is JSON", err)
	}
}

func TestParsePublicDER(t *testing.T) {
	t.Parallel()
	if _, err := ParsePublicDER([]byte{0x30, 0}); !errors.Is(err, ErrKey) {
		t.Error(err)
	}
	if _, err := NewPublicKey("no key"); !errors.Is(err, ErrKey) {
		t.Error(err)
	}
	x, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if k, err := NewPublicKey(x.PublicKey()); err != nil || k.CryptoPublic() == nil {
		t.Error(err)
	}
}

func TestParseKeySet(t *testing.T) {
	t.Parallel()
	ec, ed := generated(t, ES256), generated(t, EdDSA)
	entry := func(k *Key) string { return string(marshal(t, k)) }
	set := func(entries ...string) string { return `{"keys":[` + strings.Join(entries, ",") + `]}` }
	nameless := publicJSON(t, ec)
	delete(nameless, "kid")

	for name, tt := range map[string]struct {
		text string
		len  int
		want error
	}{
		"two":                 {set(entry(ec), entry(ed)), 2, nil},
		"none":                {set(), 0, nil},
		"unknown kind":        {set(entry(ec), `{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}`, `{"kty":"EC","crv":"P-224","x":"","y":""}`), 1, nil},
		"unknown use":         {set(entry(ec), `{"kty":"RSA","use":"tls"}`), 1, nil},
		"other members":       {strings.Replace(set(entry(ec)), "{", `{"issuer":"x",`, 1), 1, nil},
		"nameless":            {set(string(marshal(t, nameless)), entry(ed)), 2, nil},
		"two of a name":       {set(entry(ec), entry(ec)), 0, ErrKey},
		"private":             {set(entry(ed), string(marshal(t, privateJSON(t, ec)))), 0, ErrKey},
		"symmetric":           {set(entry(ed), `{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}`), 0, ErrKey},
		"broken":              {set(entry(ed), `{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`), 0, ErrKey},
		"a key is no object":  {set(entry(ed), `5`), 0, ErrMalformed},
		"no keys":             {`{}`, 0, ErrMalformed},
		"keys are no list":    {`{"keys":{}}`, 0, ErrMalformed},
		"a list":              {`[]`, 0, ErrMalformed},
		"duplicate":           {`{"keys":[],"keys":[]}`, 0, ErrMalformed},
		"too many":            {set(strings.Split(strings.TrimSuffix(strings.Repeat(`{"kty":"x"};`, maxKeys+1), ";"), ";")...), 0, ErrTooLarge},
		"too many bytes":      {set(`{"kty":"` + strings.Repeat("x", maxKeySet) + `"}`), 0, ErrTooLarge},
		"one key, not a set":  {entry(ed), 0, ErrMalformed},
		"a key alone is huge": {set(`{"kty":"` + strings.Repeat("x", maxKey) + `"}`), 0, ErrTooLarge},
	} {
		s, err := ParseKeySet([]byte(tt.text))
		if !errors.Is(err, tt.want) || err == nil && s.Len() != tt.len {
			t.Errorf("%s: got %v, %v", name, s, err)
		}
	}
}

func TestKeySet_Find(t *testing.T) {
	t.Parallel()
	ec, ed, enc := generated(t, ES256), generated(t, EdDSA), generated(t, ECDHESA256KW)
	other := generated(t, ES256)
	set := setOf(t, ec, ed, enc)
	if k, err := set.Find(ec.ID, ES256); err != nil || k != ec {
		t.Error(err)
	}
	if k, err := set.Find("", EdDSA); err != nil || k != ed {
		t.Error("the only key for the algorithm", err)
	}
	if set.ByID(ed.ID) != ed || len(set.Keys()) != 3 {
		t.Error("the keys of the set")
	}
	for name, err := range map[string]error{
		"another name":         second(set.Find("x", ES256)),
		"nameless, none suits": second(set.Find("", RS256)),
		"nameless, two suit":   second(setOf(t, ec, other).Find("", ES256)),
		"empty set":            second(setOf(t).Find("", ES256)),
		"no set":               second((*KeySet)(nil).Find("", ES256)),
	} {
		if !errors.Is(err, ErrUnknownKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"algorithm of another type": second(set.Find(ec.ID, RS256)),
		"another curve":             second(set.Find(ec.ID, "ES384")),
		"secret":                    second(set.Find(ec.ID, "HS256")),
		"use":                       second(set.Find(enc.ID, ES256)),
		"none":                      second(set.Find(ec.ID, "none")),
	} {
		if !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	nameless := *ec
	nameless.ID = ""
	if _, err := setOf(t, &nameless).Find("whatever", ES256); err != nil {
		t.Error("the caller picked the key", err)
	}
	if _, err := setOf(t, &nameless, ed).Find("whatever", ES256); !errors.Is(err, ErrUnknownKey) {
		t.Error("a name that is not in the set", err)
	}
	secret, _ := ParseKey([]byte(`{"kty":"oct","k":"AAECAw"}`))
	if _, err := NewKeySet(secret, ec); !errors.Is(err, ErrKey) {
		t.Error("secrets beside public keys", err)
	}
	if _, err := NewKeySet(nil); !errors.Is(err, ErrKey) {
		t.Error("no key", err)
	}
}

func second(_ *Key, err error) error { return err }
