package purchase

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/core/ledger"
)

// errAgain asks the service to look at the order once more and start over: it is
// not as it was when the command was made.
var errAgain = errors.New("purchase: changed in between")

// made is the stored result of a purchase.
type made struct {
	Order  id.ID  `json:"order"`
	Refund *id.ID `json:"refund,omitempty"`
}

func (m made) encode() []byte {
	b, err := json.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("purchase: result does not encode: %v", err)) // ids always do
	}
	return b
}

// authorise makes an order: it holds the money, or moves it at once if the card
// is the merchant's confirmation.
type authorise struct {
	book   *Book
	key    ledger.Key
	order  Order
	direct bool
	// sellerAt is when the merchant was last changed, as far as was known when its
	// card was verified.
	sellerAt time.Time

	after Order // what the order is now
}

func (c *authorise) Key() ledger.Key { return c.key }

func (c *authorise) Want(b *ledger.Batch) {
	b.WantAccount(c.order.Account)
	if c.direct {
		b.WantAccount(c.order.MerchantAccount)
	}
	c.book.offers.Want(c.order.ProductID)
	if c.order.StockCounted {
		c.book.stock.Want(c.order.ProductID)
	}
}

func (c *authorise) Decide(b *ledger.Batch) ([]byte, error) {
	result, err := c.decide(b)
	if errors.Is(err, ledger.ErrAccountClosed) {
		err = ErrSource // the buyer was erased in this moment
	}
	return result, err
}

func (c *authorise) decide(b *ledger.Batch) ([]byte, error) {
	o := c.order // a batch that fails is run again, from the order as it was given
	switch of, ok := c.book.offers.Get(o.ProductID); {
	case !ok || !of.offered || of.minor != o.UnitMinor || of.currency != o.Currency:
		return nil, ErrStale
	case of.suspended:
		return nil, ErrSuspended
	case of.counted != o.StockCounted || !of.sellerAt.Equal(c.sellerAt):
		return nil, errAgain // its keys, too, may be others now
	}
	if err := c.book.take(o.ProductID, o.Quantity); err != nil {
		return nil, err
	}
	at := b.Now(o.Mode)
	o.CreatedAt, o.Version = at, 1
	if c.direct {
		o.State = Paid
		o.happened(EventPaid, at, "confirmed by the card")
		paid, err := b.Transfer(o.payment(at))
		if err != nil {
			return nil, err
		}
		o.TransferID = &paid.ID
		b.Emit(o.event(TopicPaid, Changed{AmountMinor: o.TotalMinor}))
	} else {
		o.State = Authorised
		o.happened(EventAuthorised, at, "")
		h, err := b.Hold(ledger.Hold{Account: o.Account, Amount: o.TotalMinor, SubjectID: o.ID, ExpiresAt: *o.ConfirmBy, CreatedAt: at})
		if err != nil {
			return nil, err
		}
		o.HoldID = &h.ID
	}
	c.book.orders.Add(o)
	c.after = o
	return made{Order: o.ID}.encode(), nil
}

// ending says how a command leaves an order that waited for its merchant.
type ending struct {
	state   State
	kind    Kind
	topic   string
	detail  string
	release bool // the merchant may think that the order is on
}

// settle ends an order that waits for its merchant: captured, or set free.
type settle struct {
	book      *Book
	key       ledger.Key
	order     Order // as it was read; only what never changes is used
	confirmed bool
	reference string
	ending    ending // unless confirmed
	due       bool   // only an order whose time is over may be ended
	raced     error  // what to say when it is not AUTHORISED any more

	after Order // what the order is now
	late  bool  // it was confirmed, but had ended
}

func (c *settle) Key() ledger.Key { return c.key }

func (c *settle) Want(b *ledger.Batch) { c.book.wantOrder(b, c.order) }

