package text_test

import (
	"strings"
	"testing"

	"github.com/soukhq/souk/internal/base/text"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, want string
		ok       bool
	}{
		{"Ada", "Ada", true},
		{"  Ada \t", "Ada", true},
		{"👩‍👩‍👧", "👩‍👩‍👧", true}, // five characters, two of them joiners
		{"日本語です", "日本語です", true}, // five characters of three bytes
		{"sixsix", "sixsix", false},
		{"", "", false},
		{" \n ", "", false},
		{"a\nb", "a\nb", false},
		{"a\tb", "a\tb", false},
		{"a\x00b", "a\x00b", false},
		{"a\u2028b", "a\u2028b", false},
		{"a\x80", "a\x80", false},
	} {
		if got, ok := text.Line(c.in, 5); got != c.want || ok != c.ok {
			t.Errorf("Line(%q) = %q, %v", c.in, got, ok)
		}
	}
}

func TestProse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, want string
		ok       bool
	}{
		{"one\r\ntwo\n\tthree\n", "one\ntwo\n\tthree", true},
		{strings.Repeat("é", 20), strings.Repeat("é", 20), true},
		{strings.Repeat("é", 21), strings.Repeat("é", 21), false},
		{"one\rtwo", "one\rtwo", false},
		{"bell\a", "bell\a", false},
		{"\n\n", "", false},
		{"\xff", "\xff", false},
	} {
		if got, ok := text.Prose(c.in, 20); got != c.want || ok != c.ok {
			t.Errorf("Prose(%q) = %q, %v", c.in, got, ok)
		}
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		"idp|1234": true, "日本": true, "": false, " a": false, "a ": false, "a\nb": false, "日本語": false, "123456789": false,
	} {
		if got := text.Token(in, 8); got != want {
			t.Errorf("Token(%q) = %v", in, got)
		}
	}
}
