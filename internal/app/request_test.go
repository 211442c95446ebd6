package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/driver"
)

// post sends a body as it is and gives the answer and its first error's code.
func (b *testBundle) post(t *testing.T, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	return b.send(t, http.MethodPost, "/graphql", body, headers...)
}

func (b *testBundle) send(t *testing.T, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.api.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		Errors []struct{ Extensions struct{ Code string } }
	}
	if json.Unmarshal(raw, &out) != nil || len(out.Errors) == 0 {
		return resp, ""
	}
	return resp, out.Errors[0].Extensions.Code
}

// lists are the connections, each with its path and with who may read it. The
// arguments stand where $args does.
func lists(talk, order, wallet, shop string) map[string]struct{ query, who string } {
	return map[string]struct{ query, who string }{
		"contacts":               {"viewer { list: contacts($args) { pageInfo { endCursor } } }", "user"},
		"devices":                {"viewer { list: devices($args) { pageInfo { endCursor } } }", "user"},
		"conversations":          {"viewer { list: conversations($args) { pageInfo { endCursor } } }", "user"},
		"orders":                 {"viewer { list: orders($args) { pageInfo { endCursor } } }", "user"},
		"orders sold":            {"viewer { list: orders($args) { pageInfo { endCursor } } }", "merchant"},
		"fundingSources":         {"viewer { list: fundingSources($args) { pageInfo { endCursor } } }", "user"},
		"fundingTransfers":       {"viewer { list: fundingTransfers($args) { pageInfo { endCursor } } }", "user"},
		"webhookEndpoints":       {"viewer { list: webhookEndpoints($args) { pageInfo { endCursor } } }", "merchant"},
		"members":                {fmt.Sprintf("viewer: conversation(id: %q) { list: members($args) { pageInfo { endCursor } } }", talk), "user"},
		"messages":               {fmt.Sprintf("viewer: conversation(id: %q) { list: messages($args) { pageInfo { endCursor } } }", talk), "user"},
		"refunds":                {fmt.Sprintf("viewer: order(id: %q) { list: refunds($args) { pageInfo { endCursor } } }", order), "user"},
		"products":               {fmt.Sprintf("viewer: merchant(id: %q) { list: products($args) { pageInfo { endCursor } } }", shop), "user"},
		"statement":              {fmt.Sprintf("viewer: node(id: %q) { ... on FundingSource { list: statement($args) { pageInfo { endCursor } } } }", wallet), "user"},
		"a merchant's statement": {"viewer { merchant { accounts { list: statement($args) { pageInfo { endCursor } } } } }", "merchant"},
		"deliveries":             {"viewer { hooks: webhookEndpoints(first: 1) { nodes { list: deliveries($args) { pageInfo { endCursor } } } } }", "merchant"},
	}
}

// Each list is read by pages of 1 to 100, from one end, between cursors of its
// own.
func TestRequest_Pages(t *testing.T) {
	names := slices.Sorted(maps.Keys(lists("", "", "", "")))
	if n := connections(t); n != len(names)-1 { // orders are read by two
		t.Errorf("the schema has %d lists, %d are tried", n, len(names)-1)
	}
	onBoth(t, func(t *testing.T, b *testBundle) {
		for _, name := range names {
			t.Run(name, func(t *testing.T) {
				// Callers of its own, since nobody may ask so much in a minute.
				setup(t, b.world).pages(t, name)
			})
		}
	})
}

