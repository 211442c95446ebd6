package merchant

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/outbound"
)

// Keys gives the keys with which a merchant's own tokens are verified, and its
// mode. A suspended merchant may still call: its refunds go on.
//
// Refusals: MERCHANT_NOT_FOUND. UNAVAILABLE when the keys have to be fetched and
// cannot be.
func (s *Service) Keys(ctx context.Context, merchantID id.ID) (*jose.KeySet, mode.Mode, error) {
	m, err := s.Get(ctx, merchantID)
	if err != nil {
		return nil, 0, err
	}
	h, err := s.keysOf(ctx, m)
	if err != nil {
		return nil, 0, err
	}
	return h.all, m.Mode, nil
}

// FreshKeys is Keys after a published set was fetched again, for a token that
// names a key which Keys did not give. Sets are fetched seldom, however often it
// is called: see [Config].KeysRetry.
func (s *Service) FreshKeys(ctx context.Context, merchantID id.ID) (*jose.KeySet, mode.Mode, error) {
	m, err := s.Get(ctx, merchantID)
	if err != nil {
		return nil, 0, err
	}
	h, err := s.keysOf(ctx, m)
	if err == nil && h.url != "" {
		h, err = s.refreshed(ctx, h)
	}
	if err != nil {
		return nil, 0, err
	}
	return h.all, m.Mode, nil
}

// EncryptionKey gives the key with which to encrypt to a merchant.
//
// Refusals: as those of Keys.
func (s *Service) EncryptionKey(ctx context.Context, merchantID id.ID) (*jose.Key, error) {
	m, err := s.Get(ctx, merchantID)
	if err != nil {
		return nil, err
	}
	h, err := s.keysOf(ctx, m)
	if err != nil {
		return nil, err
	}
	return h.encryption, nil
}

// Verify checks what a merchant has signed. The options' keys are the merchant's;
// if the one that signed is not among them, they are fetched again. It is not to
// be called in a transaction, and its errors are those of package jose, but for
// MERCHANT_NOT_FOUND and UNAVAILABLE.
func (s *Service) Verify(ctx context.Context, merchantID id.ID, u *jose.Untrusted, o jose.VerifyOptions) (*jose.Token, error) {
	m, err := s.Get(ctx, merchantID)
	if err != nil {
		return nil, err
	}
	return s.verify(ctx, m, u, o)
}

func (s *Service) verify(ctx context.Context, m Merchant, u *jose.Untrusted, o jose.VerifyOptions) (*jose.Token, error) {
	h, err := s.keysOf(ctx, m)
	if err != nil {
		return nil, err
	}
	o.Keys, o.Algorithms = h.all, signing
	t, err := u.Verify(o)
	if !errors.Is(err, jose.ErrUnknownKey) || h.url == "" {
		return t, err
	}
	if h, err = s.refreshed(ctx, h); err != nil {
		return nil, err
	}
	o.Keys = h.all
	return u.Verify(o)
}

// keysOf gives a merchant's keys: those in memory, or else those in its row. A
// published set that has aged is fetched in the background, so that nobody's
// payment waits for it; only one that is too old to be used is waited for.
func (s *Service) keysOf(ctx context.Context, m Merchant) (*heldKeys, error) {
	h, ok := s.held.Get(m.ID)
	if !ok || h.before(m.UpdatedAt, m.keysFetchedAt) {
		var err error
		if h, err = s.loadKeys(ctx, m.ID); err != nil {
			return nil, err
		}
	}
	if h.url == "" {
		return h, nil
	}
	age := s.clock.Now(mode.Live).Sub(h.fetchedAt)
	if age < s.cfg.KeysFresh {
		return h, nil
	}
	if age < s.cfg.KeysKeep {
		s.refresh(ctx, h)
		return h, nil
	}
	return s.refreshed(ctx, h)
}

// loadKeys reads a merchant's keys from its row.
func (s *Service) loadKeys(ctx context.Context, merchantID id.ID) (*heldKeys, error) {
	h, ok, err := s.sets.Load(ctx, merchantID)
	if err != nil {
		return nil, fmt.Errorf("read merchant's keys: %w", err)
	}
	if !ok {
		return nil, ErrNotFound
	}
	return s.hold(h), nil
}

// hold puts keys into memory, and gives them, or those that are there if they are
// newer.
func (s *Service) hold(h *heldKeys) *heldKeys {
	if old, ok := s.held.Get(h.merchantID); ok && h.before(old.updatedAt, old.fetchedAt) {
		return old
	}
	s.held.Add(h.merchantID, h)
	return h
}

