package graph

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestLimits_Cost(t *testing.T) {
	t.Parallel()
	docs := newDocuments(newFakeSchema().schema, Limits{}.withDefaults())
	for _, test := range []struct {
		query string
		vars  map[string]any
		cost  int
	}{
		{"{hello a: hello __typename}", nil, 0},
		{"{person {name best {name}}}", nil, 2},
		{"{person {tags {name}}}", nil, 9},
		{"{things(first: 20) {edges {cursor node {id}} pageInfo {hasNextPage} totalCount}}", nil, 21},
		{"{things(first: 20) {nodes {id price}}}", nil, 1 + 20*4},
		{"{things(first: 10) {nodes {owner {friends(last: 5) {edges {node {name}}}}}}}", nil, 1 + 10*(1+1+1+5)},
		{"query($n: Int) {things(first: $n) {nodes {id}}}", map[string]any{"n": int64(30)}, 31},
		{"query($n: Int) {things(first: $n) {nodes {id}}}", nil, 1},
		{"query($n: Int = 40) {things(first: $n) {nodes {id}}}", map[string]any{"n": int64(40)}, 41},
		{"query($n: Int, $m: Int) {things(first: $n, last: $m) {nodes {id}}}", map[string]any{"n": int64(3), "m": int64(9)}, 10},
		{"query($n: Int) {things(first: $n) {nodes {owner {friends(first: $n) {edges {node {name}}}}}}}", map[string]any{"n": int64(10)}, 1 + 10*(1+1+1+10)},
		{"{things(first: -5) {nodes {id}}}", nil, 1},
		{"{things(first: 2000000000) {nodes {id}}}", nil, 1 + 101},
		{`{nodes(ids: ["a", "b", "c"]) {id}}`, nil, 3},
		{"query($ids: [ID!]!) {nodes(ids: $ids) {... on Thing {owner {id}}}}", map[string]any{"ids": []any{"a", "b"}}, 2 * 2},
		{"{...F ...F} fragment F on Query {person {name}}", nil, 2},
		{"query($n: Int) {person {...F best {...F}}} fragment F on Person {friends(first: $n) {edges {node {name}}}}", map[string]any{"n": int64(7)}, 2 + 2*8},
		{"query($yes: Boolean!) {person @include(if: $yes) {best {name}}}", map[string]any{"yes": true}, 2},
		{"query($yes: Boolean!) {person @include(if: $yes) {best {name}}}", map[string]any{"yes": false}, 0},
		{"query($no: Boolean!) {... @skip(if: $no) {person {best {name}}}}", map[string]any{"no": true}, 0},
		{"query($no: Boolean!) {...F @skip(if: $no)} fragment F on Query {person {best {name}}}", map[string]any{"no": false}, 2},
		{"{person @skip(if: true) {best {name}} a: person @include(if: false) {name}}", nil, 0},
		{"{node(id: 1) {id ... on Thing {owner {name}} ... on Person {best {name}}}}", nil, 3},
		{"mutation {add(n: 1) b: add(n: 2)}", nil, 20},
		{"mutation {heavy}", nil, 400},
		{"subscription {forever}", nil, 10},
		{"{__schema {types {name}}}", nil, 200},
		{`{__type(name: "Thing") {name}}`, nil, 20},
	} {
		doc, errs := docs.get(test.query)
		if errs != nil {
			t.Fatalf("%s: %v", test.query, errs)
		}
		if got := doc.plans[doc.ast.Operations[0]].cost(test.vars); got != test.cost {
			t.Errorf("%s %v costs %d, not %d", test.query, test.vars, got, test.cost)
		}
	}
}

// TestLimits_FixedCostIsFree holds the plan of an operation without variables to
// be one number.
func TestLimits_FixedCostIsFree(t *testing.T) {
	t.Parallel()
	docs := newDocuments(newFakeSchema().schema, Limits{}.withDefaults())
	doc, errs := docs.get("query($s: String) {echo(s: $s) ...F} fragment F on Query {things(first: 10) {nodes {owner {friends(last: 5) {edges {node {name}}}}}}}")
	if errs != nil {
		t.Fatal(errs)
	}
	if p := doc.plans[doc.ast.Operations[0]]; len(p.parts) != 0 || p.fixed != 81 {
		t.Errorf("the plan is %+v", p)
	}
}

