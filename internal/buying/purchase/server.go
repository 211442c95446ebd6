package purchase

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/outbound"
)

// Types of the tokens that Souk and product servers exchange.
const (
	typOrder  = "souk-order+jwt"
	typAnswer = "souk-answer+jwt"
)

// How long a message between the two is good for, and how far clocks may differ.
const (
	messageLife = 5 * time.Minute
	messageSkew = time.Minute
)

// maxAnswer bounds what a product server may answer.
const maxAnswer = 64 << 10

// Contact is how to reach a merchant's product server.
type Contact struct {
	Endpoint   string
	Encryption *jose.Key // what is for its eyes is encrypted to this
}

// Directory knows merchants' contacts and keys.
type Directory interface {
	Contact(ctx context.Context, merchantID id.ID) (Contact, error)
	// SigningKeys gives the keys among which is the one that a token names.
	SigningKeys(ctx context.Context, merchantID id.ID, kid string) (*jose.KeySet, error)
	// Pseudonym is a buyer's name for one merchant alone.
	Pseudonym(buyer, merchantID id.ID) string
}

// Keys are Souk's own.
type Keys interface {
	OrderKey(ctx context.Context) (*jose.Key, error)
	Decryption(ctx context.Context) (*jose.KeySet, error)
}

// Server speaks to product servers: JWS inside JWE (RFC 7519 §5.2), by HTTP POST
// with content type application/jose.
type Server struct {
	Issuer    string // Souk's public URL
	Clock     clock.Clock
	Client    *outbound.Client
	Directory Directory
	Keys      Keys
}

type wireMoney struct {
	AmountMinor json.Number    `json:"amountMinor"`
	Currency    money.Currency `json:"currency"`
}

// orderMessage is what a product server reads. Version 1.
type orderMessage struct {
	Issuer   string    `json:"iss"`
	Audience string    `json:"aud"`
	IssuedAt int64     `json:"iat"`
	Expires  int64     `json:"exp"`
	ID       string    `json:"jti"`
	Type     string    `json:"type"`
	Order    wireOrder `json:"order"`
	Buyer    string    `json:"buyer"`
}

type wireOrder struct {
	ID        string     `json:"id"`
	SKU       string     `json:"sku"`
	Name      string     `json:"name"`
	Quantity  int64      `json:"quantity"`
	UnitPrice wireMoney  `json:"unitPrice"`
	Total     wireMoney  `json:"total"`
	CreatedAt time.Time  `json:"createdAt"`
	ConfirmBy *time.Time `json:"confirmBy,omitempty"`
	Mode      string     `json:"mode"` // "live" or "sandbox"
}

// answerMessage is what a product server answers. Version 1.
type answerMessage struct {
	OrderID   string    `json:"orderId"`
	Decision  string    `json:"decision"`
	Total     wireMoney `json:"total"`
	Reference string    `json:"reference"`
	Reason    string    `json:"reason"`
}

// Confirm asks an order's merchant to confirm it.
func (s *Server) Confirm(ctx context.Context, o Order) (Answer, error) {
	resp, err := s.send(ctx, "order.confirm", o)
	if err != nil {
		return Answer{}, err
	}
	switch resp.Status {
	case http.StatusAccepted:
		return Answer{MerchantID: o.MerchantID, OrderID: o.ID, Later: true}, nil
	case http.StatusOK:
		a, err := s.ReadAnswer(ctx, string(resp.Body))
		if err == nil {
			err = a.fits(o)
		}
		return a, err
	}
	return Answer{}, fmt.Errorf("product server answered %d", resp.Status)
}

// Release tells an order's merchant that the order is off.
func (s *Server) Release(ctx context.Context, o Order) error {
	resp, err := s.send(ctx, "order.release", o)
	if err != nil {
		return err
	}
	if resp.Status/100 != 2 && resp.Status != http.StatusGone {
		return fmt.Errorf("product server answered %d", resp.Status)
	}
	return nil
}

