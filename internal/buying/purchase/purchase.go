package purchase

import (
	"slices"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/text"
	"github.com/soukhq/souk/internal/core/ledger"
)

// State tells how an order stands.
type State string

// The states of an order.
const (
	Authorised        State = "AUTHORISED"
	Paid              State = "PAID"
	Declined          State = "DECLINED"
	Cancelled         State = "CANCELLED"
	Expired           State = "EXPIRED"
	PartiallyRefunded State = "PARTIALLY_REFUNDED"
	Refunded          State = "REFUNDED"
)

// Kind tells what happened to an order.
type Kind string

// What can happen to an order.
const (
	EventAuthorised    Kind = "AUTHORISED"
	EventForwarded     Kind = "FORWARDED"
	EventForwardFailed Kind = "FORWARD_FAILED"
	EventAccepted      Kind = "ACCEPTED"
	EventPaid          Kind = "PAID"
	EventDeclined      Kind = "DECLINED"
	EventCancelled     Kind = "CANCELLED"
	EventExpired       Kind = "EXPIRED"
	EventRefunded      Kind = "REFUNDED"
	EventReversed      Kind = "REVERSED"
	EventReleased      Kind = "RELEASED"
	EventAnswerRefused Kind = "ANSWER_REFUSED"
)

// Event is a line of an order's timeline.
type Event struct {
	Kind   Kind      `json:"kind"`
	At     time.Time `json:"at"`
	Detail string    `json:"detail,omitempty"`
}

// maxTimeline bounds a timeline: what repeats (a merchant that cannot be
// reached, an answer that is refused again and again) is dropped beyond.
const maxTimeline = 100

// Limits of an order.
const (
	MaxQuantity  = 1000
	referenceMax = 100 // characters of the merchant's own name for it
	reasonMax    = 200 // characters of why it was declined or refunded
)

// isLine tells whether a text is one line, without space around it.
func isLine(s string, most int) bool {
	clean, ok := text.Line(s, most)
	return ok && clean == s
}

// Order is one purchase.
type Order struct {
	ID              id.ID
	Mode            mode.Mode
	BuyerID         id.ID
	MerchantID      id.ID
	ProductID       id.ID
	ConversationID  *id.ID
	SKU             string
	Name            string
	Quantity        int64
	UnitMinor       int64
	TotalMinor      int64
	RefundedMinor   int64
	Currency        money.Currency
	State           State
	StockCounted    bool
	Account         ledger.AccountID // who pays
	MerchantAccount ledger.AccountID // who is paid
	HoldID          *id.ID
	TransferID      *id.ID // the transfer that paid it
	Reference       string
	DeclineReason   string
	ConfirmBy       *time.Time
	ForwardAt       *time.Time
	ForwardCount    int32
	Version         int32
	Timeline        []Event
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

// MerchantReference is the merchant's own name for the order; nil until it gave
// one.
func (o Order) MerchantReference() *string { return optional(o.Reference) }

// DeclinedBecause is why the merchant declined; nil when it did not, or did not
// say.
func (o Order) DeclinedBecause() *string { return optional(o.DeclineReason) }

// Words say more about an event; nil when there is no more to say.
func (e Event) Words() *string { return optional(e.Detail) }

// OrderPosition is where an order stands in a list.
func OrderPosition(o Order) []byte { return o.ID[:] }

// UnitPrice is the price of one.
func (o Order) UnitPrice() money.Amount {
	return money.Amount{Minor: o.UnitMinor, Currency: o.Currency}
}

// Total is the price of all.
func (o Order) Total() money.Amount { return money.Amount{Minor: o.TotalMinor, Currency: o.Currency} }

// Refunded is what was given back.
func (o Order) Refunded() money.Amount {
	return money.Amount{Minor: o.RefundedMinor, Currency: o.Currency}
}

// tooLate is the detail of a confirmation that came after the order's end.
const tooLate = "confirmed too late"

// happened adds to the timeline. One that is full takes what happens once, and
// nothing that can come again and again.
func (o *Order) happened(k Kind, at time.Time, detail string) {
	again := k == EventForwarded || k == EventForwardFailed || k == EventAnswerRefused && detail != tooLate
	if again && len(o.Timeline) >= maxTimeline {
		return
	}
	// The copy keeps the row that a batch may roll back to as it was.
	o.Timeline = append(o.Timeline[:len(o.Timeline):len(o.Timeline)], Event{k, at, detail})
	o.UpdatedAt = at
}

func (o Order) has(k Kind) bool {
	return slices.ContainsFunc(o.Timeline, func(e Event) bool { return e.Kind == k })
}

// refusedLate tells whether a confirmation came after the order's end.
func (o Order) refusedLate() bool {
	return slices.ContainsFunc(o.Timeline, func(e Event) bool { return e.Kind == EventAnswerRefused && e.Detail == tooLate })
}

// wasPaid tells whether the money has moved.
func (o Order) wasPaid() bool {
	return o.State == Paid || o.State == PartiallyRefunded || o.State == Refunded
}

// Refund is money given back for an order.
type Refund struct {
	ID         id.ID
	Mode       mode.Mode
	OrderID    id.ID
	TransferID id.ID
	Amount     money.Amount
	Reason     string
	CreatedAt  time.Time
}

// RefundPosition is where a refund stands in a list.
func RefundPosition(r Refund) []byte { return r.ID[:] }

// Kinds of transfers.
const (
	transferPurchase = "PURCHASE"
	transferRefund   = "REFUND"
)

// GlobalID is how the outside names it.
func (o Order) GlobalID() string { return id.Global("Order", o.ID) }

// GlobalID is how the outside names it.
func (r Refund) GlobalID() string { return id.Global("Refund", r.ID) }
