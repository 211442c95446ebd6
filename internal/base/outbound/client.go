package outbound

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Client calls third parties. It is safe for concurrent use; make one and share
// it, for it holds the connections and the memory of failing hosts.
type Client struct {
	cfg      Config
	guard    *guard
	breakers *breakers
	secure   http.RoundTripper // https
	plain    http.RoundTripper // http, to admitted addresses
}

// Request is what to send.
type Request struct {
	Method      string // empty means GET
	URL         string
	Header      http.Header
	Body        []byte
	ContentType string
	MaxResponse int64 // a tighter limit than the configuration's, when positive
	// Party names whose URL this is. Failing hosts are remembered per party,
	// lest one merchant who points at another's server, at a path that always
	// fails, cut the other off.
	Party string
}

// Response is what came back. The body is as it was sent: a Content-Encoding
// is not undone.
type Response struct {
	Status     int // zero when not even a status came
	Header     http.Header
	Body       []byte
	RetryAfter time.Duration // what the answer asks for, at most RetryAfterMax
}

// New makes a client.
func New(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	admitted, err := parsePrefixes(cfg.AllowAddresses)
	if err != nil {
		return nil, err
	}
	bs, err := newBreakers(cfg)
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, guard: newGuard(admitted), breakers: bs}
	c.secure = newTransport(cfg, c.checkFor("https"))
	c.plain = newTransport(cfg, c.checkFor("http"))
	return c, nil
}

// Do sends a request and reads the whole answer. An answer with any status but
// a redirect is a success here. Errors are *Error with ErrInvalidURL,
// ErrRefusedAddress, ErrTooLarge, ErrTimeout, ErrOpen, ErrRedirect or
// ErrTransport; NotSent tells whether the party can have seen the request.
// Beside an error, Response.Status is set if a status did arrive: with
// ErrTooLarge a webhook that was answered 200 has been taken all the same.
func (c *Client) Do(ctx context.Context, r Request) (Response, error) {
	u, err := c.parseURL(r.URL)
	if err != nil {
		return Response{}, err
	}
	if int64(len(r.Body)) > c.cfg.MaxRequestBytes {
		return Response{}, &Error{Reason: ErrTooLarge, Err: errors.New("request body")}
	}
	if err := ctx.Err(); err != nil {
		return Response{}, fault(err, false)
	}
	return c.breakers.do(breakerKey(r.Party, u), func() (Response, error) { return c.exchange(ctx, u, r) })
}

// Close drops idle connections.
func (c *Client) Close() {
	for _, t := range []http.RoundTripper{c.secure, c.plain} {
		(&http.Client{Transport: t}).CloseIdleConnections()
	}
}

func breakerKey(party string, u *url.URL) string {
	return party + " " + u.Scheme + "://" + strings.ToLower(u.Host)
}

func (c *Client) checkFor(scheme string) func(netip.Addr) error {
	if scheme == "https" {
		return c.guard.check
	}
	return c.guard.checkPlain
}

// newTransport speaks HTTP/1.1 alone: a connection carries one exchange at a
// time, so a slow answer holds up no other, a broken connection leaves one
// outcome unknown and not a hundred, and a host's share is counted in connections.
func newTransport(cfg Config, check func(netip.Addr) error) *http.Transport {
	dialer := &net.Dialer{
		Timeout:  cfg.ConnectTimeout,
		Control:  atDial(check),
		Resolver: newResolver(cfg.Resolver),
	}
	only1 := new(http.Protocols)
	only1.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  nil, // a proxy would resolve and dial for us, past the guard
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.RootCAs},
		TLSHandshakeTimeout:    cfg.ConnectTimeout,
		Protocols:              only1,
		DisableCompression:     true, // a small answer must not unpack into a large one
		MaxResponseHeaderBytes: cfg.MaxHeaderBytes,
		MaxConnsPerHost:        cfg.MaxConnsPerHost,
		MaxIdleConnsPerHost:    cfg.MaxConnsPerHost,
		MaxIdleConns:           512,
		IdleConnTimeout:        30 * time.Second, // below most servers' own: a request on a connection just closed is an unknown outcome
	}
}

func newResolver(server string) *net.Resolver {
	if server == "" {
		return nil
	}
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server)
		},
	}
}

// exchange sends the request once. The transport itself repeats it only when
// nothing of it was written, or when its method or an Idempotency-Key says that
// repeating is safe.
func (c *Client) exchange(ctx context.Context, u *url.URL, r Request) (Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()

	// From the moment when a connection stands, bytes may be on their way.
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	})
	req, err := newRequest(ctx, u, r)
	if err != nil {
		return Response{}, fault(err, false)
	}
	transport := c.secure
	if u.Scheme == "http" {
		transport = c.plain
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return Response{}, fault(err, sent.Load())
	}
	defer res.Body.Close()
	return c.read(res, r.MaxResponse)
}

func newRequest(ctx context.Context, u *url.URL, r Request) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, u.String(), bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	if r.Header != nil {
		req.Header = r.Header.Clone()
	}
	if r.ContentType != "" {
		req.Header.Set("Content-Type", r.ContentType)
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "Souk")
	}
	req.Header.Set("Accept-Encoding", "identity")
	return req, nil
}

// read takes the body up to the limit. A longer one is not read to its end, so
// its connection is dropped.
func (c *Client) read(res *http.Response, limit int64) (Response, error) {
	if limit <= 0 || limit > c.cfg.MaxResponseBytes {
		limit = c.cfg.MaxResponseBytes
	}
	out := Response{Status: res.StatusCode, Header: res.Header, RetryAfter: retryAfter(res.Header, time.Now())}
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	switch {
	case err != nil:
		return out, fault(err, true)
	case int64(len(body)) > limit:
		return out, &Error{Reason: ErrTooLarge, Sent: true, Err: errors.New("response body")}
	}
	out.Body = body
	if out.Status >= 300 && out.Status < 400 {
		return out, &Error{Reason: ErrRedirect, Sent: true}
	}
	return out, nil
}

// fault gives a failure of the transport its reason.
func fault(err error, sent bool) *Error {
	var refused refusal
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &refused):
		return &Error{Reason: ErrRefusedAddress, Sent: sent, Err: err}
	case errors.As(err, &timeout) && timeout.Timeout():
		return &Error{Reason: ErrTimeout, Sent: sent, Err: err}
	}
	return &Error{Reason: ErrTransport, Sent: sent, Err: err}
}
