package crash

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/soukhq/souk/internal/driver"
)

// shopper is a client that buys, one errand after another.
type shopper struct {
	*client
	name  string
	user  *user
	world *world
	desks map[string]*desk // by shop
	count int
	past  []purchase // the newest
}

// purchase is what a shopper means to buy.
type purchase struct {
	key   string
	offer offer
}

// errand is a kind of thing that shoppers do, and how often among others.
type errand struct {
	weight int
	do     func(s *shopper, ctx context.Context) error
}

var errands = []errand{
	{5, buying("mug/card")},
	{6, buying("mug")},
	{5, buying("book")},
	{2, buying("print")},
	{1, buying("print/card")},
	{2, buying("tea")},
	{2, buying("cake")},
	{2, buying("jam")},
	{1, buying("hat")},
	{1, buying("lamp")},
	{3, (*shopper).buyAtOnce},
	{3, (*shopper).buyAgain},
	{1, (*shopper).misuse},
	{2, cancelling("book")},
	{1, cancelling("lamp")},
	{3, (*shopper).buyAndReverse},
	{1, (*shopper).topUp},
}

// shop runs errands until it is closing time.
func (s *shopper) shop(ctx context.Context, closing func() bool) error {
	if err := s.fill(ctx, firstTopUp); err != nil {
		return err
	}
	for !closing() {
		if err := s.pick()(s, ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		wait(ctx, s.upTo(thinkTime))
	}
	return nil
}

// thinkTime is the longest pause between two errands.
const thinkTime = 150 * time.Millisecond

func (s *shopper) pick() func(*shopper, context.Context) error {
	all := 0
	for _, e := range errands {
		all += e.weight
	}
	n := s.intN(all)
	for _, e := range errands {
		if n -= e.weight; n < 0 {
			return e.do
		}
	}
	panic("crash: no errand") // the weights sum to more than n
}

func (s *shopper) newKey(what string) string {
	s.count++
	return fmt.Sprintf("%s-%s-%d", s.name, what, s.count)
}

// pastMax is how many purchases a shopper comes back to.
const pastMax = 60

// intend means to buy something new.
func (s *shopper) intend(name string) purchase {
	p := purchase{s.newKey("buy"), s.world.offers[name]}
	s.past = append(s.past, p)
	if len(s.past) > pastMax {
		s.past = s.past[1:]
	}
	return p
}

func (s *shopper) entry(p purchase) Entry {
	return Entry{Act: ActBuy, Who: s.user.name, Key: p.key, SKU: p.offer.sku, ByCard: p.offer.byCard, Amount: p.offer.price}
}

func (s *shopper) request(p purchase) send {
	return func(ctx context.Context, souk *driver.Client, e *Entry) error {
		o, replayed, err := souk.Buy(ctx, s.user.token, driver.Purchase{Key: p.key, Card: p.offer.card, Source: s.user.wallet, Conversation: s.user.conversation})
		*e = e.about(o)
		e.Replayed = replayed
		return err
	}
}

// send buys, and now and then has the merchant give some of it back.
func (s *shopper) send(ctx context.Context, p purchase) (Entry, error) {
	e, err := s.do(ctx, s.entry(p), s.request(p))
	if err == nil && e.State == "PAID" && s.intN(6) == 0 {
		s.desks[p.offer.shop.name].ask(complaint{order: e.Order, paid: p.offer.price})
	}
	return e, err
}

func buying(name string) func(*shopper, context.Context) error {
	return func(s *shopper, ctx context.Context) error {
		_, err := s.send(ctx, s.intend(name))
		return err
	}
}

// buyAtOnce sends the same purchase several times at once, as an impatient
// finger does.
func (s *shopper) buyAtOnce(ctx context.Context) error {
	names := []string{"mug/card", "mug", "book", "print/card"}
	p := s.intend(names[s.intN(len(names))])
	fails := make([]error, 2+s.intN(5))
	var all sync.WaitGroup
	for i := range fails {
		all.Go(func() { _, fails[i] = s.send(ctx, p) })
	}
	all.Wait()
	return errors.Join(fails...)
}

// buyAgain sends an old purchase once more.
func (s *shopper) buyAgain(ctx context.Context) error {
	if len(s.past) == 0 {
		return nil
	}
	_, err := s.send(ctx, s.past[s.intN(len(s.past))])
	return err
}

// misuse sends an old key with something else to buy.
func (s *shopper) misuse(ctx context.Context) error {
	if len(s.past) == 0 {
		return nil
	}
	p := s.past[s.intN(len(s.past))]
	other := s.world.offers["jam"]
	if p.offer.sku == other.sku {
		other = s.world.offers["mug"]
	}
	p.offer = other
	e := s.entry(p)
	e.Act = ActMisuse
	_, err := s.do(ctx, e, s.request(p))
	return err
}

// cancelling buys and, a moment later, takes it back.
func cancelling(name string) func(*shopper, context.Context) error {
	return func(s *shopper, ctx context.Context) error {
		bought, err := s.send(ctx, s.intend(name))
		if err != nil || bought.State != "AUTHORISED" {
			return err
		}
		wait(ctx, s.upTo(500*time.Millisecond))
		e := Entry{Act: ActCancel, Who: s.user.name, Key: s.newKey("cancel"), Of: bought.Order}
		_, err = s.do(ctx, e, func(ctx context.Context, souk *driver.Client, e *Entry) error {
			o, replayed, err := souk.Cancel(ctx, s.user.token, e.Key, e.Of)
			*e = e.about(o)
			e.Replayed = replayed
			return err
		})
		return err
	}
}

// buyAndReverse loses sight of a purchase, has it settled by a reversal, and
// then sends it again, as if it had been late on the way.
func (s *shopper) buyAndReverse(ctx context.Context) error {
	names := []string{"mug/card", "mug", "book", "tea"}
	p := s.intend(names[s.intN(len(names))])
	if err := s.leave(ctx, s.entry(p), s.upTo(30*time.Millisecond), s.request(p)); err != nil {
		return err
	}
	e := Entry{Act: ActReverse, Who: s.user.name, Key: s.newKey("reverse"), Of: p.key}
	_, err := s.do(ctx, e, func(ctx context.Context, souk *driver.Client, e *Entry) error {
		r, err := souk.Reverse(ctx, s.user.token, e.Key, e.Of)
		if r.Order != nil {
			*e = e.about(*r.Order)
		}
		e.Outcome, e.Replayed = r.Outcome, r.Replayed
		return err
	})
	if err != nil {
		return err
	}
	_, err = s.send(ctx, p)
	return err
}

func (s *shopper) topUp(ctx context.Context) error { return s.fill(ctx, int64(1000+s.intN(9000))) }

// fill tops the wallet up and waits until the bank has answered for good.
func (s *shopper) fill(ctx context.Context, cents int64) error {
	e := Entry{Act: ActTopUp, Who: s.user.name, Key: s.newKey("top-up"), Amount: cents}
	for {
		answer, err := s.do(ctx, e, func(ctx context.Context, souk *driver.Client, e *Entry) (err error) {
			e.State, err = souk.TopUp(ctx, s.user.token, e.Key, s.user.bank, driver.Euro(e.Amount))
			return err
		})
		if err != nil || answer.State != "PENDING" {
			return err
		}
		if !wait(ctx, 300*time.Millisecond) {
			return ctx.Err()
		}
	}
}
