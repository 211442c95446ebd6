package merchant_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/core/merchant"
	"github.com/soukhq/souk/internal/testkit"
)

func migrate(t testing.TB, db *store.DB) {
	t.Helper()
	if err := db.Migrate(context.Background(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
}

func TestService_Keys_NewKeyIsFetched(t *testing.T) {
	t.Parallel()
	testkit.EngineURLs(t, func(t *testing.T, url string) {
		b := setup(t, testkit.OpenStore(t, url))
		s := b.sell(t, b.server.url)
		p := b.offer(t, s, "bread", tenEuro)
		wants(t, "a card of the first key", verify(t, b.service, s.card(t, p, nil)), nil)
		old := s.signing
		s.signing = newKey(t, jose.ES256)
		b.server.publish(old, s.signing, s.opening)
		card := s.card(t, p, nil)
		wants(t, "a card of a new key, a moment after the last fetch", verify(t, b.service, card), merchant.ErrCardInvalid)
		b.clock.Advance(10 * time.Second)
		wants(t, "a card of a new key", verify(t, b.service, card), nil)
		if n := b.server.fetches(); n != 2 {
			t.Errorf("the keys were fetched %d times, want 2", n)
		}
		other := b.process(t, testkit.OpenStore(t, url), nil)
		wants(t, "the same in another process", verify(t, other, card), nil)
		for range 20 {
			wants(t, "a forged card", verify(t, other, signCard(t, newKey(t, jose.EdDSA), s.claims(p, nil))), merchant.ErrCardInvalid)
		}
		if n := b.server.fetches(); n != 2 {
			t.Errorf("another process and forgers made it %d fetches, want 2", n)
		}
	})
}

func TestService_Keys_ManyWaitForOneFetch(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		s := b.sell(t, b.server.url)
		p := b.offer(t, s, "bread", tenEuro)
		s.signing = newKey(t, jose.EdDSA)
		b.server.publish(s.signing, s.opening)
		gate := make(chan struct{})
		b.server.set(func() { b.server.gate = gate })
		b.clock.Advance(10 * time.Second)
		var all sync.WaitGroup
		for i := range 50 {
			card := s.card(t, p, claims{"jti": strconv.Itoa(i)})
			all.Go(func() { wants(t, "one of many", verify(t, b.service, card), nil) })
		}
		testkit.Eventually(t, t.Context(), func() error {
			if b.server.fetches() < 2 {
				return errors.New("nobody fetches")
			}
			return nil
		})
		close(gate)
		all.Wait()
		if n := b.server.fetches(); n != 2 {
			t.Errorf("the keys were fetched %d times, want 2", n)
		}
	})
}

func TestService_Keys_RemovedKeyStopsWorking(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		s := b.sell(t, b.server.url)
		p := b.offer(t, s, "bread", tenEuro)
		card := s.card(t, p, nil)
		wants(t, "before", verify(t, b.service, card), nil)
		b.server.publish(newKey(t, jose.EdDSA), s.opening)
		b.clock.Advance(5 * time.Minute)
		testkit.Eventually(t, t.Context(), func() error { // the fetch runs in the background
			if err := verify(t, b.service, card); !errors.Is(err, merchant.ErrCardInvalid) {
				return errors.New("a card of a key that was removed is believed")
			}
			return nil
		})
	})
}