func (b *testBundle) pages(t *testing.T, name string) {
	t.Helper()
	alice, bob, shop := b.rich(t, "Alice", 5000), b.user(t, "Bob"), b.shop(t, 10)
	estate := b.estate(t, alice, shop)
	b.do(t, b.service, driver.ContactSet, map[string]any{"userId": alice.ID, "contactId": bob.ID, "state": "CONTACT"}, nil)
	tokens := map[string]string{"user": alice.Token, "merchant": shop.token(t)}
	all := lists(estate["Conversation"], estate["Order"], alice.Wallet, shop.ID)
	read := func(name, args string) (cursor string, err error) {
		var raw json.RawMessage
		l := all[name]
		err = b.api.Do(t.Context(), tokens[l.who], "query Page { "+strings.Replace(l.query, "$args", args, 1)+" }", nil, &raw)
		_, rest, _ := strings.Cut(string(raw), `"endCursor":"`)
		cursor, _, _ = strings.Cut(rest, `"`)
		return cursor, err
	}
	cursors := map[string]string{}
	for name := range all {
		cursor, err := read(name, "first: 1")
		if err != nil || cursor == "" {
			t.Fatalf("the first of %s: %q, %v", name, cursor, err)
		}
		cursors[name] = cursor
	}
	for args, want := range map[string]string{
		"first: 0": "PAGE_SIZE_INVALID", "first: 101": "PAGE_SIZE_INVALID", "first: -1": "PAGE_SIZE_INVALID",
		"last: 0": "PAGE_SIZE_INVALID", "last: 101": "PAGE_SIZE_INVALID", "first: 1, last: 1": "PAGE_SIZE_INVALID",
		`after: "` + cursors[name] + `"`:                       "PAGE_SIZE_INVALID",
		`first: 1, after: "` + tampered(cursors[name]) + `"`:   "CURSOR_INVALID",
		`last: 1, before: "` + tampered(cursors[name]) + `"`:   "CURSOR_INVALID",
		`first: 1, after: "nonsense"`:                          "CURSOR_INVALID",
		`first: 1, after: ""`:                                  "CURSOR_INVALID",
		`first: 1, after: "` + strings.Repeat("A", 1000) + `"`: "CURSOR_INVALID",
		"first: 2147483648":                                    "VALIDATION_FAILED",
	} {
		if _, err := read(name, args); faultOf(err) != want {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
	for other, cursor := range cursors {
		if other == name {
			continue
		}
		if _, err := read(name, `first: 1, after: "`+cursor+`"`); faultOf(err) != "CURSOR_INVALID" {
			t.Errorf("after a cursor of %s: %v", other, err)
		}
	}
	for _, args := range []string{"first: 100", "last: 100", `first: 1, after: "` + cursors[name] + `"`, `last: 1, before: "` + cursors[name] + `"`} {
		if _, err := read(name, args); err != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
	// A cursor of the same list of another user's is of another list.
	if err := b.api.Do(t.Context(), bob.Token, `query Theirs($after: String) { viewer { contacts(first: 1, after: $after) { nodes { id } } } }`,
		map[string]any{"after": cursors["contacts"]}, nil); faultOf(err) != "CURSOR_INVALID" {
		t.Errorf("another user's cursor: %v", err)
	}
}

// connections counts the lists of the schema.
func connections(t *testing.T) (n int) {
	t.Helper()
	for _, def := range loadSchema(t).Types {
		for _, f := range def.Fields {
			if strings.HasSuffix(f.Type.Name(), "Connection") {
				n++
			}
		}
	}
	return n
}

// Orders are stable under inserts, in both directions, and by state.
func TestRequest_OrderPages(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 10_000)
		var want []string
		for range 5 {
			want = append([]string{b.buy(t, alice, shop.card(t, "MUG")).ID}, want...)
		}
		type result struct {
			Viewer struct {
				Orders struct {
					Nodes    []named
					PageInfo pageInfo
				}
			}
		}
		const document = `query OrderPage($first: Int, $after: String, $last: Int, $before: String, $states: [OrderState!]) {
  viewer { orders(first: $first, after: $after, last: $last, before: $before, states: $states) { nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }
}`
		var forward []string
		for paging := map[string]any{"first": 2}; ; {
			var out result
			b.ask(t, alice.Token, document, paging, &out)
			forward = append(forward, ids(out.Viewer.Orders.Nodes)...)
			if !out.Viewer.Orders.PageInfo.HasNextPage {
				break
			}
			paging["after"] = out.Viewer.Orders.PageInfo.EndCursor
			b.buy(t, alice, shop.card(t, "MUG")) // comes before, and moves nothing
		}
		if strings.Join(forward, " ") != strings.Join(want, " ") {
			t.Errorf("the pages have %v, want %v", forward, want)
		}
		var out result
		b.ask(t, alice.Token, document, map[string]any{"last": 2}, &out)
		if got := ids(out.Viewer.Orders.Nodes); strings.Join(got, " ") != strings.Join(want[3:], " ") || !out.Viewer.Orders.PageInfo.HasPreviousPage {
			t.Errorf("the last two are %v, want %v", got, want[3:])
		}
		b.ask(t, alice.Token, document, map[string]any{"first": 10, "states": []string{"REFUNDED", "EXPIRED"}}, &out)
		if len(out.Viewer.Orders.Nodes) != 0 {
			t.Errorf("in no such state are %v", out.Viewer.Orders.Nodes)
		}
	})
}

