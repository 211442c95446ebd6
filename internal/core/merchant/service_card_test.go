package merchant_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/core/merchant"
	"github.com/soukhq/souk/internal/testkit"
)

func TestService_VerifyCard_EveryAlgorithm(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		for _, alg := range []jose.Algorithm{jose.EdDSA, jose.ES256, jose.RS256} {
			s := b.sell(t, "")
			s.signing = newKey(t, alg)
			given := string(jwks(s.signing, s.opening))
			if _, err := b.service.Update(t.Context(), s.viewer, s.ID, merchant.Change{JWKS: &given}); err != nil {
				t.Fatal(err)
			}
			p := b.offer(t, s, "bread", tenEuro)
			wants(t, string(alg), verify(t, b.service, s.card(t, p, nil)), nil)
			wants(t, string(alg)+" and an amount as text", verify(t, b.service, s.card(t, p, claims{"price": claims{"amountMinor": "1000", "currency": "EUR"}})), nil)
			asCard, _, _, err := b.service.VerifyCard(t.Context(), sandbox, s.card(t, p, claims{"confirm": "card"}))
			if err != nil || asCard.Confirm != merchant.ConfirmCard {
				t.Errorf("a card that confirms itself: %+v, %v", asCard, err)
			}
		}
	})
}

func TestService_VerifyCard_Refusals(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		s, other := b.sell(t, ""), b.sell(t, "")
		p := b.offer(t, s, "bread", tenEuro)
		good := s.card(t, p, nil)
		for name, c := range map[string]struct {
			token   string
			refusal *errs.Error
		}{
			"as it should be":             {good, nil},
			"empty":                       {"", merchant.ErrCardInvalid},
			"no token":                    {"a.b.c", merchant.ErrCardInvalid},
			"too long":                    {good + strings.Repeat("A", 9000), merchant.ErrCardInvalid},
			"tampered price":              {tampered(t, good, `"amountMinor":1000`, `"amountMinor":1001`), merchant.ErrCardInvalid},
			"tampered signature":          {good[:len(good)-4] + "AAAA", merchant.ErrCardInvalid},
			"signed by another merchant":  {signCard(t, other.signing, s.claims(p, nil)), merchant.ErrCardInvalid},
			"another merchant's kid":      {signWithKid(t, s, p, other.signing.ID), merchant.ErrCardInvalid},
			"unknown kid":                 {signWithKid(t, s, p, "nobody's"), merchant.ErrCardInvalid},
			"alg none":                    {unsigned(t, s.claims(p, nil), "none"), merchant.ErrCardInvalid},
			"alg HS256":                   {unsigned(t, s.claims(p, nil), "HS256"), merchant.ErrCardInvalid},
			"another type of token":       {signAs(t, s.signing, s.claims(p, nil), "JWT"), merchant.ErrCardInvalid},
			"no type":                     {signAs(t, s.signing, s.claims(p, nil), ""), merchant.ErrCardInvalid},
			"no issuer":                   {s.card(t, p, claims{"iss": nil}), merchant.ErrCardInvalid},
			"issuer of another type":      {s.card(t, p, claims{"iss": id.Global("User", s.ID)}), merchant.ErrCardInvalid},
			"unknown merchant":            {s.card(t, p, claims{"iss": id.Global("Merchant", id.New())}), merchant.ErrCardInvalid},
			"no expiry":                   {s.card(t, p, claims{"exp": nil}), merchant.ErrCardInvalid},
			"no time of issue":            {s.card(t, p, claims{"iat": nil}), merchant.ErrCardInvalid},
			"issued tomorrow":             {s.card(t, p, claims{"iat": noon.Add(24 * time.Hour).Unix()}), merchant.ErrCardInvalid},
			"amount that is no whole":     {s.card(t, p, claims{"price": claims{"amountMinor": 10.5, "currency": "EUR"}}), merchant.ErrCardInvalid},
			"amount beyond 64 bits":       {s.card(t, p, claims{"price": claims{"amountMinor": json.Number("9223372036854775808"), "currency": "EUR"}}), merchant.ErrCardInvalid},
			"amount below zero":           {s.card(t, p, claims{"price": claims{"amountMinor": -1, "currency": "EUR"}}), merchant.ErrCardInvalid},
			"unknown currency":            {s.card(t, p, claims{"price": claims{"amountMinor": 1000, "currency": "XXX"}}), merchant.ErrCardInvalid},
			"no name":                     {s.card(t, p, claims{"name": ""}), merchant.ErrCardInvalid},
			"no SKU":                      {s.card(t, p, claims{"sku": nil}), merchant.ErrCardInvalid},
			"unknown way to confirm":      {s.card(t, p, claims{"confirm": "never"}), merchant.ErrCardInvalid},
			"expired":                     {s.card(t, p, claims{"iat": noon.Add(-2 * time.Hour).Unix(), "exp": noon.Unix()}), merchant.ErrCardExpired},
			"another price":               {s.card(t, p, claims{"price": claims{"amountMinor": 999, "currency": "EUR"}}), merchant.ErrCardStale},
			"another currency":            {s.card(t, p, claims{"price": claims{"amountMinor": 1000, "currency": "USD"}}), merchant.ErrCardStale},
			"product that was never made": {s.card(t, p, claims{"sku": "cake"}), merchant.ErrCardStale},
		} {
			wants(t, name, verify(t, b.service, c.token), c.refusal)
			wants(t, name+", again", verify(t, b.service, c.token), c.refusal)
		}
		_, _, _, err := b.service.VerifyCard(t.Context(), mode.Live, good)
		wants(t, "another mode", err, merchant.ErrCardInvalid)
	})
}

