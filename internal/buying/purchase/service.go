package purchase

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/soukhq/souk/internal/base/audit"
	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/core/ledger"
)

// Offer is what a product card offers, its signature verified.
type Offer struct {
	MerchantID   id.ID
	Account      ledger.AccountID // the merchant's, in the price's currency
	ProductID    id.ID
	SKU          string
	Name         string
	Price        money.Amount
	StockCounted bool
	// SellerAt is when the merchant was last changed, as far as was known when the
	// card was verified.
	SellerAt time.Time
	// Confirmed says that the card is itself the merchant's confirmation.
	Confirmed bool
}

// Cards verifies product cards. [Market] does.
type Cards interface {
	// Offer refuses with CARD_INVALID, CARD_EXPIRED, CARD_STALE and
	// MERCHANT_SUSPENDED.
	Offer(ctx context.Context, m mode.Mode, card string) (Offer, error)
	// Forget makes the next Offer look again at what may be remembered of the
	// merchant and the product.
	Forget(of Offer)
}

// Source is what pays.
type Source struct {
	Account  ledger.AccountID // 0: another keeps the books, so it cannot pay
	Currency money.Currency
}

// Sources knows what users pay with.
type Sources interface {
	// Source refuses with NotFound when the user has no such active source.
	Source(ctx context.Context, userID, sourceID id.ID) (Source, error)
}

// Conversations knows who talks where.
type Conversations interface {
	IsMember(ctx context.Context, v auth.Viewer, conversationID id.ID) (bool, error)
}

// Config says how long things may take.
type Config struct {
	// ConfirmWithin is how long a merchant may take to confirm.
	ConfirmWithin time.Duration
	// InlineWait is how long the buyer's call waits for the merchant's answer
	// before it answers with the order as it is.
	InlineWait time.Duration
}

// Validate refuses times that cannot work.
func (c Config) Validate() error {
	if c.ConfirmWithin < time.Second || c.InlineWait < 0 || c.InlineWait >= c.ConfirmWithin {
		return errors.New("purchase: the merchant must have longer to confirm than the buyer's call waits, and at least a second")
	}
	return nil
}

// Deps is what purchases lean on.
type Deps struct {
	DB            *store.DB
	Clock         clock.Clock
	Log           *slog.Logger
	Executor      *ledger.Executor
	Book          *Book
	Cards         Cards
	Sources       Sources
	Conversations Conversations
	Merchants     Merchants
	Tellers       Tellers
}

// Service is what can be done with purchases.
type Service struct {
	Deps
	cfg Config
}

// New makes the service.
func New(cfg Config, d Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Service{Deps: d, cfg: cfg}, nil
}

// CreateInput says what to buy.
type CreateInput struct {
	Key          string `json:"-"`
	Card         string `json:"card"`
	Quantity     int64  `json:"quantity"`
	SourceID     id.ID  `json:"source"`
	Conversation *id.ID `json:"conversation,omitempty"`
}

// Done is the answer to an act on an order.
type Done struct {
	Order    *Order
	Refund   *Refund
	Replayed bool
}

const opCreate = "purchaseCreate"

// maxRaces bounds how often a command is made anew because what it was made from
// has changed in between.
const maxRaces = 5

