package purchase

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/core/ledger"
)

const (
	// forwardLease is how long a process has to ask a merchant before another one
	// may.
	forwardLease = 15 * time.Second
	// acceptedWait is how long a merchant that said "later" is left in peace
	// before it is asked again.
	acceptedWait = time.Minute
	forwardMax   = time.Minute
	askTimeout   = 10 * time.Second
)

// ask asks the merchant to confirm, in the buyer's call. The merchant has
// InlineWait to answer; the buyer's going away does not end it, for the money is
// held.
func (s *Service) ask(ctx context.Context, o Order) (Order, error) {
	if s.cfg.InlineWait == 0 {
		return o, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.InlineWait)
	defer cancel()
	return s.forward(ctx, o)
}

// forward asks the merchant once and settles what it answers. It always gives
// the order as it is afterwards; trouble with the merchant is noted, not
// returned.
func (s *Service) forward(ctx context.Context, o Order) (Order, error) {
	a, err := s.Merchants.Confirm(ctx, o)
	// What the answer does must be written down even if its time has just run out.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	now := s.Clock.Now(o.Mode)
	next := now.Add(forwardWait(o.ForwardCount))
	switch {
	case errors.Is(err, ErrAnswer), errors.Is(err, ErrAnswerFor):
		s.Log.Warn("purchase: answer refused", "order", o.ID, "merchant", o.MerchantID, "err", err)
		err = s.write(ctx, &note{book: s.Book, order: o, kind: EventAnswerRefused, detail: errs.As(err).Message, forwardAt: &next})
	case err != nil:
		s.Log.Warn("purchase: merchant not reached", "order", o.ID, "merchant", o.MerchantID, "err", err)
		err = s.write(ctx, &note{book: s.Book, order: o, kind: EventForwardFailed, detail: "the merchant's server did not answer as it should", forwardAt: &next})
	case a.Later:
		again := now.Add(acceptedWait)
		err = s.write(ctx, &note{book: s.Book, order: o, kind: EventAccepted, forwardAt: &again})
	default:
		o, _, err = s.settleAnswer(ctx, o, a)
		if err == nil {
			return o, nil
		}
	}
	if err != nil && !errs.IsRefusal(err) {
		return o, err
	}
	return s.read(ctx, o.ID)
}

// forwardWait is how long to wait before a merchant is asked again: 2, 4, 8…
// seconds, at most a minute.
func forwardWait(count int32) time.Duration {
	if count > 5 {
		return forwardMax
	}
	return min(time.Second<<count, forwardMax)
}

// settleAnswer does what the merchant's verified answer says.
func (s *Service) settleAnswer(ctx context.Context, o Order, a Answer) (after Order, late bool, err error) {
	cmd := &settle{book: s.Book, order: o, confirmed: a.Confirmed, reference: a.Reference, raced: ErrState,
		ending: ending{state: Declined, kind: EventDeclined, topic: TopicDeclined, detail: a.Reason}}
	if err := s.write(ctx, cmd); err != nil {
		return o, false, err
	}
	return cmd.after, cmd.late, nil
}

// Confirm takes a merchant's answer that comes by itself, after it said "later".
//
// Refusals, told to the merchant: ANSWER_INVALID, ANSWER_MISMATCH, ORDER_NOT_FOUND,
// ORDER_ENDED when the order has ended without payment: the merchant must release
// it.
func (s *Service) Confirm(ctx context.Context, token string) (Order, error) {
	a, err := s.Merchants.ReadAnswer(ctx, token)
	if err != nil {
		return Order{}, err
	}
	o, err := s.read(ctx, a.OrderID)
	if err != nil {
		return Order{}, err
	}
	if o.MerchantID != a.MerchantID {
		return Order{}, ErrOrder
	}
	if err := a.fits(o); err != nil {
		return Order{}, err
	}
	// A decline that comes after the end is ORDER_STATE: what was paid, the
	// merchant takes back by a refund.
	after, late, err := s.settleAnswer(ctx, o, a)
	if err == nil && late {
		err = ErrAnswerLate
	}
	return after, err
}

// write runs one of Souk's own commands.
func (s *Service) write(ctx context.Context, cmd ledger.Command) error {
	return s.Executor.Do(ctx, cmd).Err
}

// ClaimForwards takes up to limit orders whose merchant is to be asked (again),
// and keeps them from others for a moment.
func (s *Service) ClaimForwards(ctx context.Context, limit int) ([]id.ID, error) {
	var out []id.ID
	for _, d := range s.due() {
		if len(out) >= limit {
			break
		}
		var claimed []id.ID
		err := s.DB.InTx(ctx, func(ctx context.Context) (err error) {
			claimed, err = s.claimForwards(ctx, d, limit-len(out))
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("claim forwards: %w", err)
		}
		out = append(out, claimed...)
	}
	return out, nil
}

// Forward asks the merchant of a claimed order once more.
func (s *Service) Forward(ctx context.Context, orderID id.ID) error {
	o, err := s.read(ctx, orderID)
	if err != nil {
		return err
	}
	if o.State != Authorised {
		return nil
	}
	if o.ConfirmBy != nil && !s.Clock.Now(o.Mode).Before(*o.ConfirmBy) {
		return s.expire(ctx, o)
	}
	again := s.Clock.Now(o.Mode).Add(forwardLease)
	if err := s.write(ctx, &note{book: s.Book, order: o, kind: EventForwarded, forwardAt: &again, asked: true}); err != nil {
		if errors.Is(err, ErrState) {
			return nil
		}
		return err
	}
	o.ForwardCount++
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	_, err = s.forward(ctx, o)
	return err
}

// expireWorkers is how many expiries are in hand at once, so that the executor
// has batches to make.
const expireWorkers = 64

// ExpireDue ends up to limit orders whose merchant did not confirm in time, and
// tells how many there were.
func (s *Service) ExpireDue(ctx context.Context, limit int) (int, error) {
	var orders []Order
	for _, d := range s.due() {
		if len(orders) >= limit {
			break
		}
		rows, err := s.overdue(ctx, d, limit-len(orders))
		if err != nil {
			return 0, fmt.Errorf("find overdue orders: %w", err)
		}
		orders = append(orders, rows...)
	}
	var (
		wg    sync.WaitGroup
		slots = make(chan struct{}, expireWorkers)
		fails = make([]error, len(orders))
	)
	for i, o := range orders {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			fails[i] = s.expire(ctx, o)
		})
	}
	wg.Wait()
	return len(orders), errors.Join(fails...)
}

func (s *Service) expire(ctx context.Context, o Order) error {
	err := s.write(ctx, &settle{book: s.Book, order: o, ending: expiry, due: true, raced: errAgain})
	if errors.Is(err, errAgain) {
		return nil // it ended otherwise
	}
	return err
}

// Release tells an order's merchant that the order is off. An error means that
// it has not heard yet.
func (s *Service) Release(ctx context.Context, orderID id.ID) error {
	o, err := s.read(ctx, orderID)
	if err != nil {
		return err
	}
	if o.has(EventReleased) {
		return nil
	}
	if err := s.Merchants.Release(ctx, o); err != nil {
		return fmt.Errorf("release order %s: %w", orderID, err)
	}
	return s.write(ctx, &note{book: s.Book, order: o, kind: EventReleased, ended: true})
}
