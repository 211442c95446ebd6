package app_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/driver"
	"github.com/soukhq/souk/internal/merchantsim"
)

// orderKey is how the database knows an order.
func orderKey(t *testing.T, global string) id.ID {
	t.Helper()
	_, key, err := id.ParseGlobal(global)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Whoever cannot pay is told before the merchant hears of it.
func TestFunds_NotEnough(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", teaPrice-1)
		b.leavesNothing(t, func() {
			b.refusedBuy(t, alice, "INSUFFICIENT_FUNDS", map[string]any{"card": shop.card(t, "TEA")})
			b.refusedBuy(t, alice, "INSUFFICIENT_FUNDS", map[string]any{"card": shop.cardBy(t, "TEA", merchantsim.ConfirmByCard)})
			b.refusedBuy(t, alice, "INSUFFICIENT_FUNDS", map[string]any{"card": shop.card(t, "MUG"), "quantity": 3})
		})
		if asked := shop.entries(merchantsim.Asked); len(asked) != 0 {
			t.Errorf("the product server was asked %+v", asked)
		}
		b.wantWallet(t, alice, teaPrice-1, 0)
	})
}

// What is held is not there for another order: of six at once, five are covered.
func TestFunds_ForFiveOfSix(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 6*teaPrice-1)
		shop.behave(t, later)
		card := shop.card(t, "TEA")
		orders, refused := b.crowd(t, 6, func(int) (driver.Order, bool, error) {
			return b.api.Buy(t.Context(), alice.Token, driver.Purchase{Key: newKey(), Card: card, Source: alice.Wallet})
		})
		if len(orders) != 5 || len(refused) != 1 {
			t.Fatalf("%d were authorised, %v refused", len(orders), refused)
		}
		wantRefusal(t, refused[0], "INSUFFICIENT_FUNDS")
		b.wantWallet(t, alice, 6*teaPrice-1, 5*teaPrice)
		shop.answerNow(t)
		for _, o := range orders {
			b.await(t, alice, o.ID, "PAID")
		}
		b.wantWallet(t, alice, teaPrice-1, 0)
		b.wantEarned(t, shop, 5*teaPrice)
	})
}

// crowd calls n times at once. It gives the orders that are not replayed, and the
// errors.
func (b *testBundle) crowd(t *testing.T, n int, call func(i int) (driver.Order, bool, error)) (orders []driver.Order, refused []error) {
	t.Helper()
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		start = make(chan struct{})
	)
	for i := range n {
		all.Go(func() {
			<-start
			o, replayed, err := call(i)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				refused = append(refused, err)
			case !replayed:
				orders = append(orders, o)
			}
		})
	}
	close(start)
	all.Wait()
	return orders, refused
}

// A hundred clicks on one button are one order and one charge.
func TestPurchase_DoubleClick(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 10_000)
		var (
			in   = driver.Purchase{Key: newKey(), Card: shop.card(t, "MUG"), Source: alice.Wallet}
			mu   sync.Mutex
			seen = map[string]int{}
		)
		orders, refused := b.crowd(t, 100, func(int) (driver.Order, bool, error) {
			o, replayed, err := b.api.Buy(t.Context(), alice.Token, in)
			mu.Lock()
			defer mu.Unlock()
			seen[o.ID]++
			return o, replayed, err
		})
		if len(orders) != 1 || len(seen) != 1 || len(refused) != 0 {
			t.Errorf("a hundred clicks made %d orders, seen %v, refused %v", len(orders), seen, refused)
		}
		b.await(t, alice, orders[0].ID, "PAID")
		b.wantWallet(t, alice, 10_000-mugPrice, 0)
		b.wantEarned(t, shop, mugPrice)
		if asked := shop.entries(merchantsim.Asked); len(asked) != 1 {
			t.Errorf("the product server was asked %d times", len(asked))
		}
	})
}

// Of a hundred who want the last one, one gets it.
func TestPurchase_LastItem(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop := b.shop(t, 1)
		var buyers []*person
		for i := range 10 {
			buyers = append(buyers, b.rich(t, fmt.Sprint("Buyer ", i), 20*mugPrice))
		}
		byServer, byCard := shop.card(t, "MUG"), shop.cardBy(t, "MUG", merchantsim.ConfirmByCard)
		orders, refused := b.crowd(t, 100, func(i int) (driver.Order, bool, error) {
			card := byServer
			if i%2 == 0 {
				card = byCard
			}
			p := buyers[i%len(buyers)]
			return b.api.Buy(t.Context(), p.Token, driver.Purchase{Key: newKey(), Card: card, Source: p.Wallet})
		})
		if len(orders) != 1 || len(refused) != 99 {
			t.Fatalf("%d got it, %d did not", len(orders), len(refused))
		}
		for _, err := range refused {
			var e *driver.UserError
			if !errors.As(err, &e) || e.Code != "OUT_OF_STOCK" || e.Retry != "NEW_KEY" {
				t.Errorf("refused with %v", err)
			}
		}
		wantState(t, orders[0], "PAID")
		b.wantEarned(t, shop, mugPrice)
		if n := b.rows(t); n["stock"] != 0 || n["orders"] != 1 || n["holds"] > 1 {
			t.Errorf("there are %v", n)
		}
	})
}