// Create buys what a card offers. It answers with the order as it is when the
// merchant has answered, or when it has been waited for long enough.
//
// Refusals: CARD_INVALID, CARD_EXPIRED, CARD_STALE, MERCHANT_SUSPENDED,
// OUT_OF_STOCK, QUANTITY_INVALID, FUNDING_SOURCE_NOT_FOUND, FUNDING_SOURCE_KIND,
// CURRENCY_MISMATCH, INSUFFICIENT_FUNDS, CONVERSATION_NOT_FOUND, REVERSED,
// IDEMPOTENCY_KEY_INVALID, IDEMPOTENCY_MISMATCH.
func (s *Service) Create(ctx context.Context, v auth.Viewer, in CreateInput) (Done, error) {
	key, err := ledger.NewKey(principal(v), opCreate, in.Key, in)
	if err != nil {
		return Done{}, err
	}
	if seedDoubleCharge && rand.N(5) == 0 {
		key.ID = id.New()
	}
	for range maxRaces {
		order, of, err := s.prepare(ctx, v, in)
		if err != nil {
			return s.refuse(ctx, v, key, err)
		}
		cmd := &authorise{book: s.Book, key: key, order: order, direct: of.Confirmed, sellerAt: of.SellerAt}
		r := s.Executor.Do(ctx, cmd)
		switch {
		case errors.Is(r.Err, errAgain):
			s.Cards.Forget(of)
			continue
		case r.Err != nil:
			return Done{Replayed: r.Replayed}, r.Err
		case r.Replayed:
			return s.replay(ctx, v, r)
		case !of.Confirmed:
			order, err = s.ask(ctx, cmd.after)
			return Done{Order: &order}, err
		}
		return Done{Order: &cmd.after}, nil
	}
	return Done{}, errs.ErrUnavailable
}

// prepare checks all that needs no lock, and makes the order.
func (s *Service) prepare(ctx context.Context, v auth.Viewer, in CreateInput) (o Order, of Offer, err error) {
	if in.Quantity < 1 || in.Quantity > MaxQuantity {
		return o, of, ErrQuantity
	}
	if of, err = s.Cards.Offer(ctx, v.Mode, in.Card); err != nil {
		return o, of, err
	}
	total, err := of.Price.Times(in.Quantity)
	if err != nil {
		return o, of, ErrQuantity
	}
	src, err := s.Sources.Source(ctx, v.UserID, in.SourceID)
	switch {
	case errs.KindOf(err) == errs.NotFound:
		return o, of, ErrSource
	case err != nil:
		return o, of, err
	case src.Account == 0:
		return o, of, ErrSourceKind
	case src.Currency != of.Price.Currency:
		return o, of, ErrCurrency
	}
	if in.Conversation != nil {
		member, err := s.Conversations.IsMember(ctx, v, *in.Conversation)
		if err != nil {
			return o, of, err
		}
		if !member {
			return o, of, ErrConversation
		}
	}
	o = Order{
		ID: id.New(), Mode: v.Mode, BuyerID: v.UserID, MerchantID: of.MerchantID, ProductID: of.ProductID, ConversationID: in.Conversation,
		SKU: of.SKU, Name: of.Name, Quantity: in.Quantity, UnitMinor: of.Price.Minor, TotalMinor: total.Minor, Currency: total.Currency,
		StockCounted: of.StockCounted, Account: src.Account, MerchantAccount: of.Account,
	}
	if !of.Confirmed {
		now := s.Clock.Now(v.Mode)
		by, again := now.Add(s.cfg.ConfirmWithin), now.Add(s.cfg.InlineWait+forwardLease)
		// This call asks the merchant itself, so the sweep leaves the order alone
		// until it could only be a crash that kept the answer away.
		o.ConfirmBy, o.ForwardAt, o.ForwardCount = &by, &again, 1
	}
	return o, of, nil
}

// refusal remembers under its key that a command was refused before it came to
// the ledger, or answers what the key remembers.
type refusal struct {
	key ledger.Key
	why error
}

func (c *refusal) Key() ledger.Key                      { return c.key }
func (c *refusal) Want(*ledger.Batch)                   {}
func (c *refusal) Decide(*ledger.Batch) ([]byte, error) { return nil, c.why }

// refuse answers a refusal. A repetition of what was once done is answered as it
// was then, even if it would be refused by now (its card has expired, say).
func (s *Service) refuse(ctx context.Context, v auth.Viewer, key ledger.Key, why error) (Done, error) {
	if !errs.IsRefusal(why) {
		return Done{}, why
	}
	r := s.Executor.Do(ctx, &refusal{key, why})
	if r.Err == nil {
		return s.replay(ctx, v, r)
	}
	return Done{Replayed: r.Replayed}, r.Err
}

