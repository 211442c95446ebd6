package purchase

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/outbox"
)

// Receipt is what a conversation shows of an order.
type Receipt struct {
	Mode           mode.Mode
	ConversationID id.ID
	OrderID        id.ID
	BuyerID        id.ID
	State          State
	Name           string
	Amount         money.Amount
	Text           string
	// EventID makes the message unique: an event that is heard twice posts once.
	EventID id.ID
	At      time.Time
}

// Notice is what a merchant's webhook hears of an order.
type Notice struct {
	Mode       mode.Mode
	MerchantID id.ID
	EventID    id.ID
	Type       string
	Data       json.RawMessage
	At         time.Time
}

// Tellers are how others hear of what happened to an order. Each may be told the
// same more than once and must act once.
type Tellers interface {
	PostReceipt(ctx context.Context, r Receipt) error
	AnnounceOrder(ctx context.Context, buyer, order id.ID, version int32) error
	Dispatch(ctx context.Context, n Notice) error
	Pseudonym(buyer, merchantID id.ID) string
}

// noticeData is the data of a webhook about an order. Version 1.
type noticeData struct {
	OrderID   string      `json:"orderId"`
	State     State       `json:"state"`
	SKU       string      `json:"sku"`
	Quantity  int64       `json:"quantity"`
	Total     money.Wire  `json:"total"`
	Refunded  money.Wire  `json:"refunded"`
	RefundID  string      `json:"refundId,omitempty"`
	Amount    *money.Wire `json:"amount,omitempty"` // what this event moved
	Reference string      `json:"reference,omitempty"`
	Reason    string      `json:"reason,omitempty"`
	Buyer     string      `json:"buyer"`
	Mode      string      `json:"mode"`
}

// Tell tells buyer and merchant what an event says: a receipt in the chat, an
// update of the order, a webhook.
func (s *Service) Tell(ctx context.Context, e outbox.Event) error {
	var c Changed
	if err := json.Unmarshal(e.Payload, &c); err != nil {
		return fmt.Errorf("read event %s: %w", e.ID, err)
	}
	o, err := s.read(ctx, e.SubjectID)
	if err != nil {
		return err
	}
	if err := s.Tellers.AnnounceOrder(ctx, o.BuyerID, o.ID, c.Version); err != nil {
		return fmt.Errorf("announce order: %w", err)
	}
	if o.ConversationID != nil {
		if err := s.Tellers.PostReceipt(ctx, receipt(o, c, e)); err != nil {
			return fmt.Errorf("post receipt: %w", err)
		}
	}
	n, err := s.notice(o, c, e)
	if err != nil {
		return err
	}
	if err := s.Tellers.Dispatch(ctx, n); err != nil {
		return fmt.Errorf("dispatch webhook: %w", err)
	}
	return nil
}

func receipt(o Order, c Changed, e outbox.Event) Receipt {
	r := Receipt{
		Mode: o.Mode, ConversationID: *o.ConversationID, OrderID: o.ID, BuyerID: o.BuyerID, State: c.State, Name: o.Name,
		Amount: o.Total(), EventID: e.ID, At: e.At,
	}
	switch c.State {
	case Paid:
		r.Text = fmt.Sprintf("Paid %s for %s.", r.Amount, o.Name)
	case PartiallyRefunded, Refunded:
		r.Amount.Minor = c.AmountMinor
		r.Text = fmt.Sprintf("%s was given back for %s.", r.Amount, o.Name)
	case Declined:
		r.Text = fmt.Sprintf("The merchant declined the order of %s. Nothing was charged.", o.Name)
	case Cancelled:
		r.Text = fmt.Sprintf("The order of %s was cancelled. Nothing was charged.", o.Name)
	case Expired:
		r.Text = fmt.Sprintf("The merchant did not confirm the order of %s in time. Nothing was charged.", o.Name)
	}
	return r
}

func (s *Service) notice(o Order, c Changed, e outbox.Event) (Notice, error) {
	d := noticeData{
		OrderID: id.Global("Order", o.ID), State: c.State, SKU: o.SKU, Quantity: o.Quantity,
		Total: o.Total().ToWire(), Refunded: o.Refunded().ToWire(), Reference: o.Reference, Reason: c.Reason,
		Buyer: s.Tellers.Pseudonym(o.BuyerID, o.MerchantID), Mode: "live",
	}
	if !o.Mode.IsLive() {
		d.Mode = "sandbox"
	}
	if c.Refunded != nil {
		d.Refunded = money.Amount{Minor: *c.Refunded, Currency: o.Currency}.ToWire()
	}
	if c.AmountMinor != 0 {
		a := money.Amount{Minor: c.AmountMinor, Currency: o.Currency}.ToWire()
		d.Amount = &a
	}
	if c.RefundID != nil {
		d.RefundID = id.Global("Refund", *c.RefundID)
	}
	data, err := json.Marshal(d)
	if err != nil {
		return Notice{}, fmt.Errorf("write notice: %w", err)
	}
	return Notice{Mode: o.Mode, MerchantID: o.MerchantID, EventID: e.ID, Type: e.Topic, Data: data, At: e.At}, nil
}
