package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/config"
	"github.com/soukhq/souk/internal/base/keys"
	"github.com/soukhq/souk/internal/base/limit"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/outbound"
	"github.com/soukhq/souk/internal/base/outbox"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/pubsub"
	"github.com/soukhq/souk/internal/base/redisx"
	"github.com/soukhq/souk/internal/base/seal"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/buying/purchase"
	"github.com/soukhq/souk/internal/core/chat"
	"github.com/soukhq/souk/internal/core/ledger"
	"github.com/soukhq/souk/internal/core/merchant"
	"github.com/soukhq/souk/internal/core/user"
	"github.com/soukhq/souk/internal/core/wallet"
	"github.com/soukhq/souk/internal/core/webhook"
	"github.com/soukhq/souk/internal/platform/sandbox"
)

// App is Souk in one process.
type App struct {
	Config    config.Config
	Log       *slog.Logger
	DB        *store.DB
	Redis     *redisx.Redis
	Bus       *pubsub.Bus
	Clock     *clock.System
	Seal      *seal.Keyring
	Keys      *keys.Keys
	Client    *outbound.Client
	Outbox    *outbox.Outbox
	Limiter   *limit.Limiter
	Auth      *auth.Verifier
	Cursors   *page.Signer
	Ledger    *ledger.Service
	Executor  *ledger.Executor
	Users     *user.Service
	Chat      *chat.Service
	Merchants *merchant.Service
	Wallets   *wallet.Service
	Webhooks  *webhook.Service
	Purchases *purchase.Service
	Sandboxes *sandbox.Service

	closers []func()
	running sync.WaitGroup
	stop    context.CancelFunc
}

// OpenDB opens the configured database, making the data folder of the embedded
// default.
func OpenDB(ctx context.Context, cfg config.Config) (*store.DB, error) {
	o := store.Options{URL: cfg.Database.URL, MaxConns: cfg.Database.MaxConns}
	if !cfg.Database.IsPostgres() {
		if o.URL == "" {
			o.URL = filepath.Join(cfg.Data.Dir, "souk.db")
		}
		if err := os.MkdirAll(cfg.Data.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the data folder: %w", err)
		}
	}
	return store.Open(ctx, o)
}

// Open builds everything. Close puts it away.
func Open(ctx context.Context, cfg config.Config, log *slog.Logger) (a *App, err error) {
	a = &App{Config: cfg, Log: log, Clock: &clock.System{}}
	defer func() {
		if err != nil {
			a.Close()
			a = nil
		}
	}()
	quietRedis(log)
	for _, step := range []func(context.Context) error{a.openDB, a.openPlumbing, a.buildCore, a.buildAuth, a.buildFamilies} {
		if err := step(ctx); err != nil {
			return a, err
		}
	}
	a.start()
	return a, nil
}

// later registers what Close does, last first.
func (a *App) later(f func()) { a.closers = append(a.closers, f) }

// Close stops what runs and puts everything away.
func (a *App) Close() {
	if a.stop != nil {
		a.stop()
		a.running.Wait()
	}
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
	a.closers = nil
}

func (a *App) openDB(ctx context.Context) error {
	var err error
	if a.DB, err = OpenDB(ctx, a.Config); err != nil {
		return err
	}
	a.later(func() { _ = a.DB.Close() })
	if !a.Config.Production() {
		// A single binary keeps its own file up to date.
		return a.DB.Migrate(ctx, a.Log)
	}
	list, err := a.DB.MigrationStatus(ctx)
	if err != nil {
		return err
	}
	for _, m := range list {
		if m.Pending {
			return fmt.Errorf("the database lacks migration %s: run souk migrate up", m.Version)
		}
	}
	return nil
}

