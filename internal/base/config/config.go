package config

import (
	"strings"
	"time"
)

// Config is everything that can be set.
type Config struct {
	HTTP     HTTP     `yaml:"http"`
	GraphQL  GraphQL  `yaml:"graphql"`
	Database Database `yaml:"database"`
	Redis    Redis    `yaml:"redis"`
	Data     Data     `yaml:"data"`
	Identity Identity `yaml:"identity"`
	Outbound Outbound `yaml:"outbound"`
	Limits   Limits   `yaml:"limits"`
	Purchase Purchase `yaml:"purchase"`
	Webhook  Webhook  `yaml:"webhook"`
	Worker   Worker   `yaml:"worker"`
	Rails    Rails    `yaml:"rails"`
	Seal     Seal     `yaml:"seal"`
	Log      Log      `yaml:"log"`
	PidFile  string   `yaml:"pid_file"` // where the server writes its process id; empty: nowhere
}

// HTTP is the server that clients and merchants reach.
type HTTP struct {
	Addr              string        `yaml:"addr"`                // where it listens, host:port; port 0 takes a free one
	PublicURL         string        `yaml:"public_url"`          // how others reach it; empty: http:// and the address that it listens on
	CORSOrigins       []string      `yaml:"cors_origins"`        // web origins whose pages may call the API; "*" is all
	WSOrigins         []string      `yaml:"ws_origins"`          // web origins whose pages may open a WebSocket; "*" is all
	TrustedProxies    []string      `yaml:"trusted_proxies"`     // addresses or networks whose X-Forwarded-For is believed
	MaxBodyBytes      int64         `yaml:"max_body_bytes"`      // the largest request body
	MaxHeaderBytes    int           `yaml:"max_header_bytes"`    // the largest request header
	ReadHeaderTimeout time.Duration `yaml:"read_header_timeout"` // how long a client may take over its header
	ReadTimeout       time.Duration `yaml:"read_timeout"`        // how long a client may take over its whole request
	IdleTimeout       time.Duration `yaml:"idle_timeout"`        // how long a quiet connection is kept
	RequestTimeout    time.Duration `yaml:"request_timeout"`     // how long a request may be worked on; subscriptions are exempt
	ShutdownTimeout   time.Duration `yaml:"shutdown_timeout"`    // how long running requests get to finish when the server stops
}

// GraphQL bounds what one operation may ask for.
type GraphQL struct {
	Introspection    bool          `yaml:"introspection"`     // whether the schema can be asked for
	Explorer         bool          `yaml:"explorer"`          // whether the GraphiQL page is served
	MaxDepth         int           `yaml:"max_depth"`         // the deepest selection
	MaxCost          int           `yaml:"max_cost"`          // the highest cost, counted before execution
	MaxTokens        int           `yaml:"max_tokens"`        // the longest document, in tokens
	MaxSubscriptions int           `yaml:"max_subscriptions"` // how many a user may have open in one process
	KeepAlive        time.Duration `yaml:"keep_alive"`        // how often a quiet stream is pinged
	QueryCache       int           `yaml:"query_cache"`       // how many parsed documents are kept
	TrustedDocuments string        `yaml:"trusted_documents"` // a JSON file of documents by their SHA-256, per client; empty: none
	TrustedOnly      bool          `yaml:"trusted_only"`      // whether all other documents are refused
}

// Database is where everything is kept.
type Database struct {
	URL      string `yaml:"url"`       // postgres://…, or empty for an SQLite file in the data folder
	MaxConns int    `yaml:"max_conns"` // connections in all; about four a core is best, more is slower
}

// IsPostgres tells a PostgreSQL server from the SQLite file.
func (d Database) IsPostgres() bool {
	return strings.HasPrefix(d.URL, "postgres://") || strings.HasPrefix(d.URL, "postgresql://")
}

// Redis carries queues, limits and fan-out, and nothing that may not be lost.
type Redis struct {
	URL      string `yaml:"url"`       // redis:// or rediss://, several hosts by commas for a cluster; empty: one inside the process
	PoolSize int    `yaml:"pool_size"` // connections to each server; 0: ten a core
}

// Data is the folder of the embedded default: database file and keyset.
type Data struct {
	Dir string `yaml:"dir"`
}

// Identity says whose tokens are believed.
type Identity struct {
	Issuers        []Issuer      `yaml:"issuers"`         // OpenID Connect issuers
	EmbeddedIssuer bool          `yaml:"embedded_issuer"` // whether Souk issues tokens itself, for trying out; never in production
	Audience       string        `yaml:"audience"`        // what the embedded issuer's and merchants' own tokens must be made for
	ClockSkew      time.Duration `yaml:"clock_skew"`      // how far another's clock may be off
	DefaultSandbox int           `yaml:"default_sandbox"` // the sandbox of tokens that name none; 0: they are live
}

// Issuer is an OpenID Connect issuer and what its tokens for Souk are made for.
type Issuer struct {
	URL      string `yaml:"url"`
	Audience string `yaml:"audience"`
}

