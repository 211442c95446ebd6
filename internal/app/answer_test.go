package app_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/driver"
	"github.com/soukhq/souk/internal/merchantsim"
)

var good = merchantsim.Plan{Behaviour: merchantsim.OK}

// recovers checks that an order which its product server has failed keeps its
// money held, is asked for again once its time has come, and is paid once.
func (b *testBundle) recovers(t *testing.T, p *person, s *shop, o driver.Order, noted string) {
	t.Helper()
	wantState(t, o, "AUTHORISED")
	got := b.awaitEvent(t, p, o.ID, noted)
	wantState(t, got.Order, "AUTHORISED")
	s.behave(t, good)
	b.advance(t, 2*time.Minute)
	b.await(t, p, o.ID, "PAID")
	s.told(t, "order.paid", o.ID)
	if n := b.number(t, `SELECT count(*) FROM transfers WHERE subject_id = $1`, orderKey(t, o.ID)); n != 1 {
		t.Errorf("the money has moved %d times", n)
	}
}

// A product server that fails, in whatever way, costs nobody anything: it is
// asked again.
func TestAnswer_Failing(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		for what, try := range map[string]struct {
			plan  merchantsim.Plan
			noted string
		}{
			"down":                 {merchantsim.Plan{Behaviour: merchantsim.Down}, "FORWARD_FAILED"},
			"overloaded":           {merchantsim.Plan{Behaviour: merchantsim.Down, Status: 503, RetryAfterSec: 1}, "FORWARD_FAILED"},
			"elsewhere":            {merchantsim.Plan{Behaviour: merchantsim.Down, Status: 302}, "FORWARD_FAILED"},
			"huge":                 {merchantsim.Plan{Behaviour: merchantsim.Huge}, "FORWARD_FAILED"},
			"malformed":            {merchantsim.Plan{Behaviour: merchantsim.Malformed}, "ANSWER_REFUSED"},
			"of a wrong signature": {merchantsim.Plan{Behaviour: merchantsim.WrongSignature}, "ANSWER_REFUSED"},
			"for another order":    {merchantsim.Plan{Behaviour: merchantsim.WrongOrder}, "ANSWER_REFUSED"},
			"for another amount":   {merchantsim.Plan{Behaviour: merchantsim.WrongAmount}, "ANSWER_REFUSED"},
		} {
			t.Run(what, func(t *testing.T) {
				b := setup(t, b.world)
				shop, alice := b.shop(t, 10), b.rich(t, "Alice", 5000)
				wantState(t, b.buy(t, alice, shop.card(t, "TEA")), "PAID") // that there is another order
				shop.behave(t, try.plan)
				o := b.buy(t, alice, shop.card(t, "TEA"))
				b.wantWallet(t, alice, 5000-teaPrice, teaPrice)
				b.recovers(t, alice, shop, o, try.noted)
				b.wantWallet(t, alice, 5000-2*teaPrice, 0)
				b.wantEarned(t, shop, 2*teaPrice)
			})
		}
	})
}

// The buyer's call does not wait for ever.
func TestAnswer_Slow(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 5000)
		shop.behave(t, merchantsim.Plan{Behaviour: merchantsim.Hang, Count: 1})
		began := time.Now()
		o := b.buy(t, alice, shop.card(t, "TEA"))
		if waited := time.Since(began); waited < inlineWait-time.Second {
			t.Errorf("the call waited %v, want about %v", waited, inlineWait)
		}
		b.recovers(t, alice, shop, o, "FORWARD_FAILED")
		b.wantEarned(t, shop, teaPrice)
	})
}

// A product server that answers at once and then once more is paid once.
func TestAnswer_Double(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 5000)
		shop.behave(t, merchantsim.Plan{Behaviour: merchantsim.Double})
		o := b.buy(t, alice, shop.card(t, "TEA"))
		wantState(t, o, "PAID")
		if again := shop.heard(t, merchantsim.Called, o.ID); again.Status != http.StatusOK {
			t.Errorf("the second answer was met with %d %s", again.Status, again.Code)
		}
		b.wantWallet(t, alice, 5000-teaPrice, 0)
		b.wantEarned(t, shop, teaPrice)
	})
}

func TestAnswer_Declined(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 1), b.rich(t, "Alice", 5000)
		talk := b.talk(t, alice)
		shop.behave(t, merchantsim.Plan{Behaviour: merchantsim.Decline})
		o, _, err := b.api.Buy(t.Context(), alice.Token, driver.Purchase{Key: newKey(), Card: shop.card(t, "MUG"), Source: alice.Wallet, Conversation: talk})
		if err != nil {
			t.Fatal(err)
		}
		wantState(t, o, "DECLINED")
		if got := b.order(t, alice.Token, o.ID); got.DeclineReason == nil || *got.DeclineReason != "not sold today" || !slices.Equal(got.kinds(), []string{"AUTHORISED", "DECLINED"}) {
			t.Errorf("the order is %+v", got)
		}
		b.wantWallet(t, alice, 5000, 0)
		b.wantEarned(t, shop, 0)
		shop.told(t, "order.declined", o.ID)
		b.wantReceipt(t, alice, talk, o.ID, "DECLINED", mugPrice)
		shop.behave(t, good)
		wantState(t, b.buy(t, alice, shop.card(t, "MUG")), "PAID") // the one is back in stock
	})
}

