package merchant

import (
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/store"
)

// What a purchase's batch does to the tables of this package. It locks products
// before accounts and holds, reads their sellers without a lock, and writes the
// stock of those that are counted.
var (
	// LockProducts locks products by id; rows are read by ScanLocked.
	LockProducts = store.NewLock("products", "id uuid", "id", "mode", "merchant_id", "price_minor", "currency", "stock_count", "status")
	// ReadSellers reads merchants by id; rows are read by ScanSeller.
	ReadSellers = store.NewRead("merchants", "id uuid", "id", "mode", "status")
	// WriteStock writes products' stock: columns are the ids and the counts. The
	// table refuses a count below zero by itself.
	WriteStock = store.NewUpdate("products", "id uuid", nil, []string{"stock_count bigint"})
)

// Locked is what decides a sale, as it stands while its row is locked.
type Locked struct {
	ID         id.ID
	Mode       mode.Mode
	MerchantID id.ID
	Price      money.Amount
	Stock      *int64 // nil: not counted
	Status     ProductStatus
}

// ScanLocked reads a row of LockProducts.
func ScanLocked(r store.Rows) (id.ID, Locked, error) {
	var l Locked
	err := r.Scan(&l.ID, (*int32)(&l.Mode), &l.MerchantID, &l.Price.Minor, &l.Price.Currency, &l.Stock, (*string)(&l.Status))
	return l.ID, l, err
}

// Seller is what decides whether a merchant may sell.
type Seller struct {
	ID     id.ID
	Mode   mode.Mode
	Status Status
}

// ScanSeller reads a row of ReadSellers.
func ScanSeller(r store.Rows) (id.ID, Seller, error) {
	var s Seller
	err := r.Scan(&s.ID, (*int32)(&s.Mode), (*string)(&s.Status))
	return s.ID, s, err
}
