package app_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/soukhq/souk/internal/driver"
	"github.com/soukhq/souk/internal/merchantsim"
)

// message is a message as conversationShow selects it.
type message struct {
	ID     string
	Seq    string
	Text   string
	Sender *struct{ DisplayName string }
	Card   *struct {
		Typename string `json:"__typename"`
		Name     string
		State    string
		Token    string
		Amount   *driver.Money
		Order    *struct{ ID string }
	}
}

const conversationShow = `query ConversationShow($id: ID!) {
  conversation(id: $id) {
    title
    members(first: 10) { nodes { id displayName } }
    messages(last: 20) {
      nodes {
        id seq text
        sender { displayName }
        card {
          __typename
          ... on ProductCard { name token }
          ... on ReceiptCard { name state amount { amountMinor currency } order { id } }
        }
      }
    }
  }
}`

// messages are the last ones of a conversation, as a user sees them.
func (b *testBundle) messages(t *testing.T, p *person, conversation string) []message {
	t.Helper()
	var out struct {
		Conversation *struct{ Messages struct{ Nodes []message } }
	}
	b.ask(t, p.Token, conversationShow, map[string]any{"id": conversation}, &out)
	if out.Conversation == nil {
		t.Fatal("the conversation is not there")
	}
	return out.Conversation.Messages.Nodes
}

// share posts a product card and gives the message.
func (b *testBundle) share(t *testing.T, p *person, conversation, card string) message {
	t.Helper()
	var out struct{ Message message }
	b.do(t, p.Token, driver.ProductCardShare,
		map[string]any{"conversationId": conversation, "card": card, "text": "Try this one!", "idempotencyKey": newKey()}, &out)
	return out.Message
}

// From a friend's tip to the receipt: the main job.
func TestPurchase(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		shop := b.shop(t, 10)
		alice, bob := b.rich(t, "Alice", 5000), b.user(t, "Bob")
		talk := b.talk(t, alice, bob)
		card := b.share(t, bob, talk, shop.card(t, "TEA")).Card.Token

		in := driver.Purchase{Key: newKey(), Card: card, Source: alice.Wallet, Conversation: talk}
		o, replayed, err := b.api.Buy(ctx, alice.Token, in)
		if err != nil || replayed {
			t.Fatalf("bought: replayed %v, %v", replayed, err)
		}
		wantState(t, o, "PAID")
		if o.Total != driver.Euro(teaPrice) || o.Refunded != driver.Euro(0) || o.Reference == "" {
			t.Errorf("the order is %+v", o)
		}
		again, replayed, err := b.api.Buy(ctx, alice.Token, in)
		if err != nil || !replayed || again != o {
			t.Errorf("sent again: %+v, replayed %v, %v", again, replayed, err)
		}
		b.wantWallet(t, alice, 5000-teaPrice, 0)
		b.wantEarned(t, shop, teaPrice)

		shop.told(t, "order.paid", o.ID)
		if asked := shop.entries(merchantsim.Asked); len(asked) != 1 || asked[0].Buyer == "" || strings.Contains(asked[0].Buyer, alice.ID) {
			t.Errorf("the product server was asked %+v", asked)
		}
		b.wantReceipt(t, alice, talk, o.ID, "PAID", teaPrice)
		if last := b.messages(t, bob, talk); len(last) != 1 || last[0].Card.Typename != "ProductCard" {
			t.Errorf("the friend sees %+v", last)
		}

		for who, token := range map[string]string{"buyer": alice.Token, "merchant": shop.token(t)} {
			if got := b.order(t, token, o.ID); got == nil || !slices.Equal(got.kinds(), []string{"AUTHORISED", "PAID"}) {
				t.Errorf("to the %s the order is %+v", who, got)
			}
		}
		b.wantDiscretion(t, alice, shop, o.ID)
	})
}

// wantReceipt waits for the receipt that tells of an order.
func (b *testBundle) wantReceipt(t *testing.T, p *person, conversation, order, state string, cents int64) {
	t.Helper()
	b.eventually(t, func() bool {
		return slices.ContainsFunc(b.messages(t, p, conversation), func(m message) bool {
			return m.Card != nil && m.Card.Typename == "ReceiptCard" && m.Sender == nil &&
				m.Card.State == state && m.Card.Order != nil && m.Card.Order.ID == order && *m.Card.Amount == driver.Euro(cents)
		})
	}, "a receipt that the order is "+state)
}

const orderParties = `query OrderParties($id: ID!) {
  order(id: $id) { mode buyer { id } buyerPseudonym conversation { id } merchant { id name } product { sku } }
}`

// wantDiscretion checks that a merchant knows its buyer by a name of its own, and
// not where the order was made.
func (b *testBundle) wantDiscretion(t *testing.T, p *person, s *shop, orderID string) {
	t.Helper()
	type parties struct {
		Mode                          string
		Buyer, Conversation, Merchant *struct{ ID string }
		BuyerPseudonym                string
		Product                       *struct{ SKU string }
	}
	read := func(token string) parties {
		var out struct{ Order parties }
		b.ask(t, token, orderParties, map[string]any{"id": orderID}, &out)
		return out.Order
	}
	own, others := read(p.Token), read(s.token(t))
	if own.Mode != "SANDBOX" || own.Buyer == nil || own.Buyer.ID != p.ID || own.Conversation == nil || own.Merchant == nil || own.Product == nil {
		t.Errorf("the buyer sees %+v", own)
	}
	if others.Buyer != nil || others.Conversation != nil || others.BuyerPseudonym != own.BuyerPseudonym || others.BuyerPseudonym == "" {
		t.Errorf("the merchant sees %+v", others)
	}
}
