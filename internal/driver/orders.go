package driver

import (
	"context"
	"time"
)

// Documents about orders that are there.
const (
	PurchaseCancel = `mutation PurchaseCancel($input: PurchaseCancelInput!) {
  purchaseCancel(input: $input) {
    order { id state total { amountMinor currency } refunded { amountMinor currency } reference }
    replayed
    userErrors { code field message retry }
  }
}`
	PurchaseReverse = `mutation PurchaseReverse($input: PurchaseReverseInput!) {
  purchaseReverse(input: $input) {
    outcome
    order { id state total { amountMinor currency } refunded { amountMinor currency } reference }
    replayed
    userErrors { code field message retry }
  }
}`
	PurchaseRefund = `mutation PurchaseRefund($input: PurchaseRefundInput!) {
  purchaseRefund(input: $input) {
    refund { id amount { amountMinor currency } }
    order { id state total { amountMinor currency } refunded { amountMinor currency } reference }
    replayed
    userErrors { code field message retry }
  }
}`
	Orders = `query Orders($after: String, $states: [OrderState!]) {
  viewer {
    orders(first: 100, after: $after, states: $states) {
      nodes { id state total { amountMinor currency } refunded { amountMinor currency } reference }
      pageInfo { hasNextPage endCursor }
    }
  }
}`
)

// Cancel takes an order back.
func (c *Client) Cancel(ctx context.Context, user, key, order string) (o Order, replayed bool, err error) {
	var out struct {
		Order    Order
		Replayed bool
	}
	err = c.Mutate(ctx, user, PurchaseCancel, map[string]any{"idempotencyKey": key, "orderId": order}, &out)
	return out.Order, out.Replayed, err
}

// Reversal is what became of a reversal. Order is nil where none was made.
type Reversal struct {
	Outcome  string
	Order    *Order
	Replayed bool
}

// Reverse settles a purchase whose outcome is not known.
func (c *Client) Reverse(ctx context.Context, user, key, purchaseKey string) (r Reversal, err error) {
	err = c.Mutate(ctx, user, PurchaseReverse, map[string]any{"idempotencyKey": key, "purchaseKey": purchaseKey}, &r)
	return r, err
}

// Refund is money that was given back.
type Refund struct {
	ID       string
	Order    Order
	Replayed bool
}

// GiveBack refunds a part of an order, as its merchant.
func (c *Client) GiveBack(ctx context.Context, merchant, key, order string, amount Money) (Refund, error) {
	var out struct {
		Refund   named
		Order    Order
		Replayed bool
	}
	err := c.Mutate(ctx, merchant, PurchaseRefund, map[string]any{"idempotencyKey": key, "orderId": order, "amount": amount}, &out)
	return Refund{out.Refund.ID, out.Order, out.Replayed}, err
}

// page tells whether a list goes on.
type page struct {
	PageInfo struct {
		HasNextPage bool
		EndCursor   string
	}
}

// OrdersOf gives all orders of a user or merchant, newest first; only those in
// one of the states, if any are given.
func (c *Client) OrdersOf(ctx context.Context, token string, states ...string) (all []Order, err error) {
	var after, only any
	if len(states) > 0 {
		only = states
	}
	for {
		var out struct {
			Viewer struct {
				Orders struct {
					Nodes []Order
					page
				}
			}
		}
		if err := c.Do(ctx, token, Orders, map[string]any{"after": after, "states": only}, &out); err != nil {
			return nil, err
		}
		orders := out.Viewer.Orders
		all = append(all, orders.Nodes...)
		if !orders.PageInfo.HasNextPage {
			return all, nil
		}
		after = orders.PageInfo.EndCursor
	}
}

// TestClockAdvance moves the clock of the caller's sandbox.
const TestClockAdvance = `mutation TestClockAdvance($input: TestClockAdvanceInput!) {
  testClockAdvance(input: $input) { now userErrors { code field message } }
}`

// AdvanceClock moves a sandbox's clock forward.
func (c *Client) AdvanceClock(ctx context.Context, service string, by time.Duration) error {
	return c.Mutate(ctx, service, TestClockAdvance, map[string]any{"seconds": int(by.Seconds())}, nil)
}

// Documents of what buyers and merchants look at afterwards.
const (
	Receipts = `query Receipts($id: ID!, $after: String) {
  node(id: $id) {
    ... on Conversation {
      messages(first: 100, after: $after) {
        nodes { card { __typename ... on ReceiptCard { state amount { amountMinor currency } order { id } } } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}`
	Stock = `query Stock {
  viewer { merchant { products(first: 100) { nodes { sku stockCount } } } }
}`
)

// Receipt is what a conversation shows of an order.
type Receipt struct {
	State  string
	Amount Money
	Order  named
}

// ReceiptsIn gives the receipts in a conversation, oldest first.
func (c *Client) ReceiptsIn(ctx context.Context, user, conversation string) (all []Receipt, err error) {
	var after any
	for {
		var out struct {
			Node struct {
				Messages struct {
					Nodes []struct{ Card *Receipt }
					page
				}
			}
		}
		if err := c.Do(ctx, user, Receipts, map[string]any{"id": conversation, "after": after}, &out); err != nil {
			return nil, err
		}
		messages := out.Node.Messages
		for _, m := range messages.Nodes {
			if m.Card != nil && m.Card.Order.ID != "" {
				all = append(all, *m.Card)
			}
		}
		if !messages.PageInfo.HasNextPage {
			return all, nil
		}
		after = messages.PageInfo.EndCursor
	}
}

// StockOf gives what a merchant has left, by SKU, of what Souk counts.
func (c *Client) StockOf(ctx context.Context, merchant string) (map[string]int64, error) {
	var out struct {
		Viewer struct {
			Merchant struct {
				Products struct {
					Nodes []struct {
						SKU        string
						StockCount *string
					}
				}
			}
		}
	}
	if err := c.Do(ctx, merchant, Stock, nil, &out); err != nil {
		return nil, err
	}
	left := map[string]int64{}
	for _, p := range out.Viewer.Merchant.Products.Nodes {
		if p.StockCount != nil {
			left[p.SKU] = Money{AmountMinor: *p.StockCount}.Minor()
		}
	}
	return left, nil
}

// Source is a funding source and what stands there.
type Source struct {
	ID      string
	Kind    string
	Balance *Money // nil where Souk does not keep the books
	Held    *Money
}

// Sources gives a user's funding sources.
func (c *Client) Sources(ctx context.Context, user string) ([]Source, error) {
	var out struct {
		Viewer struct{ FundingSources struct{ Nodes []Source } }
	}
	err := c.Do(ctx, user, FundingSources, nil, &out)
	return out.Viewer.FundingSources.Nodes, err
}
