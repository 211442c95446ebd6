package graph

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
)

// scope is what is known of one operation, whoever sent it: it travels in the
// context as one value.
type scope struct {
	id     string // of the request
	addr   string // of the client
	client string // the program that calls, as it names itself

	mu    sync.Mutex
	loads map[any]any // open batches, by their Loader
}

type scopeKey struct{}

func scopeOf(ctx context.Context) *scope {
	s, _ := ctx.Value(scopeKey{}).(*scope)
	return s
}

func withScope(ctx context.Context, s *scope) context.Context {
	return context.WithValue(ctx, scopeKey{}, s)
}

// RequestID is the id of the request that ctx belongs to; empty outside one.
func RequestID(ctx context.Context) string {
	if s := scopeOf(ctx); s != nil {
		return s.id
	}
	return ""
}

// ClientAddr is the IP address of the client, as far as the configured proxies
// are believed.
func ClientAddr(ctx context.Context) string {
	if s := scopeOf(ctx); s != nil {
		return s.addr
	}
	return ""
}

// ClientName is the name by which the calling program makes itself known, for
// its list of trusted documents.
func ClientName(ctx context.Context) string {
	if s := scopeOf(ctx); s != nil {
		return s.client
	}
	return ""
}

func (h *Handler) newScope(r *http.Request) *scope {
	s := &scope{id: r.Header.Get("X-Request-Id"), addr: clientAddr(r, h.cfg.Proxies), client: r.Header.Get("GraphQL-Client-Name")}
	if !sane(s.id) {
		s.id = newRequestID()
	}
	if s.client == "" {
		s.client = r.Header.Get("Apollographql-Client-Name")
	}
	return s
}

// another is a scope for a further operation of the same connection.
func (s *scope) another() *scope {
	return &scope{id: newRequestID(), addr: s.addr, client: s.client}
}

// sane tells whether a request id from outside may stand in a log.
func sane(id string) bool {
	if len(id) < 8 || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// newRequestID makes an id that is unique enough to find a line in a log.
func newRequestID() string {
	const digits = "0123456789abcdefghjkmnpqrstvwxyz"
	var b [20]byte
	hi, lo := rand.Uint64(), rand.Uint64()
	for i := range b {
		b[i] = digits[hi&31]
		if hi >>= 5; i == 9 {
			hi = lo
		}
	}
	return string(b[:])
}

// clientAddr walks X-Forwarded-For from its end while believed proxies added to
// it: what comes before, the client may have made up.
func clientAddr(r *http.Request, proxies []netip.Prefix) string {
	addr, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		addr = r.RemoteAddr
	}
	if len(proxies) == 0 {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && believed(addr, proxies); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap().String()
	}
	return addr
}

func believed(addr string, proxies []netip.Prefix) bool {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return false
	}
	for _, p := range proxies {
		if p.Contains(ip.Unmap()) {
			return true
		}
	}
	return false
}
