package app

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/soukhq/souk/graph"
	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/config"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/limit"
)

// graph builds the GraphQL edge.
func (a *App) graph() (*graph.Handler, error) {
	g := a.Config.GraphQL
	cfg := graph.Config{
		Resolver: graph.NewResolver(graph.Services{
			Log: a.Log, Cursors: a.Cursors, Users: a.Users, Chats: a.Chat, Merchants: a.Merchants,
			Purchases: a.Purchases, Ledger: a.Ledger, Wallets: a.Wallets, Webhooks: a.Webhooks, Sandboxes: a.Sandboxes,
		}),
		Log: a.Log, Introspection: g.Introspection, GraphiQL: g.Explorer,
		Limits: graph.Limits{
			BodyBytes: a.Config.HTTP.MaxBodyBytes, Depth: g.MaxDepth, Cost: g.MaxCost, Tokens: g.MaxTokens,
			Subscriptions: g.MaxSubscriptions, PingEvery: g.KeepAlive, Documents: g.QueryCache, Timeout: a.Config.HTTP.RequestTimeout,
		},
		Verifier: a.Auth, Persisted: persisted{a.Redis, a.Limiter},
		Origins: a.Config.HTTP.CORSOrigins, SocketOrigins: a.Config.HTTP.WSOrigins, Proxies: proxies(a.Config.HTTP),
	}
	if a.Config.Limits.Enabled {
		cfg.Gate = a.gate
	}
	if path := g.TrustedDocuments; path != "" {
		f, err := os.Open(path) // #nosec G304 -- the operator names it
		if err != nil {
			return nil, fmt.Errorf("trusted documents: %w", err)
		}
		defer func() { _ = f.Close() }()
		if cfg.Trusted, err = graph.ReadTrusted(f); err != nil {
			return nil, err
		}
		cfg.Trust = graph.TrustPrefer
		if g.TrustedOnly {
			cfg.Trust = graph.TrustOnly
		}
	}
	return graph.NewHandler(cfg)
}

// errTooFast is what a caller is told who calls too often.
var errTooFast = errs.New(errs.RateLimited, "RATE_LIMITED", "Too many requests. Come back a little later.").With(errs.RetryAfter)

// gate holds callers to their rates: each address, and each viewer by number and
// by cost.
func (a *App) gate(ctx context.Context, cost int) error {
	l := a.Config.Limits
	checks := make([]check, 0, 3)
	if addr := graph.ClientAddr(ctx); addr.IsValid() {
		checks = append(checks, a.address(addr))
	}
	if v := auth.FromContext(ctx); v.Kind != auth.Anonymous {
		who := caller(v)
		checks = append(checks, check{"calls:" + who, l.User, 1}, check{"cost:" + who, l.Cost, cost})
	}
	return a.allow(ctx, checks...)
}

// gateParty counts the calls of merchants' servers, who are known by their
// messages alone: each address has its share.
func (a *App) gateParty(r *http.Request) error {
	addr := limit.ClientAddr(r, proxies(a.Config.HTTP))
	if !addr.IsValid() {
		return nil
	}
	return a.allow(r.Context(), a.address(addr))
}

func (a *App) address(addr netip.Addr) check {
	return check{"addr:" + limit.AddrKey(addr), a.Config.Limits.Address, 1}
}

func (a *App) allow(ctx context.Context, checks ...check) error {
	for _, c := range checks {
		d := a.Limiter.Allow(ctx, c.key, limit.Rule{Rate: c.rate.Count, Period: c.rate.Per, Burst: c.rate.Burst}, c.cost)
		if !d.Allowed {
			e := *errTooFast
			e.RetryIn = d.RetryAfter
			return &e
		}
	}
	return nil
}

// caller names whom limits are counted for.
func caller(v auth.Viewer) string { return v.Kind.String() + ":" + v.Issuer + ":" + v.Subject }

type check struct {
	key  string
	rate config.Rate
	cost int
}

func proxies(h config.HTTP) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range h.TrustedProxies {
		if n, err := netip.ParsePrefix(p); err == nil {
			out = append(out, n)
		} else if addr, err := netip.ParseAddr(p); err == nil {
			out = append(out, netip.PrefixFrom(addr, addr.BitLen()))
		}
	}
	return out
}

// persisted keeps persisted documents in Redis, so that every process knows
// those that were given to one.
type persisted struct {
	redis   redis.UniversalClient
	limiter *limit.Limiter
}

// newPersisted is how many documents one caller may add: more than a program
// has, and too few to fill Redis with.
var newPersisted = limit.Rule{Rate: 200, Period: time.Hour, Burst: 200}

// keepPersisted is how long a document that nobody asks for is kept.
const keepPersisted = 7 * 24 * time.Hour

func (p persisted) Get(ctx context.Context, hash string) (string, bool, error) {
	text, err := p.redis.GetEx(ctx, "souk:apq:"+hash, keepPersisted).Result()
	if err == redis.Nil { //nolint:errorlint // the library's sentinel is never wrapped
		return "", false, nil
	}
	return text, err == nil, err
}

// Put leaves out what a caller adds beyond its quota: it is then sent in full.
func (p persisted) Put(ctx context.Context, hash, text string) error {
	if !p.limiter.Allow(ctx, "documents:"+caller(auth.FromContext(ctx)), newPersisted, 1).Allowed {
		return nil
	}
	return p.redis.Set(ctx, "souk:apq:"+hash, text, keepPersisted).Err()
}
