package outbound

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestClient_Do(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.2", nil, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusAccepted)
		for _, s := range []string{r.Method, r.URL.String(), r.Header.Get("Content-Type"), r.Header.Get("X-Own"),
			r.Header.Get("Accept-Encoding"), r.Header.Get("User-Agent"), string(body)} {
			_, _ = io.WriteString(w, s+"\n")
		}
	})
	c := newClient(t, nil)
	own := http.Header{"X-Own": {"yes"}}
	res, err := c.Do(t.Context(), Request{
		Method: "POST", URL: "http://127.0.0.2:" + s.port + "/a?b=c", Header: own,
		Body: []byte("hello"), ContentType: "application/jose",
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "POST\n/a?b=c\napplication/jose\nyes\nidentity\nSouk\nhello\n"; string(res.Body) != want {
		t.Errorf("body %q, want %q", res.Body, want)
	}
	if res.Status != 202 || res.RetryAfter != 7*time.Second {
		t.Errorf("status %d, retry after %v", res.Status, res.RetryAfter)
	}
	if len(own) != 1 {
		t.Errorf("the caller's header was changed: %v", own)
	}
}

func TestClient_Do_TLS(t *testing.T) {
	t.Parallel()
	ok := func(http.ResponseWriter, *http.Request) {}
	d := serveDNS(t, func(int64) []string { return []string{"127.0.0.2"} })
	modern := serve(t, "127.0.0.2", &tls.Config{}, ok)
	old := serve(t, "127.0.0.2", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, ok)
	roots := x509.NewCertPool()
	roots.AddCert(modern.Certificate())
	trusting := newClient(t, func(cfg *Config) { cfg.Resolver, cfg.RootCAs = d.address, roots })
	strict := newClient(t, func(cfg *Config) { cfg.Resolver = d.address })

	if res, err := get(t, trusting, "https://example.com:"+modern.port); err != nil || res.Status != 200 {
		t.Errorf("trusted: %v, %v", res.Status, err)
	}
	for name, do := range map[string]func() (Response, error){
		"unknown authority": func() (Response, error) { return get(t, strict, "https://example.com:"+modern.port) },
		"another name":      func() (Response, error) { return get(t, trusting, "https://other.example:"+modern.port) },
		"TLS 1.1":           func() (Response, error) { return get(t, trusting, "https://example.com:"+old.port) },
	} {
		if _, err := do(); !errors.Is(err, ErrTransport) || !NotSent(err) {
			t.Errorf("%s: %v, want a failure of transport, not sent", name, err)
		}
	}
}

func TestClient_Do_RedirectIsAnAnswer(t *testing.T) {
	t.Parallel()
	var followed atomic.Bool
	private := serve(t, "127.0.0.1", nil, func(http.ResponseWriter, *http.Request) { followed.Store(true) })
	s := serve(t, "127.0.0.2", nil, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/there" {
			followed.Store(true)
		}
		w.Header().Set("Location", r.URL.Query().Get("to"))
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	c := newClient(t, nil)
	for _, to := range []string{"/there", private.URL} {
		res, err := get(t, c, "http://127.0.0.2:"+s.port+"/?to="+to)
		if !errors.Is(err, ErrRedirect) || NotSent(err) {
			t.Errorf("%v, want a redirect that was sent", err)
		}
		if res.Status != 307 || res.Header.Get("Location") != to {
			t.Errorf("answer %d %q", res.Status, res.Header.Get("Location"))
		}
	}
	if followed.Load() {
		t.Error("followed")
	}
}

func TestClient_Do_Limits(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.2", nil, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})
	c := newClient(t, func(cfg *Config) { cfg.MaxRequestBytes, cfg.MaxResponseBytes = 200, 100 })
	tests := []struct {
		size  int
		limit int64
		want  error
		sent  bool
	}{
		{100, 0, nil, true},
		{101, 0, ErrTooLarge, true},
		{10, 10, nil, true},
		{11, 10, ErrTooLarge, true},
		{101, 1000, ErrTooLarge, true}, // a request cannot raise the limit
		{201, 0, ErrTooLarge, false},
	}
	for _, tt := range tests {
		res, err := c.Do(t.Context(), Request{
			Method: "POST", URL: "http://127.0.0.2:" + s.port,
			Body: bytes.Repeat([]byte("x"), tt.size), MaxResponse: tt.limit,
		})
		if !errors.Is(err, tt.want) || NotSent(err) == tt.sent {
			t.Errorf("%+v: %v", tt, err)
		}
		if tt.sent && res.Status != 200 {
			t.Errorf("%+v: status %d", tt, res.Status)
		}
	}
}

func TestClient_Do_EndlessBody(t *testing.T) {
	t.Parallel()
	hungUp := make(chan struct{})
	s := serve(t, "127.0.0.2", nil, func(w http.ResponseWriter, r *http.Request) {
		defer close(hungUp)
		for {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})
	c := newClient(t, nil)
	if _, err := get(t, c, "http://127.0.0.2:"+s.port); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v, want too large", err)
	}
	within(t, 5*time.Second, "the connection closed", hungUp)
}

// A small answer that unpacks into a large one stays as it is.
func TestClient_Do_GzipBomb(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 8<<20))
	_ = z.Close()
	s := serve(t, "127.0.0.2", nil, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	})
	c := newClient(t, nil)
	res, err := get(t, c, "http://127.0.0.2:"+s.port)
	if err != nil || !bytes.Equal(res.Body, bomb.Bytes()) || res.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%d bytes, %v; want the %d as sent", len(res.Body), err, bomb.Len())
	}
}

