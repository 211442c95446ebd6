package jose

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// FuzzParse takes any text as a token. What is read must have one text only: the
// parts encode back to it.
func FuzzParse(f *testing.F) {
	k := generated(f, ES256)
	good, err := Sign([]byte(`{"iss":"i","aud":["a"],"exp":1900000000.5,"nbf":1,"iat":2,"jti":"j"}`), k, "JWT")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("..")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	keys := setOf(f, k.Public())
	f.Fuzz(func(t *testing.T, token string) {
		u, err := Parse(token)
		if err != nil {
			return
		}
		if text := u.jws.signed + "." + encode64(u.jws.signature); text != token || !strings.HasSuffix(u.jws.signed, "."+encode64(u.jws.payload)) {
			t.Errorf("%q is read as %q", token, text)
		}
		var v any
		if json.Unmarshal(u.jws.payload, &v) != nil {
			t.Errorf("payload %q is no JSON", u.jws.payload)
		}
		if _, err := u.Verify(VerifyOptions{Keys: keys, Now: time.Unix(1_800_000_000, 0)}); err == nil && token != good {
			parts, goodParts := strings.Split(token, "."), strings.Split(good, ".")
			// The other form of an ECDSA signature is right too.
			if parts[0] != goodParts[0] || parts[1] != goodParts[1] {
				t.Errorf("forged %q", token)
			}
		}
	})
}

// FuzzDecrypt takes any text as an encrypted token, with keys and permission for
// everything; it must not panic, nor compute for long.
func FuzzDecrypt(f *testing.F) {
	var keys []*Key
	for _, alg := range []Algorithm{ECDHESA256KW, RSAOAEP256} {
		k := generated(f, alg)
		token, err := Encrypt([]byte("hello"), k, "JWT")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(token)
		keys = append(keys, k)
	}
	f.Add("eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0....")
	f.Add("eyJhbGciOiJBMjU2S1ciLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0.AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA..AAAAAAAAAAAAAAAAAAAAAA")
	set := setOf(f, keys...)
	secret, err := ParseKey([]byte(`{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}`))
	if err != nil {
		f.Fatal(err)
	}
	secrets := setOf(f, secret)
	f.Fuzz(func(t *testing.T, token string) {
		for _, s := range []*KeySet{set, secrets} {
			_, _ = Decrypt(token, DecryptOptions{Keys: s, Algorithms: all(UseEncryption), Encryptions: everyEncryption()})
		}
	})
}

// FuzzParseKey takes any text as a key or a set. A key that is read must survive
// being written.
func FuzzParseKey(f *testing.F) {
	for _, alg := range []Algorithm{ES256, EdDSA, RS256, ECDHESA256KW} {
		k := generated(f, alg)
		private, err := k.MarshalPrivate()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(private)
		f.Add([]byte(`{"keys":[` + string(marshal(f, k)) + `]}`))
	}
	f.Add([]byte(`{"kty":"oct","k":"AAECAw","key_ops":["sign"]}`))
	f.Add([]byte(`{"kty":"OKP","crv":"X25519","x":"QTFY4lyB8UxBOhXo5yqGfdXOzqLC7vRHxRYFspCQACw"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = ParseKeySet(data)
		k, err := ParseKey(data)
		if err != nil {
			return
		}
		text, err := k.MarshalPrivate()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseKey(text)
		if err != nil || again.Thumbprint() != k.Thumbprint() || again.IsPrivate() != k.IsPrivate() {
			t.Errorf("%q is written as %q: %v", data, text, err)
		}
	})
}
