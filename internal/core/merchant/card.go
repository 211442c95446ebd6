package merchant

import (
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/text"
)

// Refusals of product cards. They belong to the actions that take a card.
var (
	ErrCardInvalid = errs.New(errs.Invalid, "CARD_INVALID", "This card cannot be read, is not signed by a merchant's key, or says what it may not.").In("card")
	ErrCardExpired = errs.New(errs.Failed, "CARD_EXPIRED", "This card's time is over. Ask the merchant for a new one.").In("card")
	ErrCardStale   = errs.New(errs.Failed, "CARD_STALE", "This product is no longer offered at this price. Ask the merchant for a new card.").In("card")
	ErrSuspended   = errs.New(errs.Failed, "MERCHANT_SUSPENDED", "This merchant may not sell at present.")
)

// CardType is the "typ" of product cards.
const CardType = "souk-card+jwt"

// Confirmation says how an order by a card is confirmed.
type Confirmation string

// The ways to confirm.
const (
	ConfirmServer Confirmation = "server" // the product server is asked
	ConfirmCard   Confirmation = "card"   // the card's signature is the confirmation; Souk keeps the stock
)

// Card is a product offered under a merchant's signature.
type Card struct {
	MerchantID id.ID
	SKU        string
	Name       string
	Price      money.Amount
	IssuedAt   time.Time
	ExpiresAt  time.Time
	Confirm    Confirmation
}

const (
	cardMax  = 8 << 10     // bytes of a token
	cardSkew = time.Minute // how far a merchant's clock may be ahead
)

// cardClaims is what a card says beside the registered claims.
type cardClaims struct {
	SKU     string       `json:"sku"`
	Name    string       `json:"name"`
	Price   money.Wire   `json:"price"`
	Confirm Confirmation `json:"confirm"`
}

// merchantOf reads whose card this claims to be.
func merchantOf(issuer string) (id.ID, error) {
	typ, merchantID, err := id.ParseGlobal(issuer)
	if err != nil || typ != auth.MerchantType {
		return id.Nil, ErrCardInvalid
	}
	return merchantID, nil
}

// readCard reads a verified token.
func readCard(merchantID id.ID, t *jose.Token) (Card, error) {
	var own cardClaims
	if err := t.Decode(&own); err != nil {
		return Card{}, ErrCardInvalid.Because(err)
	}
	c := Card{
		MerchantID: merchantID, SKU: own.SKU, Name: own.Name,
		Price:    own.Price.Amount(),
		IssuedAt: t.Claims.IssuedAt, ExpiresAt: t.Claims.ExpiresAt, Confirm: own.Confirm,
	}
	if c.Confirm == "" {
		c.Confirm = ConfirmServer // asking is always right
	}
	return c, c.validate()
}

func (c Card) validate() error {
	name, ok := text.Line(c.Name, nameMax)
	switch {
	case !ok || name != c.Name, !goodSKU(c.SKU), c.Price.Minor <= 0, !c.Price.Currency.Known(),
		c.IssuedAt.IsZero(), c.ExpiresAt.IsZero(),
		c.Confirm != ConfirmServer && c.Confirm != ConfirmCard:
		return ErrCardInvalid
	}
	return nil
}

// judge tells whether a card of a genuine signature may be bought by in a mode.
// The product is nil if there is none.
func (c Card) judge(in mode.Mode, m Merchant, p *Product, now time.Time) error {
	switch {
	case m.Mode != in, c.IssuedAt.After(now.Add(cardSkew)):
		return ErrCardInvalid
	case !now.Before(c.ExpiresAt):
		return ErrCardExpired
	case m.Status != Active:
		return ErrSuspended
	case p == nil, p.Status != Offered, p.Price != c.Price:
		return ErrCardStale
	}
	return nil
}
