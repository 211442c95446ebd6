package merchantsim

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/money"
)

// Types of the tokens ("typ", RFC 8725 §3.11). They keep one kind of message
// from being taken for another that the same key signed.
const (
	TypeOrder  = "souk-order+jwt"
	TypeAnswer = "souk-answer+jwt"
	TypeCard   = "souk-card+jwt"
)

// ContentType is that of a token in the body of a request (RFC 7515 §9.2.1).
const ContentType = "application/jose"

// What Souk asks of a product server.
const (
	TypeConfirm = "order.confirm"
	TypeRelease = "order.release"
)

// Money is an amount in minor units (cents, for most) of an ISO 4217 currency.
type Money struct {
	AmountMinor int64  `json:"amountMinor"`
	Currency    string `json:"currency"`
}

// UnmarshalJSON reads the amount as a number, and also as the text of one, which
// is how Souk's API writes it for languages whose numbers are floats.
func (m *Money) UnmarshalJSON(data []byte) error {
	var wire struct {
		AmountMinor json.RawMessage `json:"amountMinor"`
		Currency    string          `json:"currency"`
	}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	text := string(wire.AmountMinor)
	if len(text) > 1 && text[0] == '"' {
		text = text[1 : len(text)-1]
	}
	minor, err := strconv.ParseInt(text, 10, 64)
	*m = Money{minor, wire.Currency}
	return err
}

// Message is what Souk sends about an order, as JSON inside the JWS. Members
// that a merchant does not know it must ignore (RFC 7519 §4): there will be more.
type Message struct {
	Issuer   string `json:"iss"` // Souk
	Audience string `json:"aud"` // the merchant
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"`
	ID       string `json:"jti"`
	Type     string `json:"type"`
	Order    Order  `json:"order"`
	Buyer    string `json:"buyer"` // the buyer's name for this merchant alone
}

// Order is what somebody wants to buy.
type Order struct {
	ID        string     `json:"id"`
	SKU       string     `json:"sku"`
	Name      string     `json:"name"`
	Quantity  int64      `json:"quantity"`
	UnitPrice Money      `json:"unitPrice"`
	Total     Money      `json:"total"`
	CreatedAt time.Time  `json:"createdAt"`
	ConfirmBy *time.Time `json:"confirmBy,omitempty"` // after that, a yes is too late
	Mode      string     `json:"mode"`                // "live" or "sandbox": ship nothing for the latter
}

// consistent tells whether the order adds up.
func (o Order) consistent() error {
	total, err := money.Mul(o.UnitPrice.AmountMinor, o.Quantity)
	switch {
	case o.ID == "" || o.SKU == "":
		return errors.New("the order names no order or no product")
	case o.Quantity < 1 || err != nil || (Money{total, o.UnitPrice.Currency}) != o.Total:
		return errors.New("the order's total is not quantity times price")
	}
	return nil
}

// Decision is a merchant's answer to an order.
type Decision string

// The decisions.
const (
	Confirmed Decision = "CONFIRMED"
	Declined  Decision = "DECLINED"
)

// Answer is what a merchant answers, as JSON inside the JWS.
type Answer struct {
	Issuer    string   `json:"iss"` // the merchant
	Audience  string   `json:"aud"` // Souk
	IssuedAt  int64    `json:"iat"`
	Expires   int64    `json:"exp"`
	ID        string   `json:"jti"`
	OrderID   string   `json:"orderId"`
	Decision  Decision `json:"decision"`
	Total     Money    `json:"total"`               // what it confirms: the order's total
	Reference string   `json:"reference,omitempty"` // the merchant's own name for the order
	Reason    string   `json:"reason,omitempty"`    // why it declines
}

// answerLife is how long an answer is good for: Souk refuses what lives longer
// than five minutes.
const answerLife = 5 * time.Minute

// Seal signs an answer and encrypts it to Souk's key. It fills in the times and
// the "jti", so that no two answers are the same token.
func (a Answer) Seal(sign, to *jose.Key) (string, error) {
	now := time.Now()
	a.IssuedAt, a.Expires, a.ID = now.Unix(), now.Add(answerLife).Unix(), id.New().String()
	payload, err := json.Marshal(a)
	if err != nil {
		return "", err
	}
	return jose.EncryptSigned(payload, sign, TypeAnswer, to)
}

// apiToken is what a merchant calls Souk's API with: a JWT that it signs itself.
type apiToken struct {
	Issuer   string `json:"iss"` // the merchant
	Subject  string `json:"sub"` // the same
	Audience string `json:"aud"`
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"` // at most five minutes later
	ID       string `json:"jti"`
}

// How a card's order is confirmed.
const (
	ConfirmByServer = "server" // the product server is asked
	ConfirmByCard   = "card"   // the merchant's signature on the card is its yes
)

// Card is a product card, as JSON inside a JWS: an offer that can be passed from
// friend to friend, since nobody can change it.
type Card struct {
	Issuer   string `json:"iss"` // the merchant
	SKU      string `json:"sku"`
	Name     string `json:"name"`
	Price    Money  `json:"price"`
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"`
	Confirm  string `json:"confirm"`
}

// Sign makes the card's token.
func (c Card) Sign(key *jose.Key) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	return jose.Sign(payload, key, TypeCard)
}