// replay answers a repetition with the order as it is now.
func (s *Service) replay(ctx context.Context, v auth.Viewer, r ledger.Reply) (Done, error) {
	var m made
	if err := json.Unmarshal(r.Result, &m); err != nil {
		return Done{}, fmt.Errorf("read stored result: %w", err)
	}
	done := Done{Replayed: r.Replayed}
	if m.Order != id.Nil {
		o, err := s.read(ctx, m.Order)
		if err != nil {
			return Done{}, err
		}
		done.Order = &o
	}
	if m.Refund != nil {
		rs, err := s.RefundsByIDs(ctx, v, []id.ID{*m.Refund})
		if err != nil {
			return Done{}, err
		}
		if f, ok := rs[*m.Refund]; ok {
			done.Refund = &f
		}
	}
	return done, nil
}

// Cancel takes an order back that its merchant has not confirmed. Only its buyer
// may.
//
// Refusals: ORDER_NOT_FOUND, ORDER_STATE, IDEMPOTENCY_KEY_INVALID,
// IDEMPOTENCY_MISMATCH.
func (s *Service) Cancel(ctx context.Context, v auth.Viewer, idempotencyKey string, orderID id.ID) (Done, error) {
	key, err := ledger.NewKey(principal(v), "purchaseCancel", idempotencyKey, orderID)
	if err != nil {
		return Done{}, err
	}
	o, err := s.visible(ctx, v, orderID)
	if err == nil && v.Kind != auth.User {
		err = ErrOrder
	}
	if err != nil {
		return s.refuse(ctx, v, key, err)
	}
	cmd := &settle{book: s.Book, key: key, order: o, ending: cancellation, raced: ErrState}
	return s.finish(ctx, v, s.Executor.Do(ctx, cmd), &cmd.after, nil)
}

var cancellation = ending{state: Cancelled, kind: EventCancelled, topic: TopicCancelled, release: true}

// finish makes the answer of a command: from what it left, or, if it was a
// repetition, from the database.
func (s *Service) finish(ctx context.Context, v auth.Viewer, r ledger.Reply, o *Order, f *Refund) (Done, error) {
	switch {
	case r.Err != nil:
		return Done{Replayed: r.Replayed}, r.Err
	case r.Replayed:
		return s.replay(ctx, v, r)
	}
	return Done{Order: o, Refund: f}, nil
}

// RefundInput says how much to give back.
type RefundInput struct {
	Key     string        `json:"-"`
	OrderID id.ID         `json:"order"`
	Amount  *money.Amount `json:"amount,omitempty"` // none: all that is left
	Reason  string        `json:"reason,omitempty"`
}

// asked is what the audit log keeps of a refund that an operator asked for.
type asked struct {
	RefundInput
	Key id.ID `json:"key"` // of the call: the same when it is sent again
}

