package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/soukhq/souk/internal/base/errs"
)

// testSocket is a client's end of a connection.
type testSocket struct {
	t    *testing.T
	conn *websocket.Conn
}

func (b *testBundle) dial(headers ...string) *testSocket {
	b.t.Helper()
	s, err := b.tryDial([]string{subprotocol}, headers...)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *testBundle) tryDial(protocols []string, headers ...string) (*testSocket, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	header := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		header.Set(headers[i], headers[i+1])
	}
	conn, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(b.url, "http"), &websocket.DialOptions{Subprotocols: protocols, HTTPHeader: header})
	if err != nil {
		if resp != nil {
			err = fmt.Errorf("status %d: %w", resp.StatusCode, err)
		}
		return nil, err
	}
	b.t.Cleanup(func() { _ = conn.CloseNow() })
	return &testSocket{b.t, conn}, nil
}

func (s *testSocket) send(message string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		s.t.Fatal(err)
	}
}

// read gives the next message, or what the connection was closed with.
func (s *testSocket) read() string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, data, err := s.conn.Read(ctx)
	if code := websocket.CloseStatus(err); code != -1 {
		return fmt.Sprint("closed ", int(code))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

func (s *testSocket) expect(want ...string) {
	s.t.Helper()
	for _, w := range want {
		if got := s.read(); got != w {
			s.t.Fatalf("got %s, not %s", got, w)
		}
	}
}

// open has a connection acknowledged.
func (b *testBundle) open() *testSocket {
	b.t.Helper()
	s := b.dial()
	s.send(`{"type":"connection_init","payload":{"Authorization":"Bearer ann"}}`)
	s.expect(`{"type":"connection_ack"}`)
	return s
}

func subscribe(id, query string) string {
	payload, _ := json.Marshal(map[string]string{"query": query})
	return fmt.Sprintf(`{"id":%q,"type":"subscribe","payload":%s}`, id, payload)
}

func TestSocket_Operations(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Verifier = fakeVerifier{} })
	s := b.open()
	s.send(subscribe("1", "subscription {n: ticks(n: 3)}"))
	s.expect(
		`{"id":"1","type":"next","payload":{"data":{"n":0}}}`,
		`{"id":"1","type":"next","payload":{"data":{"n":1}}}`,
		`{"id":"1","type":"next","payload":{"data":{"n":2}}}`,
		`{"id":"1","type":"complete"}`,
	)
	s.send(subscribe("1", "{hello}")) // the id is free again
	s.expect(`{"id":"1","type":"next","payload":{"data":{"hello":"world"}}}`, `{"id":"1","type":"complete"}`)
	s.send(subscribe("2", "mutation {add(n: 4)}"))
	s.expect(`{"id":"2","type":"next","payload":{"data":{"add":4}}}`, `{"id":"2","type":"complete"}`)
	s.send(subscribe("3", "{nothing}"))
	if got := s.read(); !strings.HasPrefix(got, `{"id":"3","type":"error","payload":[{"message":`) || !strings.Contains(got, "VALIDATION_FAILED") {
		t.Error("an invalid document:", got)
	}
	s.send(subscribe("4", "subscription {refuse}"))
	if got := s.read(); !strings.HasPrefix(got, `{"id":"4","type":"error"`) || !strings.Contains(got, "CURSOR_EXPIRED") {
		t.Error("a subscription that cannot begin:", got)
	}
	s.send(subscribe("4", "subscription {lag}"))
	s.expect(`{"id":"4","type":"next","payload":{"data":{"lag":1}}}`)
	if got := s.read(); !strings.HasPrefix(got, `{"id":"4","type":"error"`) || !strings.Contains(got, "LAGGED") {
		t.Error("a subscription that cannot go on:", got)
	}
	s.send(subscribe("5", `{fail(how: "panic")}`))
	if got := s.read(); !strings.HasPrefix(got, `{"id":"5","type":"next"`) || !strings.Contains(got, "INTERNAL") || strings.Contains(got, "hunter2") {
		t.Error("a panic:", got)
	}
	s.expect(`{"id":"5","type":"complete"}`)
	s.send(`{"type":"ping","payload":{"a":1}}`)
	s.expect(`{"type":"pong","payload":{"a":1}}`)
	s.send(`{"type":"pong"}`)
	s.send(subscribe("6", "subscription {forever}"))
	s.expect(`{"id":"6","type":"next","payload":{"data":{"forever":1}}}`)
	s.send(`{"id":"6","type":"complete"}`)
	s.send(`{"id":"none","type":"complete"}`)
	s.send(subscribe("6", "{hello}")) // nothing more is said of the first one
	s.expect(`{"id":"6","type":"next","payload":{"data":{"hello":"world"}}}`, `{"id":"6","type":"complete"}`)
}

