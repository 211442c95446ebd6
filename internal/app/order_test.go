package app_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/driver"
	"github.com/soukhq/souk/internal/merchantsim"
	"github.com/soukhq/souk/internal/testkit"
)

// pending makes an order whose merchant has said that it will answer later.
func (b *testBundle) pending(t *testing.T, p *person, s *shop, sku string) driver.Order {
	t.Helper()
	s.behave(t, later)
	o := b.buy(t, p, s.card(t, sku))
	wantState(t, o, "AUTHORISED")
	return o
}

// later holds the answer back until answerNow.
var later = merchantsim.Plan{Behaviour: merchantsim.Later, DelayMs: 600_000}

// answerNow has the product server give the answers that it holds back, and waits
// until Souk has heard them.
func (s *shop) answerNow(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	if err := s.AnswerNow(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestPurchase_ConfirmedLater(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 2000)
		o := b.pending(t, alice, shop, "TEA")
		b.wantWallet(t, alice, 2000, teaPrice)
		b.wantEarned(t, shop, 0)

		shop.answerNow(t)
		shop.heard(t, merchantsim.Called, o.ID, func(e merchantsim.Entry) bool { return e.Status == 200 })
		got := b.await(t, alice, o.ID, "PAID")
		if !slices.Equal(got.kinds(), []string{"AUTHORISED", "ACCEPTED", "PAID"}) || got.Reference == "" {
			t.Errorf("the order is %+v", got)
		}
		b.wantWallet(t, alice, 2000-teaPrice, 0)
		b.wantEarned(t, shop, teaPrice)
		shop.told(t, "order.paid", o.ID)
	})
}

// A card may be its own confirmation: nobody is asked.
func TestPurchase_ConfirmedByCard(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 1), b.rich(t, "Alice", 2000)
		o := b.buy(t, alice, shop.cardBy(t, "MUG", merchantsim.ConfirmByCard))
		wantState(t, o, "PAID")
		b.wantWallet(t, alice, 2000-mugPrice, 0)
		b.wantEarned(t, shop, mugPrice)
		shop.told(t, "order.paid", o.ID)
		if asked := shop.entries(merchantsim.Asked); len(asked) != 0 {
			t.Errorf("the product server was asked %+v", asked)
		}
		_, _, err := b.api.Buy(t.Context(), alice.Token, driver.Purchase{Key: newKey(), Card: shop.cardBy(t, "MUG", merchantsim.ConfirmByCard), Source: alice.Wallet})
		wantRefusal(t, err, "OUT_OF_STOCK")
	})
}

const orderRefunds = `query OrderRefunds($id: ID!) {
  order(id: $id) { refunds(first: 10) { nodes { id reason amount { amountMinor currency } order { id } } } }
}`

func TestRefund(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 2000)
		talk := b.talk(t, alice)
		o, _, err := b.api.Buy(ctx, alice.Token, driver.Purchase{Key: newKey(), Card: shop.card(t, "TEA"), Source: alice.Wallet, Conversation: talk})
		if err != nil {
			t.Fatal(err)
		}
		wantState(t, o, "PAID")

		key := newKey()
		part, err := b.api.GiveBack(ctx, shop.token(t), key, o.ID, driver.Euro(250))
		if err != nil || part.Order.State != "PARTIALLY_REFUNDED" || part.Order.Refunded != driver.Euro(250) {
			t.Fatalf("a part: %+v, %v", part, err)
		}
		again, err := b.api.GiveBack(ctx, shop.token(t), key, o.ID, driver.Euro(250))
		if err != nil || !again.Replayed || again.ID != part.ID {
			t.Errorf("sent again: %+v, %v", again, err)
		}
		b.wantWallet(t, alice, 2000-teaPrice+250, 0)
		b.wantEarned(t, shop, teaPrice-250)

		b.leavesNothing(t, func() {
			_, err = b.api.GiveBack(ctx, shop.token(t), newKey(), o.ID, driver.Euro(teaPrice-249))
			wantRefusal(t, err, "REFUND_AMOUNT")
			_, err = b.api.GiveBack(ctx, shop.token(t), newKey(), o.ID, driver.Money{AmountMinor: "1", Currency: "USD"})
			wantRefusal(t, err, "REFUND_AMOUNT")
			_, err = b.api.GiveBack(ctx, shop.token(t), key, o.ID, driver.Euro(251))
			wantRefusal(t, err, "IDEMPOTENCY_MISMATCH")
		})

		rest := map[string]any{"idempotencyKey": newKey(), "orderId": o.ID, "reason": "The tea was stale."}
		var all struct{ Order driver.Order }
		b.do(t, b.operator, driver.PurchaseRefund, rest, &all)
		wantState(t, all.Order, "REFUNDED")
		if n := b.number(t, `SELECT count(*) FROM audit_entries WHERE action = 'order.refund' AND mode = $1`, b.sandbox); n != 1 {
			t.Errorf("the audit log has %d refunds, want the operator's", n)
		}
		_, err = b.api.GiveBack(ctx, shop.token(t), newKey(), o.ID, driver.Euro(1))
		wantRefusal(t, err, "ORDER_STATE")
		b.wantWallet(t, alice, 2000, 0)
		b.wantEarned(t, shop, 0)

		shop.heard(t, merchantsim.Webhook, o.ID, func(e merchantsim.Entry) bool { return e.Event == "order.refunded" })
		b.wantReceipt(t, alice, talk, o.ID, "PARTIALLY_REFUNDED", 250)
		b.wantReceipt(t, alice, talk, o.ID, "REFUNDED", teaPrice-250)
		if got := b.order(t, alice.Token, o.ID); !slices.Equal(got.kinds(), []string{"AUTHORISED", "PAID", "REFUNDED", "REFUNDED"}) || *got.Timeline[3].Detail != "The tea was stale." {
			t.Errorf("the order is %+v", got)
		}
		var refunds struct {
			Order struct {
				Refunds struct {
					Nodes []struct {
						Reason string
						Amount driver.Money
						Order  struct{ ID string }
					}
				}
			}
		}
		b.ask(t, alice.Token, orderRefunds, map[string]any{"id": o.ID}, &refunds)
		if list := refunds.Order.Refunds.Nodes; len(list) != 2 || list[0].Reason != "The tea was stale." || list[1].Amount != driver.Euro(250) || list[1].Order.ID != o.ID {
			t.Errorf("the refunds are %+v", list)
		}
	})
}