func TestLimits_Refused(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	small := setup(t, func(c *Config) { c.Limits.Cost = 100; c.Limits.Tokens = 60 })
	for name, test := range map[string]struct {
		b           *testBundle
		query       string
		cost, limit float64
	}{
		"cost":       {small, "{things(first: 50) {nodes {owner {id}}}}", 101, 100},
		"tokens":     {small, "{" + strings.Repeat("hello ", 100) + "}", 61, 60},
		"depth":      {b, "{person" + strings.Repeat("{best", 14) + "{name}" + strings.Repeat("}", 14) + "}", 16, 15},
		"fragments":  {b, "{person{...A}} fragment A on Person{best{best{best{best{best{best{best{...B}}}}}}}} fragment B on Person{best{best{best{best{best{best{best{name}}}}}}}}", 16, 15},
		"aliases":    {b, "{" + aliases(101) + "}", 101, 100},
		"selections": {b, doubling(20), 10_001, 10_000},
	} {
		r := test.b.query(test.query, nil)
		if r.status != 400 || r.code() != codeCostLimit {
			t.Errorf("%s: %d %s", name, r.status, r.body)
			continue
		}
		ext := r.Errors[0].Extensions
		if ext["limit"] != test.limit || (test.cost != 0 && ext["cost"] != test.cost) {
			t.Errorf("%s: %v", name, ext)
		}
	}
	for name, query := range map[string]string{
		"depth":   "{person" + strings.Repeat("{best", 13) + "{name}" + strings.Repeat("}", 13) + "}",
		"aliases": "{" + aliases(100) + "}",
	} {
		if r := b.query(query, nil); r.status != 200 {
			t.Errorf("%s at the limit: %d %s", name, r.status, r.body)
		}
	}
}

func aliases(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d: hello ", i)
	}
	return b.String()
}

// doubling is a document whose fragments spread each other twice: n of them
// stand for 2^n fields.
func doubling(n int) string {
	var b strings.Builder
	b.WriteString("{person {...F0}}")
	for i := range n {
		fmt.Fprintf(&b, " fragment F%d on Person {...F%d ...F%d}", i, i+1, i+1)
	}
	fmt.Fprintf(&b, " fragment F%d on Person {name}", n)
	return b.String()
}

// TestLimits_Hostile sends what breaks naive servers. Each is refused within a
// fraction of a second, and none takes the process down.
func TestLimits_Hostile(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	many := func(n int, format string) string {
		var s strings.Builder
		for i := range n {
			s.WriteString(strings.NewReplacer("%d", strconv.Itoa(i), "%e", strconv.Itoa(i+1)).Replace(format))
		}
		return s.String()
	}
	for name, query := range map[string]string{
		"100,000 deep":         strings.Repeat("{a", 100_000),
		"100,000 deep, closed": strings.Repeat("{a", 100_000) + strings.Repeat("}", 100_000),
		"deep list":            "{echo(ps: " + strings.Repeat("[", 100_000),
		"deep object":          "{echo(p: " + strings.Repeat("{inner: ", 100_000),
		"deep type":            "query($x: " + strings.Repeat("[", 100_000),
		"deep fragments":       "{" + strings.Repeat("... {", 100_000),
		"comments":             strings.Repeat("#\n", 300_000),
		"commas":               "{hello" + strings.Repeat(",", 900_000),
		"long string":          `{echo(s: "` + strings.Repeat("x", 900_000),
		"block string":         `{echo(s: """` + strings.Repeat("x ", 400_000) + `""" nothing: 1)}`,
		"doubling fragments":   doubling(300),
		"doubling types":       strings.Replace(strings.Replace(doubling(300), "{person", "{__schema{types", 1), "F0}}", "F0}}}", 1),
		"fragment chain":       "{person {...F0}}" + many(300, "fragment F%d on Person {...F%e} ") + "fragment F300 on Person {name}",
		"fragment cycle":       "{person {...A}} fragment A on Person {best {...B}} fragment B on Person {best {...A}}",
		"own cycle":            "{person {...A}} fragment A on Person {...A name}",
		"same field":           "{person {" + strings.Repeat("best {", 10) + strings.Repeat("name ", 3_900) + strings.Repeat("}", 12),
		"same unused":          "{hello} fragment F on Person {" + strings.Repeat("name ", 3_900) + "}",
		"many names":           "{" + many(990, "a%d ") + many(990, "a%d ") + many(990, "a%d ") + many(990, "a%d ") + "}",
		"many inline":          "{" + strings.Repeat("... {hello ", 1_300) + strings.Repeat("}", 1_301),
		"same objects":         "{" + strings.Repeat("person {name id} ", 790) + " nothing}",
		"same nested objects":  "{" + strings.Repeat("person {"+strings.Repeat("best {name} ", 30)+"} ", 30) + " nothing}",
		"many fragments":       "{person {" + many(380, "...F%d ") + "}} " + many(380, "fragment F%d on Person {name nothing} "),
		"many operations":      many(650, "query Q%d {hello} ") + "{nothing}",
		"many variables":       "query(" + many(900, "$v%d: Int ") + ") {hello}",
		"many arguments":       "{echo(" + many(1_300, "a%d: 1 ") + ")}",
		"many directives":      "{hello " + strings.Repeat("@skip(if: false) ", 550) + "}",
		"types of types":       "{__schema {types {fields {type {fields {type {fields {name}}}}}}}}",
		"huge number":          "{echo(n: " + strings.Repeat("9", 100_000) + ")}",
	} {
		start := time.Now()
		r := b.query(query, nil)
		if r.status != 400 || (r.code() != codeCostLimit && r.code() != codeValidation) {
			t.Errorf("%s: %d %.300s", name, r.status, r.body)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s took %s", name, took)
		} else if len(r.Errors) > 0 {
			if len(r.body) > 20*(maxMessage+200) {
				t.Errorf("%s is answered with %d bytes", name, len(r.body))
			}
			t.Logf("%-22s %9s %s %s", name, took.Round(10*time.Microsecond), r.code(), r.Errors[0].Message[:min(60, len(r.Errors[0].Message))])
		}
	}
	for name, body := range map[string]string{
		"deep variables":  `{"query":"{hello}","variables":` + strings.Repeat(`{"a":`, 100_000),
		"deep lists":      `{"query":"{hello}","variables":{"a":` + strings.Repeat(`[`, 500_000),
		"deep extensions": `{"query":"{hello}","extensions":` + strings.Repeat(`{"a":`, 100_000),
	} {
		if r := b.post(body); r.status != 400 {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
}

func TestLimits_IntrospectionOff(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Introspection = false })
	for _, query := range []string{
		"{__schema {types {name}}}", `{x: __type(name: "Thing") {name}}`, "{... {__schema {types {name}}}}",
		"{...F} fragment F on Query {__schema {types {name}}}", "query A {hello} query B {__schema {types {name}}}",
	} {
		if r := b.query(query, nil); r.status != 400 || r.code() != codeValidation || strings.Contains(r.body, "Thing") {
			t.Errorf("%s: %d %s", query, r.status, r.body)
		}
	}
	if r := b.query("{__typename hello}", nil); r.status != 200 {
		t.Error("__typename:", r.body)
	}
}

