package purchase

import (
	"context"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/money"
)

// PersonalData is what purchases contribute to a user's personal data.
type PersonalData struct{ service *Service }

// PersonalData gives purchases' part in privacy.
func (s *Service) PersonalData() PersonalData { return PersonalData{s} }

// Section is where the export of a user's data has it.
func (PersonalData) Section() string { return "orders" }

// exported is an order as its buyer takes it away.
type exported struct {
	ID       string     `json:"id"`
	Merchant string     `json:"merchantId"`
	SKU      string     `json:"sku"`
	Name     string     `json:"name"`
	Quantity int64      `json:"quantity"`
	Total    money.Wire `json:"total"`
	Refunded money.Wire `json:"refunded"`
	State    State      `json:"state"`
	Timeline []Event    `json:"timeline"`
}

// Export gives every order of the user.
func (p PersonalData) Export(ctx context.Context, userID id.ID) (any, error) {
	orders, err := p.service.allOf(ctx, userID)
	if err != nil {
		return nil, err
	}
	out := make([]exported, len(orders))
	for i, o := range orders {
		out[i] = exported{
			ID: id.Global("Order", o.ID), Merchant: id.Global("Merchant", o.MerchantID), SKU: o.SKU, Name: o.Name, Quantity: o.Quantity,
			Total: o.Total().ToWire(), Refunded: o.Refunded().ToWire(), State: o.State, Timeline: o.Timeline,
		}
	}
	return out, nil
}

// Blocks refuses while an order waits for its merchant.
func (p PersonalData) Blocks(ctx context.Context, userID id.ID) error {
	open, err := p.service.waiting(ctx, userID)
	if err != nil {
		return err
	}
	if open {
		return errs.New(errs.Failed, "USER_HAS_FUNDS", "The user still has an order that waits for its merchant.")
	}
	return nil
}

// Erase does nothing: an order names its buyer by id alone, and is part of the
// books.
func (PersonalData) Erase(context.Context, id.ID) error { return nil }