func (a *App) openPlumbing(ctx context.Context) error {
	cfg := a.Config
	var err error
	if a.Redis, err = redisx.Open(ctx, cfg.Redis); err != nil {
		return err
	}
	a.later(func() { _ = a.Redis.Close() })
	a.Bus = pubsub.New(a.Redis, a.Log)
	a.Limiter = limit.New(a.Redis, a.Log)

	sealing := seal.Config{Path: cfg.Seal.KeysetFile}
	if sealing.Path == "" {
		sealing = seal.Config{Path: filepath.Join(cfg.Data.Dir, "keyset.json"), Create: true}
	}
	if a.Seal, err = seal.New(ctx, sealing, nil); err != nil {
		return err
	}
	var used keys.Config
	if cfg.Production() { // where others mint the tokens
		used.Purposes = []keys.Purpose{keys.Order, keys.Encryption}
	}
	if a.Keys, err = keys.New(a.DB, a.Seal, a.Clock, used); err != nil {
		return err
	}
	if a.Client, err = outbound.New(outboundConfig(cfg.Outbound)); err != nil {
		return err
	}
	a.later(a.Client.Close)
	a.Outbox = outbox.New(a.DB)
	secret, err := a.Keys.PseudonymSecret(ctx)
	if err != nil {
		return err
	}
	a.Cursors = page.NewSigner(derive(secret, "cursors"))
	return nil
}

func outboundConfig(o config.Outbound) outbound.Config {
	return outbound.Config{
		AllowAddresses: o.AllowAddresses, AllowHTTP: len(o.AllowAddresses) > 0, Resolver: o.Resolver,
		Timeout: o.Timeout, MaxResponseBytes: o.MaxResponseBytes, MaxConnsPerHost: o.MaxConnsPerHost,
		BreakerFailures: o.BreakerFailures, BreakerOpen: o.BreakerOpenFor,
	}
}

func (a *App) buildCore(ctx context.Context) error {
	secret, err := a.Keys.PseudonymSecret(ctx)
	if err != nil {
		return err
	}
	a.Ledger = ledger.New(a.DB, a.Clock)
	a.Users = user.New(a.DB, a.Clock)
	a.Merchants, err = merchant.New(merchant.Deps{
		DB: a.DB, Clock: a.Clock, Accounts: a.Ledger, Web: a.Client, Pseudonyms: secret,
		// The verifier is made later, for it asks merchants for their keys.
		Revoked: func(ctx context.Context, r auth.Revocation) { a.Auth.Revoked(ctx, r) },
	}, merchant.Config{})
	if err != nil {
		return err
	}
	a.later(a.Merchants.Close)
	a.Chat = chat.New(a.DB, a.Clock, a.Bus, chat.Neighbours{Users: a.Users, Cards: cardChecker{a.Merchants}})
	a.Webhooks, err = webhook.New(webhook.Deps{DB: a.DB, Clock: a.Clock, Sealer: a.Seal, Web: a.Client}, webhook.Config{
		EventTypes: purchase.Topics(), RetryFor: a.Config.Webhook.RetryFor,
	})
	if err != nil {
		return err
	}
	a.Sandboxes = sandbox.New(a.DB, a.Clock, a.Bus, a.Log)
	return a.Sandboxes.Load(ctx)
}

func (a *App) buildAuth(context.Context) error {
	id := a.Config.Identity
	cfg := auth.Config{Audience: id.Audience, PublicURL: a.PublicURL(), Skew: id.ClockSkew, DefaultMode: mode.Mode(id.DefaultSandbox)}
	for _, i := range id.Issuers {
		cfg.Issuers = append(cfg.Issuers, auth.Issuer{URL: i.URL, Audience: i.Audience})
	}
	if id.EmbeddedIssuer {
		cfg.Issuers = append(cfg.Issuers, auth.Issuer{URL: a.PublicURL(), Audience: id.Audience, Realm: embeddedRealm, Keys: a.Keys.PublicJWKS})
	}
	var err error
	a.Auth, err = auth.New(cfg, auth.Deps{
		Directory: a.Users, Merchants: a.Merchants, Get: auth.HTTPGet(issuerClient()),
		Redis: a.Redis, Bus: a.Bus, Clock: a.Clock, Log: a.Log,
	})
	return err
}

