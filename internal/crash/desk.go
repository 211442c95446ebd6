package crash

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/soukhq/souk/internal/driver"
)

// desk is where a merchant gives money back.
type desk struct {
	*client
	shop       *shop
	complaints chan complaint
	count      int
	seen       map[string]bool
}

// complaint is a paid order whose buyer wants money back.
type complaint struct {
	order string
	paid  int64 // cents
}

// complaintsMax is how many may wait; more are turned away.
const complaintsMax = 256

func newDesk(c *client, s *shop) *desk {
	return &desk{client: c, shop: s, complaints: make(chan complaint, complaintsMax), seen: map[string]bool{}}
}

// ask asks for money back, which may be turned down.
func (d *desk) ask(c complaint) {
	select {
	case d.complaints <- c:
	default:
	}
}

// serve gives money back until complaints is closed.
func (d *desk) serve(ctx context.Context) error {
	for c := range d.complaints {
		if d.seen[c.order] {
			continue
		}
		d.seen[c.order] = true
		if err := d.giveBack(ctx, c); err != nil {
			return fmt.Errorf("desk of %s: %w", d.shop.name, err)
		}
	}
	return nil
}

// giveBack gives all back, or one or two parts. Each refund may be sent twice at
// once.
func (d *desk) giveBack(ctx context.Context, c complaint) error {
	parts := []int64{c.paid}
	if d.intN(2) == 0 {
		part := 1 + int64(d.intN(int(c.paid-1)))
		parts = []int64{part}
		if d.intN(2) == 0 {
			parts = append(parts, c.paid-part)
		}
	}
	for _, cents := range parts {
		d.count++
		e := Entry{Act: ActRefund, Who: d.shop.name, Key: fmt.Sprintf("refund-%d", d.count), Of: c.order, Amount: cents}
		fails := make([]error, 1+d.intN(2))
		var all sync.WaitGroup
		for i := range fails {
			all.Go(func() { _, fails[i] = d.do(ctx, e, d.refund) })
		}
		all.Wait()
		if err := errors.Join(fails...); err != nil {
			return err
		}
	}
	return nil
}

func (d *desk) refund(ctx context.Context, souk *driver.Client, e *Entry) error {
	token, err := merchantToken(ctx, d.shop.sign, d.shop.id)
	if err != nil {
		return err
	}
	r, err := souk.GiveBack(ctx, token, e.Key, e.Of, driver.Euro(e.Amount))
	*e = e.about(r.Order)
	e.Refund, e.Replayed = r.ID, r.Replayed
	return err
}
