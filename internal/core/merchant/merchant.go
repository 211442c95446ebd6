package merchant

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/text"
)

// Status tells whether a merchant may sell.
type Status string

// The states of a merchant.
const (
	Active    Status = "ACTIVE"
	Suspended Status = "SUSPENDED"
)

// Merchant sells, and runs a product server.
type Merchant struct {
	ID          id.ID
	Mode        mode.Mode
	Name        string
	Status      Status
	EndpointURL string // its product server
	JWKSURL     string // where its keys are published; empty: they were given by value
	CreatedAt   time.Time
	UpdatedAt   time.Time

	keysFetchedAt time.Time // zero unless they are published
}

// ProductStatus tells whether a product is offered.
type ProductStatus string

// The states of a product.
const (
	Offered   ProductStatus = "OFFERED"
	Withdrawn ProductStatus = "WITHDRAWN"
)

// Product is what a merchant offers.
type Product struct {
	ID          id.ID
	Mode        mode.Mode
	MerchantID  id.ID
	SKU         string // the merchant's own name for it
	Name        string
	Description string
	Price       money.Amount
	Stock       *int64 // how many are left; nil: Souk does not count
	Status      ProductStatus
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Available tells whether the product can be bought now.
func (p Product) Available() bool {
	return p.Status == Offered && (p.Stock == nil || *p.Stock > 0)
}

// Registration is a merchant to create. Its keys are at JWKSURL, or are JWKS.
type Registration struct {
	Name        string
	EndpointURL string
	JWKSURL     string
	JWKS        string
}

// Change says what to change about a merchant; what is nil stays.
type Change struct {
	Name        *string
	EndpointURL *string
	JWKSURL     *string // replaces keys that were given by value
	JWKS        *string // replaces a URL
}

// keys gives what a change says of the keys; both are empty if nothing.
func (c Change) keys() (url, value string, err error) {
	if c.JWKSURL != nil && c.JWKS != nil {
		return "", "", ErrKeys.In("jwks")
	}
	if c.JWKSURL != nil {
		return *c.JWKSURL, "", nonEmpty(*c.JWKSURL, ErrURL.In("jwksUrl"))
	}
	if c.JWKS != nil {
		return "", *c.JWKS, nonEmpty(*c.JWKS, ErrKeys.In("jwks"))
	}
	return "", "", nil
}

func nonEmpty(s string, otherwise error) error {
	if s == "" {
		return otherwise
	}
	return nil
}

// Offer is a product to create or change.
type Offer struct {
	SKU         string
	Name        string
	Description string
	Price       money.Amount
	Stock       *int64
}

func cleanName(name string) (string, bool) { return text.Line(name, nameMax) }

// The longest texts, in characters.
const (
	nameMax        = 200
	skuMax         = 100
	descriptionMax = 2000
)

// StockMax bounds what is counted, far below where giving units back could
// overflow.
const StockMax = 1_000_000_000_000

// clean checks an offer and tidies its texts.
func (o Offer) clean() (Offer, error) {
	var ok bool
	switch {
	case !goodSKU(o.SKU):
		return Offer{}, ErrText.In("sku")
	case o.Price.Minor <= 0 || !o.Price.Currency.Known():
		return Offer{}, ErrPrice
	case o.Stock != nil && (*o.Stock < 0 || *o.Stock > StockMax):
		return Offer{}, ErrStock
	}
	if o.Name, ok = cleanName(o.Name); !ok {
		return Offer{}, ErrText.In("name")
	}
	if o.Description == "" {
		return o, nil
	}
	if o.Description, ok = text.Prose(o.Description, descriptionMax); !ok {
		return Offer{}, ErrText.In("description")
	}
	return o, nil
}

// goodSKU tells whether a SKU may be one. It is the merchant's and compared byte
// for byte, so it is not tidied.
func goodSKU(sku string) bool {
	clean, ok := text.Line(sku, skuMax)
	return ok && clean == sku
}

// pseudonymOf names a user to a merchant: always the same name, and another one
// to every merchant. Whoever lacks the secret cannot go back from it.
func pseudonymOf(secret []byte, userID, merchantID id.ID) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("buyer"))
	mac.Write(userID[:])
	mac.Write(merchantID[:])
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// GlobalID is how the outside names it.
func (m Merchant) GlobalID() string { return id.Global("Merchant", m.ID) }

// GlobalID is how the outside names it.
func (p Product) GlobalID() string { return id.Global("Product", p.ID) }