func TestClient_Do_HugeHeaders(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.2", nil, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Huge", repeat("x", 64<<10))
	})
	endless := raw(t, "127.0.0.2", func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		for {
			if _, err := io.WriteString(conn, "A: b\r\n"); err != nil {
				return
			}
		}
	})
	c := newClient(t, nil)
	for _, url := range []string{"http://127.0.0.2:" + s.port, "http://" + endless} {
		if _, err := get(t, c, url); !errors.Is(err, ErrTransport) || NotSent(err) {
			t.Errorf("%v, want a failure of transport", err)
		}
	}
}

// Servers that trickle keep us no longer than one that is silent.
func TestClient_Do_SlowLoris(t *testing.T) {
	t.Parallel()
	trickle := func(begin, more string) string {
		return raw(t, "127.0.0.2", func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, begin)
			for range time.Tick(10 * time.Millisecond) {
				if _, err := io.WriteString(conn, more); err != nil {
					return
				}
			}
		})
	}
	for name, address := range map[string]string{
		"header": trickle("HTTP/1.1 200 OK\r\nX: ", "y"),
		"body":   trickle("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", "y"),
		"chunks": trickle("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\ny\r\n"),
		"100s":   trickle("", "HTTP/1.1 100 Continue\r\n\r\n"),
	} {
		c := newClient(t, func(cfg *Config) { cfg.Timeout = 200 * time.Millisecond })
		began := time.Now()
		_, err := get(t, c, "http://"+address)
		if !errors.Is(err, ErrTimeout) || NotSent(err) {
			t.Errorf("%s: %v, want a timeout of unknown outcome", name, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

func TestNotSent(t *testing.T) {
	t.Parallel()
	closed := listen(t, "127.0.0.2")
	_ = closed.Close()
	silent := raw(t, "127.0.0.2", func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	rude := raw(t, "127.0.0.2", func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) })
	half := raw(t, "127.0.0.2", func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
	})
	nowhere := serveDNS(t, func(int64) []string { return nil })
	gone, cancel := context.WithCancel(t.Context())
	cancel()

	tests := map[string]struct {
		ctx     context.Context
		url     string
		want    error
		notSent bool
	}{
		"nobody listens":             {url: "http://" + closed.Addr().String(), want: ErrTransport, notSent: true},
		"no such name":               {url: "http://nowhere.example/", want: ErrTransport, notSent: true},
		"silence in the handshake":   {url: "https://" + silent, want: ErrTimeout, notSent: true},
		"no TLS there":               {url: "https://" + rude, want: ErrTransport, notSent: true},
		"caller gone before":         {ctx: gone, url: "http://" + silent, want: context.Canceled, notSent: true},
		"silence after the request":  {url: "http://" + silent, want: ErrTimeout},
		"hung up on the request":     {url: "http://" + rude, want: ErrTransport},
		"hung up in mid-answer":      {url: "http://" + half, want: ErrTransport},
		"a URL that cannot be right": {url: "http://", want: ErrInvalidURL, notSent: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, func(cfg *Config) {
				cfg.Resolver = nowhere.address
				if errors.Is(tt.want, ErrTimeout) {
					cfg.Timeout, cfg.ConnectTimeout = time.Second, 300*time.Millisecond
				}
			})
			ctx := tt.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			_, err := c.Do(ctx, Request{Method: "POST", URL: tt.url, Body: []byte("pay")})
			if !errors.Is(err, tt.want) || NotSent(err) != tt.notSent {
				t.Errorf("%v (not sent: %v), want %v (%v)", err, NotSent(err), tt.want, tt.notSent)
			}
		})
	}
	if NotSent(nil) || NotSent(io.EOF) {
		t.Error("vouched for an error that is not ours")
	}
}