func (a *App) buildFamilies(ctx context.Context) error {
	var rails []wallet.Rail
	if a.Config.Rails.Sandbox {
		rails = append(rails, wallet.NewSandbox(a.Clock))
	}
	connected, err := wallet.NewRails(rails...)
	if err != nil {
		return err
	}
	wallets, orders := wallet.NewBook(), purchase.NewBook()
	a.Executor = ledger.NewExecutor(a.DB, a.Clock, a.Outbox, a.Log, wallets, orders)
	a.later(a.Executor.Close)
	a.Wallets, err = wallet.New(wallet.Config{}, wallet.Deps{
		DB: a.DB, Clock: a.Clock, Log: a.Log, Executor: a.Executor, Book: wallets, Ledger: a.Ledger, Users: a.Users, Rails: connected, Sealer: a.Seal,
	})
	if err != nil {
		return err
	}
	a.Purchases, err = purchase.New(
		purchase.Config{ConfirmWithin: a.Config.Purchase.ConfirmWithin, InlineWait: a.Config.Purchase.InlineWait},
		purchase.Deps{
			DB: a.DB, Clock: a.Clock, Log: a.Log, Executor: a.Executor, Book: orders,
			Cards: purchase.Market{Merchants: a.Merchants}, Sources: sources{a.Wallets}, Conversations: conversations{a.Chat},
			Merchants: &purchase.Server{Issuer: a.PublicURL(), Clock: a.Clock, Client: a.Client, Directory: a.Merchants, Keys: a.Keys},
			Tellers:   tellers{a.Chat, a.Webhooks, a.Merchants},
		})
	if err != nil {
		return err
	}
	a.Users.Connect(user.Neighbours{
		Revoker: a.Auth, Conversations: a.Chat,
		Contributors: []user.Contributor{a.Chat.PersonalData(), a.Wallets, a.Purchases.PersonalData()},
	})
	return a.prepare(ctx)
}

// embeddedRealm names the users of the embedded issuer, whose URL may change
// with the port that the server listens on.
const embeddedRealm = "embedded"

// prepare makes what a server needs to be there from its start.
func (a *App) prepare(ctx context.Context) error {
	if err := a.Keys.Ensure(ctx); err != nil {
		return err
	}
	if n := a.Config.Identity.DefaultSandbox; n > 0 {
		return a.Sandboxes.Ensure(ctx, mode.Mode(n), "default")
	}
	return nil
}

// sealReload is how often a process looks for a sealing key that another made.
const sealReload = 30 * time.Second

// start runs what every process needs beside its work.
func (a *App) start() {
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	for _, run := range []func(context.Context){
		a.Bus.Run, a.Auth.Run, a.Sandboxes.Run,
		func(ctx context.Context) {
			a.Seal.Watch(ctx, sealReload, func(err error) { a.Log.Error("sealing keys not read", "err", err) })
		},
	} {
		a.running.Go(func() { run(ctx) })
	}
}

// PublicURL is how others reach Souk.
func (a *App) PublicURL() string {
	if u := a.Config.HTTP.PublicURL; u != "" {
		return u
	}
	if b, err := os.ReadFile(filepath.Join(a.Config.Data.Dir, urlFile)); err == nil && !a.Config.Production() {
		return strings.TrimSpace(string(b))
	}
	return "http://" + a.Config.HTTP.Addr
}

// Reseal makes a new sealing key and seals every secret in the database with it.
func (a *App) Reseal(ctx context.Context) (n int, err error) {
	if err := a.Seal.Rotate(ctx); err != nil {
		return 0, err
	}
	for _, part := range []func(context.Context) (int, error){a.Keys.Reseal, a.Webhooks.Reseal, a.Wallets.Reseal} {
		m, perr := part(ctx)
		n, err = n+m, errors.Join(err, perr)
	}
	return n, err
}
