package purchase

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
	"github.com/soukhq/souk/internal/base/keys"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/outbound"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/core/merchant"
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

// What a product server's answers mean (RFC 9110 §15.3).
const (
	statusOK       = 200 // here is the answer
	statusAccepted = 202 // the answer will come by itself
)

// maxAnswer bounds what a product server may answer.
const maxAnswer = 64 << 10

// Directory knows merchants, their product servers and keys.
type Directory interface {
	Get(ctx context.Context, merchantID id.ID) (merchant.Merchant, error)
	EncryptionKey(ctx context.Context, merchantID id.ID) (*jose.Key, error)
	// Verify checks what a merchant has signed, with the merchant's keys.
	Verify(ctx context.Context, merchantID id.ID, u *jose.Untrusted, o jose.VerifyOptions) (*jose.Token, error)
	// Pseudonym is a buyer's name for one merchant alone.
	Pseudonym(buyer, merchantID id.ID) string
}

// Keys are Souk's own.
type Keys interface {
	Signer(ctx context.Context, p keys.Purpose) (*jose.Key, error)
	Decrypters(ctx context.Context) (*jose.KeySet, error)
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
	UnitPrice money.Wire `json:"unitPrice"`
	Total     money.Wire `json:"total"`
	CreatedAt time.Time  `json:"createdAt"`
	ConfirmBy *time.Time `json:"confirmBy,omitempty"`
	Mode      string     `json:"mode"` // "live" or "sandbox"
}

// answerMessage is what a product server answers. Version 1.
type answerMessage struct {
	OrderID   string     `json:"orderId"`
	Decision  string     `json:"decision"`
	Total     money.Wire `json:"total"`
	Reference string     `json:"reference"`
	Reason    string     `json:"reason"`
}

// Confirm asks an order's merchant to confirm it.
func (s *Server) Confirm(ctx context.Context, o Order) (Answer, error) {
	resp, err := s.send(ctx, "order.confirm", o)
	if err != nil {
		return Answer{}, err
	}
	switch resp.Status {
	case statusAccepted:
		return Answer{MerchantID: o.MerchantID, OrderID: o.ID, Later: true}, nil
	case statusOK:
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
	if resp.Status/100 != 2 {
		return fmt.Errorf("product server answered %d", resp.Status)
	}
	return nil
}

func (s *Server) send(ctx context.Context, typ string, o Order) (outbound.Response, error) {
	to, err := s.Directory.Get(ctx, o.MerchantID)
	if err != nil {
		return outbound.Response{}, err
	}
	encryption, err := s.Directory.EncryptionKey(ctx, o.MerchantID)
	if err != nil {
		return outbound.Response{}, err
	}
	key, err := s.Keys.Signer(ctx, keys.Order)
	if err != nil {
		return outbound.Response{}, err
	}
	payload, err := json.Marshal(s.message(typ, o))
	if err != nil {
		return outbound.Response{}, fmt.Errorf("write order message: %w", err)
	}
	body, err := jose.EncryptSigned(payload, key, typOrder, encryption)
	if err != nil {
		return outbound.Response{}, fmt.Errorf("seal order message: %w", err)
	}
	return s.Client.Do(ctx, outbound.Request{
		Method: "POST", URL: to.EndpointURL, Body: []byte(body), ContentType: "application/jose",
		Header: map[string][]string{"Accept": {"application/jose"}}, MaxResponse: maxAnswer, Party: o.MerchantID.String(),
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
			ID: id.Global("Order", o.ID), SKU: o.SKU, Name: o.Name, Quantity: o.Quantity, UnitPrice: o.UnitPrice().ToWire(), Total: o.Total().ToWire(),
			CreatedAt: o.CreatedAt, ConfirmBy: o.ConfirmBy, Mode: kind,
		},
		Buyer: s.Directory.Pseudonym(o.BuyerID, o.MerchantID),
	}
}

// ReadAnswer opens an answer, finds out whose it is, and verifies it with that
// merchant's keys. Whatever is wrong with it is ErrAnswer: the difference is for
// the log.
func (s *Server) ReadAnswer(ctx context.Context, token string) (Answer, error) {
	if len(token) > maxAnswer {
		return Answer{}, ErrAnswer
	}
	own, err := s.Keys.Decrypters(ctx)
	if err != nil {
		return Answer{}, err
	}
	u, err := jose.DecryptParse(token, jose.DecryptOptions{Keys: own})
	if err != nil {
		return Answer{}, ErrAnswer.Because(err)
	}
	typ, merchantID, err := id.ParseGlobal(u.Claims.Issuer)
	if err != nil || typ != "Merchant" {
		return Answer{}, ErrAnswer.Because(errors.Join(errors.New("the issuer is no merchant"), err))
	}
	t, err := s.Directory.Verify(ctx, merchantID, u, jose.VerifyOptions{
		Typ: typAnswer, Issuer: u.Claims.Issuer, Audience: s.Issuer,
		Now: s.Clock.Now(mode.Live), Leeway: messageSkew, MaxLifetime: messageLife + messageSkew,
	})
	if errs.KindOf(err) == errs.Unavailable || store.IsGone(err) {
		return Answer{}, err // it says nothing of the answer, which is to come again
	}
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
		a.Confirmed, a.Total = true, m.Total.Amount()
	case "DECLINED":
	default:
		return Answer{}, ErrAnswer.Because(fmt.Errorf("unknown decision %q", m.Decision))
	}
	return a, nil
}
