package merchantsim

import (
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	maxCallbacks = 64      // calls at the same time
	maxWaiting   = 1 << 17 // orders whose answer comes later
	maxTries     = 100
	firstWait    = 100 * time.Millisecond // doubles with each try
	maxRetryWait = 5 * time.Second
)

// codeEnded is what Souk says to a yes that comes after the order's end.
const codeEnded = "ORDER_ENDED"

// calls brings to Souk the answers that it did not get at once.
type calls struct {
	server *Server
	ctx    context.Context // ends all calls when the server closes
	cancel context.CancelFunc
	slots  chan struct{}
	all    sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	waiting map[string]*call // by order
	now     chan struct{}    // closed to let all go that wait
}

type call struct {
	deal deal
	how  Behaviour
	wait time.Duration
	now  <-chan struct{}
	done chan struct{}
}

func newCalls(s *Server) *calls {
	ctx, cancel := context.WithCancel(context.Background())
	return &calls{
		server: s, ctx: ctx, cancel: cancel, slots: make(chan struct{}, maxCallbacks),
		waiting: map[string]*call{}, now: make(chan struct{}),
	}
}

// later answers an order after a while, once, however often Souk asks meanwhile.
func (c *calls) later(d deal, how Behaviour, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.waiting[d.orderID] != nil {
		return
	}
	one := &call{deal: d, how: how, wait: wait, now: c.now, done: make(chan struct{})}
	c.waiting[d.orderID] = one
	c.all.Go(func() {
		defer c.forget(one)
		c.run(one)
	})
}

// full tells whether there is no room for another order that waits.
func (c *calls) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiting) >= maxWaiting
}

func (c *calls) forget(one *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, one.deal.orderID)
	close(one.done)
}

// hurry lets all go that wait, and waits until they are through.
func (c *calls) hurry(ctx context.Context) error {
	c.mu.Lock()
	close(c.now)
	c.now = make(chan struct{})
	under := make([]*call, 0, len(c.waiting))
	for _, one := range c.waiting {
		under = append(under, one)
	}
	c.mu.Unlock()
	for _, one := range under {
		select {
		case <-one.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (c *calls) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.all.Wait()
}

func (c *calls) run(one *call) {
	select {
	case <-time.After(one.wait):
	case <-one.now:
	case <-c.ctx.Done():
		return
	}
	// What Souk has released meanwhile needs no answer, unless the point is to
	// give one.
	if one.how != LateYes && c.server.book.isReleased(one.deal.orderID) {
		return
	}
	c.slots <- struct{}{}
	defer func() { <-c.slots }()
	if err := c.bring(one); err != nil && c.ctx.Err() == nil {
		c.server.cfg.Log.Warn("merchant-sim: answer not brought to Souk", "order", one.deal.orderID, "err", err)
	}
}

// bring says an answer until Souk has heard it. That it was answered is noted
// once, what Souk said each time.
func (c *calls) bring(one *call) error {
	s := c.server
	for try := range maxTries {
		token, answered, err := s.write(c.ctx, one.deal, one.how)
		if err == nil && try == 0 {
			answered.Callback = true
			if err := s.log.Append(answered); err != nil {
				return err
			}
		}
		var r reply
		if err == nil {
			r, err = s.souk.callBack(c.ctx, string(token))
		}
		if err == nil {
			if err := c.heard(one, r); err != nil || r.final() {
				return err
			}
		}
		select {
		case <-time.After(max(r.after, min(firstWait<<min(try, 10), maxRetryWait))):
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
	return nil
}

// heard notes what Souk said, and gives up an order for which the answer came
// too late.
func (c *calls) heard(one *call, r reply) error {
	s := c.server
	called := Entry{Kind: Called, OrderID: one.deal.orderID, Decision: one.deal.decision, Behaviour: one.how, Callback: true, Status: r.status, Code: r.code}
	if delivered(r.status) {
		s.book.delivered(one.deal.orderID)
	}
	if r.code != codeEnded && r.status != http.StatusGone {
		return s.log.Append(called)
	}
	again, err := s.book.release(one.deal.orderID)
	if err != nil {
		return err
	}
	return s.log.Append(called, Entry{Kind: Released, OrderID: one.deal.orderID, Callback: true, Again: again})
}
