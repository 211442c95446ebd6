package purchase

import (
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/core/ledger"
)

// Book is the part that purchases have in the executor's batches: orders,
// refunds, the stock of products that Souk counts, and what products are offered
// for.
type Book struct {
	orders  *ledger.Table[id.ID, Order]
	refunds *ledger.Table[id.ID, Refund]
	stock   *ledger.Table[id.ID, stock]
	offers  *ledger.Table[id.ID, offer]
}

// stock is a product's row, locked to take from it.
type stock struct {
	product id.ID
	left    int64
	counted bool
}

// offer is what a product is sold for now; it is read without a lock, for a
// price that changes in this very moment may be either.
type offer struct {
	minor     int64
	currency  money.Currency
	offered   bool
	counted   bool
	suspended bool
	sellerAt  time.Time // when the merchant was last changed
}

// NewBook makes the book; the executor and the service share it.
func NewBook() *Book {
	return &Book{
		orders:  ledger.NewTable[id.ID, Order](ledger.CompareIDs),
		refunds: ledger.NewTable[id.ID, Refund](ledger.CompareIDs),
		stock:   ledger.NewTable[id.ID, stock](ledger.CompareIDs),
		offers:  ledger.NewTable[id.ID, offer](ledger.CompareIDs),
	}
}

// Reset begins a batch.
func (b *Book) Reset() { b.orders.Reset(); b.refunds.Reset(); b.stock.Reset(); b.offers.Reset() }

// Mark begins a command.
func (b *Book) Mark() { b.orders.Mark(); b.refunds.Mark(); b.stock.Mark(); b.offers.Mark() }

// Rollback takes a refused command back.
func (b *Book) Rollback() {
	b.orders.Rollback()
	b.refunds.Rollback()
	b.stock.Rollback()
	b.offers.Rollback()
}

// take takes units from a product's stock, or gives them back if n is below zero.
func (b *Book) take(product id.ID, n int64) error {
	s, ok := b.stock.Get(product)
	if !ok || !s.counted {
		return nil // Souk does not count it, or no longer does
	}
	if s.left < n {
		return ErrOutOfStock
	}
	s.left -= n
	b.stock.Set(product, s)
	return nil
}
