package graph

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync"

	"github.com/soukhq/souk/internal/base/limit"
)

// scope is what is known of one operation, whoever sent it: it travels in the
// context as one value.
type scope struct {
	id     string     // of the request
	addr   netip.Addr // of the client
	client string     // the program that calls, as it names itself

	mu     sync.Mutex
	loads  map[any]any // open batches, by their Loader
	failed error       // why a subscription ended, if not by itself
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

// ClientAddr is the address of the client, as far as the configured proxies are
// believed; the zero Addr outside a request.
func ClientAddr(ctx context.Context) netip.Addr {
	if s := scopeOf(ctx); s != nil {
		return s.addr
	}
	return netip.Addr{}
}

// ClientName is the name by which the calling program makes itself known, for
// its list of trusted documents.
func ClientName(ctx context.Context) string {
	if s := scopeOf(ctx); s != nil {
		return s.client
	}
	return ""
}

// failStream says why the subscription that ctx belongs to ends. It is called
// before its channel is closed, and the client is told: a closed channel alone
// means that all was sent.
func failStream(ctx context.Context, err error) {
	if s := scopeOf(ctx); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failed = err
	}
}

// failure is what failStream said.
func (s *scope) failure() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

func (h *Handler) newScope(r *http.Request) *scope {
	s := &scope{id: r.Header.Get("X-Request-Id"), addr: limit.ClientAddr(r, h.cfg.Proxies), client: clientName(r.Header.Get)}
	if !sane(s.id) {
		s.id = newRequestID()
	}
	return s
}

// clientName finds the name of the calling program among headers.
func clientName(header func(name string) string) string {
	return cmp.Or(header("GraphQL-Client-Name"), header("Apollographql-Client-Name"))
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