func TestLimits_NoDefer(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	if r := b.query("{person {... @defer {name}}}", nil); r.code() != codeValidation {
		t.Error(r.status, r.body)
	}
}

func TestDocuments_Kept(t *testing.T) {
	t.Parallel()
	docs := newDocuments(newFakeSchema().schema, Limits{Documents: 2}.withDefaults())
	first, _ := docs.get("{hello}")
	again, _ := docs.get("{hello}")
	if first != again {
		t.Error("a document is made twice")
	}
	_, _ = docs.get("{nothing}")
	_, _ = docs.get("{hello}" + strings.Repeat(" ", maxKept))
	if docs.cache.Len() != 1 {
		t.Error("kept documents:", docs.cache.Keys())
	}
	_, _ = docs.get("{a: hello}")
	_, _ = docs.get("{b: hello}")
	if docs.cache.Len() != 2 || docs.cache.Contains("{hello}") {
		t.Error("kept documents:", docs.cache.Keys())
	}
}

// FuzzDocument takes any text: it ends soon, and whatever is valid has a plan.
func FuzzDocument(f *testing.F) {
	f.Add("{person {name best {id}} ...F} fragment F on Query {d: hello}")
	f.Add(doubling(4))
	f.Add("{...A} fragment A on Query {...B hello} fragment B on Query {...A}")
	f.Add(`query($n: Int = 3, $p: Point = {x: 1, list: [2]}) {things(first: $n) @skip(if: false) {nodes {id}} echo(p: $p, ps: [{x: 99999999999}])}`)
	f.Add(`subscription {ticks(n: 1)} mutation {add}`)
	schema := newFakeSchema().schema
	limits := Limits{Tokens: 500, Selections: 1_000, Repeats: 5_000}.withDefaults()
	f.Fuzz(func(t *testing.T, text string) {
		docs := newDocuments(schema, limits)
		doc, errs := docs.get(text)
		if errs != nil {
			return
		}
		for _, op := range doc.ast.Operations {
			if cost := doc.plans[op].cost(nil); cost < 0 {
				t.Fatalf("%q costs %d", text, cost)
			}
			if _, err := coerce(schema, op, nil); err != nil && err.Extensions["code"] != codeValidation {
				t.Fatalf("%q: %v", text, err)
			}
		}
	})
}