func (s *Server) send(ctx context.Context, typ string, o Order) (outbound.Response, error) {
	to, err := s.Directory.Contact(ctx, o.MerchantID)
	if err != nil {
		return outbound.Response{}, err
	}
	key, err := s.Keys.OrderKey(ctx)
	if err != nil {
		return outbound.Response{}, err
	}
	payload, err := json.Marshal(s.message(typ, o))
	if err != nil {
		return outbound.Response{}, fmt.Errorf("write order message: %w", err)
	}
	body, err := jose.EncryptSigned(payload, key, typOrder, to.Encryption)
	if err != nil {
		return outbound.Response{}, fmt.Errorf("seal order message: %w", err)
	}
	return s.Client.Do(ctx, outbound.Request{
		Method: http.MethodPost, URL: to.Endpoint, Body: []byte(body), ContentType: "application/jose",
		Header: http.Header{"Accept": {"application/jose"}}, MaxResponse: maxAnswer, Party: o.MerchantID.String(),
	})
}

func (s *Server) message(typ string, o Order) orderMessage {
	// Tokens between servers live on the machine's clock, not on a sandbox's.
	now := s.Clock.Now(mode.Live)
	kind := "live"
	if !o.Mode.IsLive() {
		kind = "sandbox"
	}
	return orderMessage{
		Issuer: s.Issuer, Audience: id.Global("Merchant", o.MerchantID), ID: id.New().String(), Type: typ,
		IssuedAt: now.Unix(), Expires: now.Add(messageLife).Unix(),
		Order: wireOrder{
			ID: id.Global("Order", o.ID), SKU: o.SKU, Name: o.Name, Quantity: o.Quantity, UnitPrice: toWire(o.UnitPrice()), Total: toWire(o.Total()),
			CreatedAt: o.CreatedAt, ConfirmBy: o.ConfirmBy, Mode: kind,
		},
		Buyer: s.Directory.Pseudonym(o.BuyerID, o.MerchantID),
	}
}

func toWire(a money.Amount) wireMoney {
	return wireMoney{AmountMinor: json.Number(fmt.Sprint(a.Minor)), Currency: a.Currency}
}

// ReadAnswer opens an answer, finds out whose it is, and verifies it with that
// merchant's keys. Whatever is wrong with it is ErrAnswer: the difference is for
// the log.
func (s *Server) ReadAnswer(ctx context.Context, token string) (Answer, error) {
	if len(token) > maxAnswer {
		return Answer{}, ErrAnswer
	}
	keys, err := s.Keys.Decryption(ctx)
	if err != nil {
		return Answer{}, err
	}
	u, err := jose.DecryptParse(token, jose.DecryptOptions{Keys: keys})
	if err != nil {
		return Answer{}, ErrAnswer.Because(err)
	}
	typ, merchantID, err := id.ParseGlobal(u.Claims.Issuer)
	if err != nil || typ != "Merchant" {
		return Answer{}, ErrAnswer.Because(errors.Join(errors.New("the issuer is no merchant"), err))
	}
	signing, err := s.Directory.SigningKeys(ctx, merchantID, u.Header.KeyID)
	if err != nil {
		return Answer{}, ErrAnswer.Because(err)
	}
	t, err := u.Verify(jose.VerifyOptions{
		Keys: signing, Typ: typAnswer, Issuer: u.Claims.Issuer, Audience: s.Issuer,
		Now: s.Clock.Now(mode.Live), Leeway: messageSkew, MaxLifetime: messageLife + messageSkew,
	})
	if err != nil {
		return Answer{}, ErrAnswer.Because(err)
	}
	return readAnswer(merchantID, t)
}

func readAnswer(merchantID id.ID, t *jose.Token) (Answer, error) {
	var m answerMessage
	if err := t.Decode(&m); err != nil {
		return Answer{}, ErrAnswer.Because(err)
	}
	typ, orderID, err := id.ParseGlobal(m.OrderID)
	if err != nil || typ != "Order" {
		return Answer{}, ErrAnswer.Because(errors.New("orderId names no order"))
	}
	if m.Reference != "" && !isLine(m.Reference, referenceMax) || m.Reason != "" && !isLine(m.Reason, reasonMax) {
		return Answer{}, ErrAnswer.Because(errors.New("reference or reason too long or not clean"))
	}
	a := Answer{MerchantID: merchantID, OrderID: orderID, Reference: m.Reference, Reason: m.Reason}
	switch m.Decision {
	case "CONFIRMED":
		minor, err := m.Total.AmountMinor.Int64()
		if err != nil {
			return Answer{}, ErrAnswer.Because(err)
		}
		a.Confirmed, a.Total = true, money.Amount{Minor: minor, Currency: m.Total.Currency}
	case "DECLINED":
	default:
		return Answer{}, ErrAnswer.Because(fmt.Errorf("unknown decision %q", m.Decision))
	}
	return a, nil
}
