package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/soukhq/souk/internal/base/mode"
)

// faults gathers what is wrong, each under its key. No message repeats a value
// that may hold a secret.
type faults []error

func (f *faults) add(key, format string, args ...any) {
	*f = append(*f, fmt.Errorf("%s %s", key, fmt.Sprintf(format, args...)))
}

// within takes over the faults of a part.
func (f *faults) within(key string, part error) {
	var all interface{ Unwrap() []error }
	if errors.As(part, &all) {
		for _, one := range all.Unwrap() {
			*f = append(*f, fmt.Errorf("%s.%w", key, one))
		}
	}
}

func (f *faults) positive(key string, n int64) {
	if n <= 0 {
		f.add(key, "must be above 0")
	}
}

func (f *faults) lasting(key string, d time.Duration) {
	if d <= 0 {
		f.add(key, `must be a time above 0, such as "10s"`)
	}
}

func (f *faults) err() error { return errors.Join(*f...) }

// Validate says everything that is wrong, each fault with its key.
func (c Config) Validate() error {
	var f faults
	f.within("http", c.HTTP.Validate())
	f.within("graphql", c.GraphQL.Validate())
	f.within("database", c.Database.Validate())
	f.within("redis", c.Redis.Validate())
	f.within("data", c.Data.Validate())
	f.within("identity", c.Identity.Validate())
	f.within("outbound", c.Outbound.Validate())
	f.within("limits", c.Limits.Validate())
	f.within("purchase", c.Purchase.Validate())
	f.within("webhook", c.Webhook.Validate())
	f.within("worker", c.Worker.Validate())
	f.within("log", c.Log.Validate())
	if c.Purchase.InlineWait >= c.HTTP.RequestTimeout {
		f.add("purchase.inline_wait", "must be shorter than http.request_timeout, or buyers never hear that an order is pending")
	}
	if c.Redis.URL == "" && !c.Worker.Inline {
		f.add("redis.url", "is needed where worker.inline is off: `souk worker` cannot reach a Redis inside another process")
	}
	if c.Production() {
		c.needForProduction(&f)
	}
	return f.err()
}

// needForProduction refuses what is fine for a try and harmful with real money.
func (c Config) needForProduction(f *faults) {
	if c.Identity.EmbeddedIssuer {
		f.add("identity.embedded_issuer", "cannot be on with a PostgreSQL database: anybody on this machine could mint tokens")
	}
	if len(c.Identity.Issuers) == 0 {
		f.add("identity.issuers", "needs at least one issuer with a PostgreSQL database")
	}
	if c.Seal.KeysetFile == "" {
		f.add("seal.keyset_file", "is needed with a PostgreSQL database: every process must have the same one")
	}
	if c.HTTP.PublicURL == "" {
		f.add("http.public_url", "is needed with a PostgreSQL database: merchants check it in what Souk signs")
	}
}

// Validate says what is wrong with the server's settings.
func (h HTTP) Validate() error {
	var f faults
	if !isHostPort(h.Addr) {
		f.add("addr", "must be host:port")
	}
	if h.PublicURL != "" && !isWebURL(h.PublicURL) {
		f.add("public_url", "must be https://host without a path; http:// only of a loopback address")
	}
	for _, origin := range h.CORSOrigins {
		if !isOrigin(origin) {
			f.add("cors_origins", "must hold origins such as https://chat.example, or *")
		}
	}
	for _, origin := range h.WSOrigins {
		if !isOrigin(origin) {
			f.add("ws_origins", "must hold origins such as https://chat.example, or *")
		}
	}
	if !areNetworks(h.TrustedProxies) {
		f.add("trusted_proxies", "must hold addresses or networks such as 10.0.0.0/8")
	}
	f.positive("max_body_bytes", h.MaxBodyBytes)
	f.positive("max_header_bytes", int64(h.MaxHeaderBytes))
	f.lasting("read_header_timeout", h.ReadHeaderTimeout)
	f.lasting("read_timeout", h.ReadTimeout)
	f.lasting("idle_timeout", h.IdleTimeout)
	f.lasting("request_timeout", h.RequestTimeout)
	f.lasting("shutdown_timeout", h.ShutdownTimeout)
	return f.err()
}

// Validate says what is wrong with the bounds of operations.
func (g GraphQL) Validate() error {
	var f faults
	f.positive("max_depth", int64(g.MaxDepth))
	f.positive("max_cost", int64(g.MaxCost))
	f.positive("max_tokens", int64(g.MaxTokens))
	f.positive("max_subscriptions", int64(g.MaxSubscriptions))
	f.positive("query_cache", int64(g.QueryCache))
	f.lasting("keep_alive", g.KeepAlive)
	if g.TrustedOnly && g.TrustedDocuments == "" {
		f.add("trusted_only", "needs trusted_documents, or nothing could be asked")
	}
	return f.err()
}

// Validate says what is wrong with the database's settings.
func (d Database) Validate() error {
	var f faults
	if d.URL != "" {
		if u, err := url.Parse(d.URL); !d.IsPostgres() || err != nil || u.Path == "" || u.Path == "/" {
			f.add("url", "must be postgres://user:password@host:port/database, or empty for SQLite")
		}
	}
	if d.MaxConns < 2 {
		f.add("max_conns", "must be at least 2: the payment executor keeps one for itself")
	}
	return f.err()
}

