package merchantsim

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"sync"
	"time"
)

// maxOrders bounds how many orders are remembered. To forget one could mean to
// sell it twice, so a full book refuses.
const maxOrders = 4 << 20

var (
	errBookFull = errors.New("no room for more orders")
	errOther    = errors.New("the order was another one when it was asked for before")
)

// deal is an order and what was decided about it.
type deal struct {
	orderID   string
	sku       string
	quantity  int64
	total     Money
	decision  Decision
	reason    string
	released  bool
	delivered bool // Souk has said that it got the answer
}

// reference is the merchant's own name for the order. It follows from Souk's, so
// that there is no counter to keep.
func (d deal) reference() string {
	if d.decision != Confirmed {
		return ""
	}
	sum := sha256.Sum256([]byte(d.orderID))
	return "S-" + base64.RawURLEncoding.EncodeToString(sum[:9])
}

// book is the orders and the stock. A merchant has a database for it.
type book struct {
	mu    sync.Mutex
	deals map[string]*deal
	taken map[string]int64 // units that are sold, by SKU
	last  string           // the newest order
}

func newBook() *book { return &book{deals: map[string]*deal{}, taken: map[string]int64{}} }

// decide answers an order. The first time counts: whoever asks for the same
// order again gets the same decision.
func (b *book) decide(o Order, products map[string]Product, decline bool) (d deal, again bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known := b.deals[o.ID]; known != nil {
		if known.sku != "" && (known.sku != o.SKU || known.quantity != o.Quantity || known.total != o.Total) {
			return deal{}, true, errOther
		}
		return *known, true, nil
	}
	if len(b.deals) >= maxOrders {
		return deal{}, false, errBookFull
	}
	d = deal{orderID: o.ID, sku: o.SKU, quantity: o.Quantity, total: o.Total, decision: Confirmed}
	if d.reason = b.objection(o, products, decline); d.reason != "" {
		d.decision = Declined
	}
	b.enter(d)
	return d, false, nil
}

// objection tells why an order is declined, if it is. Price and product are held
// against the merchant's own list: that Souk has checked the card is no reason
// to sell at another price.
func (b *book) objection(o Order, products map[string]Product, decline bool) string {
	if decline {
		return "not sold today"
	}
	if len(products) == 0 {
		return ""
	}
	p, known := products[o.SKU]
	switch {
	case !known:
		return "no such product"
	case p.Price != o.UnitPrice:
		return "not sold at this price"
	case p.Stock != nil && *p.Stock-b.taken[o.SKU] < o.Quantity:
		return "out of stock"
	}
	return ""
}

func (b *book) enter(d deal) {
	b.deals[d.orderID] = &d
	b.last = d.orderID
	if d.decision == Confirmed && !d.released {
		b.taken[d.sku] += d.quantity
	}
}

// release gives an order up, known or not: messages may arrive in any order, and
// one that is released first must not be confirmed afterwards.
func (b *book) release(orderID string) (again bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.deals[orderID]
	if d == nil {
		if len(b.deals) >= maxOrders {
			return false, errBookFull
		}
		d = &deal{orderID: orderID, decision: Declined}
		b.deals[orderID] = d
	}
	if d.released {
		return true, nil
	}
	if d.decision == Confirmed {
		b.taken[d.sku] -= d.quantity
	}
	d.released, d.decision, d.reason = true, Declined, "released"
	return false, nil
}

func (b *book) isReleased(orderID string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.deals[orderID]
	return d != nil && d.released
}

// delivered notes that Souk has got an answer.
func (b *book) delivered(orderID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d := b.deals[orderID]; d != nil {
		d.delivered = true
	}
}

// other gives an order that is not this one, if there is any.
func (b *book) other(orderID string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last != orderID {
		return b.last
	}
	for other := range b.deals {
		if other != orderID {
			return other
		}
	}
	return ""
}

// replay takes in what the log tells of a time before.
func (b *book) replay(e Entry) {
	switch e.Kind {
	case Answered:
		b.mu.Lock()
		if b.deals[e.OrderID] == nil && e.Total != nil {
			b.enter(deal{orderID: e.OrderID, sku: e.SKU, quantity: e.Quantity, total: *e.Total, decision: e.Decision, reason: e.Reason})
		}
		b.mu.Unlock()
	case Called:
		if delivered(e.Status) {
			b.delivered(e.OrderID)
		}
	case Released:
		_, _ = b.release(e.OrderID) // what was in the log found room before
	}
}

// seen remembers names for as long as they matter, in two halves: when the newer
// is old enough, the older is forgotten.
type seen struct {
	mu       sync.Mutex
	life     time.Duration
	max      int // of a half
	began    time.Time
	now, old map[[16]byte]struct{}
}

func newSeen(life time.Duration, limit int) *seen {
	return &seen{life: life, max: limit, now: map[[16]byte]struct{}{}}
}

// add remembers a name, and tells whether it was there.
func (s *seen) add(name string, at time.Time) (again bool) {
	sum := sha256.Sum256([]byte(name)) // names may be long; a part of a hash is not
	key := [16]byte(sum[:16])
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.Sub(s.began) > s.life || len(s.now) >= s.max {
		s.old, s.now, s.began = s.now, map[[16]byte]struct{}{}, at
	}
	_, now := s.now[key]
	_, old := s.old[key]
	s.now[key] = struct{}{}
	return now || old
}