// One key is one purchase: with another body it is refused, and the first one
// stands.
func TestPurchase_KeyReused(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		shop, alice, bob := b.shop(t, 10), b.rich(t, "Alice", 5000), b.rich(t, "Bob", 5000)
		talk := b.talk(t, alice)
		in := map[string]any{"idempotencyKey": newKey(), "card": shop.card(t, "TEA"), "fundingSourceId": alice.Wallet}
		var first, again struct {
			Order    driver.Order
			Replayed bool
		}
		b.do(t, alice.Token, driver.PurchaseCreate, in, &first)
		with := func(name string, value any) map[string]any {
			other := maps.Clone(in)
			other[name] = value
			return other
		}
		b.leavesNothing(t, func() {
			for name, value := range map[string]any{
				"card": shop.card(t, "MUG"), "quantity": 2, "fundingSourceId": bob.Wallet, "conversationId": talk,
			} {
				wantRefusal(t, b.api.Mutate(ctx, alice.Token, driver.PurchaseCreate, with(name, value), nil), "IDEMPOTENCY_MISMATCH")
			}
			for _, key := range []string{"", strings.Repeat("k", 256)} {
				wantRefusal(t, b.api.Mutate(ctx, alice.Token, driver.PurchaseCreate, with("idempotencyKey", key), nil), "IDEMPOTENCY_KEY_INVALID")
			}
		})
		b.do(t, alice.Token, driver.PurchaseCreate, in, &again)
		if !again.Replayed || again.Order.ID != first.Order.ID {
			t.Errorf("the first one became %+v", again)
		}
		// Another's key of the same name is another key.
		theirs := with("fundingSourceId", bob.Wallet)
		b.do(t, bob.Token, driver.PurchaseCreate, theirs, &again)
		if again.Replayed || again.Order.ID == first.Order.ID {
			t.Errorf("Bob got %+v", again)
		}
		b.wantEarned(t, shop, 2*teaPrice)
	})
}

// What else a purchase is refused for.
func TestPurchase_Refusals(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice, bob := b.shop(t, 2), b.rich(t, "Alice", 100_000), b.rich(t, "Bob", 5000)
		dollars, err := b.dollars(t, alice)
		if err != nil {
			t.Fatal(err)
		}
		talk := b.talk(t, bob)
		card := shop.card(t, "TEA")
		b.offer(t, shop, "STAR", math.MaxInt64, nil)
		b.leavesNothing(t, func() {
			for code, inputs := range map[string][]map[string]any{
				"QUANTITY_INVALID":         {{"card": card, "quantity": 0}, {"card": card, "quantity": -1}, {"card": card, "quantity": 1001}, {"card": shop.card(t, "STAR"), "quantity": 2}},
				"FUNDING_SOURCE_NOT_FOUND": {{"card": card, "fundingSourceId": bob.Wallet}, {"card": card, "fundingSourceId": "nonsense"}, {"card": card, "fundingSourceId": alice.ID}},
				"FUNDING_SOURCE_KIND":      {{"card": card, "fundingSourceId": alice.Bank}},
				"CURRENCY_MISMATCH":        {{"card": card, "fundingSourceId": dollars}},
				"CONVERSATION_NOT_FOUND":   {{"card": card, "conversationId": talk}, {"card": card, "conversationId": "nonsense"}},
				"OUT_OF_STOCK":             {{"card": shop.card(t, "MUG"), "quantity": 3}},
				"INSUFFICIENT_FUNDS":       {{"card": shop.card(t, "STAR")}},
			} {
				for _, in := range inputs {
					b.refusedBuy(t, alice, code, in)
				}
			}
		})
		b.wantWallet(t, alice, 100_000, 0)
	})
}

// dollars gives a user a second wallet.
func (b *testBundle) dollars(t *testing.T, p *person) (string, error) {
	t.Helper()
	var out struct{ FundingSource *named }
	err := b.api.Mutate(t.Context(), p.Token, driver.FundingSourceAdd, map[string]any{"kind": "WALLET", "label": "Dollars", "currency": "USD"}, &out)
	if err != nil {
		return "", err
	}
	return out.FundingSource.ID, nil
}

// Amounts are whole minor units of a currency in force, in 64 bits, and above
// zero. What does not fit the type is no valid request; what does not fit the
// business is a refusal.
func TestMoney_Input(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 100)
		topUp := func(amount any) error {
			return b.api.Mutate(ctx, alice.Token, driver.WalletTopUp, map[string]any{"idempotencyKey": newKey(), "sourceId": alice.Bank, "amount": amount}, nil)
		}
		put := func(amount any) error {
			return b.api.Mutate(ctx, shop.token(t), driver.ProductPut, map[string]any{"sku": "X", "name": "X", "price": amount}, nil)
		}
		money := func(minor any, currency string) map[string]any {
			return map[string]any{"amountMinor": minor, "currency": currency}
		}
		b.leavesNothing(t, func() {
			for _, bad := range []map[string]any{
				money("9223372036854775808", "EUR"), money("-9223372036854775809", "EUR"), money("99999999999999999999999999", "EUR"),
				money("1.5", "EUR"), money(1.5, "EUR"), money("1e3", "EUR"), money(" 1", "EUR"), money("", "EUR"), money(nil, "EUR"), money("0x10", "EUR"),
				money("1", "QQQ"), money("1", "eur"), money("1", ""), money("1", "EURO"), money("1", "978"), money("1", "DEM"),
			} {
				for _, try := range []func(any) error{topUp, put} {
					if got := faultOf(try(bad)); got != "VALIDATION_FAILED" {
						t.Errorf("%v: %s", bad, got)
					}
				}
			}
			for _, minor := range []string{"9223372036854775807", "-9223372036854775808", "0", "-1"} {
				wantRefusal(t, topUp(money(minor, "EUR")), "AMOUNT_INVALID", "amount", "amountMinor")
			}
			wantRefusal(t, topUp(money("1", "USD")), "CURRENCY_MISMATCH")
			wantRefusal(t, put(money("0", "EUR")), "PRICE_INVALID")
		})
		b.wantWallet(t, alice, 100, 0)
	})
}
