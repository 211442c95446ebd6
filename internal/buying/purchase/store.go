package purchase

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/soukhq/souk/ent"
	"github.com/soukhq/souk/ent/idempotencykey"
	"github.com/soukhq/souk/ent/order"
	"github.com/soukhq/souk/ent/predicate"
	entrefund "github.com/soukhq/souk/ent/refund"
	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/store"
)

func (s *Service) read(ctx context.Context, orderID id.ID) (Order, error) {
	r, err := s.DB.Client(ctx).Order.Get(ctx, orderID)
	if ent.IsNotFound(err) {
		return Order{}, ErrOrder
	}
	if err != nil {
		return Order{}, fmt.Errorf("read order: %w", err)
	}
	return fromRow(r)
}

func (s *Service) readAll(ctx context.Context, ids []id.ID) (map[id.ID]Order, error) {
	rows, err := s.DB.Client(ctx).Order.Query().Where(order.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	out := make(map[id.ID]Order, len(rows))
	for _, r := range rows {
		if out[r.ID], err = fromRow(r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func fromRows(rows []*ent.Order) ([]Order, error) {
	out := make([]Order, len(rows))
	for i, r := range rows {
		var err error
		if out[i], err = fromRow(r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func fromRow(r *ent.Order) (Order, error) {
	o := Order{
		ID: r.ID, Mode: r.Mode, BuyerID: r.BuyerID, MerchantID: r.MerchantID, ProductID: r.ProductID, ConversationID: r.ConversationID,
		SKU: r.Sku, Name: r.Name, Quantity: r.Quantity, UnitMinor: r.UnitMinor, TotalMinor: r.TotalMinor, RefundedMinor: r.RefundedMinor,
		Currency: r.Currency, State: State(r.State), StockCounted: r.StockCounted, Account: r.AccountID, MerchantAccount: r.MerchantAccountID,
		HoldID: r.HoldID, TransferID: r.TransferID, Reference: r.Reference, DeclineReason: r.DeclineReason, ConfirmBy: r.ConfirmBy, ForwardAt: r.ForwardAt,
		ForwardCount: r.ForwardCount, Version: r.Version, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	if err := json.Unmarshal(r.Timeline, &o.Timeline); err != nil {
		return o, fmt.Errorf("timeline of order %s: %w", r.ID, err)
	}
	return o, nil
}

func (s *Service) list(ctx context.Context, v auth.Viewer, states []State, sl page.Slice) ([]Order, error) {
	q := s.DB.Client(ctx).Order.Query().Limit(sl.Limit + 1)
	switch v.Kind {
	case auth.User:
		q = q.Where(order.BuyerID(v.UserID))
	case auth.Merchant:
		q = q.Where(order.MerchantID(v.MerchantID))
	default:
		return nil, nil
	}
	if len(states) > 0 {
		in := make([]order.State, len(states))
		for i, st := range states {
			in[i] = order.State(st)
		}
		q = q.Where(order.StateIn(in...))
	}
	if p := store.Position(sl.After); p != id.Nil {
		q = q.Where(order.IDLT(p))
	}
	if p := store.Position(sl.Before); p != id.Nil {
		q = q.Where(order.IDGT(p))
	}
	rows, err := q.Order(order.ByID(store.Newest(sl))).All(ctx)
	if err != nil {
		return nil, err
	}
	return fromRows(rows)
}

func (s *Service) allOf(ctx context.Context, buyer id.ID) ([]Order, error) {
	rows, err := s.DB.Client(ctx).Order.Query().Where(order.BuyerID(buyer)).Order(ent.Asc(order.FieldID)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	return fromRows(rows)
}

func (s *Service) waiting(ctx context.Context, buyer id.ID) (bool, error) {
	return s.DB.Client(ctx).Order.Query().Where(order.BuyerID(buyer), order.StateEQ(order.StateAUTHORISED)).Exist(ctx)
}

func (s *Service) listRefunds(ctx context.Context, orderID id.ID, sl page.Slice) ([]Refund, error) {
	q := s.DB.Client(ctx).Refund.Query().Where(entrefund.OrderID(orderID)).Limit(sl.Limit + 1)
	if p := store.Position(sl.After); p != id.Nil {
		q = q.Where(entrefund.IDLT(p))
	}
	if p := store.Position(sl.Before); p != id.Nil {
		q = q.Where(entrefund.IDGT(p))
	}
	rows, err := q.Order(entrefund.ByID(store.Newest(sl))).All(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Refund, len(rows))
	for i, r := range rows {
		out[i] = refundFromRow(r)
	}
	return out, nil
}

func (s *Service) readRefunds(ctx context.Context, ids []id.ID) (map[id.ID]Refund, error) {
	rows, err := s.DB.Client(ctx).Refund.Query().Where(entrefund.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read refunds: %w", err)
	}
	out := make(map[id.ID]Refund, len(rows))
	for _, r := range rows {
		out[r.ID] = refundFromRow(r)
	}
	return out, nil
}

func refundFromRow(r *ent.Refund) Refund {
	return Refund{
		ID: r.ID, Mode: r.Mode, OrderID: r.OrderID, TransferID: r.TransferID,
		Amount: money.Amount{Minor: r.AmountMinor, Currency: r.Currency}, Reason: r.Reason, CreatedAt: r.CreatedAt,
	}
}

// orderOfKey finds the order that a purchase's key remembers. used is true, and
// the order Nil, when the purchase was refused.
func (s *Service) orderOfKey(ctx context.Context, key id.ID) (orderID id.ID, used bool, err error) {
	row, err := s.DB.Client(ctx).IdempotencyKey.Query().Where(idempotencykey.ID(key)).Only(ctx)
	if ent.IsNotFound(err) {
		return id.Nil, false, nil
	}
	if err != nil {
		return id.Nil, false, fmt.Errorf("read idempotency key: %w", err)
	}
	var stored struct {
		Result made `json:"r"`
	}
	if err := json.Unmarshal(row.Result, &stored); err != nil {
		return id.Nil, true, fmt.Errorf("read stored result: %w", err)
	}
	return stored.Result.Order, true, nil
}

// deadline is a moment in one mode, or in all.
type deadline struct {
	in  *mode.Mode
	now time.Time
}

// due gives the moments that a sweep looks at.
func (s *Service) due() []deadline {
	out := []deadline{{nil, s.Clock.Now(mode.Live)}}
	for _, m := range s.Clock.Moved() {
		out = append(out, deadline{&m, s.Clock.Now(m)})
	}
	return out
}

// authorised says that an order waits for its merchant, as the partial indexes
// have it.
var authorised = predicate.Order(store.Literal("state = 'AUTHORISED'"))

func (d deadline) where(reached predicate.Order) predicate.Order {
	if d.in == nil {
		return reached
	}
	return order.And(order.Mode(*d.in), reached)
}

func (s *Service) overdue(ctx context.Context, d deadline, limit int) ([]Order, error) {
	rows, err := s.DB.Client(ctx).Order.Query().
		Where(authorised, d.where(order.ConfirmByLTE(d.now))).
		Order(ent.Asc(order.FieldConfirmBy)).Limit(limit).All(ctx)
	if err != nil {
		return nil, err
	}
	return fromRows(rows)
}

func (s *Service) claimForwards(ctx context.Context, d deadline, limit int) ([]id.ID, error) {
	ids, err := store.Claim(s.DB, s.DB.Client(ctx).Order.Query().
		Where(authorised, d.where(order.ForwardAtLTE(d.now))).
		Order(ent.Asc(order.FieldForwardAt)).Limit(limit)).IDs(ctx)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return ids, s.DB.Client(ctx).Order.Update().Where(order.IDIn(ids...)).SetForwardAt(d.now.Add(forwardLease)).Exec(ctx)
}