func (b *Book) wantOrder(batch *ledger.Batch, o Order) {
	b.orders.Want(o.ID)
	if o.StockCounted {
		b.stock.Want(o.ProductID)
	}
	if o.HoldID != nil {
		batch.WantHold(*o.HoldID)
	}
	batch.WantAccount(o.Account)
	batch.WantAccount(o.MerchantAccount)
}

func (c *settle) Decide(b *ledger.Batch) ([]byte, error) {
	o, ok := c.book.orders.Get(c.order.ID)
	if !ok {
		return nil, ErrOrder
	}
	c.after, c.late = o, false
	at := b.Now(o.Mode)
	result := made{Order: o.ID}.encode()
	overdue := o.ConfirmBy != nil && !at.Before(*o.ConfirmBy)
	switch {
	case o.wasPaid() && c.confirmed:
		return result, nil // heard before
	case o.State != Authorised && c.confirmed:
		return result, c.refuseLate(b, o, at)
	case o.State == c.ending.state && c.key.ID == id.Nil:
		return result, nil // done before
	case o.State != Authorised:
		return nil, c.raced
	case c.due && !overdue:
		return nil, errAgain
	case overdue && c.confirmed:
		// The sweep has not come by yet, but the deadline stands.
		if err := c.end(b, o, at, expiry); err != nil {
			return nil, err
		}
		return result, c.refuseLate(b, c.after, at)
	case c.confirmed:
		return result, c.capture(b, o, at)
	}
	return result, c.end(b, o, at, c.ending)
}

var expiry = ending{state: Expired, kind: EventExpired, topic: TopicExpired, release: true}

// payment is the transfer that pays an order.
func (o Order) payment(at time.Time) ledger.Transfer {
	return ledger.Transfer{Debit: o.Account, Credit: o.MerchantAccount, Amount: o.TotalMinor, Kind: transferPurchase, SubjectID: o.ID, At: at}
}

func (c *settle) capture(b *ledger.Batch, o Order, at time.Time) error {
	paid, err := b.Capture(*o.HoldID, o.payment(at))
	if err != nil {
		return err
	}
	o.State, o.TransferID, o.Reference, o.ForwardAt = Paid, &paid.ID, c.reference, nil
	o.happened(EventPaid, at, "")
	c.put(o)
	b.Emit(c.after.event(TopicPaid, Changed{AmountMinor: o.TotalMinor}))
	return nil
}

func (c *settle) end(b *ledger.Batch, o Order, at time.Time, e ending) error {
	as := ledger.HoldVoided
	if e.state == Expired {
		as = ledger.HoldExpired
	}
	if err := b.Release(*o.HoldID, as); err != nil {
		return err
	}
	if o.StockCounted {
		if err := c.book.take(o.ProductID, -o.Quantity); err != nil {
			return err
		}
	}
	o.State, o.ForwardAt = e.state, nil
	if e.state == Declined {
		o.DeclineReason = e.detail
	}
	o.happened(e.kind, at, e.detail)
	c.put(o)
	b.Emit(c.after.event(e.topic, Changed{Reason: e.detail}))
	if e.release {
		c.emitRelease(b, at)
	}
	return nil
}

// refuseLate answers a confirmation of an order that has ended: the merchant is
// told to release it, even if it was told before that the order is off.
func (c *settle) refuseLate(b *ledger.Batch, o Order, at time.Time) error {
	c.late = true
	if o.refusedLate() {
		return nil
	}
	told := o.has(EventCancelled) || o.has(EventExpired) || o.has(EventReversed)
	o.happened(EventAnswerRefused, at, tooLate)
	c.put(o)
	if !told {
		c.emitRelease(b, at)
	}
	return nil
}

func (c *settle) emitRelease(b *ledger.Batch, at time.Time) { b.Emit(c.after.releaseEvent(at)) }

func (c *settle) put(o Order) {
	if o.Version == c.after.Version {
		o.Version++
	}
	c.book.orders.Set(o.ID, o)
	c.after = o
}

