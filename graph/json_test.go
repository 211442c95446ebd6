package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// reference reads JSON with encoding/json.
func reference(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errSyntax
	}
	return v, nil
}

func FuzzReadJSON(f *testing.F) {
	for _, s := range []string{
		``, ` `, `null`, `true`, `tru`, `falsey`, `0`, `-0`, `01`, `1.`, `1.5e+10`, `1e`, `-`, `.5`, `"a`, `"a"`, `"\n\u00e9\ud83d\ude00\ud83d"`,
		`"\ud83d\u0041"`, `"\x"`, `"\u12"`, "\"\x01\"", `[]`, `[1,]`, `[,1]`, `[1 2]`, `[1,2,[3]]`, `{}`, `{"a":1,}`, `{"a" 1}`, `{a:1}`, `{"a":{"b":[null,"x"]},"a":2}`,
		`{"query":"query Q($n: Int) {\n  a\n}","variables":{"n":12345678901234567890}}`, `{} {}`, `{}x`, "\"\xff\"", `"é"`, "\ufeff{}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := readJSON(data)
		want, refErr := reference(data)
		if errors.Is(err, errNesting) || !utf8.Valid(data) {
			return // stricter than encoding/json
		}
		if (err == nil) != (refErr == nil) {
			t.Fatalf("%q: got %v, %v; encoding/json has %v, %v", data, got, err, want, refErr)
		}
		if err == nil && !cmp.Equal(got, want) {
			t.Fatalf("%q: %s", data, cmp.Diff(want, got))
		}
	})
}

func TestReadJSON_Stricter(t *testing.T) {
	t.Parallel()
	deep := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	if _, err := readJSON(deep(maxNesting)); err != nil {
		t.Error("at the limit:", err)
	}
	for _, data := range [][]byte{deep(maxNesting + 1), deep(400_000), []byte("\"\xff\""), []byte("\"\\n\xff\""), []byte(strings.Repeat(`{"a":`, 300_000))} {
		if _, err := readJSON(data); err == nil {
			t.Errorf("%.20q was read", data)
		}
	}
}