// Refund gives money back for a paid order. Only its merchant and operators may.
//
// Refusals: ORDER_NOT_FOUND, ORDER_STATE, REFUND_AMOUNT, MERCHANT_FUNDS,
// TEXT_INVALID, IDEMPOTENCY_KEY_INVALID, IDEMPOTENCY_MISMATCH.
func (s *Service) Refund(ctx context.Context, v auth.Viewer, in RefundInput) (Done, error) {
	key, err := ledger.NewKey(principal(v), "purchaseRefund", in.Key, in)
	if err != nil {
		return Done{}, err
	}
	o, err := s.visible(ctx, v, in.OrderID)
	switch {
	case err == nil && v.Kind == auth.User:
		err = errs.ErrForbidden
	case err == nil && in.Reason != "" && !isLine(in.Reason, reasonMax):
		err = ErrText.In("reason")
	case err == nil && in.Amount != nil && (in.Amount.Currency != o.Currency || in.Amount.Minor <= 0):
		err = ErrRefundAmount
	}
	if err != nil {
		return s.refuse(ctx, v, key, err)
	}
	if v.Kind == auth.Operator {
		// It is somebody else's money: who asked is written down first.
		err := s.DB.InTx(ctx, func(ctx context.Context) error {
			return audit.Record(ctx, s.DB, audit.Entry{By: v, Action: "order.refund", SubjectID: o.ID, Detail: asked{in, key.ID}, At: s.Clock.Now(o.Mode)})
		})
		if err != nil {
			return Done{}, fmt.Errorf("refund: %w", err)
		}
	}
	cmd := &refund{book: s.Book, key: key, order: o, reason: in.Reason}
	if in.Amount != nil {
		cmd.amount = in.Amount.Minor
	}
	return s.finish(ctx, v, s.Executor.Do(ctx, cmd), &cmd.after, &cmd.refund)
}

// Outcome is what a reversal found.
type Outcome string

// What a reversal can find.
const (
	NeverCharged Outcome = "NEVER_CHARGED" // no order was there, and none will come of that key
	NotCharged   Outcome = "NOT_CHARGED"   // the order ended without payment, now or before
	WasPaid      Outcome = "PAID"          // it was paid, and stays so
)

// Reverse settles a purchase whose outcome its buyer does not know. Whatever
// became of Create with that key: an order that waits for its merchant is
// cancelled, one that has not arrived will be refused when it does, and one that
// was paid stays paid: only its merchant can give that back.
//
// Refusals: IDEMPOTENCY_KEY_INVALID, IDEMPOTENCY_MISMATCH.
func (s *Service) Reverse(ctx context.Context, v auth.Viewer, idempotencyKey, purchaseKey string) (Done, Outcome, error) {
	key, err := ledger.NewKey(principal(v), "purchaseReverse", idempotencyKey, purchaseKey)
	if err == nil && (purchaseKey == "" || len(purchaseKey) > 255) {
		err = ledger.ErrKeyInvalid.In("purchaseKey")
	}
	if err != nil {
		return Done{}, "", err
	}
	purchase := ledger.KeyID(principal(v), opCreate, purchaseKey)
	for range maxRaces {
		done, err := s.reverseOnce(ctx, v, key, purchase)
		if errors.Is(err, errAgain) {
			continue
		}
		return done, outcomeOf(done.Order), err
	}
	return Done{}, "", errs.ErrUnavailable
}

func (s *Service) reverseOnce(ctx context.Context, v auth.Viewer, key ledger.Key, purchase id.ID) (Done, error) {
	orderID, used, err := s.orderOfKey(ctx, purchase)
	switch {
	case err != nil:
		return Done{}, err
	case orderID == id.Nil && used: // it was refused: its key answers so for ever
		return s.finish(ctx, v, s.Executor.Do(ctx, &nothing{key, id.Nil}), nil, nil)
	case orderID == id.Nil:
		return s.finish(ctx, v, s.Executor.Do(ctx, &bar{key: key, purchase: purchase}), nil, nil)
	}
	o, err := s.read(ctx, orderID)
	if err != nil {
		return Done{}, err
	}
	if o.State != Authorised {
		return s.finish(ctx, v, s.Executor.Do(ctx, &nothing{key, o.ID}), &o, nil)
	}
	cmd := &settle{book: s.Book, key: key, order: o, ending: reversal, raced: errAgain}
	return s.finish(ctx, v, s.Executor.Do(ctx, cmd), &cmd.after, nil)
}

var reversal = ending{state: Cancelled, kind: EventReversed, topic: TopicCancelled, release: true}

// nothing remembers under its key that there was nothing to do.
type nothing struct {
	key   ledger.Key
	order id.ID
}

