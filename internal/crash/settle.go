package crash

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/soukhq/souk/internal/merchantsim"
)

// Times of what comes after the load.
const (
	// endWithin is how long the last order may take to its end: its deadline, and
	// what a merchant who is asked again may need.
	endWithin = 120 * time.Second
	// hearWithin is how long the last webhook may take. The queue gives a task of a
	// worker that was killed to another one only after a minute or two.
	hearWithin = 240 * time.Second
	settleLook = 2 * time.Second
	// Retries of webhooks are minutes and hours apart. Rather than wait for them,
	// the sandbox's clock is moved.
	moveEvery = 5 * time.Second
	moveBy    = 40 * time.Minute
)

// facts is what the judge looks at.
type facts struct {
	journals  []Entry // of all clients, by time
	told      []Entry // by the API, when all is over
	merchants map[string][]merchantsim.Entry
	stock     map[string]int64 // how many there were, by SKU
	faults    []string         // of processes
}

// settle waits until every order has ended and everybody has heard, or until
// that has taken too long, and gathers what there is to judge.
func (d *drill) settle(ctx context.Context) (f facts, err error) {
	if err := d.awaitEnds(ctx); err != nil {
		return f, err
	}
	if err := d.awaitHearing(ctx); err != nil {
		return f, err
	}
	if f, err = d.gather(ctx); err != nil {
		return f, err
	}
	j, err := OpenJournal(filepath.Join(d.dir, "told.jsonl"))
	if err != nil {
		return f, err
	}
	return f, errors.Join(j.Write(f.told...), j.Close())
}

func (d *drill) awaitEnds(ctx context.Context) error {
	limit, said := time.Now().Add(endWithin), -1
	for {
		open := 0
		for _, u := range d.world.users {
			orders, err := d.souk[0].OrdersOf(ctx, u.token, "AUTHORISED")
			if err != nil {
				return fmt.Errorf("ask for open orders: %w", err)
			}
			open += len(orders)
		}
		if open == 0 || time.Now().After(limit) {
			return nil
		}
		if open != said {
			d.say("%d orders wait for their end", open)
			said = open
		}
		if !wait(ctx, settleLook) {
			return ctx.Err()
		}
	}
}

// awaitHearing waits until nobody lacks a message that is due.
func (d *drill) awaitHearing(ctx context.Context) error {
	limit, moved, said := time.Now().Add(hearWithin), time.Time{}, -1
	for {
		f, err := d.gather(ctx)
		if err != nil {
			return err
		}
		v := judge(f)
		missing := v.count(Unheard) + v.count(Unreleased) + v.count(Unreceipted)
		if missing == 0 || time.Now().After(limit) {
			return nil
		}
		if missing != said {
			d.say("%d messages to buyers and merchants are on their way", missing)
			said = missing
		}
		if time.Since(moved) > moveEvery {
			moved = time.Now()
			if err := d.souk[0].AdvanceClock(ctx, d.world.service, moveBy); err != nil {
				return fmt.Errorf("move the sandbox's clock: %w", err)
			}
		}
		if !wait(ctx, settleLook) {
			return ctx.Err()
		}
	}
}

// gather reads all logs, and asks the API what it tells.
func (d *drill) gather(ctx context.Context) (f facts, err error) {
	if f.journals, err = ReadJournals(filepath.Join(d.dir, "journals")); err != nil {
		return f, err
	}
	f.stock, f.merchants = map[string]int64{}, map[string][]merchantsim.Entry{}
	for _, o := range d.world.offers {
		if o.stock > 0 {
			f.stock[o.sku] = o.stock
		}
	}
	for _, u := range d.world.users {
		if err := d.hearBuyer(ctx, u, &f); err != nil {
			return f, fmt.Errorf("ask for the end of %s: %w", u.name, err)
		}
	}
	for _, s := range d.shops {
		if err := d.hearShop(ctx, s, &f); err != nil {
			return f, fmt.Errorf("ask for the end of %s: %w", s.name, err)
		}
	}
	return f, nil
}

// hearBuyer takes in what the API tells a buyer.
func (d *drill) hearBuyer(ctx context.Context, u *user, f *facts) error {
	orders, err := d.souk[0].OrdersOf(ctx, u.token)
	if err != nil {
		return err
	}
	for _, o := range orders {
		e := Entry{Step: Told, Act: ActOrder, Who: u.name, Amount: o.Total.Minor()}
		f.told = append(f.told, e.about(o))
	}
	receipts, err := d.souk[0].ReceiptsIn(ctx, u.token, u.conversation)
	if err != nil {
		return err
	}
	for _, r := range receipts {
		f.told = append(f.told, Entry{Step: Told, Act: ActReceipt, Who: u.name, Order: r.Order.ID, State: r.State, Amount: r.Amount.Minor()})
	}
	sources, err := d.souk[0].Sources(ctx, u.token)
	if err != nil {
		return err
	}
	for _, s := range sources {
		if s.ID == u.wallet && s.Balance != nil && s.Held != nil {
			f.told = append(f.told, Entry{Step: Told, Act: ActWallet, Who: u.name, Amount: s.Balance.Minor(), Held: s.Held.Minor()})
		}
	}
	return nil
}

// hearShop takes in what a merchant knows.
func (d *drill) hearShop(ctx context.Context, s *shop, f *facts) (err error) {
	if f.merchants[s.name], err = merchantsim.ReadLog(s.logFile()); err != nil {
		return err
	}
	token, err := merchantToken(ctx, s.sign, s.id)
	if err != nil {
		return err
	}
	left, err := d.souk[0].StockOf(ctx, token)
	for sku, n := range left {
		f.told = append(f.told, Entry{Step: Told, Act: ActStock, Who: s.name, SKU: sku, Amount: n})
	}
	return err
}
