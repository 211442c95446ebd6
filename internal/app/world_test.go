package app_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/app"
	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/config"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/seal"
	"github.com/soukhq/souk/internal/testkit"
)

// inlineWait is how long a purchase waits for its merchant: long enough for one
// that answers at once on a busy machine.
const inlineWait = 8 * time.Second

// world is a Souk that serves. On SQLite it is one process, as `souk serve`
// without settings; on PostgreSQL there are two servers and a worker apart.
type world struct {
	app   *app.App
	url   string // of the server, and how it is known
	other string // of the second server; the same where there is one
	// issuer signs users' and servers' tokens.
	issuer string
	keys   auth.KeySource

	once     sync.Once
	open     func(testing.TB, *world)
	ready    bool
	lasting  *lasting
	sandbox  atomic.Int32
	complain complaints
}

// worlds are the Souks by their engine.
var worlds = map[string]*world{
	"sqlite":   {open: openEmbedded},
	"postgres": {open: openProduction},
}

// onBoth runs a test on both engines.
func onBoth(t *testing.T, test func(t *testing.T, b *testBundle)) {
	t.Helper()
	t.Parallel()
	for engine, w := range worlds {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			test(t, setup(t, w))
		})
	}
}

// alone is onBoth for a test that measures time, or touches what others see: no
// other runs beside it.
func alone(t *testing.T, test func(t *testing.T, b *testBundle)) {
	t.Helper()
	for engine, w := range worlds {
		t.Run(engine, func(t *testing.T) { test(t, setup(t, w)) })
	}
}

// start opens the world for the first test that needs it.
func (w *world) start(t testing.TB) {
	t.Helper()
	w.once.Do(func() {
		w.lasting = &lasting{TB: t}
		w.open(w.lasting, w)
		w.ready = true
	})
	if !w.ready {
		t.Fatal("Souk did not start")
	}
}

// stop puts the world away, and tells what it complained of: nothing that a
// client does may be an error of Souk's own.
func (w *world) stop() error {
	if w.lasting == nil {
		return nil
	}
	err := errors.Join(w.lasting.end(), w.complain.err())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return err
}

// usual are the settings of both worlds.
func usual(production bool) config.Config {
	c := config.Default(production)
	c.HTTP.Addr = "127.0.0.1:0"
	c.HTTP.ShutdownTimeout = 10 * time.Second
	c.Outbound.AllowAddresses = []string{"127.0.0.1"} // where the product servers are
	c.Outbound.BreakerOpenFor = time.Second
	c.Limits.Address = config.Rate{Count: 1_000_000, Per: time.Minute, Burst: 1_000_000} // all tests come from one
	c.Purchase.InlineWait = inlineWait
	c.Worker.PollEvery, c.Worker.SweepEvery = 50*time.Millisecond, 200*time.Millisecond
	c.GraphQL.Introspection = true
	// A token without the claim is live; each test's tokens name its sandbox.
	c.Identity.DefaultSandbox = 0
	return c
}

// openEmbedded is the embedded default: SQLite, a Redis inside, its own issuer.
func openEmbedded(t testing.TB, w *world) {
	c := usual(false)
	c.Data.Dir = t.TempDir()
	l, c, err := app.Listen(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	w.app = openApp(t, c, &w.complain)
	serve(t, w.app, l)
	w.url, w.other = c.HTTP.PublicURL, c.HTTP.PublicURL
	w.issuer, w.keys = c.HTTP.PublicURL, w.app.Keys
}

// openProduction is what an operator runs: PostgreSQL and Redis, two servers
// under one address, workers apart, the chat app's issuer.
func openProduction(t testing.TB, w *world) {
	issuer := testkit.NewIssuer(t, jose.ES256)
	c := production(t, issuer)
	l, c, err := app.Listen(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	w.app = openApp(t, c, &w.complain)
	serve(t, w.app, l)
	second, _, err := app.Listen(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, openApp(t, c, &w.complain), second)
	work(t, openApp(t, c, &w.complain))
	w.url, w.other = c.HTTP.PublicURL, "http://"+second.Addr().String()
	w.issuer, w.keys = issuer.URL, issuer
}

// production are the settings of a throw-away PostgreSQL and Redis.
func production(t testing.TB, issuer *testkit.Issuer) config.Config {
	c := usual(true)
	c.Database.URL, c.Redis.URL = testkit.PostgresStore(t), testkit.Redis(t)
	c.Data.Dir = t.TempDir()
	c.Seal.KeysetFile = filepath.Join(c.Data.Dir, "keyset.json")
	if _, err := seal.New(context.Background(), seal.Config{Path: c.Seal.KeysetFile, Create: true}, nil); err != nil {
		t.Fatal(err)
	}
	c.Identity.Issuers = []config.Issuer{{URL: issuer.URL, Audience: audience}}
	return c
}

// openApp opens a process of Souk's until the test ends.
func openApp(t testing.TB, c config.Config, log *complaints) *app.App {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	a, err := app.Open(context.Background(), c, slog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// serve serves until the test ends.
func serve(t testing.TB, a *app.App, l net.Listener) {
	t.Helper()
	until(t, func(ctx context.Context) error { return a.Serve(ctx, l, nil) })
}

// work does the background work until the test ends.
func work(t testing.TB, a *app.App) {
	t.Helper()
	until(t, a.Work)
}

func until(t testing.TB, run func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Souk ended with %v", err)
		}
	})
}

// logEnv shows what Souk logs.
const logEnv = "SOUK_TEST_LOG"

// complaints is a log that remembers errors: those are Souk's own faults, which
// no test may cause.
type complaints struct {
	mu  sync.Mutex
	all []error
}

func (c *complaints) Enabled(_ context.Context, l slog.Level) bool {
	return l >= slog.LevelError || os.Getenv(logEnv) != ""
}

func (c *complaints) Handle(ctx context.Context, r slog.Record) error {
	if os.Getenv(logEnv) != "" {
		_ = slog.NewTextHandler(os.Stderr, nil).Handle(ctx, r)
	}
	if r.Level < slog.LevelError {
		return nil
	}
	line := r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, errors.New("Souk logged an error: "+line))
	return nil
}

func (c *complaints) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c *complaints) WithGroup(string) slog.Handler      { return c }

func (c *complaints) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.all...)
}
