package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const vectors = "../../testdata/vectors/"

// ask runs one vector as the command would.
func ask(t testing.TB, vector map[string]any) map[string]any {
	t.Helper()
	line, err := json.Marshal(vector)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(answer(line))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func load[T any](t testing.TB, name string) T {
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

// TestVectors asks every suite for its file: of each vector, the fields that come
// out are held against the answer.
func TestVectors(t *testing.T) {
	t.Parallel()
	for name, out := range map[string][]string{
		"jws":               {"valid"},
		"jwe":               {"valid", "plaintext"},
		"standard-webhooks": {"signature"},
	} {
		file := load[struct{ Vectors []map[string]any }](t, name+".json")
		for i, v := range file.Vectors {
			want := map[string]any{}
			for _, k := range out {
				if v[k] != nil {
					want[k] = v[k]
				}
				delete(v, k)
			}
			v["suite"] = name
			if got := ask(t, v); !reflect.DeepEqual(got, want) {
				t.Errorf("%s %d %v: got %v, want %v", name, i, v["why"], got, want)
			}
		}
		t.Logf("%s: %d vectors", name, len(file.Vectors))
	}
}

// TestWycheproof asks for the signatures and MACs of C2SP/wycheproof.
func TestWycheproof(t *testing.T) {
	t.Parallel()
	for name, suite := range map[string]string{
		"ed25519_test.json":                      "wycheproof-ed25519",
		"ecdsa_secp256r1_sha256_p1363_test.json": "wycheproof-es256",
		"hmac_sha256_test.json":                  "wycheproof-hmac-sha256",
	} {
		file := load[struct {
			TestGroups []struct {
				PublicKeyJwk map[string]any
				PublicKeyDer string
				PublicKey    struct{ Pk string }
				TagSize      int
				Tests        []struct {
					TcID                       int
					Comment, Result            string
					Key, Msg, Sig, Tag, Public string
				}
			}
		}](t, "wycheproof/"+name)
		asked, skips := 0, 0
		for _, g := range file.TestGroups {
			keys := []any{g.PublicKeyDer}
			if g.PublicKeyJwk != nil {
				keys = append(keys, g.PublicKeyJwk)
			}
			if g.PublicKey.Pk != "" {
				keys = append(keys, g.PublicKey.Pk)
			}
			for _, c := range g.Tests {
				for _, k := range keys {
					got := ask(t, map[string]any{
						"suite": suite, "publicKey": k, "message": c.Msg, "signature": c.Sig,
						"key": c.Key, "tag": c.Tag, "tagBits": g.TagSize,
					})
					asked++
					if got["skip"] == true {
						skips++
					} else if got["valid"] != (c.Result == "valid") {
						t.Errorf("%s %d %s: got %v, want %s", name, c.TcID, c.Comment, got, c.Result)
					}
				}
			}
		}
		t.Logf("%s: %d asked, %d skipped", suite, asked, skips)
	}
}

// What a reader of tokens must not be talked into, one change to a good vector
// each.
func TestJWS_Changed(t *testing.T) {
	t.Parallel()
	for _, v := range load[struct{ Vectors []map[string]any }](t, "jws.json").Vectors {
		if v["valid"] != true {
			continue
		}
		token, alg := v["token"].(string), v["alg"].(string)
		p := strings.Split(token, ".")
		for name, change := range map[string]map[string]any{
			"padding":         {"token": token + "="},
			"white space":     {"token": token + " "},
			"line end":        {"token": p[0] + "\n." + p[1] + "." + p[2]},
			"no signature":    {"token": p[0] + "." + p[1] + "."},
			"cut signature":   {"token": token[:len(token)-4]},
			"longer":          {"token": token + "AAAA"},
			"four parts":      {"token": token + "."},
			"not text":        {"token": 5},
			"no token":        {"token": nil},
			"another alg":     {"alg": map[bool]string{true: "HS512", false: "HS256"}[alg == "HS256"]},
			"alg none":        {"alg": "none"},
			"no alg":          {"alg": nil},
			"another issuer":  {"issuer": "x"},
			"at exp":          {"at": 1767229200},
			"before nbf":      {"at": 1767225599},
			"no key":          {"key": nil},
			"empty key":       {"key": map[string]any{}},
			"key is a string": {"key": "x"},
			"key for nothing": {"key": with(v["key"], "use", "enc")},
			"key of another":  {"key": with(v["key"], "alg", "A128KW")},
		} {
			got := ask(t, merge(v, change))
			if !reflect.DeepEqual(got, map[string]any{"valid": false}) {
				t.Errorf("%s, %s: %v", alg, name, got)
			}
		}
		for name, change := range map[string]map[string]any{
			"a second before exp":   {"at": 1767229199},
			"a fraction before exp": {"at": 1767229199.5},
			"at nbf":                {"at": 1767225600},
			"key says what it is":   {"key": with(with(v["key"], "use", "sig"), "alg", alg)},
			"key is named":          {"key": with(v["key"], "kid", "k0")},
			"any issuer":            {"issuer": nil},
		} {
			if got := ask(t, merge(v, change)); got["valid"] != true {
				t.Errorf("%s, %s: %v", alg, name, got)
			}
		}
		if got := ask(t, merge(v, map[string]any{"key": with(v["key"], "kid", "k1")})); got["valid"] != false {
			t.Errorf("%s, key of another name: %v", alg, got)
		}
	}
}

func merge(v, change map[string]any) map[string]any {
	out := map[string]any{"suite": "jws"}
	for _, m := range []map[string]any{v, change} {
		for k, x := range m {
			if k != "valid" {
				out[k] = x
			}
		}
	}
	return out
}

func with(key any, name string, value any) map[string]any {
	out := map[string]any{name: value}
	for k, x := range key.(map[string]any) {
		if k != name {
			out[k] = x
		}
	}
	return out
}

func TestRun(t *testing.T) {
	t.Parallel()
	const signed = `{"suite":"standard-webhooks","secret":"whsec_AAAA","id":"m","timestamp":1,"payload":""}`
	in := strings.Join([]string{
		"not JSON", "", "[]", "null", `"x"`, `{"suite":5}`, `{}`, `{"suite":"luhn"}`, "  \r",
		`{"suite":"jws","token":"` + strings.Repeat("A", maxLine) + `"}`,
		`{"suite":"jwe","alg":"RSA1_5"}`, `{"suite":"jws","alg":"ES256K"}`,
		`{"suite":"jwe"}`, "\xff\xfe", strings.Repeat("[", 1<<20),
		`{"suite":"standard-webhooks","secret":"?","id":"m","timestamp":1,"payload":""}`,
		`{"suite":"standard-webhooks","secret":"whsec_AAAA","id":"m","timestamp":1.5,"payload":""}`,
		signed, signed, // the last without a line end
	}, "\n")
	var out bytes.Buffer
	if err := run(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	const no, skip = `{"valid":false}`, `{"skip":true}`
	want := []string{no, no, no, no, no, no, skip, no, skip, skip, no, no, no, no, no}
	got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(got) != len(want)+2 || !reflect.DeepEqual(got[:len(want)], want) || !strings.Contains(got[len(want)], "v1,") || got[len(want)] != got[len(want)+1] {
		t.Errorf("got %d lines: %s", len(got), out.String())
	}
}

// TestRun_Waits asks one question after the other, each after the answer to the
// last.
func TestRun_Waits(t *testing.T) {
	t.Parallel()
	questions, ask := io.Pipe()
	replies, reply := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(questions, reply) }()
	for range 3 {
		if _, err := io.WriteString(ask, "{\"suite\":\"x\"}\n"); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, len("{\"skip\":true}\n"))
		if _, err := io.ReadFull(replies, line); err != nil || string(line) != "{\"skip\":true}\n" {
			t.Fatal(string(line), err)
		}
	}
	_ = ask.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAnswer_Panic(t *testing.T) {
	suites["panics"] = func([]byte) any { panic("on purpose") }
	defer delete(suites, "panics")
	if got := ask(t, map[string]any{"suite": "panics"}); got["valid"] != false {
		t.Errorf("got %v", got)
	}
}

func FuzzAnswer(f *testing.F) {
	for name := range suites {
		f.Add([]byte(`{"suite":"` + name + `","alg":"HS256","key":{"kty":"oct"},"publicKey":"00","tagBits":256}`))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if answer(line) == nil {
			t.Error("no answer")
		}
	})
}
