package graph

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/errs"
)

func TestSSE_Whole(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Verifier = fakeVerifier{} })
	const end = "event: complete\ndata:\n\n"
	for query, want := range map[string]string{
		`subscription {ticks(n: 2)}`: ":\n\nevent: next\ndata: {\"data\":{\"ticks\":0}}\n\nevent: next\ndata: {\"data\":{\"ticks\":1}}\n\n" + end,
		`{hello}`:                    ":\n\nevent: next\ndata: {\"data\":{\"hello\":\"world\"}}\n\n" + end,
		`mutation {add(n: 1)}`:       ":\n\nevent: next\ndata: {\"data\":{\"add\":1}}\n\n" + end,
		`{nothing}`:                  "event: next\ndata: {\"errors\":[{\"message\":\"Cannot query field \\\"nothing\\\" on type \\\"Query\\\".\",\"locations\":[{\"line\":1,\"column\":2}],\"extensions\":{\"code\":\"VALIDATION_FAILED\"}}]}\n\n" + end,
		`subscription {refuse}`:      ":\n\nevent: next\ndata: {\"errors\":[{\"message\":\"Too old.\",\"extensions\":{\"code\":\"CURSOR_EXPIRED\"}}]}\n\n" + end,
	} {
		r := b.do("POST", b.url, `{"query":"`+query+`"}`, "Content-Type", typeJSON, "Accept", typeStream, "Authorization", "Bearer ann")
		if r.status != 200 || r.body != want || r.header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
			t.Errorf("%s: %d %q", query, r.status, r.body)
		}
	}
	if r := b.do("POST", b.url, `{"query":"subscription {lag}"}`, "Content-Type", typeJSON, "Accept", typeStream, "Authorization", "Bearer ann"); !strings.Contains(r.body, "LAGGED") || !strings.HasSuffix(r.body, end) {
		t.Error("a subscription that cannot go on:", r.body)
	}
	if r := b.do("GET", b.url+"?query="+url.QueryEscape("subscription {ticks(n: 1)}"), "", "Accept", typeStream, "Authorization", "Bearer ann"); !strings.Contains(r.body, `{"ticks":0}`) {
		t.Error("by GET, as EventSource does:", r.body)
	}
	if r := b.do("POST", b.url, `{"query":"subscription {forever}"}`, "Content-Type", typeJSON, "Accept", typeStream); !strings.Contains(r.body, codeUnauthenticated) {
		t.Error("nobody:", r.body)
	}
	if r := b.do("POST", b.url, `{"query":"{hello}"}`, "Content-Type", typeJSON, "Accept", typeStream, "Authorization", "Bearer bad"); r.status != 401 {
		t.Error("a bad token:", r.status, r.body)
	}
}

// listen opens a stream of a subscription that does not end by itself.
func (b *testBundle) listen(ctx context.Context, token string) (*bufio.Reader, func()) {
	b.t.Helper()
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, b.url, strings.NewReader(`{"query":"subscription {forever}"}`))
	req.Header.Set("Content-Type", typeJSON)
	req.Header.Set("Accept", typeStream)
	req.Header.Set("Authorization", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	return bufio.NewReader(resp.Body), func() { _ = resp.Body.Close() }
}

func expectLines(t *testing.T, r *bufio.Reader, want ...string) {
	t.Helper()
	for _, w := range want {
		line, err := r.ReadString('\n')
		if err != nil || strings.TrimSuffix(line, "\n") != w {
			t.Fatalf("%q, %v, not %q", line, err, w)
		}
	}
}

func TestSSE_Ends(t *testing.T) {
	t.Parallel()
	ends := make(chan context.CancelCauseFunc, 1)
	b := setup(t, func(c *Config) {
		c.Verifier = fakeVerifier{watch: func(_ string, end context.CancelCauseFunc) { ends <- end }}
		c.Limits.PingEvery = 10 * time.Millisecond
		c.Limits.Subscriptions = 1
	})
	first := []string{":", "", "event: next", `data: {"data":{"forever":1}}`, "", ":", ""}

	body, done := b.listen(t.Context(), "Bearer ann")
	expectLines(t, body, first...)
	second, done2 := b.listen(t.Context(), "Bearer ann")
	if data, _ := io.ReadAll(second); !strings.Contains(string(data), "SUBSCRIPTIONS_FULL") {
		t.Errorf("one too many: %s", data)
	}
	done2()
	(<-ends)(errs.ErrUnauthenticated)
	data, err := io.ReadAll(body)
	if err != nil || !strings.Contains(string(data), codeUnauthenticated) || !strings.HasSuffix(string(data), "event: complete\ndata:\n\n") {
		t.Errorf("revoked: %s, %v", data, err)
	}
	done()

	ctx, leave := context.WithCancel(t.Context())
	body, done = b.listen(ctx, "Bearer ben")
	expectLines(t, body, first...)
	<-ends
	leave()
	done()
	b.handler.streams.done.Wait() // a client that left is served no longer

	body, done = b.listen(t.Context(), "Bearer cat")
	defer done()
	expectLines(t, body, first...)
	if err := b.handler.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if data, _ := io.ReadAll(body); !strings.Contains(string(data), codeUnavailable) {
		t.Errorf("at a shutdown: %s", data)
	}
	if r := b.do("POST", b.url, `{"query":"subscription {forever}"}`, "Content-Type", typeJSON, "Accept", typeStream, "Authorization", "Bearer dan"); r.status != 503 {
		t.Error("after the shutdown:", r.status, r.body)
	}
}

// TestSSE_OutlivesTheServersTimeouts holds a stream open for longer than the
// server gives a request.
func TestSSE_OutlivesTheServersTimeouts(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Limits.PingEvery = 10 * time.Millisecond })
	server := httptest.NewUnstartedServer(b.handler)
	server.Config.ReadTimeout = 50 * time.Millisecond
	server.Config.WriteTimeout = 50 * time.Millisecond
	server.Start()
	defer server.Close()
	b.url = server.URL + "/graphql"
	ctx, leave := context.WithCancel(t.Context())
	body, done := b.listen(ctx, "")
	expectLines(t, body, ":", "", "event: next", `data: {"data":{"forever":1}}`, "")
	for range 20 {
		expectLines(t, body, ":", "")
	}
	leave()
	done()
}