// TestSocket_Trusted names the client where a browser can: in connection_init.
func TestSocket_Trusted(t *testing.T) {
	t.Parallel()
	list, err := ReadTrusted(strings.NewReader(`{"chat": {"hello-1": "{hello}"}}`))
	if err != nil {
		t.Fatal(err)
	}
	b := setup(t, func(c *Config) { c.Trust, c.Trusted = TrustOnly, list })
	const operation = `{"id":"1","type":"subscribe","payload":{"id":"hello-1"}}`
	const hello = `{"id":"1","type":"next","payload":{"data":{"hello":"world"}}}`
	for name, test := range map[string]struct{ header, payload, want string }{
		"in the payload":    {"", `{"GraphQL-Client-Name":"chat"}`, hello},
		"as Apollo has it":  {"", `{"apollographql-client-name":"chat"}`, hello},
		"in the header":     {"chat", `{}`, hello},
		"the payload first": {"shop", `{"graphql-client-name":"chat"}`, hello},
		"another":           {"chat", `{"GraphQL-Client-Name":"shop"}`, codeNotPersisted},
		"none":              {"", `{}`, codeNotPersisted},
	} {
		s := b.dial("GraphQL-Client-Name", test.header)
		s.send(`{"type":"connection_init","payload":` + test.payload + `}`)
		s.expect(`{"type":"connection_ack"}`)
		s.send(operation)
		if got := s.read(); !strings.Contains(got, test.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestSocket_Closes(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) {
		c.Verifier = fakeVerifier{}
		c.Limits.InitTimeout = 100 * time.Millisecond
		c.Limits.BodyBytes = 1000
	})
	const init = `{"type":"connection_init","payload":{"authorization":"ann"}}`
	for name, test := range map[string]struct {
		send []string
		want string
	}{
		"too early":         {[]string{subscribe("1", "{hello}")}, "closed 4401"},
		"bad token":         {[]string{`{"type":"connection_init","payload":{"Authorization":"Bearer bad"}}`}, "closed 4401"},
		"no token":          {[]string{`{"type":"connection_init"}`}, "closed 4401"},
		"forbidden":         {[]string{`{"type":"connection_init","payload":{"Authorization":"Bearer guest"}}`}, "closed 4403"},
		"issuer away":       {[]string{`{"type":"connection_init","payload":{"Authorization":"Bearer down"}}`}, "closed 1013"},
		"payload no object": {[]string{`{"type":"connection_init","payload":[1]}`}, "closed 4400"},
		"no init":           {nil, "closed 4408"},
		"two inits":         {[]string{init, init}, "closed 4429"},
		"id taken":          {[]string{init, subscribe("1", "subscription {forever}"), subscribe("1", "{hello}")}, "closed 4409"},
		"no id":             {[]string{init, subscribe("", "{hello}")}, "closed 4400"},
		"long id":           {[]string{init, subscribe(strings.Repeat("x", 129), "{hello}")}, "closed 4400"},
		"no query":          {[]string{init, `{"id":"1","type":"subscribe","payload":{}}`}, "closed 4400"},
		"no payload":        {[]string{init, `{"id":"1","type":"subscribe"}`}, "closed 4400"},
		"not JSON":          {[]string{`hello`}, "closed 4400"},
		"unknown type":      {[]string{`{"type":"start"}`}, "closed 4400"},
		"too large":         {[]string{init, subscribe("1", "{hello}"+strings.Repeat(" ", 1000))}, "closed 1009"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := b.dial()
			s.t = t
			for _, m := range test.send {
				s.send(m)
			}
			for {
				got := s.read()
				if strings.Contains(got, `"connection_ack"`) || strings.Contains(got, `"next"`) {
					continue
				}
				if got != test.want {
					t.Errorf("%s, not %s", got, test.want)
				}
				return
			}
		})
	}
}