// A yes that comes too late is refused, and the product server told to release.
func TestAnswer_LateYes(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 5000)
		shop.behave(t, merchantsim.Plan{Behaviour: merchantsim.LateYes})
		expired := b.buy(t, alice, shop.card(t, "TEA"))
		b.advance(t, confirmWithin)
		b.await(t, alice, expired.ID, "EXPIRED")
		cancelled := b.buy(t, alice, shop.card(t, "TEA"))
		if _, _, err := b.api.Cancel(t.Context(), alice.Token, newKey(), cancelled.ID); err != nil {
			t.Fatal(err)
		}
		shop.answerNow(t)
		for _, o := range []driver.Order{expired, cancelled} {
			if called := shop.heard(t, merchantsim.Called, o.ID); called.Status != http.StatusConflict || called.Code != "ORDER_ENDED" {
				t.Errorf("a late yes was met with %d %s", called.Status, called.Code)
			}
			shop.heard(t, merchantsim.Released, o.ID)
			b.awaitEvent(t, alice, o.ID, "ANSWER_REFUSED")
			b.awaitEvent(t, alice, o.ID, "RELEASED")
		}
		b.wantWallet(t, alice, 5000, 0)
		b.wantEarned(t, shop, 0)
	})
}

// The deadline stands even before the sweep has come by.
func TestAnswer_JustTooLate(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 5000)
		o := b.pending(t, alice, shop, "TEA")
		b.advance(t, confirmWithin)
		shop.answerNow(t)
		b.await(t, alice, o.ID, "EXPIRED")
		b.wantWallet(t, alice, 5000, 0)
		b.wantEarned(t, shop, 0)
		shop.heard(t, merchantsim.Released, o.ID)
	})
}

// confirmations is where answers come that were not given at once.
const confirmations = "/merchant/confirmations"

// answerTo is the body of an answer to an order, as it should be.
func (b *testBundle) answerTo(s *shop, o driver.Order) map[string]any {
	now := time.Now()
	return map[string]any{
		"iss": s.ID, "aud": b.url, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": newKey(),
		"orderId": o.ID, "decision": "CONFIRMED", "total": map[string]any{"amountMinor": teaPrice, "currency": "EUR"}, "reference": "by hand",
	}
}

// soukKey is the key that Souk publishes to be encrypted to.
func (b *testBundle) soukKey(t *testing.T) *jose.Key {
	t.Helper()
	resp, err := b.api.HTTP.Get(b.url + "/.well-known/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	set, err := jose.ParseKeySet(body)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Keys() {
		if k.Use == jose.UseEncryption {
			return k
		}
	}
	t.Fatal("Souk publishes no key to encrypt to")
	return nil
}

