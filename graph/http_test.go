package graph

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestHTTP_Statuses(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Limits.BodyBytes = 4096; c.Limits.Timeout = 30 * time.Millisecond })
	get := func(query string) string { return b.url + "?query=" + url.QueryEscape(query) }
	json := []string{"Content-Type", typeJSON}
	for _, test := range []struct {
		name, method, url, body string
		headers                 []string
		status                  int
		code                    string
	}{
		{"query", "POST", b.url, `{"query":"{hello}"}`, json, 200, ""},
		{"query by GET", "GET", get("{hello}"), "", nil, 200, ""},
		{"mutation", "POST", b.url, `{"query":"mutation{add(n:1)}"}`, json, 200, ""},
		{"mutation by GET", "GET", get("mutation{add(n:1)}"), "", nil, 405, codeValidation},
		{"mutation by GET as a stream", "GET", get("mutation{add(n:1)}"), "", []string{"Accept", typeStream}, 405, codeValidation},
		{"nothing by GET", "GET", b.url, "", nil, 400, codeValidation},
		{"put", "PUT", b.url, "{}", json, 405, codeValidation},
		{"delete", "DELETE", b.url, "", nil, 405, codeValidation},
		{"no content type", "POST", b.url, `{"query":"{hello}"}`, nil, 415, codeValidation},
		{"plain text, as a web form can send it", "POST", b.url, `{"query":"{hello}"}`, []string{"Content-Type", "text/plain"}, 415, codeValidation},
		{"charset", "POST", b.url, `{"query":"{hello}"}`, []string{"Content-Type", "application/json; charset=latin1"}, 415, codeValidation},
		{"compressed", "POST", b.url, "x", []string{"Content-Type", typeJSON, "Content-Encoding", "gzip"}, 415, codeValidation},
		{"form without preflight", "POST", b.url, "query={hello}", []string{"Content-Type", typeForm}, 400, codeValidation},
		{"form", "POST", b.url, "query={hello}", []string{"Content-Type", typeForm, "GraphQL-Preflight", "1"}, 200, ""},
		{"form, Apollo's header", "POST", b.url, "query={hello}", []string{"Content-Type", typeForm, "Apollo-Require-Preflight", "true"}, 200, ""},
		{"multipart without preflight", "POST", b.url, "x", []string{"Content-Type", typeMultipart + "; boundary=x"}, 400, codeValidation},
		{"batch", "POST", b.url, `[{"query":"{hello}"}]`, json, 400, codeValidation},
		{"not an object", "POST", b.url, `"hello"`, json, 400, codeValidation},
		{"trailing text", "POST", b.url, `{"query":"{hello}"} x`, json, 400, codeValidation},
		{"too large", "POST", b.url, `{"query":"` + strings.Repeat(" ", 5000) + `"}`, json, 413, codeValidation},
		{"nothing acceptable", "POST", b.url, `{"query":"{hello}"}`, append(json, "Accept", "text/html"), 406, codeValidation},
		{"refused type", "POST", b.url, `{"query":"{hello}"}`, append(json, "Accept", "application/json;q=0"), 406, codeValidation},
		{"subscription without a stream", "POST", b.url, `{"query":"subscription{ticks(n:1)}"}`, json, 406, codeValidation},
		{"several operations", "POST", b.url, `{"query":"query A{hello} query B{hello}"}`, append(json, "Accept", typeGraphQL), 400, codeValidation},
		{"no such operation", "POST", b.url, `{"query":"query A{hello}","operationName":"B"}`, append(json, "Accept", typeGraphQL), 400, codeValidation},
		{"invalid, as JSON", "POST", b.url, `{"query":"{nothing}"}`, json, 200, codeValidation},
		{"too slow", "POST", b.url, `{"query":"{slow}"}`, json, 200, codeUnavailable},
		{"another path", "GET", b.server.URL + "/elsewhere", "", nil, 404, ""},
		{"explorer off", "GET", b.server.URL + "/graphiql/", "", nil, 404, ""},
	} {
		r := b.do(test.method, test.url, test.body, test.headers...)
		if r.status != test.status || r.code() != test.code {
			t.Errorf("%s: %d %s, not %d %s: %s", test.name, r.status, r.code(), test.status, test.code, r.body)
		}
	}
	if allow := b.do("GET", get("mutation{add(n:1)}"), "").header.Get("Allow"); allow != "POST" {
		t.Error("a mutation by GET is answered with Allow:", allow)
	}
}

