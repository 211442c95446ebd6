package purchase

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/store"
)

var (
	readOffers = store.NewRead("products p JOIN merchants m ON m.id = p.merchant_id", "p.id uuid",
		"p.id", "p.price_minor", "p.currency", "p.status", "p.stock_count IS NOT NULL", "m.status", "m.updated_at")
	lockStock   = store.NewLock("products", "id uuid", "id", "stock_count")
	updateStock = store.NewUpdate("products", "id uuid", nil, []string{"stock_count bigint"})
	lockOrders  = store.NewLock("orders", "id uuid",
		"id", "mode", "buyer_id", "merchant_id", "product_id", "conversation_id", "sku", "name", "quantity", "unit_minor", "total_minor", "refunded_minor",
		"currency", "state", "stock_counted", "account_id", "merchant_account_id", "hold_id", "transfer_id", "reference", "decline_reason", "confirm_by", "forward_at",
		"forward_count", "version", "timeline", "created_at", "updated_at")
	insertOrders = store.NewInsert("orders",
		"id uuid", "mode integer", "buyer_id uuid", "merchant_id uuid", "product_id uuid", "conversation_id uuid", "sku text", "name text",
		"quantity bigint", "unit_minor bigint", "total_minor bigint", "refunded_minor bigint", "currency text", "state text", "stock_counted boolean",
		"account_id bigint", "merchant_account_id bigint", "hold_id uuid", "transfer_id uuid", "confirm_by timestamptz", "forward_at timestamptz", "forward_count integer",
		"version integer", "timeline jsonb", "created_at timestamptz", "updated_at timestamptz")
	updateOrders = store.NewUpdate("orders", "id uuid", nil, []string{
		"refunded_minor bigint", "state text", "transfer_id uuid", "reference text", "decline_reason text", "forward_at timestamptz", "forward_count integer",
		"version integer", "timeline jsonb", "updated_at timestamptz"})
	insertRefunds = store.NewInsert("refunds",
		"id uuid", "mode integer", "order_id uuid", "transfer_id uuid", "amount_minor bigint", "currency text", "reason text", "created_at timestamptz")
)

// Lock queues the reads: orders, then products.
func (b *Book) Lock(p *store.Pipe) {
	b.orders.Lock(p, lockOrders, func(r store.Rows) (id.ID, Order, error) {
		o, err := scanOrder(r)
		return o.ID, o, err
	})
	b.stock.Lock(p, lockStock, func(r store.Rows) (id.ID, stock, error) {
		var (
			s    stock
			left *int64
		)
		if err := r.Scan(&s.product, &left); err != nil {
			return s.product, s, err
		}
		if left != nil {
			s.left, s.counted = *left, true
		}
		return s.product, s, nil
	})
	b.offers.Lock(p, readOffers, func(r store.Rows) (id.ID, offer, error) {
		var (
			product          id.ID
			of               offer
			status, merchant string
		)
		err := r.Scan(&product, &of.minor, &of.currency, &status, &of.counted, &merchant, &of.sellerAt)
		of.offered, of.suspended = status == "OFFERED", merchant != "ACTIVE"
		return product, of, err
	})
}

func scanOrder(r store.Rows) (Order, error) {
	var (
		o                 Order
		reference, reason *string
		timeline          []byte
	)
	err := r.Scan(&o.ID, (*int32)(&o.Mode), &o.BuyerID, &o.MerchantID, &o.ProductID, &o.ConversationID, &o.SKU, &o.Name, &o.Quantity, &o.UnitMinor, &o.TotalMinor, &o.RefundedMinor,
		&o.Currency, (*string)(&o.State), &o.StockCounted, &o.Account, &o.MerchantAccount, &o.HoldID, &o.TransferID, &reference, &reason, &o.ConfirmBy, &o.ForwardAt,
		&o.ForwardCount, &o.Version, &timeline, &o.CreatedAt, &o.UpdatedAt)
	if err != nil {
		return o, err
	}
	if reference != nil {
		o.Reference = *reference
	}
	if reason != nil {
		o.DeclineReason = *reason
	}
	if err := json.Unmarshal(timeline, &o.Timeline); err != nil {
		return o, fmt.Errorf("timeline of order %s: %w", o.ID, err)
	}
	return o, nil
}

// Write queues what was decided.
func (b *Book) Write(p *store.Pipe) {
	b.writeNew(p)
	b.writeChanged(p)
	b.writeStock(p)
	b.writeRefunds(p)
}