// refreshed fetches a published set and waits for it.
func (s *Service) refreshed(ctx context.Context, h *heldKeys) (*heldKeys, error) {
	f := s.refresh(ctx, h)
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if f.err != nil {
		return nil, errKeysAway.Because(f.err)
	}
	if now, ok := s.held.Get(h.merchantID); ok {
		return now, nil
	}
	return s.loadKeys(ctx, h.merchantID)
}

const (
	fetchesMax      = 16      // at once
	fetchesKnownMax = 1 << 12 // remembered
	keySetMax       = 128 << 10
	statusOK        = 200
)

// fetches are those that run, and the last one of each merchant.
type fetches struct {
	mu   sync.Mutex
	last *lru.Cache[id.ID, *fetching]
	room chan struct{} // holds a token for each that runs
}

// fetching is one fetch of a merchant's keys.
type fetching struct {
	began time.Time
	done  chan struct{}
	err   error // when done
}

func newFetches() (fetches, error) {
	last, err := lru.New[id.ID, *fetching](fetchesKnownMax)
	return fetches{last: last, room: make(chan struct{}, fetchesMax)}, err
}

// refresh begins to fetch a published set, unless that was tried a moment ago:
// then it gives that fetch, which may still run.
func (s *Service) refresh(ctx context.Context, h *heldKeys) *fetching {
	s.fetches.mu.Lock()
	defer s.fetches.mu.Unlock()
	now := s.clock.Now(mode.Live)
	if f, ok := s.fetches.last.Get(h.merchantID); ok && now.Sub(f.began) < s.cfg.KeysRetry {
		return f
	}
	f := &fetching{began: now, done: make(chan struct{})}
	s.fetches.last.Add(h.merchantID, f)
	// Not this caller's fetch alone: it goes on when the caller goes away.
	ctx = context.WithoutCancel(ctx)
	s.flying.Go(func() {
		defer close(f.done)
		f.err = s.renew(ctx, h.merchantID)
	})
	return f
}

var errTooManyFetches = errors.New("too many key sets are being fetched")

// renew fetches a merchant's keys and keeps them, unless another process just
// did.
func (s *Service) renew(ctx context.Context, merchantID id.ID) error {
	select {
	case s.fetches.room <- struct{}{}:
		defer func() { <-s.fetches.room }()
	default:
		return errTooManyFetches
	}
	h, err := s.loadKeys(ctx, merchantID)
	if err != nil {
		return err
	}
	began := s.clock.Now(mode.Live)
	if h.url == "" || began.Sub(h.fetchedAt) < s.cfg.KeysRetry {
		return nil
	}
	set, err := s.fetch(ctx, merchantID, h.url)
	if err != nil {
		return err
	}
	return s.keep(ctx, &heldKeys{keySet: set, merchantID: merchantID, url: h.url, updatedAt: h.updatedAt, fetchedAt: began})
}

// keep stores fetched keys for the other processes and for the next start.
func (s *Service) keep(ctx context.Context, h *heldKeys) error {
	text, err := h.text()
	if err != nil {
		return err
	}
	return s.db.InTx(ctx, func(ctx context.Context) error {
		kept, err := s.saveKeys(ctx, h, text)
		if err != nil {
			return err
		}
		s.db.After(ctx, func() {
			if kept {
				s.hold(h)
				return
			}
			s.forget(h.merchantID) // its URL has changed meanwhile, or another was faster
		})
		return nil
	})
}

// fetch reads a key set from its URL.
//
// Refusals: KEYS_UNREACHABLE, KEYS_INVALID.
func (s *Service) fetch(ctx context.Context, merchantID id.ID, url string) (keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.FetchTimeout)
	defer cancel()
	res, err := s.web.Do(ctx, outbound.Request{
		URL: url, Party: merchantID.String(), MaxResponse: keySetMax,
		Header: map[string][]string{"Accept": {"application/jwk-set+json, application/json"}},
	})
	if err != nil {
		return keySet{}, ErrKeysUnreachable.Because(err)
	}
	if res.Status != statusOK {
		return keySet{}, ErrKeysUnreachable.Because(fmt.Errorf("status %d", res.Status))
	}
	return parseKeys(res.Body)
}

// forget drops what this process knows of a merchant's row.
func (s *Service) forget(merchantID id.ID) {
	s.sellers.Remove(merchantID)
	s.held.Remove(merchantID)
}
