package purchase

import (
	"context"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/money"
)

// Merchants is the way to the merchants' product servers.
type Merchants interface {
	// Confirm asks an order's merchant to confirm it. ErrAnswer and ErrAnswerFor
	// say that it answered what it may not.
	Confirm(ctx context.Context, o Order) (Answer, error)
	// Release tells an order's merchant that the order is off; nil means that it
	// has heard.
	Release(ctx context.Context, o Order) error
	// ReadAnswer opens and verifies an answer that came by itself.
	ReadAnswer(ctx context.Context, token string) (Answer, error)
}

// Answer is a merchant's verified answer.
type Answer struct {
	MerchantID id.ID
	OrderID    id.ID
	Later      bool // it will answer by itself
	Confirmed  bool
	Total      money.Amount
	Reference  string
	Reason     string // why it declines
}

// fits tells whether an answer is for this order and its amount.
func (a Answer) fits(o Order) error {
	if a.OrderID != o.ID || a.MerchantID != o.MerchantID || a.Confirmed && a.Total != o.Total() {
		return ErrAnswerFor
	}
	return nil
}