func TestService_VerifyCard_EndsWithItsTime(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		s := b.sell(t, "")
		token := s.card(t, b.offer(t, s, "bread", tenEuro), claims{"exp": noon.Add(time.Hour).Unix()})
		b.clock.Advance(time.Hour - time.Microsecond)
		wants(t, "in its last moment", verify(t, b.service, token), nil)
		b.clock.Advance(time.Microsecond)
		wants(t, "when its time is over", verify(t, b.service, token), merchant.ErrCardExpired)
	})
}

// A process that still has an old row in memory must not refuse what another has
// just made right, and must learn within a second what another has ended.
func TestService_VerifyCard_ChangesOfAnotherProcess(t *testing.T) {
	t.Parallel()
	testkit.EngineURLs(t, func(t *testing.T, url string) {
		b := setup(t, testkit.OpenStore(t, url))
		other := b.process(t, testkit.OpenStore(t, url), nil)
		s := b.sell(t, "")
		p := b.offer(t, s, "bread", tenEuro)
		old := s.card(t, p, nil)
		wants(t, "the first card", verify(t, other, old), nil)

		dearer := b.offer(t, s, "bread", money.Amount{Minor: 1100, Currency: money.EUR})
		wants(t, "a card of the new price, at once", verify(t, other, s.card(t, dearer, nil)), nil)
		wants(t, "a card of the old price, at once", verify(t, other, old), merchant.ErrCardStale)

		b.offer(t, s, "bread", tenEuro)
		b.clock.Advance(10 * time.Second)
		wants(t, "the old price again", verify(t, other, old), nil)
		if _, err := b.service.Suspend(t.Context(), operator, s.ID, true); err != nil {
			t.Fatal(err)
		}
		b.clock.Advance(10 * time.Second)
		wants(t, "ten seconds after the suspension", verify(t, other, old), merchant.ErrSuspended)
		if _, err := b.service.Suspend(t.Context(), operator, s.ID, false); err != nil {
			t.Fatal(err)
		}
		wants(t, "after its end, at once", verify(t, other, old), nil)

		if _, err := b.service.Withdraw(t.Context(), s.viewer, p.ID); err != nil {
			t.Fatal(err)
		}
		b.clock.Advance(10 * time.Second)
		wants(t, "ten seconds after the withdrawal", verify(t, other, old), merchant.ErrCardStale)

		given := string(jwks(newKey(t, jose.EdDSA), s.opening))
		b.offer(t, s, "bread", tenEuro)
		if _, err := b.service.Update(t.Context(), s.viewer, id.Nil, merchant.Change{JWKS: &given}); err != nil {
			t.Fatal(err)
		}
		b.clock.Advance(10 * time.Second)
		wants(t, "ten seconds after the key was replaced", verify(t, other, old), merchant.ErrCardInvalid)
	})
}

func TestService_VerifyCard_ManyAtOnce(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		var tokens []string
		for range 20 {
			s := b.sell(t, "")
			tokens = append(tokens, s.card(t, b.offer(t, s, "bread", tenEuro), nil))
		}
		fresh := b.process(t, db, nil)
		var all sync.WaitGroup
		for i := range 400 {
			all.Go(func() {
				card, product, seller, err := fresh.VerifyCard(t.Context(), sandbox, tokens[i%len(tokens)])
				if err != nil || card.MerchantID != seller.ID || product.MerchantID != seller.ID {
					t.Errorf("card %d: %v", i, err)
				}
				if i%10 == 0 {
					b.clock.Advance(100 * time.Millisecond)
				}
			})
		}
		all.Wait()
	})
}

// tampered changes a token's payload and keeps its signature.
func tampered(t *testing.T, token, from, to string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || !strings.Contains(string(payload), from) {
		t.Fatalf("nothing to tamper with in %s", payload)
	}
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), from, to, 1)))
	return strings.Join(parts, ".")
}

// unsigned makes a token of another algorithm, signed with nothing or with the
// merchant's public key as if it were a secret.
func unsigned(t *testing.T, c claims, alg string) string {
	t.Helper()
	payload, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	header := fmt.Sprintf(`{"alg":%q,"typ":%q}`, alg, merchant.CardType)
	token := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
	if alg == "none" {
		return token
	}
	return token + base64.RawURLEncoding.EncodeToString(make([]byte, 32))
}

func signWithKid(t *testing.T, s *seller, p merchant.Product, kid string) string {
	t.Helper()
	key := *s.signing
	key.ID = kid
	return signCard(t, &key, s.claims(p, nil))
}

// BenchmarkService_VerifyCard verifies cards of many merchants from many callers
// at once, with rows that are in memory and with rows that are read again.
func BenchmarkService_VerifyCard(b *testing.B) {
	urls := map[string]string{"sqlite": b.TempDir() + "/souk.db", "postgres": testkit.Postgres(b)}
	for engine, url := range urls {
		db := testkit.OpenStore(b, url)
		migrate(b, db)
		t := setup(b, db)
		const sellers = 2000
		tokens := make([]string, sellers)
		for i := range tokens {
			s := t.sell(b, "")
			tokens[i] = s.card(b, t.offer(b, s, "bread", tenEuro), nil)
		}
		for name, step := range map[string]time.Duration{"remembered": 0, "read again": time.Second} {
			b.Run(engine+" "+name, func(b *testing.B) {
				var n atomic.Int64
				b.SetParallelism(32)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						i := n.Add(1)
						if _, _, _, err := t.service.VerifyCard(b.Context(), sandbox, tokens[i%sellers]); err != nil {
							b.Error(err)
						}
						if i%sellers == 0 {
							t.clock.Advance(step)
						}
					}
				})
			})
		}
	}
}