// A mutation is not sent by GET, where links, images and caches would repeat it.
func TestRequest_GetMutation(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		alice := b.user(t, "Alice")
		talk := b.talk(t, alice)
		get := func(query string) (*http.Response, string) {
			return b.send(t, http.MethodGet, "/graphql?query="+url.QueryEscape(query), "", "Authorization", "Bearer "+alice.Token)
		}
		mutation := fmt.Sprintf(`mutation { messageSend(input: {conversationId: %q, text: "Hi", idempotencyKey: "k"}) { message { id } } }`, talk)
		b.leavesNothing(t, func() {
			if resp, code := get(mutation); resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "POST" || code == "" {
				t.Errorf("a mutation by GET: %d %s, Allow %q", resp.StatusCode, code, resp.Header.Get("Allow"))
			}
			for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPatch} {
				if resp, _ := b.send(t, method, "/graphql", `{"query":"{viewer{mode}}"}`); resp.StatusCode != http.StatusMethodNotAllowed {
					t.Errorf("%s: %d", method, resp.StatusCode)
				}
			}
			// A form that any page could send needs a header that it could not.
			form := url.Values{"query": {mutation}}.Encode()
			resp, code := b.post(t, form, "Content-Type", "application/x-www-form-urlencoded", "Authorization", "Bearer "+alice.Token)
			if resp.StatusCode != http.StatusBadRequest || code != "VALIDATION_FAILED" {
				t.Errorf("a form: %d %s", resp.StatusCode, code)
			}
		})
		if resp, code := get("{viewer{mode}}"); resp.StatusCode != http.StatusOK || code != "" {
			t.Errorf("a query by GET: %d %s", resp.StatusCode, code)
		}
	})
}