// refund gives money back for a paid order.
type refund struct {
	book   *Book
	key    ledger.Key
	order  Order
	amount int64 // 0: all that is left
	reason string

	after  Order
	refund Refund
}

func (c *refund) Key() ledger.Key { return c.key }

func (c *refund) Want(b *ledger.Batch) {
	c.book.orders.Want(c.order.ID)
	b.WantAccount(c.order.Account)
	b.WantAccount(c.order.MerchantAccount)
}

func (c *refund) Decide(b *ledger.Batch) ([]byte, error) {
	o, ok := c.book.orders.Get(c.order.ID)
	if !ok {
		return nil, ErrOrder
	}
	left := o.TotalMinor - o.RefundedMinor
	amount := c.amount
	if amount == 0 {
		amount = left
	}
	switch {
	case o.State != Paid && o.State != PartiallyRefunded:
		return nil, ErrState
	case amount <= 0 || amount > left:
		return nil, ErrRefundAmount
	}
	at := b.Now(o.Mode)
	r := Refund{ID: id.New(), Mode: o.Mode, OrderID: o.ID, Amount: money.Amount{Minor: amount, Currency: o.Currency}, Reason: c.reason, CreatedAt: at}
	t, err := b.Transfer(ledger.Transfer{
		Debit: o.MerchantAccount, Credit: o.Account, Amount: amount, Kind: transferRefund, SubjectID: o.ID, Reverses: o.TransferID, At: at,
	})
	if errors.Is(err, ledger.ErrInsufficientFunds) {
		return nil, ErrMerchantFunds
	}
	if errors.Is(err, ledger.ErrAccountClosed) {
		return nil, ErrBuyerGone
	}
	if err != nil {
		return nil, err
	}
	r.TransferID = t.ID
	o.RefundedMinor += amount
	o.State = PartiallyRefunded
	if o.RefundedMinor == o.TotalMinor {
		o.State = Refunded
	}
	o.happened(EventRefunded, at, c.reason)
	o.Version++
	c.book.orders.Set(o.ID, o)
	c.book.refunds.Add(r)
	b.Emit(o.event(TopicRefunded, Changed{AmountMinor: amount, RefundID: &r.ID, Reason: c.reason}))
	c.after, c.refund = o, r
	return made{Order: o.ID, Refund: &r.ID}.encode(), nil
}

// bar makes sure that a purchase which has not arrived never will.
type bar struct {
	key      ledger.Key
	purchase id.ID // the key of the purchase
}

func (c *bar) Key() ledger.Key { return c.key }

func (c *bar) Want(b *ledger.Batch) { b.WantKey(c.purchase) }

func (c *bar) Decide(b *ledger.Batch) ([]byte, error) {
	if b.KeyUsed(c.purchase) {
		return nil, errAgain
	}
	b.Bar(c.purchase, ErrReversed)
	return made{}.encode(), nil
}

// note writes down what happened to an order that stays as it is.
type note struct {
	book      *Book
	order     Order
	kind      Kind
	detail    string
	forwardAt *time.Time // when to ask the merchant next
	asked     bool       // the merchant was asked once more
	ended     bool       // the order may have ended: only the timeline changes
}

func (c *note) Key() ledger.Key { return ledger.Key{} }

func (c *note) Want(*ledger.Batch) { c.book.orders.Want(c.order.ID) }

func (c *note) Decide(b *ledger.Batch) ([]byte, error) {
	o, ok := c.book.orders.Get(c.order.ID)
	if !ok {
		return nil, ErrOrder
	}
	if o.State != Authorised && !c.ended {
		return nil, ErrState
	}
	if o.State == Authorised {
		o.ForwardAt = c.forwardAt
		if c.asked {
			o.ForwardCount++
		}
	}
	if c.kind != "" {
		o.happened(c.kind, b.Now(o.Mode), c.detail)
	}
	o.Version++
	c.book.orders.Set(o.ID, o)
	return nil, nil
}
