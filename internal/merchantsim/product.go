package merchantsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/soukhq/souk/internal/base/money"
)

// Product is something that the merchant sells.
type Product struct {
	SKU   string `json:"sku"`
	Name  string `json:"name"`
	Price Money  `json:"price"`
	// Stock is how many it has; nil does not count. Leave it nil where Souk
	// counts the stock: two counts of one thing drift apart.
	Stock *int64 `json:"stock,omitempty"`
}

// Validate tells what is wrong with a product.
func (p Product) Validate() error {
	if p.SKU == "" {
		return errors.New("a product needs a sku")
	}
	if _, err := money.ParseCurrency(p.Price.Currency); err != nil || p.Price.AmountMinor <= 0 {
		return fmt.Errorf("product %s needs a price above zero in an ISO 4217 currency, such as '1250 EUR'", p.SKU)
	}
	if p.Stock != nil && *p.Stock < 0 {
		return fmt.Errorf("product %s has a stock below zero", p.SKU)
	}
	return nil
}

// UnmarshalText reads a product as the command line has it: 'sku=mug;name=Blue
// mug;price=1250 EUR;stock=10'.
func (p *Product) UnmarshalText(text []byte) error {
	*p = Product{}
	for part := range strings.SplitSeq(string(text), ";") {
		name, value, _ := strings.Cut(part, "=")
		if err := p.set(strings.TrimSpace(name), strings.TrimSpace(value)); err != nil {
			return err
		}
	}
	if p.Name == "" {
		p.Name = p.SKU
	}
	return p.Validate()
}

// UnmarshalJSON reads a product as a configuration has it.
func (p *Product) UnmarshalJSON(text []byte) error {
	type plain Product // without these methods
	return json.Unmarshal(text, (*plain)(p))
}

func (p *Product) set(name, value string) error {
	switch name {
	case "sku":
		p.SKU = value
	case "name":
		p.Name = value
	case "price":
		amount, currency, _ := strings.Cut(value, " ")
		minor, err := strconv.ParseInt(amount, 10, 64)
		if err != nil {
			return fmt.Errorf("price %q is not like '1250 EUR', in minor units", value)
		}
		p.Price = Money{AmountMinor: minor, Currency: strings.TrimSpace(currency)}
	case "stock":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return fmt.Errorf("stock %q is no number", value)
		}
		p.Stock = &n
	default:
		return fmt.Errorf("a product has sku, name, price and stock, not %q", name)
	}
	return nil
}
