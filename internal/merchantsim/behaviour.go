package merchantsim

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Behaviour is a way to treat a request, good or bad.
type Behaviour string

// The behaviours. OK, Slow, Down, Flaky and Hang also work for webhooks.
const (
	OK             Behaviour = "ok"              // answers at once
	Later          Behaviour = "later"           // says 202, and calls back after DelayMs
	Slow           Behaviour = "slow"            // answers after DelayMs, whether or not anybody still listens
	Down           Behaviour = "down"            // closes the connection, or answers Status
	Double         Behaviour = "double"          // answers at once, and again by a call back
	WrongSignature Behaviour = "wrong-signature" // signs with another key under its own key's name
	WrongOrder     Behaviour = "wrong-order"     // answers for another order of the merchant's
	WrongAmount    Behaviour = "wrong-amount"    // confirms one minor unit more
	Decline        Behaviour = "decline"         // declines
	Malformed      Behaviour = "malformed"       // answers what is no token
	Huge           Behaviour = "huge"            // answers a megabyte
	LateYes        Behaviour = "late-yes"        // says 202, and confirms DelayMs after Souk's deadline
	Flaky          Behaviour = "flaky"           // is down for Fails of each Of requests
	Hang           Behaviour = "hang"            // never answers
)

// Behaviours gives them all.
func Behaviours() []Behaviour {
	return []Behaviour{OK, Later, Slow, Down, Double, WrongSignature, WrongOrder, WrongAmount, Decline, Malformed, Huge, LateYes, Flaky, Hang}
}

// spoils tells whether an answer that is given in this way can never count.
func (b Behaviour) spoils() bool {
	return slices.Contains([]Behaviour{WrongSignature, WrongOrder, WrongAmount, Malformed, Huge}, b)
}

// unsettling tells whether it concerns the connection, whatever the message.
func (b Behaviour) unsettling() bool {
	return slices.Contains([]Behaviour{Slow, Down, Flaky, Hang}, b)
}

// What a plan is about.
const (
	OnOrders   = "orders"
	OnWebhooks = "webhooks"
)

// Plan says how to behave, to what, and for how long.
type Plan struct {
	Behaviour     Behaviour `json:"behaviour" help:"How to treat orders: ${enum}." enum:"ok,later,slow,down,double,wrong-signature,wrong-order,wrong-amount,decline,malformed,huge,late-yes,flaky,hang" default:"ok" placeholder:"BEHAVIOUR"`
	DelayMs       int64     `json:"delayMs,omitempty" help:"How long 'later', 'slow', 'double' and 'late-yes' wait, in milliseconds." placeholder:"MS"`
	Status        int       `json:"status,omitempty" help:"What 'down' and 'flaky' answer; without it they close the connection." placeholder:"STATUS"`
	RetryAfterSec int       `json:"retryAfterSec,omitempty" help:"A Retry-After beside the status, in seconds." placeholder:"S"`
	Fails         int       `json:"fails,omitempty" help:"How many requests 'flaky' fails, 1 if not given…" placeholder:"N"`
	Of            int       `json:"of,omitempty" help:"…of each so many, 2 if not given." placeholder:"M"`

	// Callback gives the answer, whatever it is, by a call back, after a 202.
	Callback bool `json:"callback,omitempty" kong:"-"`

	On    string `json:"on,omitempty" kong:"-"`    // OnOrders if empty
	SKU   string `json:"sku,omitempty" kong:"-"`   // orders of this product; empty is all
	Count int    `json:"count,omitempty" kong:"-"` // for so many requests, then as before; 0 is for good
}

// maxDelay bounds what a plan waits for.
const maxDelay = 10 * time.Minute

