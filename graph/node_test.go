package graph

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/soukhq/souk/graph/scalar"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
)

type testThing struct{ Name string }

func TestNodes(t *testing.T) {
	t.Parallel()
	mine, theirs, person := id.New(), id.New(), id.New()
	var calls [][]id.ID
	nodes := Nodes{
		"Thing": NodesOf(func(_ context.Context, ids []id.ID) (map[id.ID]*testThing, error) {
			calls = append(calls, ids)
			found := map[id.ID]*testThing{}
			if slices.Contains(ids, mine) {
				found[mine] = &testThing{"mine"}
			}
			return found, nil
		}),
		"Person": NodesOf(func(_ context.Context, ids []id.ID) (map[id.ID]testThing, error) {
			return map[id.ID]testThing{person: {"ann"}}, nil
		}),
		"Broken": func(context.Context, []id.ID) (map[id.ID]scalar.Node, error) { return nil, errSecret },
	}
	ctx := context.Background()
	got, err := nodes.many(ctx, []string{
		id.Global("Thing", mine), id.Global("Person", person), "nonsense", id.Global("Thing", theirs),
		id.Global("Unknown", mine), id.Global("Person", mine), id.Global("Thing", mine), "",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []scalar.Node{&testThing{"mine"}, testThing{"ann"}, nil, nil, nil, nil, &testThing{"mine"}, nil}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]id.ID{{mine, theirs}}, calls); diff != "" {
		t.Error("the loads:", diff)
	}
	if one, err := nodes.one(ctx, id.Global("Thing", theirs)); one != nil || err != nil {
		t.Error("of another:", one, err)
	}
	if one, _ := nodes.one(ctx, id.Global("Thing", mine)); !cmp.Equal(one, scalar.Node(&testThing{"mine"})) {
		t.Error(one)
	}
	if _, err := nodes.one(ctx, id.Global("Broken", mine)); !errors.Is(err, errSecret) {
		t.Error(err)
	}
	if _, err := nodes.many(ctx, make([]string, 101)); errs.KindOf(err) != errs.Invalid {
		t.Error(err)
	}
	if list, err := nodes.many(ctx, make([]string, 100)); len(list) != 100 || err != nil {
		t.Error(len(list), err)
	}
}

// TestServed asks the built server for what stands before any domain.
func TestServed(t *testing.T) {
	t.Parallel()
	h, err := NewHandler(Config{Resolver: &Resolver{}, Verifier: fakeVerifier{}, Introspection: true})
	if err != nil {
		t.Fatal(err)
	}
	b := &testBundle{t: t, handler: h, server: httptest.NewServer(h)}
	t.Cleanup(b.server.Close)
	b.url = b.server.URL + "/graphql"

	missing := id.Global("Nothing", id.New())
	for query, want := range map[string]string{
		`{viewer {mode}}`:                             `{"data":{"viewer":null}}`,
		`{node(id: "` + missing + `") {id}}`:          `{"data":{"node":null}}`,
		`{nodes(ids: ["x", "` + missing + `"]) {id}}`: `{"data":{"nodes":[null,null]}}`,
		`{__type(name: "Money") {fields {name}}}`:     `{"data":{"__type":{"fields":[{"name":"amountMinor"},{"name":"currency"}]}}}`,
		`{__type(name: "Retry") {enumValues {name}}}`: `{"data":{"__type":{"enumValues":[{"name":"NEVER"},{"name":"SAME_KEY"},{"name":"NEW_KEY"},{"name":"AFTER"}]}}}`,
		`{__type(name: "DateTime") {specifiedByURL}}`: `{"data":{"__type":{"specifiedByURL":"https://scalars.graphql.org/andimarek/date-time.html"}}}`,
		`{__schema {directives {name} description}}`:  "",
	} {
		r := b.query(query, nil)
		if want == "" {
			if r.status != 200 || strings.Contains(r.body, "defer") || !strings.Contains(r.body, "listSize") {
				t.Error(r.body)
			}
			continue
		}
		if r.body != want {
			t.Errorf("%s: %s", query, r.body)
		}
	}
	if r := b.query("{viewer {mode}}", nil, "Authorization", "Bearer ann"); r.body != `{"data":{"viewer":{"mode":"SANDBOX"}}}` {
		t.Error(r.body)
	}
	many := `{nodes(ids: ["` + strings.Repeat(`x","`, 100) + `x"]) {id}}`
	if r := b.query(many, nil); r.code() != codeValidation || r.Data != nil {
		t.Error("101 ids:", r.status, r.body)
	}
}
