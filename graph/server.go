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
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/soukhq/souk/graph/generated"
	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/web/graphiql"
)

// Verifier tells who is calling; *auth.Verifier does.
type Verifier interface {
	VerifyRequest(ctx context.Context, r *http.Request) (auth.Viewer, error)
	VerifyInit(ctx context.Context, token, proof, path string) (auth.Viewer, error)
	Watch(ctx context.Context, viewer auth.Viewer) (context.Context, context.CancelFunc, error)
}

// Config is what the GraphQL edge is built from. All but Resolver may be left
// at zero.
type Config struct {
	Resolver *Resolver // the services
	Log      *slog.Logger

	Path          string // of the endpoint; /graphql
	Introspection bool   // answer __schema and __type
	GraphiQL      bool   // serve the explorer at /graphiql/
	Limits        Limits

	Verifier  Verifier         // nil knows nobody
	Gate      Gate             // nil lets all through
	Persisted PersistedStore   // nil keeps persisted documents in this process only
	Trust     TrustMode        // off by default
	Trusted   TrustedDocuments // needed unless Trust is off

	// Origins are the web origins, such as https://chat.example, whose pages
	// may use the API, and SocketOrigins those whose pages may open a WebSocket;
	// "*" admits all. The server's own are always admitted.
	Origins, SocketOrigins []string
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
	for _, origin := range slices.Concat(c.Origins, c.SocketOrigins) {
		u, err := url.Parse(origin)
		if origin != "*" && (err != nil || u.Scheme == "" || u.Host == "" || origin != u.Scheme+"://"+u.Host) {
			return fmt.Errorf("an allowed origin is scheme://host[:port] or *, not %q", origin)
		}
	}
	if err := c.Limits.validate(); err != nil {
		return err
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
	origins  origins      // whose pages may use the API
	sockets  origins      // and open WebSockets
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
		sockets: newOrigins(cfg.SocketOrigins),
		streams: streams{limits: cfg.Limits, open: map[int]context.CancelCauseFunc{}, subscriptions: map[string]int{}, sockets: map[string]int{}},
	}
	if cfg.GraphiQL {
		h.explorer = graphiql.Handler(cfg.Path)
	}
	return h, nil
}

// Shutdown ends all live connections and waits until they are gone, or until
// ctx ends. http.Server.Shutdown leaves WebSockets alone, so call both.
func (h *Handler) Shutdown(ctx context.Context) error { return h.streams.shutdown(ctx) }
