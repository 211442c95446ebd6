package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/url"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/redis/go-redis/v9"

	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/pubsub"
)

// Config says whose tokens are believed.
type Config struct {
	Issuers     []Issuer
	Audience    string        // what merchants' tokens must be made for
	PublicURL   string        // how clients reach Souk: what DPoP proofs name
	Skew        time.Duration // how far others' clocks may be off
	DefaultMode mode.Mode     // of tokens that name no sandbox
}

// Issuer is an OpenID Connect issuer.
type Issuer struct {
	URL      string // "iss", byte for byte
	Audience string // what its tokens must be made for
	// Realm names whose users these are, for an issuer whose URL may change; the
	// URL if empty.
	Realm string
	// Keys gives the keys without a network, for the embedded issuer. When it is
	// nil they come from where the issuer's discovery document says.
	Keys func(context.Context) (*jose.KeySet, error)
}

// Validate tells what cannot work.
func (c Config) Validate() error {
	seen := map[string]bool{}
	for _, i := range c.Issuers {
		if u, err := url.Parse(i.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return errors.New("auth: an issuer must be an http(s) URL without query and fragment")
		}
		if i.Audience == "" {
			return errors.New("auth: an issuer without an audience would let in tokens that were made for others")
		}
		if seen[i.URL] {
			return errors.New("auth: an issuer is there twice")
		}
		seen[i.URL] = true
	}
	if c.Audience == "" {
		return errors.New("auth: merchants' tokens need an audience")
	}
	if _, err := target(c.PublicURL); err != nil {
		return errors.New("auth: the public URL must be an http(s) URL")
	}
	if c.Skew < 0 || c.Skew > 5*time.Minute || !c.DefaultMode.Valid() {
		return errors.New("auth: clock skew or default sandbox out of range")
	}
	return nil
}

// Account is what the directory knows of an issuer's subject.
type Account struct {
	UserID           id.ID
	Mode             mode.Mode
	Active           bool      // neither blocked nor removed
	TokensValidAfter time.Time // tokens issued before are revoked; zero: none
}

// Directory knows users, devices and revoked tokens.
type Directory interface {
	// ResolveUser finds a user; an error of kind NotFound if there is none.
	ResolveUser(ctx context.Context, m mode.Mode, issuer, subject string) (Account, error)
	// DeviceActive tells whether the user has the device and it is not revoked.
	DeviceActive(ctx context.Context, userID, deviceID id.ID) (bool, error)
	// TokenRevoked tells whether the token of this "jti" was revoked.
	TokenRevoked(ctx context.Context, jti string) (bool, error)
}

// MerchantKeys knows the keys that merchants sign their tokens with.
type MerchantKeys interface {
	// Keys gives the keys and the mode of a merchant; an error of kind NotFound
	// if there is none or it may not call.
	Keys(ctx context.Context, merchantID id.ID) (*jose.KeySet, mode.Mode, error)
	// FreshKeys is Keys after they were fetched again where they are published,
	// for a token that names another.
	FreshKeys(ctx context.Context, merchantID id.ID) (*jose.KeySet, mode.Mode, error)
}

// Deps is what a verifier leans on.
type Deps struct {
	Directory Directory
	Merchants MerchantKeys
	Get       Get // reaches the issuers
	Redis     redis.UniversalClient
	Bus       *pubsub.Bus
	Clock     clock.Clock
	Log       *slog.Logger
}

const (
	maxToken     = 8 << 10
	maxText      = 255 // of "sub" and "jti" (OpenID Connect Core §2 bounds "sub")
	sessionsMax  = 1 << 15
	merchantsMax = 1 << 12
)

// Verifier verifies tokens for this process. Run must run beside it.
type Verifier struct {
	cfg       Config
	deps      Deps
	issuers   map[string]*issuerKeys
	sessions  *lru.Cache[[32]byte, *session]     // by the hash of the token
	merchants *lru.Cache[id.ID, *merchantAnswer] // by the merchant's id
	changes   changes
	watchers  watchers
	proofs    *proofs
	public    *url.URL // how clients reach Souk
}

// New makes a verifier. It asks nobody yet, so that Souk starts while an issuer
// is down, or is Souk itself.
func New(cfg Config, deps Deps) (*Verifier, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	v := &Verifier{cfg: cfg, deps: deps, issuers: map[string]*issuerKeys{}}
	for _, i := range cfg.Issuers {
		fetch := i.Keys
		if fetch == nil {
			fetch = func(ctx context.Context) (*jose.KeySet, error) { return discover(ctx, deps.Get, i.URL) }
		}
		v.issuers[i.URL] = &issuerKeys{Issuer: i, fetch: fetch, now: v.now}
	}
	var errSessions, errMerchants error
	v.sessions, errSessions = lru.New[[32]byte, *session](sessionsMax)
	v.merchants, errMerchants = lru.New[id.ID, *merchantAnswer](merchantsMax)
	if err := cmp.Or(errSessions, errMerchants); err != nil {
		return nil, err
	}
	v.public, _ = target(cfg.PublicURL)
	v.changes.seed = maphash.MakeSeed()
	v.watchers.all = map[*watcher]struct{}{}
	var err error
	v.proofs, err = newProofs(deps.Redis)
	return v, err
}

// Run refreshes the issuers' keys and listens for revocations until ctx is done.
func (v *Verifier) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, i := range v.issuers {
		wg.Go(func() { i.keepFresh(ctx, v.deps.Log) })
	}
	wg.Go(func() { v.listen(ctx) })
	wg.Wait()
}

func (v *Verifier) now() time.Time { return v.deps.Clock.Now(mode.Live) }

// reject says why a token is no good, for the log only.
func reject(format string, args ...any) error { return fmt.Errorf("auth: "+format, args...) }