// What is too deep, too long or too much is refused before it costs anything.
func TestRequest_TooMuch(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		alice := b.user(t, "Alice")
		deep := func(n int, open, close string) string { return strings.Repeat(open, n) + strings.Repeat(close, n) }
		quoted := func(query string) string {
			body, err := json.Marshal(map[string]string{"query": query})
			if err != nil {
				t.Fatal(err)
			}
			return string(body)
		}
		for what, try := range map[string]struct {
			body string
			code string
		}{
			"100,000 deep":           {quoted("{viewer" + deep(100_000, "{a", "}") + "}"), "COST_LIMIT"},
			"deep fragments":         {quoted("{viewer" + deep(100_000, "{...on A", "}") + "}"), "COST_LIMIT"},
			"a deep list":            {quoted("{nodes(ids:" + deep(100_000, "[", "]") + "){id}}"), "COST_LIMIT"},
			"a deep object":          {quoted("{nodes(ids:" + deep(100_000, "{a:", "}") + "){id}}"), "COST_LIMIT"},
			"a deep type":            {quoted("query($a:" + deep(100_000, "[", "]") + "){viewer{mode}}"), "COST_LIMIT"},
			"deep variables":         {`{"query":"query($a:[ID!]!){nodes(ids:$a){id}}","variables":{"a":` + deep(100_000, "[", "]") + `}}`, "VALIDATION_FAILED"},
			"deep nonsense":          {deep(100_000, "[", "]"), "VALIDATION_FAILED"},
			"deep, of this schema":   {quoted("{viewer{conversations(first:1){nodes{" + deep(8, "members(first:1){nodes{", "}}") + "}}}}"), "VALIDATION_FAILED"},
			"a ring of fragments":    {quoted("{viewer{...A}} fragment A on Viewer{...B} fragment B on Viewer{...A}"), "VALIDATION_FAILED"},
			"doubling fragments":     {quoted(doubling(40)), "COST_LIMIT"},
			"ten thousand aliases":   {quoted("{" + aliases(10_000) + "}"), "COST_LIMIT"},
			"as many as the budget":  {quoted("{viewer{conversations(first:100){nodes{messages(first:100){nodes{id}}}}}}"), "COST_LIMIT"},
			"more than a megabyte":   {quoted("{viewer{mode}} #" + strings.Repeat(" ", 1<<20)), "VALIDATION_FAILED"},
			"a field that is none":   {quoted("{nothing}"), "VALIDATION_FAILED"},
			"no GraphQL":             {quoted("Give me all."), "VALIDATION_FAILED"},
			"nothing":                {"{}", "VALIDATION_FAILED"},
			"no JSON":                {"{", "VALIDATION_FAILED"},
			"a document unknown":     {`{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"` + strings.Repeat("0", 64) + `"}}}`, "PERSISTED_QUERY_NOT_FOUND"},
			"a variable of nonsense": {`{"query":"query($id:ID!){node(id:$id){id}}","variables":{"id":{}}}`, "VALIDATION_FAILED"},
		} {
			began := time.Now()
			resp, code := b.post(t, try.body, "Authorization", "Bearer "+alice.Token, "Accept", "application/graphql-response+json")
			if took := time.Since(began); code != try.code || took > 10*time.Second {
				t.Errorf("%s: %d %s after %v, want %s", what, resp.StatusCode, code, took, try.code)
			}
		}
	})
}

// doubling is a document whose fragments each spread the next one twice.
func doubling(n int) string {
	var b strings.Builder
	b.WriteString("{viewer{...F0}}")
	for i := range n {
		_, _ = fmt.Fprintf(&b, " fragment F%d on Viewer{...F%[2]d ...F%[2]d}", i, i+1)
	}
	_, _ = fmt.Fprintf(&b, " fragment F%d on Viewer{mode}", n)
	return b.String()
}

func aliases(n int) string {
	var b strings.Builder
	for i := range n {
		_, _ = fmt.Fprintf(&b, "a%d:viewer{mode} ", i)
	}
	return b.String()
}

// Whoever calls too fast is told when to come back; others are not held up.
func TestRequest_RateLimit(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		hasty, calm := b.user(t, "Hasty"), b.user(t, "Calm")
		var (
			all             sync.WaitGroup
			limited, served atomic.Int32
			after           atomic.Value
		)
		const body = `{"query":"{viewer{mode}}"}`
		for range 10 {
			all.Go(func() {
				for range 60 {
					resp, code := b.post(t, body, "Authorization", "Bearer "+hasty.Token, "Accept", "application/graphql-response+json")
					if code != "RATE_LIMITED" {
						served.Add(1)
						continue
					}
					limited.Add(1)
					after.Store(resp.Header.Get("Retry-After"))
					if resp.StatusCode != http.StatusTooManyRequests {
						t.Errorf("too fast: %d", resp.StatusCode)
					}
				}
			})
		}
		all.Wait()
		if limited.Load() == 0 || served.Load() < 200 || after.Load() == "" {
			t.Errorf("%d were served and %d limited, to come back after %v", served.Load(), limited.Load(), after.Load())
		}
		if _, code := b.post(t, body, "Authorization", "Bearer "+calm.Token); code != "" {
			t.Errorf("another user: %s", code)
		}
	})
}

// bearer is the header of a token; none for none.
func bearer(token string) []string {
	if token == "" {
		return nil
	}
	return []string{"Authorization", "Bearer " + token}
}