func TestRefund_OfWhatWasNotPaid(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, other, alice := b.shop(t, 10), b.shop(t, 10), b.rich(t, "Alice", 2000)
		o := b.pending(t, alice, shop, "TEA")
		b.leavesNothing(t, func() {
			_, err := b.api.GiveBack(t.Context(), shop.token(t), newKey(), o.ID, driver.Euro(1))
			wantRefusal(t, err, "ORDER_STATE")
			_, err = b.api.GiveBack(t.Context(), other.token(t), newKey(), o.ID, driver.Euro(1))
			wantRefusal(t, err, "ORDER_NOT_FOUND", "orderId")
			_, err = b.api.GiveBack(t.Context(), alice.Token, newKey(), o.ID, driver.Euro(1))
			wantFault(t, err, "FORBIDDEN")
		})
	})
}

func TestCancel(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		shop, alice := b.shop(t, 1), b.rich(t, "Alice", 2000)
		o := b.pending(t, alice, shop, "MUG")
		key := newKey()
		got, replayed, err := b.api.Cancel(ctx, alice.Token, key, o.ID)
		if err != nil || replayed || got.State != "CANCELLED" {
			t.Fatalf("cancelled: %+v, %v", got, err)
		}
		if _, replayed, err := b.api.Cancel(ctx, alice.Token, key, o.ID); err != nil || !replayed {
			t.Errorf("sent again: replayed %v, %v", replayed, err)
		}
		b.wantWallet(t, alice, 2000, 0)
		shop.heard(t, merchantsim.Released, o.ID)
		shop.told(t, "order.cancelled", o.ID)
		b.awaitEvent(t, alice, o.ID, "RELEASED")

		_, _, err = b.api.Cancel(ctx, alice.Token, newKey(), o.ID)
		wantRefusal(t, err, "ORDER_STATE")
		shop.behave(t, merchantsim.Plan{Behaviour: merchantsim.OK})
		paid := b.buy(t, alice, shop.card(t, "MUG")) // the one is back in stock
		wantState(t, paid, "PAID")
		b.leavesNothing(t, func() {
			_, _, err = b.api.Cancel(ctx, alice.Token, newKey(), paid.ID)
			wantRefusal(t, err, "ORDER_STATE")
			_, _, err = b.api.Cancel(ctx, alice.Token, newKey(), "nonsense")
			wantRefusal(t, err, "ORDER_NOT_FOUND", "orderId")
		})
		b.wantEarned(t, shop, mugPrice)
	})
}

// confirmWithin is how long a merchant has, by default.
const confirmWithin = 10 * time.Minute

