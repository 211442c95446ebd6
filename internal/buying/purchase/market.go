package purchase

import (
	"context"

	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/core/merchant"
)

// Market turns merchants' product cards into offers.
type Market struct{ Merchants *merchant.Service }

// Offer verifies a card.
func (k Market) Offer(ctx context.Context, m mode.Mode, token string) (Offer, error) {
	card, product, seller, err := k.Merchants.VerifyCard(ctx, m, token)
	if err != nil {
		return Offer{}, err
	}
	account, err := k.Merchants.Payable(ctx, seller, card.Price.Currency)
	if err != nil {
		return Offer{}, err
	}
	return Offer{
		MerchantID: seller.ID, Account: account, ProductID: product.ID, SKU: product.SKU, Name: card.Name, Price: card.Price,
		StockCounted: product.Stock != nil, SellerAt: seller.UpdatedAt, Confirmed: card.Confirm == merchant.ConfirmCard,
	}, nil
}

// Forget makes the next Offer look again.
func (k Market) Forget(of Offer) { k.Merchants.Forget(of.MerchantID, of.SKU) }