func (b *Book) writeNew(p *store.Pipe) {
	rows := b.orders.Added()
	n := len(rows)
	if n == 0 {
		return
	}
	var (
		ids, buyers, merchants, products = make([]id.ID, n), make([]id.ID, n), make([]id.ID, n), make([]id.ID, n)
		conversations, holds, transfers  = make([]*id.ID, n), make([]*id.ID, n), make([]*id.ID, n)
		modes, currencies                = make([]int32, n), make([]string, n)
		skus, names, states, timelines   = make([]string, n), make([]string, n), make([]string, n), make([]string, n)
		quantities, units, totals        = make([]int64, n), make([]int64, n), make([]int64, n)
		refunded, payers, payees         = make([]int64, n), make([]int64, n), make([]int64, n)
		counted                          = make([]bool, n)
		confirm, forward                 = make([]*time.Time, n), make([]*time.Time, n)
		forwards, versions               = make([]int32, n), make([]int32, n)
		created, updated                 = make([]time.Time, n), make([]time.Time, n)
	)
	for i, o := range rows {
		ids[i], buyers[i], merchants[i], products[i] = o.ID, o.BuyerID, o.MerchantID, o.ProductID
		conversations[i], holds[i], transfers[i] = o.ConversationID, o.HoldID, o.TransferID
		modes[i], currencies[i] = int32(o.Mode), o.Currency.String()
		skus[i], names[i], states[i], timelines[i] = o.SKU, o.Name, string(o.State), timelineJSON(o.Timeline)
		quantities[i], units[i], totals[i] = o.Quantity, o.UnitMinor, o.TotalMinor
		refunded[i], payers[i], payees[i] = o.RefundedMinor, o.Account, o.MerchantAccount
		counted[i], confirm[i], forward[i] = o.StockCounted, o.ConfirmBy, o.ForwardAt
		forwards[i], versions[i], created[i], updated[i] = o.ForwardCount, o.Version, o.CreatedAt, o.UpdatedAt
	}
	p.Write(insertOrders, n, ids, modes, buyers, merchants, products, conversations, skus, names,
		quantities, units, totals, refunded, currencies, states, counted,
		payers, payees, holds, transfers, confirm, forward, forwards,
		versions, timelines, created, updated)
}

func (b *Book) writeChanged(p *store.Pipe) {
	rows := b.orders.Changed()
	n := len(rows)
	if n == 0 {
		return
	}
	var (
		ids, refunded, states = make([]id.ID, n), make([]int64, n), make([]string, n)
		transfers             = make([]*id.ID, n)
		references, reasons   = make([]*string, n), make([]*string, n)
		forward, forwards     = make([]*time.Time, n), make([]int32, n)
		versions, timelines   = make([]int32, n), make([]string, n)
		updated               = make([]time.Time, n)
	)
	for i, o := range rows {
		ids[i], refunded[i], states[i] = o.ID, o.RefundedMinor, string(o.State)
		transfers[i], references[i], reasons[i] = o.TransferID, optional(o.Reference), optional(o.DeclineReason)
		forward[i], forwards[i] = o.ForwardAt, o.ForwardCount
		versions[i], timelines[i], updated[i] = o.Version, timelineJSON(o.Timeline), o.UpdatedAt
	}
	p.Write(updateOrders, n, ids, refunded, states, transfers, references, reasons, forward, forwards, versions, timelines, updated)
}

func (b *Book) writeStock(p *store.Pipe) {
	rows := b.stock.Changed()
	ids, left := make([]id.ID, len(rows)), make([]int64, len(rows))
	for i, s := range rows {
		ids[i], left[i] = s.product, s.left
	}
	p.Write(updateStock, len(rows), ids, left)
}

func (b *Book) writeRefunds(p *store.Pipe) {
	rows := b.refunds.Added()
	n := len(rows)
	ids, modes, orders, transfers := make([]id.ID, n), make([]mode.Mode, n), make([]id.ID, n), make([]id.ID, n)
	amounts, currencies, reasons, created := make([]int64, n), make([]string, n), make([]string, n), make([]time.Time, n)
	for i, r := range rows {
		ids[i], modes[i], orders[i], transfers[i] = r.ID, r.Mode, r.OrderID, r.TransferID
		amounts[i], currencies[i], reasons[i], created[i] = r.Amount.Minor, r.Amount.Currency.String(), r.Reason, r.CreatedAt
	}
	p.Write(insertRefunds, n, ids, modes, orders, transfers, amounts, currencies, reasons, created)
}

// timelineJSON writes the timeline of most orders, one event without words of
// others, without the JSON encoder: it is on the path of every payment.
func timelineJSON(events []Event) string {
	if len(events) == 1 && (events[0].Kind == EventAuthorised || events[0].Kind == EventPaid) {
		e := events[0]
		b := make([]byte, 0, 120)
		b = append(b, `[{"kind":"`...)
		b = append(b, e.Kind...)
		b = append(b, `","at":"`...)
		b = e.At.AppendFormat(b, time.RFC3339Nano)
		if e.Detail != "" {
			b = append(b, `","detail":"`...)
			b = append(b, e.Detail...)
		}
		return string(append(b, `"}]`...))
	}
	b, err := json.Marshal(events)
	if err != nil {
		panic(fmt.Sprintf("purchase: timeline does not encode: %v", err)) // plain fields always do
	}
	return string(b)
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