// confirm posts an answer and gives the status and code with which it is met.
func (b *testBundle) confirm(t *testing.T, contentType, body string) (status int, code string) {
	t.Helper()
	resp, err := b.api.HTTP.Post(b.url+confirmations, contentType, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var problem struct{ Code string }
	if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil {
		t.Fatal(err)
	}
	if typ := resp.Header.Get("Content-Type"); resp.StatusCode >= 400 && typ != "application/problem+json" {
		t.Errorf("a problem came as %s", typ)
	}
	return resp.StatusCode, problem.Code
}

// Only the merchant's own signature, on an answer, for this order, to Souk, in
// time, counts.
func TestAnswer_Forged(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, other, alice := b.shop(t, 10), b.shop(t, 10), b.rich(t, "Alice", 5000)
		o := b.pending(t, alice, shop, "TEA")
		to, own := b.soukKey(t), shop.Keys().Sign
		seal := func(key *jose.Key, typ string, changes map[string]any) string {
			claims := b.answerTo(shop, o)
			maps.Copy(claims, changes)
			payload, err := json.Marshal(claims)
			if err != nil {
				t.Fatal(err)
			}
			token, err := jose.EncryptSigned(payload, key, typ, to)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		bare, err := json.Marshal(b.answerTo(shop, o))
		if err != nil {
			t.Fatal(err)
		}
		open, err := jose.Sign(bare, own, merchantsim.TypeAnswer)
		if err != nil {
			t.Fatal(err)
		}
		none := forge(t, map[string]string{"alg": "none", "typ": merchantsim.TypeAnswer}, json.RawMessage(bare), unsigned)
		hidden, err := jose.Encrypt([]byte(none), to, "JWT")
		if err != nil {
			t.Fatal(err)
		}
		const jws = merchantsim.TypeAnswer
		past := time.Now().Add(-time.Hour)
		answers := map[string]struct {
			token  string
			status int
			code   string
		}{
			"by another's key":        {seal(other.Keys().Sign, jws, nil), 400, "ANSWER_INVALID"},
			"by another merchant":     {seal(other.Keys().Sign, jws, map[string]any{"iss": other.ID}), 404, "ORDER_NOT_FOUND"},
			"for another amount":      {seal(own, jws, map[string]any{"total": map[string]any{"amountMinor": teaPrice + 1, "currency": "EUR"}}), 400, "ANSWER_MISMATCH"},
			"in another currency":     {seal(own, jws, map[string]any{"total": map[string]any{"amountMinor": teaPrice, "currency": "USD"}}), 400, "ANSWER_MISMATCH"},
			"without an amount":       {seal(own, jws, map[string]any{"total": nil}), 400, "ANSWER_MISMATCH"},
			"for no order":            {seal(own, jws, map[string]any{"orderId": "nonsense"}), 400, "ANSWER_INVALID"},
			"for somebody else":       {seal(own, jws, map[string]any{"aud": "https://other.example"}), 400, "ANSWER_INVALID"},
			"of long ago":             {seal(own, jws, map[string]any{"iat": past.Unix(), "exp": past.Add(time.Minute).Unix()}), 400, "ANSWER_INVALID"},
			"that lives too long":     {seal(own, jws, map[string]any{"exp": time.Now().Add(time.Hour).Unix()}), 400, "ANSWER_INVALID"},
			"of another type":         {seal(own, merchantsim.TypeCard, nil), 400, "ANSWER_INVALID"},
			"without a decision":      {seal(own, jws, map[string]any{"decision": "PERHAPS"}), 400, "ANSWER_INVALID"},
			"that everybody can read": {open, 400, "ANSWER_INVALID"},
			"that is not signed":      {hidden, 400, "ANSWER_INVALID"},
			"of nonsense":             {"nonsense", 400, "ANSWER_INVALID"},
			"of nothing":              {"", 400, "ANSWER_INVALID"},
			"too large":               {string(bytes.Repeat([]byte("A"), 1<<17)), 413, "TOO_LARGE"},
		}
		b.leavesNothing(t, func() {
			for what, a := range answers {
				if status, code := b.confirm(t, merchantsim.ContentType, a.token); status != a.status || code != a.code {
					t.Errorf("an answer %s was met with %d %s, want %d %s", what, status, code, a.status, a.code)
				}
			}
			if status, code := b.confirm(t, "text/plain", seal(own, jws, nil)); status != 415 || code != "UNSUPPORTED_MEDIA_TYPE" {
				t.Errorf("another content type: %d %s", status, code)
			}
		})
		wantState(t, b.order(t, alice.Token, o.ID).Order, "AUTHORISED")

		// The true one counts, once: a captured hold is not captured again.
		yes := seal(own, jws, nil)
		for range 3 {
			if status, code := b.confirm(t, merchantsim.ContentType, yes); status != http.StatusOK {
				t.Errorf("the true answer was met with %d %s", status, code)
			}
		}
		no := seal(own, jws, map[string]any{"decision": "DECLINED"})
		if status, code := b.confirm(t, merchantsim.ContentType, no); status != http.StatusConflict || code != "ORDER_STATE" {
			t.Errorf("a no after the yes: %d %s", status, code)
		}
		if got := b.order(t, alice.Token, o.ID); got.State != "PAID" || got.Reference != "by hand" {
			t.Errorf("the order is %+v", got)
		}
		b.wantEarned(t, shop, teaPrice)
		b.wantWallet(t, alice, 5000-teaPrice, 0)
		b.wantEarned(t, other, 0)
	})
}

// Nor is a hold captured that was voided.
func TestAnswer_AfterTheEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 5000)
		o := b.pending(t, alice, shop, "TEA")
		if _, _, err := b.api.Cancel(t.Context(), alice.Token, newKey(), o.ID); err != nil {
			t.Fatal(err)
		}
		payload, err := json.Marshal(b.answerTo(shop, o))
		if err != nil {
			t.Fatal(err)
		}
		yes, err := jose.EncryptSigned(payload, shop.Keys().Sign, merchantsim.TypeAnswer, b.soukKey(t))
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if status, code := b.confirm(t, merchantsim.ContentType, yes); status != http.StatusConflict || code != "ORDER_ENDED" {
				t.Errorf("a yes after the end: %d %s", status, code)
			}
		}
		b.wantWallet(t, alice, 5000, 0)
		b.wantEarned(t, shop, 0)
		shop.heard(t, merchantsim.Released, o.ID)
	})
}
