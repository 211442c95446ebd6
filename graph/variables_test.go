package graph

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVariables(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for _, test := range []struct {
		typ, arg, given string
		want            string // what the resolver sees, as JSON; else a part of the error
		ok              bool
	}{
		{"String", "s", `"é\u0001"`, `{"s":"é\u0001"}`, true},
		{"String", "s", `"é\u0000"`, "a text holds no NUL", false},
		{"String", "s", `null`, `{"s":null}`, true},
		{"String", "s", `5`, "$v: the value is not of type String", false},
		{"String", "s", `["x"]`, "not of type String", false},
		{"String!", "s", `null`, "null is no String!", false},
		{"Int", "n", `2147483647`, `{"n":2147483647}`, true},
		{"Int", "n", `2147483648`, "32 bits", false},
		{"Int", "n", `-2147483649`, "32 bits", false},
		{"Int", "n", `1.0`, "32 bits", false},
		{"Int", "n", `1e3`, "32 bits", false},
		{"Int", "n", `"1"`, "32 bits", false},
		{"Int", "n", `true`, "32 bits", false},
		{"Float", "f", `1`, `{"f":1}`, true},
		{"Float", "f", `1.5e3`, `{"f":1500}`, true},
		{"Float", "f", `1e999`, "not of type Float", false},
		{"Float", "f", `"1"`, "not of type Float", false},
		{"Boolean", "b", `true`, `{"b":true}`, true},
		{"Boolean", "b", `1`, "not of type Boolean", false},
		{"ID", "id", `"x"`, `{"id":"x"}`, true},
		{"ID", "id", `12`, `{"id":"12"}`, true},
		{"ID", "id", `1.2`, "not of type ID", false},
		{"Int64", "big", `"9223372036854775807"`, `{"big":"9223372036854775807"}`, true},
		{"Int64", "big", `-9223372036854775808`, `{"big":-9223372036854775808}`, true},
		{"Int64", "big", `9223372036854775808`, "whole number of 64 bits", false},
		{"Int64", "big", `"9223372036854775808"`, "whole number of 64 bits", false},
		{"Int64", "big", `1.5`, "whole number of 64 bits", false},
		{"Int64", "big", `"1e3"`, "whole number of 64 bits", false},
		{"Int64", "big", `""`, "whole number of 64 bits", false},
		{"CurrencyCode", "cur", `"EUR"`, `{"cur":"EUR"}`, true},
		{"CurrencyCode", "cur", `"eur"`, "ISO 4217", false},
		{"CurrencyCode", "cur", `"XXX"`, "ISO 4217", false},
		{"DateTime", "at", `"2026-01-31T10:00:00+01:00"`, `{"at":"2026-01-31T10:00:00+01:00"}`, true},
		{"DateTime", "at", `"yesterday"`, "RFC 3339", false},
		{"Colour", "c", `"RED"`, `{"c":"RED"}`, true},
		{"Colour", "c", `"red"`, "not one of the enum Colour", false},
		{"Colour", "c", `0`, "not one of the enum Colour", false},
		{"Point", "p", `{"x":1}`, `{"p":{"x":1}}`, true},
		{"Point", "p", `{}`, "$v.x: Int! is required", false},
		{"Point", "p", `{"x":1,"y":null}`, "$v.y: null is no Int!", false},
		{"Point", "p", `{"x":1,"z":2}`, `a Point has no field "z"`, false},
		{"Point", "p", `{"x":1,"list":["1","2",3]}`, `{"p":{"list":["1","2",3],"x":1}}`, true},
		{"Point", "p", `{"x":1,"list":"1"}`, `{"p":{"list":["1"],"x":1}}`, true},
		{"Point", "p", `{"x":1,"list":["1","x"]}`, "$v.list[1]: an Int64", false},
		{"Point", "p", `{"x":1,"inner":{"x":2,"inner":{"x":"3"}}}`, "$v.inner.inner.x: an Int", false},
		{"Point", "p", `{"x":1,"money":{"amountMinor":"99999999999999999999","currency":"EUR"}}`, "$v.money.amountMinor", false},
		{"Point", "p", `{"x":1,"money":{"amountMinor":"1","currency":"ZZZ"}}`, "$v.money.currency", false},
		{"Point", "p", `"x"`, "a Point is an object", false},
		{"[Point!]", "ps", `{"x":1}`, `{"ps":[{"x":1}]}`, true},
		{"[Point!]", "ps", `[{"x":1},null]`, "$v[1]: null is no Point!", false},
		{"Choice", "choice", `{"a":"x"}`, `{"choice":{"a":"x"}}`, true},
		{"Choice", "choice", `{"a":"x","b":1}`, "exactly one field", false},
		{"Choice", "choice", `{"a":null}`, "exactly one field", false},
		{"Choice", "choice", `{}`, "exactly one field", false},
	} {
		r := b.post(`{"query":"query($v: ` + test.typ + `){echo(` + test.arg + `: $v)}","variables":{"v":` + test.given + `}}`)
		switch got, _ := r.Data["echo"].(string); {
		case test.ok && (r.status != 200 || got != test.want):
			t.Errorf("%s %s: %d %s", test.typ, test.given, r.status, r.body)
		case !test.ok && (r.status != 400 || r.code() != codeValidation || !strings.Contains(r.Errors[0].Message, test.want)):
			t.Errorf("%s %s: %d %s", test.typ, test.given, r.status, r.body)
		}
	}
}