func TestClient_Do_CallerLeaves(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := raw(t, "127.0.0.2", func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 4096))
		cancel()
		_, _ = io.Copy(io.Discard, conn)
	})
	c := newClient(t, nil)
	if _, err := c.Do(ctx, Request{URL: "http://" + s}); !errors.Is(err, context.Canceled) || NotSent(err) {
		t.Errorf("%v, want cancelled, outcome unknown", err)
	}
}

func TestClient_Do_ReusesConnections(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.2", nil, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	})
	c := newClient(t, nil)
	for range 50 {
		if _, err := c.Do(t.Context(), Request{Method: "POST", URL: "http://127.0.0.2:" + s.port, Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.conns.Load(); n != 1 {
		t.Errorf("50 requests took %d connections", n)
	}
}

// More requests than connections wait their turn; who waits too long was not sent.
func TestClient_Do_ConnectionsPerHost(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	arrived := make(chan struct{}, 2)
	s := serve(t, "127.0.0.2", nil, func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	})
	c := newClient(t, func(cfg *Config) { cfg.MaxConnsPerHost = 2 })
	url := "http://127.0.0.2:" + s.port
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if _, err := c.Do(context.Background(), Request{URL: url}); err != nil {
				t.Error(err)
			}
		})
	}
	<-arrived
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for range 3 {
		if _, err := c.Do(ctx, Request{URL: url}); !errors.Is(err, ErrTimeout) || !NotSent(err) {
			t.Errorf("%v, want a timeout, not sent", err)
		}
	}
	close(release)
	wg.Wait()
	if n := s.peak.Load(); n > 2 {
		t.Errorf("%d connections at once", n)
	}
}

func TestClient_Do_NoProxyFromEnvironment(t *testing.T) {
	proxied := serve(t, "127.0.0.1", nil, func(http.ResponseWriter, *http.Request) {})
	t.Setenv("HTTP_PROXY", proxied.URL)
	t.Setenv("HTTPS_PROXY", proxied.URL)
	s := serve(t, "127.0.0.2", nil, func(http.ResponseWriter, *http.Request) {})
	d := serveDNS(t, func(int64) []string { return []string{"127.0.0.2"} })
	c := newClient(t, func(cfg *Config) { cfg.Resolver = d.address })
	if _, err := get(t, c, "http://merchant.example:"+s.port); err != nil || s.conns.Load() != 1 || proxied.conns.Load() != 0 {
		t.Errorf("%v; direct %d, by proxy %d", err, s.conns.Load(), proxied.conns.Load())
	}
}

func TestClient_Do_NoCookies(t *testing.T) {
	t.Parallel()
	var cookies atomic.Int64
	s := serve(t, "127.0.0.2", nil, func(w http.ResponseWriter, r *http.Request) {
		cookies.Add(int64(len(r.Cookies())))
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
	})
	c := newClient(t, nil)
	for range 2 {
		if _, err := get(t, c, "http://127.0.0.2:"+s.port); err != nil {
			t.Fatal(err)
		}
	}
	if cookies.Load() != 0 {
		t.Error("a cookie came back")
	}
}
