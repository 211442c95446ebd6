package graph

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/soukhq/souk/graph/generated"
	"github.com/soukhq/souk/web/graphiql"
)

// Config is what the GraphQL edge is built from. All but Resolver may be left
// at zero.
type Config struct {
	Resolver *Resolver // the services
	Log      *slog.Logger

	Path          string // of the endpoint; /graphql
	Introspection bool   // answer __schema and __type
	GraphiQL      bool   // serve the explorer at /graphiql/
	Limits        Limits

	// Authenticate finds who sent an HTTP request, and returns ctx with the
	// viewer in it. A request without credentials is nobody's and no error. The
	// returned context may end, with a cause, when the credentials do: that
	// ends the request's event stream.
	Authenticate func(ctx context.Context, r *http.Request) (context.Context, error)
	// AuthenticateSocket does the same for the payload of a WebSocket's
	// connection_init. The context comes from Authenticate on the handshake.
	AuthenticateSocket func(ctx context.Context, payload map[string]any) (context.Context, error)

	Gate      Gate             // nil lets all through
	Persisted PersistedStore   // nil keeps persisted documents in this process only
	Trust     TrustMode        // off by default
	Trusted   TrustedDocuments // needed unless Trust is off

	// Origins are the web origins, such as https://chat.example, whose pages
	// may use the API; "*" admits all. The server's own are always admitted.
	Origins []string
	// Proxies are the addresses whose X-Forwarded-For is believed.
	Proxies []netip.Prefix

	Watch Watch // for traces and metrics; may be nil
}

// Validate says what is wrong with a configuration.
func (c *Config) Validate() error {
	switch c.Trust {
	case "", TrustOff:
	case TrustPrefer, TrustOnly:
		if c.Trusted == nil {
			return errors.New("trusted documents are asked for, but there is no list of them")
		}
	default:
		return fmt.Errorf("trusted documents: the mode is off, prefer or only, not %q", c.Trust)
	}
	for _, origin := range c.Origins {
		u, err := url.Parse(origin)
		if origin != "*" && (err != nil || u.Scheme == "" || u.Host == "" || origin != u.Scheme+"://"+u.Host) {
			return fmt.Errorf("an allowed origin is scheme://host[:port] or *, not %q", origin)
		}
	}
	if c.Path != "" && !strings.HasPrefix(c.Path, "/") {
		return fmt.Errorf("the endpoint's path begins with a slash, not %q", c.Path)
	}
	return nil
}

// Handler serves the API's endpoint, and the explorer where it is on.
type Handler struct {
	cfg      Config
	engine   *engine
	origins  origins
	explorer http.Handler // nil when it is off
	streams  streams
}

// NewHandler builds the GraphQL edge.
func NewHandler(cfg Config) (*Handler, error) {
	schema := withoutDefer(generated.NewExecutableSchema(generated.Config{}).Schema())
	return newHandler(generated.NewExecutableSchema(generated.Config{Schema: schema, Resolvers: cfg.Resolver}), cfg)
}

// withoutDefer gives the schema without @defer, which gqlparser adds to every
// one: an answer here is always whole.
func withoutDefer(s *ast.Schema) *ast.Schema {
	c := *s
	c.Directives = maps.Clone(s.Directives)
	delete(c.Directives, "defer")
	return &c
}

func newHandler(schema graphql.ExecutableSchema, cfg Config) (*Handler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Limits = cfg.Limits.withDefaults()
	cfg.Path = cmp.Or(cfg.Path, "/graphql")
	cfg.Trust = cmp.Or(cfg.Trust, TrustOff)
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	h := &Handler{
		cfg:     cfg,
		engine:  newEngine(schema, &cfg),
		origins: newOrigins(cfg.Origins),
		streams: streams{max: cfg.Limits.Streams, open: map[int]context.CancelCauseFunc{}},
	}
	if cfg.GraphiQL {
		h.explorer = graphiql.Handler(cfg.Path)
	}
	return h, nil
}

// Shutdown ends all live connections and waits until they are gone, or until
// ctx ends. http.Server.Shutdown leaves WebSockets alone, so call both.
func (h *Handler) Shutdown(ctx context.Context) error { return h.streams.shutdown(ctx) }

// errShutdown is the cause with which live connections end at a shutdown.
var errShutdown = errors.New("the server is going away")

// streams counts live connections, and ends them all at a shutdown.
type streams struct {
	max int

	mu     sync.Mutex
	next   int
	open   map[int]context.CancelCauseFunc
	closed bool
	done   sync.WaitGroup
}

// enter admits a live connection, until leave is called. The context ends at a
// shutdown.
func (s *streams) enter(parent context.Context) (ctx context.Context, leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.open) >= s.max {
		return nil, nil, errTooManyStreams
	}
	ctx, cancel := context.WithCancelCause(parent)
	key := s.next
	s.next++
	s.open[key] = cancel
	s.done.Add(1)
	return ctx, func() {
		cancel(nil)
		s.mu.Lock()
		delete(s.open, key)
		s.mu.Unlock()
		s.done.Done()
	}, nil
}

func (s *streams) shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for _, cancel := range s.open {
		cancel(errShutdown)
	}
	s.mu.Unlock()
	gone := make(chan struct{})
	go func() {
		s.done.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