func TestVariables_Absent(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for query, want := range map[string]string{
		"query($v: Int) {echo(n: $v)}":                                           `{}`,
		"query($v: Int = 5) {echo(n: $v)}":                                       `{"n":5}`,
		"query($v: Point = {x: 2}) {echo(p: $v)}":                                `{"p":{"x":2}}`,
		`query($v: Int64 = "7", $w: Int64 = 8) {echo(big: $v) b: echo(big: $w)}`: `{"big":"7"}`,
	} {
		if r := b.query(query, nil); r.Data["echo"] != want {
			t.Errorf("%s: %s", query, r.body)
		}
	}
	if r := b.query("query($v: Int!) {echo(n: $v)}", nil); r.code() != codeValidation || r.status != 400 {
		t.Error(r.status, r.body)
	}
	if r := b.query("{hello}", map[string]any{"extra": 1}); r.status != 200 {
		t.Error("a variable that is not declared:", r.body)
	}
}

func TestLiterals(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for arg, want := range map[string]string{
		`n: 2147483648`:              "32 bits",
		`n: 99999999999999999999`:    "out of range",
		`f: 1e999`:                   "out of range",
		`id: 99999999999999999999`:   "out of range",
		`big: 9223372036854775808`:   "out of range",
		`big: "9223372036854775808"`: "whole number of 64 bits",
		`big: 1.5`:                   "whole number of 64 bits",
		`big: RED`:                   "whole number of 64 bits",
		`big: [1]`:                   "whole number of 64 bits",
		`cur: "ZZZ"`:                 "ISO 4217",
		`at: "soon"`:                 "RFC 3339",
		`p: {x: 1, money: {amountMinor: "x", currency: "EUR"}}`: "whole number of 64 bits",
		`p: {x: 1, list: [1, 2.5]}`:                             "whole number of 64 bits",
	} {
		if r := b.query("{echo("+arg+")}", nil); r.status != 400 || r.code() != codeValidation || !strings.Contains(r.body, want) {
			t.Errorf("%s: %d %s", arg, r.status, r.body)
		}
	}
	for arg, want := range map[string]string{
		`n: -2147483648`:           `{"n":-2147483648}`,
		`big: 9223372036854775807`: `{"big":9223372036854775807}`,
		`big: "-1"`:                `{"big":"-1"}`,
		`id: 7`:                    `{"id":7}`,
		`p: {x: 1, list: 5}`:       `{"p":{"list":5,"x":1}}`,
		`cur: null, at: null`:      `{"at":null,"cur":null}`,
	} {
		if r := b.query("{echo("+arg+")}", nil); !cmp.Equal(r.Data["echo"], any(want)) {
			t.Errorf("%s: %s", arg, r.body)
		}
	}
	if r := b.query("query($v: Int64 = 9223372036854775808) {echo(big: $v)}", nil); r.status != 400 {
		t.Error("a default value:", r.body)
	}
}