// A document is sent once and then named by its hash, on every server.
func TestRequest_PersistedQuery(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		alice := b.user(t, "Alice")
		query := "{viewer{mode user{id}}} #" + b.name("persisted")
		hash := fmt.Sprintf("%x", sum(query))
		extensions := `"extensions":{"persistedQuery":{"version":1,"sha256Hash":"` + hash + `"}}`
		if _, code := b.post(t, "{"+extensions+"}"); code != "PERSISTED_QUERY_NOT_FOUND" {
			t.Errorf("unknown: %s", code)
		}
		if _, code := b.post(t, `{"query":"{viewer{mode}}",`+extensions+"}"); code != "VALIDATION_FAILED" {
			t.Errorf("another document under the name: %s", code)
		}
		named := "{" + extensions + "}"
		for _, token := range []string{"", alice.Token} { // nobody leaves nothing behind
			if _, code := b.post(t, named, bearer(alice.Token)...); code != "PERSISTED_QUERY_NOT_FOUND" {
				t.Errorf("not told yet: %s", code)
			}
			if _, code := b.post(t, `{"query":"`+query+`",`+extensions+"}", bearer(token)...); code != "" {
				t.Errorf("told: %s", code)
			}
		}
		elsewhere := *b
		elsewhere.world = &world{url: b.other}
		if _, code := elsewhere.post(t, named, bearer(alice.Token)...); code != "" {
			t.Errorf("named: %s", code)
		}
	})
}

// What a client gets wrong is never answered as a fault of Souk's.
func TestRequest_Wrong(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		alice, shop := b.user(t, "Alice"), b.shop(t, 10)
		nul := "a\x00b"
		for what, try := range map[string]struct {
			token, document string
			variables       map[string]any
		}{
			"NUL in a variable":   {alice.Token, `query($id: ID!) { node(id: $id) { id } }`, map[string]any{"id": nul}},
			"NUL in a literal":    {alice.Token, `{ node(id: "a\u0000b") { id } }`, nil},
			"NUL in a filter":     {shop.token(t), `query($of: String!) { viewer { webhookEndpoints(first: 1) { nodes { deliveries(first: 1, filter: {eventTypes: [$of]}) { nodes { id } } } } } }`, map[string]any{"of": nul}},
			"one field twice":     {alice.Token, `subscription { a: feed { cursor } b: feed { cursor } }`, nil},
			"a field skipped":     {alice.Token, `subscription { feed @skip(if: true) { cursor } }`, nil},
			"a fragment included": {alice.Token, `subscription($b: Boolean!) { ... @include(if: $b) { feed { cursor } } }`, map[string]any{"b": false}},
		} {
			if got := faultOf(b.api.Do(t.Context(), try.token, try.document, try.variables, nil)); got != "VALIDATION_FAILED" {
				t.Errorf("%s: %s", what, got)
			}
		}
		wantRefusal(t, b.api.Mutate(t.Context(), alice.Token, deviceRegister, map[string]any{
			"name": "Phone", "publicKey": `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a\u0000b"}`,
		}, nil), "KEY_INVALID")
		if got := faultOf(b.api.Do(t.Context(), b.token(t, nul, nil), viewerShow, nil, nil)); got != "UNAUTHENTICATED" {
			t.Errorf("a subject with NUL: %s", got)
		}
		const part = "--B\r\nContent-Disposition: form-data; name="
		body := part + "\"operations\"\r\n\r\n{\"query\":\"{viewer{mode}}\"}\r\n" + part + "\"map\"\r\n\r\n{\"0\":[\"variables.x\"]}\r\n" +
			part + "\"0\"; filename=\"f\"\r\n\r\nx\r\n--B--\r\n"
		resp, code := b.post(t, body, "Content-Type", "multipart/form-data; boundary=B", "GraphQL-Preflight", "1")
		if resp.StatusCode != http.StatusBadRequest || code != "VALIDATION_FAILED" {
			t.Errorf("a file for no variable: %d %s", resp.StatusCode, code)
		}
	})
}
