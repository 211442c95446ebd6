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
					Nodes    []Order
					PageInfo struct {
						HasNextPage bool
						EndCursor   string
					}
				}
			}
		}
		if err := c.Do(ctx, token, Orders, map[string]any{"after": after, "states": only}, &out); err != nil {
			return nil, err
		}
		page := out.Viewer.Orders
		all = append(all, page.Nodes...)
		if !page.PageInfo.HasNextPage {
			return all, nil
		}
		after = page.PageInfo.EndCursor
	}
}

// TestClockAdvance moves the clock of the caller's sandbox.
const TestClockAdvance = `mutation TestClockAdvance($input: TestClockAdvanceInput!) {
  testClockAdvance(input: $input) { now userErrors { code message } }
}`

// AdvanceClock moves a sandbox's clock forward.
func (c *Client) AdvanceClock(ctx context.Context, service string, by time.Duration) error {
	return c.Mutate(ctx, service, TestClockAdvance, map[string]any{"seconds": int(by.Seconds())}, nil)
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
