package app_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/driver"
	"github.com/soukhq/souk/internal/merchantsim"
)

// refusedBuy checks that a purchase is refused, and that its key remembers so.
func (b *testBundle) refusedBuy(t *testing.T, p *person, code string, input map[string]any) {
	t.Helper()
	in := map[string]any{"idempotencyKey": newKey(), "fundingSourceId": p.Wallet}
	maps.Copy(in, input)
	for _, replayed := range []bool{false, true} {
		var out struct {
			Order    *driver.Order
			Replayed bool
		}
		wantRefusal(t, b.api.Mutate(t.Context(), p.Token, driver.PurchaseCreate, in, &out), code)
		if out.Order != nil || out.Replayed != replayed {
			t.Errorf("%s came with the order %+v, replayed %v, want %v", code, out.Order, out.Replayed, replayed)
		}
	}
}

// refusedCard checks that a card can neither be bought by nor be shared.
func (b *testBundle) refusedCard(t *testing.T, p *person, talk, code, card string) {
	t.Helper()
	b.refusedBuy(t, p, code, map[string]any{"card": card})
	err := b.api.Mutate(t.Context(), p.Token, driver.ProductCardShare, map[string]any{"conversationId": talk, "card": card, "idempotencyKey": newKey()}, nil)
	wantRefusal(t, err, code)
}

// offered is a card for the shop's tea, to be changed before it is signed.
func (s *shop) offered() merchantsim.Card {
	now := time.Now()
	return merchantsim.Card{
		Issuer: s.ID, SKU: "TEA", Name: "Some TEA", Price: merchantsim.Money{AmountMinor: teaPrice, Currency: "EUR"},
		IssuedAt: now.Unix(), Expires: now.Add(time.Hour).Unix(), Confirm: merchantsim.ConfirmByServer,
	}
}

func signed(t *testing.T, c merchantsim.Card, key *jose.Key) string {
	t.Helper()
	token, err := c.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// forge makes a token with a header of one's own choice, and signs it as told.
func forge(t *testing.T, header, payload any, sign func(signed string) []byte) string {
	t.Helper()
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	token := part(header) + "." + part(payload)
	return token + "." + base64.RawURLEncoding.EncodeToString(sign(token))
}

func unsigned(string) []byte { return nil }

// The order is for what the buyer saw, whatever the product is called by now.
func TestCard_NameOfTheOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 5000)
		c := shop.offered()
		c.Name = "First flush tea"
		o := b.buy(t, alice, signed(t, c, shop.Keys().Sign))
		var out struct{ Order struct{ Name string } }
		b.ask(t, alice.Token, `query($id: ID!) { order(id: $id) { name } }`, map[string]any{"id": o.ID}, &out)
		if out.Order.Name != c.Name {
			t.Errorf("the order is for %q, want %q", out.Order.Name, c.Name)
		}
	})
}

// Only what the merchant itself has signed, as a card, counts.
func TestCard_Forged(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, other, alice := b.shop(t, 10), b.shop(t, 10), b.rich(t, "Alice", 5000)
		talk := b.talk(t, alice)
		card, keys := shop.card(t, "TEA"), shop.Keys()
		renamed := func(key *jose.Key, kid string) *jose.Key {
			k := *key
			k.ID = kid
			return &k
		}
		cheap := shop.offered()
		cheap.Price.AmountMinor = 1
		symmetric := map[string]string{"alg": "HS256", "typ": merchantsim.TypeCard, "kid": keys.Sign.ID}
		parts := strings.Split(card, ".")
		stranger := shop.offered()
		stranger.Issuer = alice.ID
		forgeries := map[string]string{
			"a letter of the price changed": parts[0] + "." + tampered(parts[1]) + "." + parts[2],
			"a letter of the signature":     parts[0] + "." + parts[1] + "." + tampered(parts[2]),
			"another's signature":           parts[0] + "." + parts[1] + "." + strings.Split(other.card(t, "TEA"), ".")[2],
			"another merchant's key":        signed(t, shop.offered(), other.Keys().Sign),
			"another's key under our name":  signed(t, cheap, renamed(other.Keys().Sign, keys.Sign.ID)),
			"our key under another's name":  signed(t, shop.offered(), renamed(keys.Sign, other.Keys().Sign.ID)),
			"our key under an unknown name": signed(t, shop.offered(), renamed(keys.Sign, "nobody")),
			"no signature":                  forge(t, map[string]string{"alg": "none", "typ": merchantsim.TypeCard}, cheap, unsigned),
			"no signature, but a name":      forge(t, map[string]string{"alg": "none", "typ": merchantsim.TypeCard, "kid": keys.Sign.ID}, cheap, unsigned),
			"the public key as a secret":    forge(t, symmetric, cheap, func(s string) []byte { return mac(shop.JWKS(), s) }),
			"a token of another type":       shop.token(t),
			"a user's token":                alice.Token,
			"a merchant that is not there":  signed(t, stranger, keys.Sign),
			"nothing":                       "",
			"nonsense":                      "nonsense",
			"too long":                      strings.Repeat("A", 20_000),
		}
		b.leavesNothing(t, func() {
			for what, forged := range forgeries {
				t.Run(what, func(t *testing.T) { b.refusedCard(t, alice, talk, "CARD_INVALID", forged) })
			}
		})
		if asked := shop.entries(merchantsim.Asked); len(asked) != 0 {
			t.Errorf("the product server was asked %+v", asked)
		}
		b.wantWallet(t, alice, 5000, 0)
	})
}