// Validate says what is wrong with Redis' settings.
func (r Redis) Validate() error {
	var f faults
	if r.URL != "" && !strings.HasPrefix(r.URL, "redis://") && !strings.HasPrefix(r.URL, "rediss://") {
		f.add("url", "must begin with redis:// or rediss://, or be empty for the one inside")
	}
	if r.PoolSize < 0 {
		f.add("pool_size", "must not be below 0")
	}
	return f.err()
}

// Validate says what is wrong with the data folder.
func (d Data) Validate() error {
	var f faults
	if d.Dir == "" {
		f.add("dir", "must name a folder")
	}
	return f.err()
}

// Validate says what is wrong with the issuers.
func (i Identity) Validate() error {
	var f faults
	seen := map[string]bool{}
	for n, issuer := range i.Issuers {
		key := "issuers[" + strconv.Itoa(n) + "]"
		f.within(key, issuer.Validate())
		if seen[issuer.URL] {
			f.add(key+".url", "is there twice")
		}
		seen[issuer.URL] = true
	}
	if i.Audience == "" {
		f.add("audience", "must not be empty: a token made for another service would be taken")
	}
	if i.ClockSkew < 0 || i.ClockSkew > 5*time.Minute {
		f.add("clock_skew", "must be between 0s and 5m")
	}
	if i.DefaultSandbox < 0 || i.DefaultSandbox > int(mode.Max) {
		f.add("default_sandbox", "must be between 0 and %d", mode.Max)
	}
	return f.err()
}

// Validate says what is wrong with an issuer. Its URL is compared with tokens
// byte by byte, so that nothing is changed here, not even a final slash.
func (i Issuer) Validate() error {
	var f faults
	if !isSecure(i.URL) {
		f.add("url", "must begin with https://; http:// only of a loopback address")
	}
	if i.Audience == "" {
		f.add("audience", "must not be empty: a token made for another service would be taken")
	}
	return f.err()
}

// Validate says what is wrong with the bounds of outgoing requests.
func (o Outbound) Validate() error {
	var f faults
	if !areNetworks(o.AllowAddresses) {
		f.add("allow_addresses", "must hold addresses or networks such as 127.0.0.2 or 10.1.0.0/16")
	}
	if o.Resolver != "" && !isHostPort(o.Resolver) {
		f.add("resolver", "must be host:port")
	}
	f.lasting("timeout", o.Timeout)
	f.positive("max_response_bytes", o.MaxResponseBytes)
	f.positive("max_conns_per_host", int64(o.MaxConnsPerHost))
	f.positive("breaker_failures", int64(o.BreakerFailures))
	f.lasting("breaker_open_for", o.BreakerOpenFor)
	return f.err()
}

// Validate says what is wrong with the rates.
func (l Limits) Validate() error {
	var f faults
	f.within("user", l.User.Validate())
	f.within("address", l.Address.Validate())
	f.within("cost", l.Cost.Validate())
	return f.err()
}

// Validate says what is wrong with a rate.
func (r Rate) Validate() error {
	var f faults
	f.positive("count", int64(r.Count))
	f.lasting("per", r.Per)
	f.positive("burst", int64(r.Burst))
	return f.err()
}

// Validate says what is wrong with the times of a purchase.
func (p Purchase) Validate() error {
	var f faults
	f.lasting("confirm_within", p.ConfirmWithin)
	if p.InlineWait < 0 {
		f.add("inline_wait", "must not be below 0s")
	}
	if p.InlineWait > p.ConfirmWithin {
		f.add("inline_wait", "must not be longer than confirm_within")
	}
	return f.err()
}

// Validate says what is wrong with the times of a delivery.
func (w Webhook) Validate() error {
	var f faults
	f.lasting("retry_for", w.RetryFor)
	if w.KeepFor < w.RetryFor {
		f.add("keep_for", "must not be shorter than retry_for")
	}
	return f.err()
}

// Validate says what is wrong with the worker's settings.
func (w Worker) Validate() error {
	var f faults
	f.positive("concurrency", int64(w.Concurrency))
	f.lasting("poll_every", w.PollEvery)
	f.lasting("sweep_every", w.SweepEvery)
	return f.err()
}

// Validate says what is wrong with the log's settings.
func (l Log) Validate() error {
	var f faults
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, l.Level) {
		f.add("level", "must be debug, info, warn or error")
	}
	if l.Format != "text" && l.Format != "json" {
		f.add("format", "must be text or json")
	}
	return f.err()
}

func isHostPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// areNetworks tells whether all are IP addresses or CIDR networks.
func areNetworks(all []string) bool {
	for _, s := range all {
		_, errAddr := netip.ParseAddr(s)
		_, errPrefix := netip.ParsePrefix(s)
		if errAddr != nil && errPrefix != nil {
			return false
		}
	}
	return true
}

// isSecure tells whether s is an absolute https URL. Plain http is enough where
// the bytes do not leave the machine.
func isSecure(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())
}

// isWebURL tells whether s can stand before a path.
func isWebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && isSecure(s) && u.Path == ""
}

// isOrigin tells whether s is what browsers send as Origin (RFC 6454 §6.2).
func isOrigin(s string) bool {
	if s == "*" {
		return true
	}
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && s == u.Scheme+"://"+u.Host && u.Hostname() != ""
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
