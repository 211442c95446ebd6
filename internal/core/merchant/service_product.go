package merchant

import (
	"context"
	"fmt"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/store"
)

// triesMax bounds how often a change is tried that lost a race for a unique key.
const triesMax = 3

// Put creates a product of the calling merchant, or changes the one with the same
// SKU; one that was withdrawn is offered again. It sees to it that Souk can owe
// the merchant money in the product's currency. Only for merchants.
//
// Refusals: TEXT_INVALID, PRICE_INVALID, STOCK_INVALID.
func (s *Service) Put(ctx context.Context, v auth.Viewer, o Offer) (p Product, err error) {
	if !v.Is(auth.Merchant) {
		return Product{}, errs.ErrForbidden
	}
	if o, err = o.clean(); err != nil {
		return Product{}, err
	}
	for try := 1; ; try++ {
		err = s.db.InTx(ctx, func(ctx context.Context) error {
			p, err = s.put(ctx, v, o)
			return err
		})
		if err == nil {
			return p, nil
		}
		if try == triesMax || !store.IsUnique(err) {
			return Product{}, fmt.Errorf("put product: %w", err)
		}
	}
}

func (s *Service) put(ctx context.Context, v auth.Viewer, o Offer) (Product, error) {
	m, err := s.byID(ctx, v.MerchantID)
	if err != nil {
		return Product{}, err
	}
	p, err := s.lockSKU(ctx, m.ID, o.SKU)
	isNew := errs.KindOf(err) == errs.NotFound
	if err != nil && !isNew {
		return Product{}, err
	}
	now := s.clock.Now(m.Mode)
	if isNew {
		p = Product{ID: id.New(), Mode: m.Mode, MerchantID: m.ID, SKU: o.SKU, Price: o.Price, CreatedAt: now}
	}
	if p.Price.Currency != o.Price.Currency {
		return Product{}, ErrPrice
	}
	p.Name, p.Description, p.Price, p.Stock = o.Name, o.Description, o.Price, o.Stock
	p.Status, p.UpdatedAt = Offered, now
	if _, err := s.Payable(ctx, m, p.Price.Currency); err != nil {
		return Product{}, err
	}
	s.db.After(ctx, func() { s.products.Remove(rowKey{m.ID, p.SKU}) })
	if isNew {
		return p, s.insertProduct(ctx, p)
	}
	return p, s.saveProduct(ctx, p)
}

// Withdraw ends the offer of a product of the calling merchant; its cards are
// stale from now on. Only for merchants.
//
// Refusals: PRODUCT_NOT_FOUND.
func (s *Service) Withdraw(ctx context.Context, v auth.Viewer, productID id.ID) (p Product, err error) {
	if !v.Is(auth.Merchant) {
		return Product{}, errs.ErrForbidden
	}
	err = s.db.InTx(ctx, func(ctx context.Context) error {
		if p, err = s.lockProduct(ctx, productID); err != nil {
			return err
		}
		if p.MerchantID != v.MerchantID {
			return ErrProductNotFound.In("productId")
		}
		p.Status, p.UpdatedAt = Withdrawn, s.clock.Now(p.Mode)
		s.db.After(ctx, func() { s.products.Remove(rowKey{p.MerchantID, p.SKU}) })
		return s.saveProduct(ctx, p)
	})
	if err != nil {
		return Product{}, fmt.Errorf("withdraw product: %w", err)
	}
	return p, nil
}

// ProductsByIDs reads products for the batches of a loader; one that is not there
// is left out. It asks no permission: the caller has shown an object that names
// them.
func (s *Service) ProductsByIDs(ctx context.Context, ids []id.ID) (map[id.ID]Product, error) {
	return s.productsByIDs(ctx, ids)
}

// VisibleProducts reads those of the products that the viewer may see: those of
// the same mode.
func (s *Service) VisibleProducts(ctx context.Context, v auth.Viewer, ids []id.ID) (map[id.ID]Product, error) {
	if v.Is(auth.Anonymous) {
		return nil, nil
	}
	return s.productsByIDsIn(ctx, v.Mode, ids)
}

// BySKU gives a merchant's product by the merchant's own name for it.
//
// Refusals: PRODUCT_NOT_FOUND.
func (s *Service) BySKU(ctx context.Context, merchantID id.ID, sku string) (Product, error) {
	return s.productBySKU(ctx, merchantID, sku)
}

// ByMerchant lists a merchant's products, newest first; those that were withdrawn
// only to whom they concern. Positions are those of [ProductPosition].
func (s *Service) ByMerchant(ctx context.Context, v auth.Viewer, merchantID id.ID, sl page.Slice) (page.List[Product], error) {
	rows, err := s.productsOf(ctx, v, merchantID, sl)
	if err != nil {
		return page.List[Product]{}, fmt.Errorf("products: %w", err)
	}
	return page.Cut(sl, rows), nil
}

// ProductPosition is where a product stands in its merchant's list.
func ProductPosition(p Product) []byte { return p.ID[:] }
