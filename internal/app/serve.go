package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/config"
	"github.com/soukhq/souk/internal/rest"
	"github.com/soukhq/souk/workers"
)

// Listen opens the port that the configuration names and fills in how others
// reach it, if it does not say: the port may be any free one.
func Listen(ctx context.Context, cfg config.Config) (net.Listener, config.Config, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.HTTP.Addr)
	if err != nil {
		return nil, cfg, fmt.Errorf("listen: %w", err)
	}
	if cfg.HTTP.PublicURL == "" {
		cfg.HTTP.PublicURL = "http://" + l.Addr().String()
	}
	return l, cfg, nil
}

// Serve serves the API until ctx ends, and, where it is set so, does the
// background work beside it. ready is told how others reach it.
func (a *App) Serve(ctx context.Context, l net.Listener, ready func(url string)) error {
	done, err := a.begin()
	if err != nil {
		return err
	}
	defer done()
	if err := a.writeURL(); err != nil {
		return err
	}
	return a.serveOn(ctx, l, ready)
}

func (a *App) serveOn(ctx context.Context, listener net.Listener, ready func(url string)) error {
	api, err := a.graph()
	if err != nil {
		return err
	}
	state := &health{app: a}
	server := &http.Server{
		Handler:           a.routes(api, state),
		ReadHeaderTimeout: a.Config.HTTP.ReadHeaderTimeout,
		ReadTimeout:       a.Config.HTTP.ReadTimeout,
		// Event streams set deadlines of their own, and sockets have none.
		WriteTimeout:   a.Config.HTTP.RequestTimeout + a.Config.HTTP.ReadTimeout,
		IdleTimeout:    a.Config.HTTP.IdleTimeout,
		MaxHeaderBytes: a.Config.HTTP.MaxHeaderBytes,
	}
	work, stopWork := context.WithCancel(context.Background())
	defer stopWork()
	worked := make(chan error, 1)
	if a.Config.Worker.Inline {
		go func() { worked <- a.work(work) }()
	} else {
		worked <- nil
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if ready != nil {
		ready(a.PublicURL())
	}
	select {
	case err := <-served:
		stopWork()
		return errors.Join(err, <-worked)
	case <-ctx.Done():
	}
	// First no new callers, then the requests that run, then the work behind.
	a.Log.Info("stopping")
	state.stopping.Store(true)
	end, cancel := context.WithTimeout(context.Background(), a.Config.HTTP.ShutdownTimeout)
	defer cancel()
	err = errors.Join(api.Shutdown(end), server.Shutdown(end))
	stopWork()
	return errors.Join(err, <-worked)
}

func (a *App) routes(api http.Handler, state *health) http.Handler {
	var discovery []byte
	if a.Config.Identity.EmbeddedIssuer {
		discovery = auth.Discovery(a.PublicURL())
	}
	parties := rest.Handler(rest.Config{Log: a.Log, Keys: a.Keys, Purchases: a.Purchases, Gate: a.gateParty, Discovery: discovery})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", state.live)
	mux.HandleFunc("GET /readyz", state.ready)
	mux.Handle("/.well-known/", parties)
	mux.Handle("/merchant/", parties)
	mux.Handle("/", api)
	return mux
}

// Work does the background work until ctx ends.
func (a *App) Work(ctx context.Context) error {
	done, err := a.begin()
	if err != nil {
		return err
	}
	defer done()
	a.Log.Info("working")
	return a.work(ctx)
}

func (a *App) work(ctx context.Context) error {
	c := a.Config.Worker
	return workers.New(workers.Deps{
		Redis: a.Redis.UniversalClient, Outbox: a.Outbox, Log: a.Log, Purchases: a.Purchases, Webhooks: a.Webhooks,
		Wallets: a.Wallets, Users: a.Users, Chats: a.Chat, Keys: a.Keys, KeepWebhooks: a.Config.Webhook.KeepFor,
		Concurrency: c.Concurrency, PollEvery: c.PollEvery, SweepEvery: c.SweepEvery, StopWithin: a.Config.HTTP.ShutdownTimeout,
	}).Run(ctx)
}

// begin makes the data folder this process's own and says that it runs, until
// done is called.
func (a *App) begin() (done func(), err error) {
	unlock, err := a.lockData()
	if err != nil {
		return nil, err
	}
	gone, err := a.writePid()
	if err != nil {
		unlock()
		return nil, err
	}
	return func() { gone(); unlock() }, nil
}

// writePid writes the process id where it is asked for, and takes it away at the
// end.
func (a *App) writePid() (done func(), err error) {
	path := a.Config.PidFile
	if path == "" {
		return func() {}, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("pid file: %w", err)
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("pid file: %w", err)
	}
	return func() { _ = os.Remove(path) }, nil
}

// lockData keeps the data folder of the embedded default for this process alone:
// each has a Redis of its own inside. The lock ends with the process.
func (a *App) lockData() (unlock func(), err error) {
	if a.Config.Production() {
		return func() {}, nil
	}
	f, err := os.OpenFile(filepath.Join(a.Config.Data.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600) // #nosec G304 -- the operator names it
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another souk runs in %s: stop it, or use another folder (--data-dir)", a.Config.Data.Dir)
		}
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	return func() { _ = f.Close() }, nil
}

// urlFile is where the embedded default notes how it was last reached, so that
// souk token names the same issuer without being told.
const urlFile = "public-url"

func (a *App) writeURL() error {
	if a.Config.Production() {
		return nil
	}
	return os.WriteFile(filepath.Join(a.Config.Data.Dir, urlFile), []byte(a.PublicURL()+"\n"), 0o600)
}

// healthTimeout bounds how long a probe waits for the database.
const healthTimeout = 2 * time.Second
