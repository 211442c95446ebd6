package jose

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
)

func TestEncrypt(t *testing.T) {
	t.Parallel()
	x25519, err := ParseKey([]byte(`{"kty":"OKP","crv":"X25519","kid":"x","d":"eMVjJDfFwD9GgCRdywkWoKDM0Z7OD5UaRkFmE9WIWGs","x":"QTFY4lyB8UxBOhXo5yqGfdXOzqLC7vRHxRYFspCQACw"}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []*Key{generated(t, ECDHESA256KW), generated(t, ECDHES), generated(t, RSAOAEP256), x25519} {
		for _, plaintext := range []string{"", "x", strings.Repeat("long ", 5000)} {
			token, err := Encrypt([]byte(plaintext), k.Public(), "text/plain")
			if err != nil {
				t.Fatal(err)
			}
			d, err := Decrypt(token, DecryptOptions{Keys: setOf(t, k), ContentType: "text/plain"})
			if err != nil {
				t.Fatal(k, err)
			}
			alg, _ := k.EncryptionAlgorithm()
			if string(d.Plaintext) != plaintext || d.Encryption != A256GCM || d.Header != (Header{alg, k.ID, "", "text/plain"}) {
				t.Errorf("got %+v", d)
			}
		}
	}
	if _, err := Encrypt(make([]byte, MaxToken/2+1), x25519, ""); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if _, err := Encrypt(nil, generated(t, ES256), ""); !errors.Is(err, ErrKey) {
		t.Error("a key of signatures", err)
	}
	secret, _ := ParseKey([]byte(`{"kty":"oct","k":"AAECAw"}`))
	if _, err := Encrypt(nil, secret, ""); !errors.Is(err, ErrKey) {
		t.Error("a secret", err)
	}
}

// toGoJose gives another implementation the same key.
func toGoJose(t *testing.T, k *Key) gojose.JSONWebKey {
	t.Helper()
	var other gojose.JSONWebKey
	b, err := k.MarshalPrivate()
	if err == nil {
		err = other.UnmarshalJSON(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return other
}

// TestInterop_JWE exchanges every pair of algorithms with go-jose.
func TestInterop_JWE(t *testing.T) {
	t.Parallel()
	secret := func(size int) *Key {
		k, err := ParseKey([]byte(`{"kty":"oct","kid":"s","k":"` + encode64(bytes.Repeat([]byte{7}, size)) + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	general := func(k *Key) *Key { k.Alg = ""; return k }
	rsaKey := general(generated(t, RSAOAEP256))
	curveKeys := []*Key{general(generated(t, ECDHES))}
	for _, alg := range []Algorithm{"ES384", "ES512"} {
		k := general(generated(t, alg))
		k.Use = ""
		curveKeys = append(curveKeys, k)
	}
	for alg, p := range profiles {
		if p.use() != UseEncryption || alg == "RSA-OAEP-384" || alg == "RSA-OAEP-512" {
			continue
		}
		for enc, c := range contents {
			var keys []*Key
			switch p.family {
			case keyWrap, gcmKeyWrap:
				keys = []*Key{secret(p.size)}
			case direct:
				keys = []*Key{secret(c.key)}
			case passwordWrap:
				keys = []*Key{secret(20)}
			case oaep:
				keys = []*Key{rsaKey}
			case agreement:
				keys = curveKeys
			}
			for _, k := range keys {
				t.Run(string(alg)+" "+string(enc)+" "+k.wire.Crv, func(t *testing.T) {
					t.Parallel()
					readOther(t, k, alg, enc)
					if p.family == oaep || p.family == agreement {
						writeOther(t, k, alg, enc)
					}
				})
			}
		}
	}
}

func readOther(t *testing.T, k *Key, alg Algorithm, enc Encryption) {
	other := toGoJose(t, k)
	var to any
	if k.wire.Kty != ktyOct {
		to = other.Public()
	} else {
		to = other.Key
	}
	recipient := gojose.Recipient{Algorithm: gojose.KeyAlgorithm(alg), Key: to, KeyID: k.ID, PBES2Count: 2000}
	e, err := gojose.NewEncrypter(gojose.ContentEncryption(enc), recipient, nil)
	if err != nil {
		t.Fatal(err)
	}
	object, err := e.Encrypt([]byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	d, err := Decrypt(token, DecryptOptions{Keys: setOf(t, k), Algorithms: []Algorithm{alg}, Encryptions: []Encryption{enc}})
	if err != nil || string(d.Plaintext) != "hello" {
		t.Error("reading go-jose:", err)
	}
}

func writeOther(t *testing.T, k *Key, alg Algorithm, enc Encryption) {
	token, err := encrypt([]byte("hello"), k.Public(), sealHeader{Alg: alg, Enc: enc, Kid: k.ID})
	if err != nil {
		t.Fatal(err)
	}
	object, err := gojose.ParseEncryptedCompact(token, []gojose.KeyAlgorithm{gojose.KeyAlgorithm(alg)}, []gojose.ContentEncryption{gojose.ContentEncryption(enc)})
	if err != nil {
		t.Fatal(err)
	}
	plaintext, err := object.Decrypt(toGoJose(t, k))
	if err != nil || string(plaintext) != "hello" {
		t.Error("go-jose reading:", err)
	}
}

// TestInterop_JWS exchanges every signature algorithm with go-jose.
func TestInterop_JWS(t *testing.T) {
	t.Parallel()
	rsaKey := generated(t, RS256)
	for _, alg := range []Algorithm{RS256, "RS384", "RS512", "PS256", "PS384", "PS512", ES256, "ES384", "ES512", EdDSA} {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			k := rsaKey
			if profiles[alg].kty != ktyRSA {
				k = generated(t, alg)
			}
			k = &Key{ID: k.ID, Alg: alg, wire: k.wire, thumbprint: k.thumbprint, public: k.public, private: k.private}
			other := toGoJose(t, k)
			signer, err := gojose.NewSigner(gojose.SigningKey{Algorithm: gojose.SignatureAlgorithm(alg), Key: other}, nil)
			if err != nil {
				t.Fatal(err)
			}
			object, err := signer.Sign([]byte("hello"))
			if err != nil {
				t.Fatal(err)
			}
			token, err := object.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			if tok, err := VerifyPayload(token, VerifyOptions{Keys: setOf(t, k.Public()), Algorithms: []Algorithm{alg}}); err != nil || string(tok.Payload) != "hello" {
				t.Error("reading go-jose:", err)
			}
			if token, err = Sign([]byte("hello"), k, "JWT"); err != nil {
				t.Fatal(err)
			}
			if object, err = gojose.ParseSignedCompact(token, []gojose.SignatureAlgorithm{gojose.SignatureAlgorithm(alg)}); err != nil {
				t.Fatal(err)
			}
			if payload, err := object.Verify(other.Public()); err != nil || string(payload) != "hello" {
				t.Error("go-jose reading:", err)
			}
		})
	}
}

// Each case is one change to a good token.
func TestDecrypt_Refused(t *testing.T) {
	t.Parallel()
	k, other := generated(t, ECDHESA256KW), generated(t, ECDHESA256KW)
	p384 := generated(t, "ES384")
	p384.Use, p384.Alg = "", ""
	good, err := Encrypt([]byte("hello"), k.Public(), nestedType)
	if err != nil {
		t.Fatal(err)
	}
	p := strings.Split(good, ".")
	join := func(i int, part string) string {
		q := append([]string{}, p...)
		q[i] = part
		return strings.Join(q, ".")
	}
	cut := func(i, n int) string {
		b, _ := decode64(p[i])
		return join(i, encode64(b[:len(b)-n]))
	}
	flip := func(i int) string {
		b, _ := decode64(p[i])
		b[0] ^= 1
		return join(i, encode64(b))
	}
	rawHeader, _ := decode64(p[0])
	change := func(name string, value any) string {
		var h map[string]any
		if err := json.Unmarshal(rawHeader, &h); err != nil {
			t.Fatal(err)
		}
		if h[name] = value; value == nil {
			delete(h, name)
		}
		return join(0, encode64(marshal(t, h)))
	}

	tests := []struct {
		name, token string
		want        error
	}{
		{"as it is", good, nil},
		{"another header", change("x", 1), ErrDecrypt},
		{"wrapped key", flip(1), ErrDecrypt},
		{"wrapped key cut", cut(1, 8), ErrDecrypt},
		{"wrapped key cut by a byte", cut(1, 1), ErrDecrypt},
		{"wrapped key of 8 bytes", join(1, encode64(make([]byte, 8))), ErrDecrypt},
		{"no wrapped key", join(1, ""), ErrMalformed},
		{"iv", flip(2), ErrDecrypt},
		{"iv cut", cut(2, 1), ErrDecrypt},
		{"iv longer", join(2, p[2]+"AAAA"), ErrDecrypt},
		{"no iv", join(2, ""), ErrDecrypt},
		{"ciphertext", flip(3), ErrDecrypt},
		{"ciphertext cut", cut(3, 1), ErrDecrypt},
		{"no ciphertext", join(3, ""), ErrDecrypt},
		{"tag", flip(4), ErrDecrypt},
		{"tag of 15 bytes", cut(4, 1), ErrDecrypt},
		{"tag of 8 bytes", cut(4, 8), ErrDecrypt},
		{"no tag", join(4, ""), ErrDecrypt},
		{"padding", good + "==", ErrMalformed},
		{"line end", good + "\n", ErrMalformed},
		{"four parts", strings.Join(p[:4], "."), ErrMalformed},
		{"six parts", good + ".", ErrMalformed},
		{"three parts", strings.Join(p[:3], "."), ErrMalformed},
		{"empty", "", ErrMalformed},
		{"dots", "....", ErrMalformed},
		{"huge", join(3, strings.Repeat("A", MaxToken)), ErrTooLarge},
		{"zip", change("zip", "DEF"), ErrAlgorithm},
		{"crit", change("crit", []string{"exp"}), ErrCritical},
		{"alg not there", change("alg", nil), ErrAlgorithm},
		{"alg of a signature", change("alg", "ES256"), ErrAlgorithm},
		{"alg RSA1_5", change("alg", "RSA1_5"), ErrAlgorithm},
		{"alg dir", change("alg", "dir"), ErrAlgorithm},
		{"alg PBES2", change("alg", "PBES2-HS256+A128KW"), ErrAlgorithm},
		{"alg of another type", change("alg", "RSA-OAEP-256"), ErrKey},
		{"alg of the family", change("alg", "ECDH-ES"), ErrKey},
		{"enc not there", change("enc", nil), ErrAlgorithm},
		{"enc unknown", change("enc", "A256CTR"), ErrAlgorithm},
		{"another enc", change("enc", "A128GCM"), ErrDecrypt},
		{"kid of another", change("kid", "x"), ErrUnknownKey},
		{"cty not there", change("cty", nil), ErrType},
		{"cty", change("cty", "JSON"), ErrType},
		{"no epk", change("epk", nil), ErrMalformed},
		{"another epk", change("epk", publicJSON(t, other)), ErrDecrypt},
		{"private epk", change("epk", privateJSON(t, other)), ErrKey},
		{"epk of another curve", change("epk", publicJSON(t, p384)), ErrKey},
		{"epk of another type", change("epk", publicJSON(t, generated(t, EdDSA))), ErrKey},
		{"epk off the curve", change("epk", map[string]string{"kty": "EC", "crv": "P-256", "x": "gTli65eTQ7z-Bh147ff8K3m7k2UiDiG2LpYkWAaFJCc", "y": "cLAnjKa4bzjD7DJVPwa9EPrRzMG7rONgsiUD-kf30Fs"}), ErrKey},
		{"epk is a string", change("epk", "x"), ErrMalformed},
		{"apu", change("apu", "AAAA"), ErrDecrypt},
		{"apu is no base64url", change("apu", "A"), ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := Decrypt(tt.token, DecryptOptions{Keys: setOf(t, k), ContentType: "JWT"}); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	if _, err := Decrypt(good, DecryptOptions{Keys: setOf(t, k.Public())}); !errors.Is(err, ErrKey) {
		t.Error("with the public key", err)
	}
	if _, err := Decrypt(good, DecryptOptions{}); !errors.Is(err, ErrUnknownKey) {
		t.Error("with no keys", err)
	}
}

// A point of small order gives a secret of zero, the same for every key (RFC 7748
// §6.1).
func TestDecrypt_SmallOrder(t *testing.T) {
	t.Parallel()
	k, err := ParseKey([]byte(`{"kty":"OKP","crv":"X25519","d":"eMVjJDfFwD9GgCRdywkWoKDM0Z7OD5UaRkFmE9WIWGs","x":"QTFY4lyB8UxBOhXo5yqGfdXOzqLC7vRHxRYFspCQACw"}`))
	if err != nil {
		t.Fatal(err)
	}
	token, err := Encrypt([]byte("hello"), k, "")
	if err != nil {
		t.Fatal(err)
	}
	p := strings.Split(token, ".")
	p[0] = encode64([]byte(`{"alg":"ECDH-ES+A256KW","enc":"A256GCM","epk":{"kty":"OKP","crv":"X25519","x":"` + encode64(make([]byte, 32)) + `"}}`))
	if _, err := Decrypt(strings.Join(p, "."), DecryptOptions{Keys: setOf(t, k)}); !errors.Is(err, ErrDecrypt) {
		t.Error(err)
	}
}

// What a token asks the server to compute is bounded before it is computed.
func TestDecrypt_PBES2(t *testing.T) {
	t.Parallel()
	k, err := ParseKey([]byte(`{"kty":"oct","k":"` + encode64([]byte("a password")) + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	const alg = "PBES2-HS256+A128KW"
	for header, want := range map[string]error{
		`"p2s":"AAAAAAAAAAA","p2c":2000000000`: ErrTooLarge,
		`"p2s":"AAAAAAAAAAA","p2c":10001`:      ErrTooLarge,
		`"p2s":"AAAAAAAAAAA","p2c":1e3`:        ErrMalformed,
		`"p2s":"AAAAAAAAAAA","p2c":"1000"`:     ErrMalformed,
		`"p2s":"AAAAAAAAAAA","p2c":0`:          ErrMalformed,
		`"p2s":"AAAAAAAAAAA","p2c":-1`:         ErrMalformed,
		`"p2s":"AAAAAAAAAAA"`:                  ErrMalformed,
		`"p2s":"AAAA","p2c":1000`:              ErrMalformed,
		`"p2c":1000`:                           ErrMalformed,
		`"p2s":"AAAAAAAAAAA","p2c":1000`:       ErrDecrypt,
	} {
		token := encode64([]byte(`{"alg":"`+alg+`","enc":"A128GCM",`+header+`}`)) + "." + encode64(make([]byte, 24)) + "." +
			encode64(make([]byte, 12)) + ".AA." + encode64(make([]byte, 16))
		if _, err := Decrypt(token, DecryptOptions{Keys: setOf(t, k), Algorithms: []Algorithm{alg}}); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", header, err, want)
		}
		if _, err := Decrypt(token, DecryptOptions{Keys: setOf(t, k)}); err == nil {
			t.Error("PBES2 by default")
		}
	}
}

func TestNested(t *testing.T) {
	t.Parallel()
	souk, merchant := generated(t, EdDSA), generated(t, ECDHESA256KW)
	payload := []byte(`{"iss":"souk","aud":"m1","exp":1800000060}`)
	token, err := EncryptSigned(payload, souk, "souk-order+jwt", merchant.Public())
	if err != nil {
		t.Fatal(err)
	}
	d := DecryptOptions{Keys: setOf(t, merchant)}
	v := VerifyOptions{Keys: setOf(t, souk.Public()), Typ: "souk-order+jwt", Issuer: "souk", Audience: "m1", Now: at}
	tok, err := DecryptVerify(token, d, v)
	if err != nil || !bytes.Equal(tok.Payload, payload) {
		t.Fatal(tok, err)
	}
	u, err := DecryptParse(token, d)
	if err != nil || u.Claims.Issuer != "souk" {
		t.Error(u, err)
	}
	v.Audience = "m2"
	if _, err := DecryptVerify(token, d, v); !errors.Is(err, ErrAudience) {
		t.Error(err)
	}
	v.Audience, v.Keys = "m1", setOf(t, generated(t, EdDSA))
	if _, err := DecryptVerify(token, d, v); !errors.Is(err, ErrUnknownKey) {
		t.Error(err)
	}
	plain, err := Encrypt(payload, merchant.Public(), "JWT")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecryptVerify(plain, d, v); !errors.Is(err, ErrMalformed) {
		t.Error("sealed but not signed", err)
	}
	signed, err := Sign(payload, souk, "souk-order+jwt")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecryptVerify(signed, d, v); !errors.Is(err, ErrMalformed) {
		t.Error("signed but not sealed", err)
	}
	if untyped, err := Encrypt([]byte(signed), merchant.Public(), ""); err != nil {
		t.Fatal(err)
	} else if _, err := DecryptVerify(untyped, d, v); !errors.Is(err, ErrType) {
		t.Error("no cty", err)
	}
	if _, err := EncryptSigned(payload, souk.Public(), "", merchant.Public()); !errors.Is(err, ErrKey) {
		t.Error(err)
	}
}