func TestService_Keys_URLDown(t *testing.T) {
	t.Parallel()
	testkit.EngineURLs(t, func(t *testing.T, url string) {
		b := setup(t, testkit.OpenStore(t, url))
		s := b.sell(t, b.server.url)
		p := b.offer(t, s, "bread", tenEuro)
		card := s.card(t, p, claims{"exp": noon.Add(1000 * time.Hour).Unix()})
		for _, down := range []func(){
			b.server.fail,
			func() { b.server.set(func() { b.server.status, b.server.raw = http.StatusOK, []byte("<html>") }) },
			func() { b.server.publish(s.signing) }, // without the key to encrypt to
		} {
			down()
			b.clock.Advance(time.Hour)
			wants(t, "with the URL down", verify(t, b.service, card), nil)
			wants(t, "after a restart", verify(t, b.process(t, testkit.OpenStore(t, url), nil), card), nil)
		}
		b.clock.Advance(30 * time.Second)
		unknown := signCard(t, newKey(t, jose.EdDSA), s.claims(p, claims{"exp": noon.Add(1000 * time.Hour).Unix()}))
		wants(t, "a new key that cannot be fetched", verify(t, b.service, unknown), errUnavailable)
		b.clock.Advance(24 * time.Hour)
		wants(t, "with the URL down for more than a day", verify(t, b.service, card), errUnavailable)
		if _, _, err := b.service.Keys(t.Context(), s.ID); !errors.Is(err, errUnavailable) {
			t.Errorf("Keys: %v", err)
		}
		b.server.publish(s.signing, s.opening)
		b.clock.Advance(10 * time.Second)
		wants(t, "with the URL up again", verify(t, b.service, card), nil)
	})
}

func TestService_Keys_URLReplacedWhileFetching(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		s := b.sell(t, b.server.url)
		p := b.offer(t, s, "bread", tenEuro)
		gate := make(chan struct{})
		b.server.set(func() { b.server.gate = gate })
		b.clock.Advance(5 * time.Minute)
		wants(t, "with old keys, while new ones are fetched", verify(t, b.service, s.card(t, p, nil)), nil)
		s.signing = newKey(t, jose.EdDSA)
		given := string(jwks(s.signing, s.opening))
		if _, err := b.service.Update(t.Context(), s.viewer, id.Nil, merchant.Change{JWKS: &given}); err != nil {
			t.Fatal(err)
		}
		close(gate)
		b.service.Close()
		wants(t, "with the keys that were given", verify(t, b.service, s.card(t, p, nil)), nil)
		m, err := b.service.Get(t.Context(), s.ID)
		if err != nil || m.JWKSURL != "" {
			t.Errorf("the URL is %q again, %v", m.JWKSURL, err)
		}
	})
}

func TestService_EncryptionKeyAndVerify(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		s := b.sell(t, b.server.url)
		to, err := b.service.EncryptionKey(t.Context(), s.ID)
		if err != nil || to.ID != s.opening.ID {
			t.Fatalf("the key to encrypt to is %v, %v", to, err)
		}
		s.signing = newKey(t, jose.EdDSA)
		b.server.publish(s.signing, s.opening)
		b.clock.Advance(10 * time.Second)
		u, err := jose.Parse(signAs(t, s.signing, claims{"iss": "x", "exp": noon.Add(time.Hour).Unix()}, "JWT"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.service.Verify(t.Context(), s.ID, u, jose.VerifyOptions{Issuer: "x", Now: noon}); err != nil {
			t.Errorf("what the merchant signed with a new key: %v", err)
		}
		if _, err := b.service.Verify(t.Context(), s.ID, u, jose.VerifyOptions{Issuer: "y", Now: noon}); !errors.Is(err, jose.ErrIssuer) {
			t.Errorf("of another issuer: %v", err)
		}
		_, err = b.service.Verify(t.Context(), id.New(), u, jose.VerifyOptions{Now: noon})
		wants(t, "of nobody", err, merchant.ErrNotFound)
		_, _, err = b.service.Keys(t.Context(), id.New())
		wants(t, "nobody's keys", err, merchant.ErrNotFound)
		_, err = b.service.EncryptionKey(t.Context(), id.New())
		wants(t, "nobody's key", err, merchant.ErrNotFound)
	})
}

func TestService_FreshKeys(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		s := b.sell(t, b.server.url)
		next := newKey(t, jose.EdDSA)
		b.server.publish(next, s.opening)
		b.clock.Advance(10 * time.Second)
		if keys, _, err := b.service.Keys(t.Context(), s.ID); err != nil || keys.ByID(next.ID) != nil {
			t.Errorf("Keys fetched: %v", err)
		}
		if keys, m, err := b.service.FreshKeys(t.Context(), s.ID); err != nil || m != sandbox || keys.ByID(next.ID) == nil {
			t.Errorf("FreshKeys did not fetch: %v", err)
		}
	})
}
