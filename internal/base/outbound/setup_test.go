package outbound

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// server is a third party. Its counters tell what reached it.
type server struct {
	*httptest.Server
	port  string
	conns atomic.Int64 // connections opened in all
	open  atomic.Int64 // connections open now
	peak  atomic.Int64
}

// serve starts a server on an address such as 127.0.0.2; tlsConfig nil means
// plain http. The certificate is for example.com, 127.0.0.1 and ::1.
func serve(t *testing.T, address string, tlsConfig *tls.Config, h http.HandlerFunc) *server {
	t.Helper()
	l := listen(t, address)
	s := &server{Server: &httptest.Server{Listener: l, Config: &http.Server{
		Handler:  h,
		ErrorLog: log.New(io.Discard, "", 0), // refused handshakes are the point of some tests
	}}}
	_, s.port, _ = net.SplitHostPort(l.Addr().String())
	s.Config.ConnState = s.count
	if tlsConfig != nil {
		s.TLS = tlsConfig
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func (s *server) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.conns.Add(1)
		now := s.open.Add(1)
		for peak := s.peak.Load(); now > peak && !s.peak.CompareAndSwap(peak, now); peak = s.peak.Load() {
		}
	case http.StateClosed, http.StateHijacked:
		s.open.Add(-1)
	}
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// raw starts a server that speaks bytes; each connection gets its own goroutine,
// and all are done when the test is.
func raw(t *testing.T, address string, speak func(net.Conn)) string {
	t.Helper()
	l := listen(t, address)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer conn.Close(); speak(conn) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String()
}

// newClient makes a client that admits 127.0.0.2 by plain http.
func newClient(t *testing.T, change func(*Config)) *Client {
	t.Helper()
	cfg := Config{AllowAddresses: []string{"127.0.0.2"}, AllowHTTP: true}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func get(t *testing.T, c *Client, url string) (Response, error) {
	t.Helper()
	return c.Do(t.Context(), Request{Method: "GET", URL: url})
}

// dns is a DNS server whose answers the test decides.
type dns struct {
	address string
	asked   atomic.Int64 // A records asked for
}

// serveDNS answers the n-th question (from 1) for an A record of any name with
// answer(n), and has no other records.
func serveDNS(t *testing.T, answer func(n int64) []string) *dns {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &dns{address: conn.LocalAddr().String()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(d.reply(buf[:n], answer), from)
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return d
}

// reply writes a DNS message (RFC 1035 §4.1): the header, the question as it
// came, and an A record of no lifetime for each address.
func (d *dns) reply(query []byte, answer func(n int64) []string) []byte {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	question := query[12 : end+5]
	var addresses []string
	if isA := binary.BigEndian.Uint16(question[len(question)-4:]) == 1; isA {
		addresses = answer(d.asked.Add(1))
	}
	msg := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, byte(len(addresses)), 0, 0, 0, 0}, question...)
	for _, a := range addresses {
		msg = append(msg, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		msg = append(msg, netip.MustParseAddr(a).AsSlice()...)
	}
	return msg
}

// tripper is a network that answers at once, for tests that own the time.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody}, nil
}

func within(t *testing.T, d time.Duration, what string, done <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	select {
	case <-done:
	case <-ctx.Done():
		t.Fatalf("%s: not within %v", what, d)
	}
}

func repeat(s string, n int) string { return strings.Repeat(s, n) }
