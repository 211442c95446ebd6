package jose

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

const vectors = "../../../testdata/vectors/"

// load reads a file of vectors.
func load[T any](t *testing.T, name string) T {
	t.Helper()
	var v T
	data, err := os.ReadFile(filepath.Join(vectors, name))
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// all gives every algorithm for a use, so that only the key restrains the token.
func all(use string) []Algorithm {
	var out []Algorithm
	for a, p := range profiles {
		if p.use() == use {
			out = append(out, a)
		}
	}
	return out
}

func everyEncryption() []Encryption {
	var out []Encryption
	for e := range contents {
		out = append(out, e)
	}
	return out
}

func setOf(t testing.TB, keys ...*Key) *KeySet {
	t.Helper()
	s, err := NewKeySet(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestCookbook runs the examples of RFC 7520.
func TestCookbook(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(vectors + "jose-cookbook/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no cookbook", err)
	}
	for _, f := range files {
		name := filepath.Base(f)
		example := load[struct {
			Title string `json:"title"`
			Input struct {
				Payload   string          `json:"payload"`
				Plaintext string          `json:"plaintext"`
				Key       json.RawMessage `json:"key"`
				Alg       Algorithm       `json:"alg"`
				Enc       Encryption      `json:"enc"`
			} `json:"input"`
			Output struct {
				Compact string `json:"compact"`
			} `json:"output"`
		}](t, "jose-cookbook/"+name)
		t.Run(example.Title, func(t *testing.T) {
			t.Parallel()
			in := example.Input
			key, err := ParseKey(in.Key)
			if err != nil {
				t.Fatal(err)
			}
			var got, want string
			if in.Enc == "" {
				tok, err := VerifyPayload(example.Output.Compact, VerifyOptions{Keys: setOf(t, key), Algorithms: []Algorithm{in.Alg}})
				if err != nil {
					t.Fatal(err)
				}
				got, want = string(tok.Payload), in.Payload
			} else {
				d, err := Decrypt(example.Output.Compact, DecryptOptions{
					Keys: setOf(t, key), Algorithms: []Algorithm{in.Alg}, Encryptions: []Encryption{in.Enc},
				})
				if err != nil {
					t.Fatal(err)
				}
				got, want = string(d.Plaintext), in.Plaintext
			}
			if got != want {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestCookbook_Keys reads the keys of RFC 7520 §3 and checks that the public part
// of the private ones is the public ones.
func TestCookbook_Keys(t *testing.T) {
	t.Parallel()
	for public, private := range map[string]string{
		"3_1.ec_public_key": "3_2.ec_private_key", "3_3.rsa_public_key": "3_4.rsa_private_key",
	} {
		pub, err := ParsePublicKey(load[json.RawMessage](t, "jose-cookbook/jwk/"+public+".json"))
		if err != nil {
			t.Fatal(public, err)
		}
		raw := load[json.RawMessage](t, "jose-cookbook/jwk/"+private+".json")
		if _, err := ParsePublicKey(raw); err == nil {
			t.Error("a private key passes for a public one")
		}
		key, err := ParseKey(raw)
		if err != nil {
			t.Fatal(private, err)
		}
		a, _ := json.Marshal(pub)
		b, _ := json.Marshal(key)
		if string(a) != string(b) || pub.Thumbprint() != key.Public().Thumbprint() {
			t.Errorf("%s is not the public part of %s", public, private)
		}
	}
}

type wycheproof struct {
	TestGroups []struct {
		Comment string
		Private json.RawMessage
		Public  json.RawMessage
		Tests   []struct {
			TcID    int
			Comment string
			Jws     string
			Jwe     string
			Pt      string
			Result  string
		}
	}
}

func TestWycheproof_JWS(t *testing.T) {
	t.Parallel()
	// Cases that are refused here although the file accepts them, and the reverse.
	odd := map[int]string{
		347: `the key is for "ES521", an algorithm that does not exist`,
		351: `the key is for "ES521", an algorithm that does not exist`,
		367: "the same token as case 357, which is valid",
		373: "a question mark is no base64url (RFC 7515 §2)",
	}
	runWycheproof(t, "wycheproof/json_web_signature_test.json", odd)
}

func TestWycheproof_JWK(t *testing.T) {
	t.Parallel()
	runWycheproof(t, "wycheproof/json_web_key_test.json", nil)
}

func TestWycheproof_JWE(t *testing.T) {
	t.Parallel()
	odd := map[int]string{
		101: "RSA1_5 is not spoken", 103: "RSA1_5 is not spoken", 105: "RSA1_5 is not spoken",
		135: "compressed content is refused",
	}
	runWycheproof(t, "wycheproof/json_web_encryption_test.json", odd)
}

func runWycheproof(t *testing.T, name string, odd map[int]string) {
	n := 0
	for _, g := range load[wycheproof](t, name).TestGroups {
		for _, c := range g.Tests {
			n++
			material := g.Private
			if g.Public != nil && c.Jwe == "" {
				material = g.Public
			}
			err := openWycheproof(material, c.Jws, c.Jwe, c.Pt)
			want := c.Result == "valid"
			if _, other := odd[c.TcID]; other {
				want = !want
			}
			if (err == nil) != want {
				t.Errorf("case %d %s %s: %s, got %v", c.TcID, g.Comment, c.Comment, c.Result, err)
			}
		}
	}
	t.Logf("%d cases", n)
}

// openWycheproof reads the keys and verifies or opens the token.
func openWycheproof(material json.RawMessage, jws, jwe, plaintext string) error {
	var set struct{ Keys []json.RawMessage }
	_ = json.Unmarshal(material, &set)
	if set.Keys == nil {
		set.Keys = []json.RawMessage{material}
	}
	var parsed []*Key
	for _, raw := range set.Keys {
		k, err := ParseKey(raw)
		if err != nil {
			return err
		}
		parsed = append(parsed, k)
	}
	keys, err := NewKeySet(parsed...)
	if err != nil {
		return err
	}
	if jwe == "" {
		_, err := VerifyPayload(jws, VerifyOptions{Keys: keys, Algorithms: all(UseSignature)})
		return err
	}
	d, err := Decrypt(jwe, DecryptOptions{Keys: keys, Algorithms: all(UseEncryption), Encryptions: everyEncryption()})
	if err != nil {
		return err
	}
	if hex.EncodeToString(d.Plaintext) != plaintext {
		return ErrDecrypt
	}
	return nil
}
