package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/jose"
)

const (
	refreshEvery = 5 * time.Minute
	// Tokens that name unknown keys cause no more than one fetch in this time,
	// whoever sends them and however many.
	refreshGap = 10 * time.Second
	// An issuer may be down for so long before its tokens are no longer
	// verified: what it removed meanwhile cannot be known.
	keysKeepFor   = time.Hour
	fetchTimeout  = 5 * time.Second
	maxDocument   = 512 << 10
	discoveryPath = "/.well-known/openid-configuration"
)

// Get fetches a document of an issuer, which is at most maxDocument long and
// came with status 200.
type Get func(ctx context.Context, url string) ([]byte, error)

// HTTPGet makes a Get of a client. Issuers are named by the operator and may
// live in the private network; a client that refuses such addresses must be told
// of them.
func HTTPGet(c *http.Client) Get {
	return func(ctx context.Context, url string) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Accept", "application/json")
		res, err := c.Do(req)
		if err != nil {
			return nil, err
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("auth: status %d from %s", res.StatusCode, url)
		}
		body, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
		if len(body) > maxDocument {
			return nil, fmt.Errorf("auth: too much from %s", url)
		}
		return body, err
	}
}

// discover reads the key set of an issuer (OpenID Connect Discovery §4).
func discover(ctx context.Context, get Get, issuer string) (*jose.KeySet, error) {
	body, err := get(ctx, strings.TrimSuffix(issuer, "/")+discoveryPath)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, errors.New("auth: the discovery document is not JSON")
	}
	if doc.Issuer != issuer { // §4.3
		return nil, errors.New("auth: the discovery document is of another issuer")
	}
	secure := strings.HasPrefix(doc.JWKSURI, "https://")
	if !secure && (strings.HasPrefix(issuer, "https://") || !strings.HasPrefix(doc.JWKSURI, "http://")) {
		return nil, errors.New("auth: the discovery document names no safe jwks_uri")
	}
	if body, err = get(ctx, doc.JWKSURI); err != nil {
		return nil, err
	}
	return jose.ParseKeySet(body)
}

// issuerKeys caches the keys of an issuer.
type issuerKeys struct {
	Issuer
	fetch func(context.Context) (*jose.KeySet, error)
	now   func() time.Time
	last  atomic.Pointer[fetched]

	mu     sync.Mutex
	flight *flight // the fetch that runs, or the one before
}

type fetched struct {
	set *jose.KeySet
	at  time.Time
}

type flight struct {
	began time.Time
	done  chan struct{}
	err   error // when done
}

func (f *flight) landed() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// current gives the keys that count now; nil if there are none, or only some
// that are too old.
func (i *issuerKeys) current() *jose.KeySet {
	f := i.last.Load()
	if f == nil || i.now().Sub(f.at) > keysKeepFor {
		return nil
	}
	return f.set
}

// forToken gives the keys with which to verify a token, after a fetch if the
// one that it names is not among them.
func (i *issuerKeys) forToken(ctx context.Context, h jose.Header) (*jose.KeySet, error) {
	if _, err := i.current().Find(h.KeyID, h.Algorithm); !errors.Is(err, jose.ErrUnknownKey) {
		return i.current(), nil
	}
	err := i.refresh(ctx)
	if set := i.current(); set != nil {
		return set, nil
	}
	return nil, errs.ErrUnavailable.Because(err)
}

// refresh fetches the keys, unless that was tried a moment ago: then it waits
// for the fetch that runs, or gives the answer of the last.
func (i *issuerKeys) refresh(ctx context.Context) error {
	i.mu.Lock()
	f := i.flight
	if f == nil || f.landed() && i.now().Sub(f.began) >= refreshGap {
		f = &flight{began: i.now(), done: make(chan struct{})}
		i.flight = f
		// Not the caller's fetch alone: it goes on when the caller hangs up.
		go i.fly(context.WithoutCancel(ctx), f)
	}
	i.mu.Unlock()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (i *issuerKeys) fly(ctx context.Context, f *flight) {
	defer close(f.done)
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	set, err := i.fetch(ctx)
	if err != nil {
		f.err = err
		return
	}
	i.last.Store(&fetched{set: set, at: f.began})
}

// keepFresh fetches the keys from time to time, so that those that the issuer
// removed stop working.
func (i *issuerKeys) keepFresh(ctx context.Context, log *slog.Logger) {
	for {
		next := refreshEvery
		if err := i.refresh(ctx); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "auth: no keys from issuer", "issuer", i.URL, "err", err)
			next = refreshGap
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(next):
		}
	}
}

// realm names whose users and servers the issuer speaks for.
func (i *issuerKeys) realm() string { return cmp.Or(i.Realm, i.URL) }