func sum(text string) []byte {
	h := sha256.Sum256([]byte(text))
	return h[:]
}

func mac(secret []byte, text string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// A genuine card that is no longer so, or says what it may not.
func TestCard_NotOffered(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 5000)
		talk := b.talk(t, alice)
		changed := func(change func(*merchantsim.Card)) string {
			c := shop.offered()
			change(&c)
			return signed(t, c, shop.Keys().Sign)
		}
		cards := map[string]struct{ card, want string }{
			"expired": {changed(func(c *merchantsim.Card) {
				c.IssuedAt, c.Expires = time.Now().Add(-time.Hour).Unix(), time.Now().Add(-time.Second).Unix()
			}), "CARD_EXPIRED"},
			"not valid yet":        {changed(func(c *merchantsim.Card) { c.IssuedAt = time.Now().Add(time.Hour).Unix() }), "CARD_INVALID"},
			"another price":        {changed(func(c *merchantsim.Card) { c.Price.AmountMinor-- }), "CARD_STALE"},
			"another currency":     {changed(func(c *merchantsim.Card) { c.Price.Currency = "USD" }), "CARD_STALE"},
			"an unknown currency":  {changed(func(c *merchantsim.Card) { c.Price.Currency = "QQQ" }), "CARD_INVALID"},
			"a price of zero":      {changed(func(c *merchantsim.Card) { c.Price.AmountMinor = 0 }), "CARD_INVALID"},
			"a price below zero":   {changed(func(c *merchantsim.Card) { c.Price.AmountMinor = -teaPrice }), "CARD_INVALID"},
			"an unknown product":   {changed(func(c *merchantsim.Card) { c.SKU = "GOLD" }), "CARD_STALE"},
			"another confirmation": {changed(func(c *merchantsim.Card) { c.Confirm = "nobody" }), "CARD_INVALID"},
			"no end":               {changed(func(c *merchantsim.Card) { c.Expires = 0 }), "CARD_INVALID"},
		}
		b.leavesNothing(t, func() {
			for what, try := range cards {
				t.Run(what, func(t *testing.T) { b.refusedCard(t, alice, talk, try.want, try.card) })
			}
		})

		tea, mug := shop.card(t, "TEA"), shop.card(t, "MUG")
		b.offer(t, shop, "TEA", teaPrice+1, nil)
		b.refusedCard(t, alice, talk, "CARD_STALE", tea)
		one := 1
		product := b.offer(t, shop, "MUG", mugPrice, &one)
		b.do(t, shop.token(t), productWithdraw, map[string]any{"productId": product}, nil)
		b.refusedCard(t, alice, talk, "CARD_STALE", mug)
		b.offer(t, shop, "TEA", teaPrice, nil) // the old card holds again
		b.advance(t, 25*time.Hour)             // but not for ever
		b.refusedCard(t, alice, talk, "CARD_EXPIRED", tea)
	})
}

const (
	productWithdraw = `mutation ProductWithdraw($input: ProductWithdrawInput!) {
  productWithdraw(input: $input) { product { id available } userErrors { code message field } }
}`
	merchantSuspend = `mutation MerchantSuspend($input: MerchantSuspendInput!) {
  merchantSuspend(input: $input) { merchant { id status } userErrors { code message } }
}`
	merchantUpdate = `mutation MerchantUpdate($input: MerchantUpdateInput!) {
  merchantUpdate(input: $input) { merchant { id name endpointUrl } userErrors { code message field } }
}`
)