func TestHTTP_Negotiation(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	const json, gql = "application/json; charset=utf-8", "application/graphql-response+json; charset=utf-8"
	for accept, want := range map[string]string{
		"*/*":                               json,
		"application/*":                     json,
		"application/json":                  json,
		"application/graphql-response+json": gql,
		"application/graphql-response+json,application/json;q=0.9":                                                          gql,
		"application/json, application/graphql-response+json":                                                               json,
		"application/json;q=0.5, application/graphql-response+json":                                                         gql,
		"application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed": gql,
		"text/event-stream;q=0.2, application/json":                                                                         json,
		"text/html, */*;q=0.1": json,
		"text/event-stream":    "text/event-stream; charset=utf-8",
	} {
		r := b.do("POST", b.url, `{"query":"{hello}"}`, "Content-Type", typeJSON, "Accept", accept)
		if got := r.header.Get("Content-Type"); got != want {
			t.Errorf("Accept: %s gives %s, not %s", accept, got, want)
		}
	}
}

func TestHTTP_Headers(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	r := b.post(`{"query":"{hello}"}`)
	for name, want := range map[string]string{
		"X-Content-Type-Options":  "nosniff",
		"Cache-Control":           "no-store",
		"Referrer-Policy":         "no-referrer",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		"Vary":                    "Origin, Accept",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s: %q, not %q", name, got, want)
		}
	}
	if id := r.header.Get("X-Request-Id"); len(id) != 20 {
		t.Errorf("a request gets the id %q", id)
	}
	for given, kept := range map[string]bool{"trace-0123.abc_DEF": true, "short": false, "new\tline-0123": false, "quote\"0123456": false, strings.Repeat("x", 65): false} {
		if got := b.post(`{"query":"{hello}"}`, "X-Request-Id", given).header.Get("X-Request-Id"); (got == given) != kept {
			t.Errorf("the id %q became %q", given, got)
		}
	}
	if r.body != `{"data":{"hello":"world"}}` {
		t.Error("the body is", r.body)
	}
}

func TestHTTP_Multipart(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	send := func(operations, paths string) *reply {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		_ = form.WriteField("operations", operations)
		_ = form.WriteField("map", paths)
		file, _ := form.CreateFormFile("0", "tone.wav")
		_, _ = file.Write([]byte("RIFFdata"))
		_ = form.Close()
		return b.do("POST", b.url, body.String(), "Content-Type", form.FormDataContentType(), "X-Souk-Preflight", "1")
	}
	const query = `{"query":"query($f: Upload){size(file:$f)}","variables":{"f":null}}`
	if r := send(query, `{"0":["variables.f"]}`); r.status != 200 || r.Data["size"] != 8.0 {
		t.Error(r.status, r.body)
	}
	for _, paths := range []string{`{"0":["variables.g.h"]}`, `{"0":["f"]}`, `{"0":["variables.f.0"]}`, `[]`, `{"0":["variables"]}`} {
		if r := send(query, paths); r.status != http.StatusBadRequest || r.code() != codeValidation {
			t.Errorf("%s: %d %s", paths, r.status, r.body)
		}
	}
	list := `{"query":"{hello}","variables":{"f":[{"a":null}]}}`
	for paths, status := range map[string]int{`{"0":["variables.f.0.a"]}`: 200, `{"0":["variables.f.1.a"]}`: 400, `{"0":["variables.f.-1"]}`: 400} {
		if r := send(list, paths); r.status != status {
			t.Errorf("%s: %d %s", paths, r.status, r.body)
		}
	}
}

func TestHTTP_CORS(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Origins = []string{"https://chat.example"} })
	open := setup(t, func(c *Config) { c.Origins = []string{"*"} })
	own := strings.TrimSuffix(b.url, "/graphql")
	for _, test := range []struct {
		b      *testBundle
		origin string
		ok     bool
	}{
		{b, "https://chat.example", true},
		{b, own, true},
		{b, "https://evil.example", false},
		{b, "http://chat.example", false},
		{b, "https://chat.example.evil.example", false},
		{b, "null", false},
		{open, "https://any.example", true},
	} {
		r := test.b.do("OPTIONS", test.b.url, "", "Origin", test.origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type")
		got := r.header.Get("Access-Control-Allow-Origin")
		if (got == test.origin) != test.ok || (!test.ok && got != "") || r.status != 204 {
			t.Errorf("%s: %d, allowed %q", test.origin, r.status, got)
		}
		if allowed := r.header.Get("Access-Control-Allow-Headers"); test.ok != strings.Contains(allowed, "Authorization") {
			t.Errorf("%s may send %q", test.origin, allowed)
		}
		if r = test.b.post(`{"query":"{hello}"}`, "Origin", test.origin); (r.header.Get("Access-Control-Allow-Origin") == test.origin) != test.ok {
			t.Errorf("%s: the answer's headers are %v", test.origin, r.header)
		}
	}
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()
	for _, bad := range []Config{
		{Trust: "maybe"}, {Trust: TrustOnly}, {Origins: []string{"chat.example"}}, {Origins: []string{"https://chat.example/"}}, {Path: "graphql"}, {Limits: Limits{Depth: -1}},
	} {
		if _, err := newHandler(newFakeSchema(), bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}