// Validate tells what cannot be done.
func (p Plan) Validate() error {
	switch {
	case !slices.Contains(Behaviours(), p.Behaviour):
		return fmt.Errorf("there is no behaviour %q: use one of %v", p.Behaviour, Behaviours())
	case p.On != "" && p.On != OnOrders && p.On != OnWebhooks:
		return fmt.Errorf("on must be %q or %q", OnOrders, OnWebhooks)
	case p.On == OnWebhooks && p.Behaviour != OK && !p.Behaviour.unsettling():
		return fmt.Errorf("webhooks know ok, slow, down, flaky and hang, not %q", p.Behaviour)
	case p.On == OnWebhooks && p.SKU != "":
		return errors.New("sku is for orders")
	case p.DelayMs < 0 || p.DelayMs > maxDelay.Milliseconds():
		return fmt.Errorf("delayMs must be from 0 to %d", maxDelay.Milliseconds())
	case p.Status != 0 && (p.Status < 300 || p.Status > 599):
		return errors.New("status must be from 300 to 599")
	case p.Count < 0 || p.Fails < 0 || p.Of < 0 || p.RetryAfterSec < 0:
		return errors.New("a count is negative")
	}
	return nil
}

// defers tells whether the answer comes later.
func (p Plan) defers() bool {
	return p.Callback || p.Behaviour == Later || p.Behaviour == LateYes
}

func (p Plan) delay() time.Duration { return time.Duration(p.DelayMs) * time.Millisecond }

// subject is what a plan is about; one replaces another of the same subject.
type subject struct{ on, sku string }

// plan is a plan at work.
type plan struct {
	Plan
	seen   int
	before *plan // comes back when this one's count is used up
}

// plans knows how to treat the next request.
type plans struct {
	mu sync.Mutex
	by map[subject]*plan
}

func newPlans(standing Plan) *plans {
	p := &plans{by: map[subject]*plan{}}
	standing.On, standing.SKU, standing.Count = OnOrders, "", 0
	p.set(standing)
	return p
}

// set puts a plan in force. One with a count is followed by the one before, but
// not by others with a count.
func (p *plans) set(next Plan) {
	if next.On == "" {
		next.On = OnOrders
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at := subject{next.On, next.SKU}
	before := p.by[at]
	for before != nil && before.Count > 0 {
		before = before.before
	}
	if next.Count == 0 {
		before = nil
	}
	p.by[at] = &plan{Plan: next, before: before}
}

// next takes the plan for a request, and counts it. A plan for one product goes
// before the one for all.
func (p *plans) next(on, sku string) Plan { return p.take(on, sku, false) }

// nextUnsettling is next for a message that only plans about the connection
// concern; the others are left for those that they do concern.
func (p *plans) nextUnsettling(on, sku string) Plan { return p.take(on, sku, true) }

func (p *plans) take(on, sku string, unsettlingOnly bool) Plan {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := subject{on, sku}
	if p.by[at] == nil {
		at.sku = ""
	}
	now := p.by[at]
	if now == nil || unsettlingOnly && !now.Behaviour.unsettling() {
		return Plan{Behaviour: OK}
	}
	now.seen++
	if now.Count > 0 && now.seen >= now.Count {
		if p.by[at] = now.before; now.before == nil {
			delete(p.by, at)
		}
	}
	return now.resolved()
}

// resolved makes of flaky what it is for this request.
func (p *plan) resolved() Plan {
	out := p.Plan
	if out.Behaviour != Flaky {
		return out
	}
	fails, of := out.Fails, out.Of
	if fails == 0 {
		fails = 1
	}
	if of == 0 {
		of = 2
	}
	out.Behaviour = OK
	if (p.seen-1)%of < fails {
		out.Behaviour = Down
	}
	return out
}

// list gives the plans in force.
func (p *plans) list() []Plan {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Plan, 0, len(p.by))
	for _, one := range p.by {
		out = append(out, one.Plan)
	}
	slices.SortFunc(out, func(a, b Plan) int {
		return slices.Compare([]string{a.On, a.SKU}, []string{b.On, b.SKU})
	})
	return out
}