func TestSocket_Handshake(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) {
		c.Verifier = fakeVerifier{}
		c.SocketOrigins = []string{"https://chat.example"}
		c.Origins = []string{"https://shop.example"}
	})
	own := strings.TrimSuffix(b.url, "/graphql")
	for origin, ok := range map[string]bool{"https://chat.example": true, own: true, "https://shop.example": false, "https://evil.example": false, "null": false} {
		_, err := b.tryDial([]string{subprotocol}, "Origin", origin)
		if (err == nil) != ok || (err != nil && !strings.Contains(err.Error(), "status 403")) {
			t.Errorf("%s: %v", origin, err)
		}
	}
	for _, protocols := range [][]string{nil, {"graphql-ws"}, {"graphql-transport-ws2"}} {
		s, err := b.tryDial(protocols)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.read(); got != "closed 4406" {
			t.Errorf("%v: %s", protocols, got)
		}
	}
	if _, err := b.tryDial([]string{subprotocol}, "Authorization", "Bearer bad"); err == nil || !strings.Contains(err.Error(), "status 401") {
		t.Error("a bad token in the header:", err)
	}
	s := b.dial("Authorization", "Bearer ann")
	s.send(`{"type":"connection_init"}`)
	s.expect(`{"type":"connection_ack"}`)
	if r := b.do("GET", b.url, "", "Upgrade", "h2c", "Connection", "Upgrade"); r.status != http.StatusUpgradeRequired {
		t.Error("another upgrade:", r.status)
	}
}

func TestSocket_Limits(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) {
		c.Verifier = fakeVerifier{}
		c.Limits.SocketOperations = 2
		c.Limits.Subscriptions = 3
		c.Limits.Streams = 3
	})
	forever := func(s *testSocket, id string) {
		s.send(subscribe(id, "subscription {forever}"))
		s.expect(`{"id":"` + id + `","type":"next","payload":{"data":{"forever":1}}}`)
	}
	refused := func(s *testSocket, id string) {
		t.Helper()
		s.send(subscribe(id, "subscription {forever}"))
		if got := s.read(); !strings.HasPrefix(got, `{"id":"`+id+`","type":"error"`) || !strings.Contains(got, codeRateLimited) {
			t.Error("one too many:", got)
		}
	}
	one, two := b.open(), b.open()
	forever(one, "1")
	forever(one, "2")
	refused(one, "3")
	forever(two, "1")
	refused(two, "2")
	one.send(`{"id":"1","type":"complete"}`)
	for range 100 { // it takes a moment until the first one is over
		two.send(subscribe("x", "subscription {forever}"))
		if !strings.Contains(two.read(), codeRateLimited) {
			break
		}
	}
	b.open()
	if _, err := b.tryDial([]string{subprotocol}); err == nil || !strings.Contains(err.Error(), "status 503") {
		t.Error("a fourth connection:", err)
	}
}

func TestSocket_CredentialsEnd(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	ends := map[string]context.CancelCauseFunc{}
	b := setup(t, func(c *Config) {
		c.Verifier = fakeVerifier{watch: func(name string, end context.CancelCauseFunc) {
			mu.Lock()
			defer mu.Unlock()
			ends[name] = end
		}}
	})
	s := b.open()
	s.send(subscribe("1", "subscription {forever}"))
	s.expect(`{"id":"1","type":"next","payload":{"data":{"forever":1}}}`)
	mu.Lock()
	ends["ann"](errs.ErrUnauthenticated)
	mu.Unlock()
	s.expect("closed 4401") // and no "complete", which would say that all was sent
}

func TestSocket_Shutdown(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Verifier = fakeVerifier{} })
	s := b.open()
	s.send(subscribe("1", "subscription {forever}"))
	s.expect(`{"id":"1","type":"next","payload":{"data":{"forever":1}}}`)
	done := make(chan error, 1)
	go func() { done <- b.handler.Shutdown(context.Background()) }()
	s.expect("closed 1001")
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := b.tryDial([]string{subprotocol}); err == nil {
		t.Error("a connection after the shutdown")
	}
}

func TestSocket_Ping(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) {
		c.Verifier = fakeVerifier{}
		c.Limits.PingEvery = 20 * time.Millisecond
		c.Limits.WriteTimeout = 100 * time.Millisecond
	})
	s := b.open()
	// A client that reads nothing answers no ping, and is cut off.
	b.handler.streams.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, _, err := s.conn.Read(ctx); err == nil {
		t.Error("the connection is open")
	}
}

// TestSocket_Many opens and leaves many connections at once.
func TestSocket_Many(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Verifier = fakeVerifier{} })
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			s := b.open()
			for j := range 10 {
				s.send(subscribe(fmt.Sprint(j), "subscription {forever}"))
			}
			for range 10 {
				s.read()
			}
			if i%2 == 0 {
				_ = s.conn.CloseNow()
			} else {
				_ = s.conn.Close(websocket.StatusNormalClosure, "")
			}
		})
	}
	all.Wait()
}