// Outbound bounds what Souk sends to third parties.
type Outbound struct {
	AllowAddresses   []string      `yaml:"allow_addresses"`    // private addresses or networks that may be reached all the same
	Resolver         string        `yaml:"resolver"`           // the DNS server to ask, host:port; empty: the system's
	Timeout          time.Duration `yaml:"timeout"`            // how long one exchange may take
	MaxResponseBytes int64         `yaml:"max_response_bytes"` // the largest answer that is read
	MaxConnsPerHost  int           `yaml:"max_conns_per_host"` // how many exchanges with one host run at once
	BreakerFailures  int           `yaml:"breaker_failures"`   // failures in a row after which a host is left alone
	BreakerOpenFor   time.Duration `yaml:"breaker_open_for"`   // how long it is left alone
}

// Limits are the rates at which one caller may call.
type Limits struct {
	Enabled bool `yaml:"enabled"`
	User    Rate `yaml:"user"`    // operations of one user
	Address Rate `yaml:"address"` // operations from one client address
	Cost    Rate `yaml:"cost"`    // query cost of one user
}

// Rate is a count per time, with room for a burst.
type Rate struct {
	Count int           `yaml:"count"`
	Per   time.Duration `yaml:"per"`
	Burst int           `yaml:"burst"`
}

// Purchase says how long its steps may take.
type Purchase struct {
	ConfirmWithin time.Duration `yaml:"confirm_within"` // until when a merchant must have confirmed
	InlineWait    time.Duration `yaml:"inline_wait"`    // how long a buyer's call waits for that; afterwards the order is pending
}

// Webhook says for how long a delivery is tried and remembered.
type Webhook struct {
	RetryFor time.Duration `yaml:"retry_for"`
	KeepFor  time.Duration `yaml:"keep_for"`
}

// Worker is what runs behind the API.
type Worker struct {
	Inline      bool          `yaml:"inline"`      // whether `souk serve` runs it too; otherwise `souk worker` must
	Concurrency int           `yaml:"concurrency"` // tasks at once
	PollEvery   time.Duration `yaml:"poll_every"`  // how often the outbox is looked at when nobody calls
	SweepEvery  time.Duration `yaml:"sweep_every"` // how often deadlines are looked at
}

// Rails are the ways by which money comes in and goes out.
type Rails struct {
	Sandbox bool `yaml:"sandbox"` // play money for sandboxes
}

// Seal says where the key is that secrets in the database are sealed with.
type Seal struct {
	KeysetFile string `yaml:"keyset_file"` // empty: made in the data folder
}

// Log is what the server says while it runs.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn or error
	Format string `yaml:"format"` // text or json
}

// Default gives the values of everything that is not set.
func Default(production bool) Config {
	c := Config{
		HTTP: HTTP{
			Addr:         "127.0.0.1:8080",
			MaxBodyBytes: 1 << 20, MaxHeaderBytes: 32 << 10,
			ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
			RequestTimeout: 30 * time.Second, ShutdownTimeout: 20 * time.Second,
		},
		GraphQL: GraphQL{
			Introspection: true, Explorer: true,
			MaxDepth: 15, MaxCost: 2000, MaxTokens: 5000,
			MaxSubscriptions: 20, KeepAlive: 15 * time.Second, QueryCache: 1000,
		},
		Database: Database{MaxConns: 8},
		Data:     Data{Dir: "souk-data"},
		Identity: Identity{EmbeddedIssuer: true, Audience: "souk", ClockSkew: 30 * time.Second, DefaultSandbox: 1},
		Outbound: Outbound{
			Timeout: 10 * time.Second, MaxResponseBytes: 256 << 10, MaxConnsPerHost: 32,
			BreakerFailures: 10, BreakerOpenFor: 15 * time.Second,
		},
		Limits: Limits{
			Enabled: true,
			User:    Rate{Count: 1200, Per: time.Minute, Burst: 200},
			Address: Rate{Count: 6000, Per: time.Minute, Burst: 1000},
			Cost:    Rate{Count: 100_000, Per: time.Minute, Burst: 20_000},
		},
		Purchase: Purchase{ConfirmWithin: 10 * time.Minute, InlineWait: 3 * time.Second},
		Webhook:  Webhook{RetryFor: 72 * time.Hour, KeepFor: 30 * 24 * time.Hour},
		Worker:   Worker{Inline: true, Concurrency: 16, PollEvery: time.Second, SweepEvery: 2 * time.Second},
		Rails:    Rails{Sandbox: true},
		Log:      Log{Level: "info", Format: "text"},
	}
	if production {
		c.GraphQL.Introspection, c.GraphQL.Explorer = false, false
		c.Identity.EmbeddedIssuer, c.Identity.DefaultSandbox = false, 0
		c.Worker.Inline = false
		c.Log.Format = "json"
	}
	return c
}

// Production tells whether this is more than a try: its database is a
// PostgreSQL server. Only then are an issuer, a keyset and a public URL needed,
// and only then does Souk refuse to issue tokens itself.
func (c Config) Production() bool { return c.Database.IsPostgres() }