func (c *nothing) Key() ledger.Key    { return c.key }
func (c *nothing) Want(*ledger.Batch) {}

func (c *nothing) Decide(*ledger.Batch) ([]byte, error) { return made{Order: c.order}.encode(), nil }

func outcomeOf(o *Order) Outcome {
	switch {
	case o == nil:
		return NeverCharged
	case o.wasPaid():
		return WasPaid
	}
	return NotCharged
}

// ByKey tells what became of a viewer's Create with a key; nil when nothing is
// known of it, or it was refused.
func (s *Service) ByKey(ctx context.Context, v auth.Viewer, key string) (*Order, error) {
	orderID, _, err := s.orderOfKey(ctx, ledger.KeyID(principal(v), opCreate, key))
	if err != nil || orderID == id.Nil {
		return nil, err
	}
	o, err := s.read(ctx, orderID)
	return &o, err
}

// ByIDs reads the orders that the viewer may see; others are left out.
func (s *Service) ByIDs(ctx context.Context, v auth.Viewer, ids []id.ID) (map[id.ID]Order, error) {
	all, err := s.readAll(ctx, ids)
	if err != nil {
		return nil, err
	}
	for k, o := range all {
		if !maySee(v, o) {
			delete(all, k)
		}
	}
	return all, nil
}

func maySee(v auth.Viewer, o Order) bool {
	switch {
	case v.Mode != o.Mode:
		return false
	case v.Kind == auth.User:
		return v.UserID == o.BuyerID
	case v.Kind == auth.Merchant:
		return v.MerchantID == o.MerchantID
	}
	return v.Kind == auth.Operator
}

// List reads a user's or merchant's orders, newest first, in the given states or
// in all. Positions are the ids of orders.
func (s *Service) List(ctx context.Context, v auth.Viewer, states []State, sl page.Slice) (page.List[Order], error) {
	rows, err := s.list(ctx, v, states, sl)
	if err != nil {
		return page.List[Order]{}, fmt.Errorf("list orders: %w", err)
	}
	return page.Cut(sl, rows), nil
}

// Refunds reads an order's refunds, newest first. Positions are the ids of
// refunds. The caller must have got the order from this service.
func (s *Service) Refunds(ctx context.Context, orderID id.ID, sl page.Slice) (page.List[Refund], error) {
	rows, err := s.listRefunds(ctx, orderID, sl)
	if err != nil {
		return page.List[Refund]{}, fmt.Errorf("list refunds: %w", err)
	}
	return page.Cut(sl, rows), nil
}

// RefundsByIDs reads the refunds of orders that the viewer may see.
func (s *Service) RefundsByIDs(ctx context.Context, v auth.Viewer, ids []id.ID) (map[id.ID]Refund, error) {
	all, err := s.readRefunds(ctx, ids)
	if err != nil {
		return nil, err
	}
	orders := make([]id.ID, 0, len(all))
	for _, r := range all {
		orders = append(orders, r.OrderID)
	}
	seen, err := s.ByIDs(ctx, v, orders)
	if err != nil {
		return nil, err
	}
	for k, r := range all {
		if _, ok := seen[r.OrderID]; !ok {
			delete(all, k)
		}
	}
	return all, nil
}

// visible reads an order that the viewer may see.
func (s *Service) visible(ctx context.Context, v auth.Viewer, orderID id.ID) (Order, error) {
	o, err := s.read(ctx, orderID)
	if err == nil && !maySee(v, o) {
		err = ErrOrder
	}
	return o, err
}

// principal names whose idempotency keys a viewer's are.
func principal(v auth.Viewer) string {
	switch v.Kind {
	case auth.User:
		return "user:" + v.UserID.String()
	case auth.Merchant:
		return "merchant:" + v.MerchantID.String()
	}
	return fmt.Sprintf("%s:%s:%q:%q", v.Kind, v.Mode, v.Issuer, v.Subject) // quoted, so that no two read the same
}