func TestExpiry(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 1), b.rich(t, "Alice", 2000)
		talk := b.talk(t, alice)
		shop.behave(t, later)
		o, _, err := b.api.Buy(t.Context(), alice.Token, driver.Purchase{Key: newKey(), Card: shop.card(t, "MUG"), Source: alice.Wallet, Conversation: talk})
		if err != nil {
			t.Fatal(err)
		}
		wantState(t, o, "AUTHORISED")
		b.advance(t, confirmWithin-time.Minute)
		b.wantWallet(t, alice, 2000, mugPrice)
		b.advance(t, time.Minute)
		b.await(t, alice, o.ID, "EXPIRED")
		b.wantWallet(t, alice, 2000, 0)
		b.wantEarned(t, shop, 0)
		shop.heard(t, merchantsim.Released, o.ID)
		shop.told(t, "order.expired", o.ID)
		b.wantReceipt(t, alice, talk, o.ID, "EXPIRED", mugPrice)
		b.awaitEvent(t, alice, o.ID, "RELEASED")
	})
}

// Whoever does not know what became of a purchase settles it with one call.
func TestReverse(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 3000)

		lost := newKey()
		b.leavesNothing(t, func() {
			r, err := b.api.Reverse(ctx, alice.Token, newKey(), lost)
			if err != nil || r.Outcome != "NEVER_CHARGED" || r.Order != nil {
				t.Errorf("a purchase that never came: %+v, %v", r, err)
			}
			_, _, err = b.api.Buy(ctx, alice.Token, driver.Purchase{Key: lost, Card: shop.card(t, "TEA"), Source: alice.Wallet})
			wantRefusal(t, err, "REVERSED")
		})

		shop.behave(t, later)
		waiting := newKey()
		o, _, err := b.api.Buy(ctx, alice.Token, driver.Purchase{Key: waiting, Card: shop.card(t, "TEA"), Source: alice.Wallet})
		if err != nil {
			t.Fatal(err)
		}
		key := newKey()
		r, err := b.api.Reverse(ctx, alice.Token, key, waiting)
		if err != nil || r.Outcome != "NOT_CHARGED" || r.Order == nil || r.Order.ID != o.ID || r.Order.State != "CANCELLED" {
			t.Errorf("a purchase that waits: %+v, %v", r, err)
		}
		if r, err = b.api.Reverse(ctx, alice.Token, key, waiting); err != nil || !r.Replayed || r.Outcome != "NOT_CHARGED" {
			t.Errorf("sent again: %+v, %v", r, err)
		}
		shop.heard(t, merchantsim.Released, o.ID)
		b.wantWallet(t, alice, 3000, 0)

		shop.behave(t, merchantsim.Plan{Behaviour: merchantsim.OK})
		paid := newKey()
		if o, _, err = b.api.Buy(ctx, alice.Token, driver.Purchase{Key: paid, Card: shop.card(t, "TEA"), Source: alice.Wallet}); err != nil {
			t.Fatal(err)
		}
		r, err = b.api.Reverse(ctx, alice.Token, newKey(), paid)
		if err != nil || r.Outcome != "PAID" || r.Order.ID != o.ID || r.Order.State != "PAID" {
			t.Errorf("a purchase that was paid: %+v, %v", r, err)
		}
		b.wantWallet(t, alice, 3000-teaPrice, 0)
		b.wantEarned(t, shop, teaPrice)

		for key, want := range map[string]string{lost: "", waiting: "CANCELLED", paid: "PAID"} {
			var out struct{ OrderByIdempotencyKey *driver.Order }
			b.ask(t, alice.Token, driver.OrderByKey, map[string]any{"key": key}, &out)
			switch o := out.OrderByIdempotencyKey; {
			case o == nil && want != "", o != nil && o.State != want:
				t.Errorf("asked by its key, an order is %+v, want %q", o, want)
			}
		}
	})
}

// A reversal races with the purchase that it is about: whichever comes first, the
// money moves at most once and both tell the same.
func TestReverse_AtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 10*teaPrice)
		earned := int64(0)
		for range 5 {
			key, card := newKey(), shop.card(t, "TEA")
			bought := make(chan error, 1)
			go func() {
				_, _, err := b.api.Buy(t.Context(), alice.Token, driver.Purchase{Key: key, Card: card, Source: alice.Wallet})
				bought <- err
			}()
			r, err := b.api.Reverse(t.Context(), alice.Token, newKey(), key)
			if err != nil {
				t.Fatal(err)
			}
			err = <-bought
			switch r.Outcome {
			case "NEVER_CHARGED":
				wantRefusal(t, err, "REVERSED")
			case "PAID":
				earned += teaPrice
				fallthrough
			case "NOT_CHARGED":
				if err != nil {
					t.Errorf("%s, but the purchase says %v", r.Outcome, err)
				}
			}
		}
		b.wantEarned(t, shop, earned)
		b.wantWallet(t, alice, 10*teaPrice-earned, 0)
	})
}