// A suspended merchant sells nothing more; what was begun goes on.
func TestCard_MerchantSuspended(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 5000)
		talk := b.talk(t, alice)
		suspend := func(suspended bool) {
			b.do(t, b.operator, merchantSuspend, map[string]any{"merchantId": shop.ID, "suspended": suspended}, nil)
		}
		paid := b.buy(t, alice, shop.card(t, "TEA"))
		begun := b.pending(t, alice, shop, "MUG")
		card := shop.card(t, "TEA")
		suspend(true)
		b.leavesNothing(t, func() {
			b.refusedCard(t, alice, talk, "MERCHANT_SUSPENDED", card)
			b.refusedCard(t, alice, talk, "MERCHANT_SUSPENDED", shop.cardBy(t, "MUG", merchantsim.ConfirmByCard))
		})

		shop.answerNow(t)
		b.await(t, alice, begun.ID, "PAID")
		if _, err := b.api.GiveBack(t.Context(), shop.token(t), newKey(), paid.ID, driver.Euro(teaPrice)); err != nil {
			t.Errorf("a refund: %v", err)
		}
		suspend(false)
		shop.behave(t, merchantsim.Plan{Behaviour: merchantsim.OK})
		wantState(t, b.buy(t, alice, card), "PAID")
		b.wantEarned(t, shop, mugPrice+teaPrice)
	})
}

// Cards that were signed by a key that the merchant took back are worth nothing.
func TestCard_KeyReplaced(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 5000)
		card := shop.card(t, "TEA")
		wantState(t, b.buy(t, alice, card), "PAID")
		keys, err := merchantsim.GenerateKeys()
		if err != nil {
			t.Fatal(err)
		}
		jwks, err := keys.JWKS()
		if err != nil {
			t.Fatal(err)
		}
		old := shop.token(t)
		b.do(t, old, merchantUpdate, map[string]any{"jwks": string(jwks)}, nil)
		b.refusedBuy(t, alice, "CARD_INVALID", map[string]any{"card": card})
		wantFault(t, b.api.Do(t.Context(), old, viewerShow, nil, nil), "UNAUTHENTICATED")
	})
}

// A card is shared once for each key, by whoever is in the conversation.
func TestCard_Share(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice, eve := b.shop(t, 10), b.user(t, "Alice"), b.user(t, "Eve")
		talk, card := b.talk(t, alice), shop.card(t, "TEA")
		in := map[string]any{"conversationId": talk, "card": card, "idempotencyKey": newKey(), "text": "Look!"}
		var first, again struct{ Message message }
		b.do(t, alice.Token, driver.ProductCardShare, in, &first)
		b.do(t, alice.Token, driver.ProductCardShare, in, &again)
		if first.Message.ID != again.Message.ID || first.Message.Seq != "1" {
			t.Errorf("sent again, %+v became %+v", first, again)
		}
		b.leavesNothing(t, func() {
			other := maps.Clone(in)
			other["text"] = "Look here!"
			wantRefusal(t, b.api.Mutate(t.Context(), alice.Token, driver.ProductCardShare, other, nil), "IDEMPOTENCY_MISMATCH")
			wantRefusal(t, b.api.Mutate(t.Context(), eve.Token, driver.ProductCardShare, in, nil), "CONVERSATION_NOT_FOUND")
			other["idempotencyKey"], other["text"] = newKey(), "\x01"
			wantRefusal(t, b.api.Mutate(t.Context(), alice.Token, driver.ProductCardShare, other, nil), "TEXT_INVALID")
		})
		if all := b.messages(t, alice, talk); !slices.Equal(texts(all), []string{"Look!"}) || all[0].Card == nil || all[0].Card.Token != card {
			t.Errorf("the conversation is %+v", all)
		}
	})
}

func texts(all []message) (out []string) {
	for _, m := range all {
		out = append(out, m.Text)
	}
	return out
}

// No merchant can keep its buyers' money held by what it says of its stock.
func TestCard_StockBeyondCounting(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 5000)
		o := b.pending(t, alice, shop, "MUG")
		put := func(stock string) error {
			return b.api.Mutate(t.Context(), shop.token(t), driver.ProductPut,
				map[string]any{"sku": "MUG", "name": "Mug", "price": driver.Euro(mugPrice), "stockCount": stock}, nil)
		}
		wantRefusal(t, put("9223372036854775807"), "STOCK_INVALID", "stockCount")
		if err := put("1000000000000"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.api.Cancel(t.Context(), alice.Token, newKey(), o.ID); err != nil {
			t.Error(err)
		}
		b.wantWallet(t, alice, 5000, 0)
	})
}
