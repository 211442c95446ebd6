package webhook

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/outbound"
)

// answerMax is how much of an answer is read. Nothing in it counts but the
// status.
const answerMax = 16 << 10

// Woken gives a signal soon after deliveries were dispatched or replayed by this
// process. It is a hint: what other processes dispatched is found by polling Due.
func (s *Service) Woken() <-chan struct{} { return s.wake }

func (s *Service) woke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Dispatch makes a delivery for each enabled endpoint of the event's owner that
// wants it, and tells how many are new. It joins the transaction of ctx; the same
// event may be dispatched again without harm.
func (s *Service) Dispatch(ctx context.Context, e Event) (n int, err error) {
	payload, err := e.payload()
	if err != nil {
		return 0, err
	}
	err = s.db.InTx(ctx, func(ctx context.Context) error {
		n = 0
		endpoints, err := s.listening(ctx, e.OwnerID, e.Mode)
		if err != nil {
			return err
		}
		now := s.clock.Now(e.Mode)
		for _, to := range endpoints {
			if len(to.EventTypes) > 0 && !slices.Contains(to.EventTypes, e.Type) {
				continue
			}
			isNew, err := s.insertDelivery(ctx, Delivery{
				ID: id.New(), Mode: e.Mode, EndpointID: to.ID, EventID: e.ID, EventType: e.Type, Payload: payload,
				State: Pending, NextAttemptAt: &now, CreatedAt: e.At, UpdatedAt: now,
			})
			if err != nil {
				return err
			}
			if isNew {
				n++
			}
		}
		if n > 0 {
			s.db.After(ctx, s.woke)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("dispatch %s: %w", e.Type, err)
	}
	return n, nil
}

// Due claims up to limit deliveries whose time has come, the longest due first.
// Each is the caller's for the time of a lease, and due again if it has not been
// attempted by then.
func (s *Service) Due(ctx context.Context, limit int) (claimed []id.ID, err error) {
	clocks := s.clocks()
	err = s.db.InTx(ctx, func(ctx context.Context) error {
		claimed = nil
		rows, err := s.claim(ctx, clocks, limit)
		if err != nil {
			return err
		}
		byMode := map[mode.Mode][]id.ID{}
		for _, d := range rows {
			claimed = append(claimed, d.ID)
			byMode[d.Mode] = append(byMode[d.Mode], d.ID)
		}
		for m, ids := range byMode {
			if err := s.lease(ctx, ids, clocks.at(m).Add(s.cfg.Lease)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim due deliveries: %w", err)
	}
	return claimed, nil
}

// clocks is what time it is: in the live mode and in all sandboxes whose clock
// was not moved, and in those whose clock was.
type clocks struct {
	usual time.Time
	moved map[mode.Mode]time.Time
}

func (c clocks) at(m mode.Mode) time.Time {
	if t, ok := c.moved[m]; ok {
		return t
	}
	return c.usual
}

func (s *Service) clocks() clocks {
	c := clocks{usual: s.clock.Now(mode.Live), moved: map[mode.Mode]time.Time{}}
	// A clock that shows the same time in all modes has no offsets.
	if moved, ok := s.clock.(interface {
		Offsets() map[mode.Mode]time.Duration
	}); ok {
		for m, ahead := range moved.Offsets() {
			if ahead != 0 {
				c.moved[m] = s.clock.Now(m)
			}
		}
	}
	return c
}

// Attempt sends a claimed delivery and records what became of it. It does nothing
// if the delivery is not pending any more. An error says that nothing could be
// recorded: the delivery is due again when its lease ends.
func (s *Service) Attempt(ctx context.Context, deliveryID id.ID) error {
	d, e, err := s.deliveryWithEndpoint(ctx, deliveryID)
	if errs.KindOf(err) == errs.NotFound {
		return nil // pruned
	}
	if err != nil {
		return err
	}
	if d.State != Pending {
		return nil
	}
	if e.Status == Disabled {
		return s.cancel(ctx, d, e)
	}
	began := time.Now()
	a, err := s.send(ctx, d, e)
	if err != nil {
		return err
	}
	// A request that we gave up ourselves, to stop, tells nothing of the endpoint.
	if a.err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return s.conclude(ctx, d, e, a, time.Since(began))
}

// send signs a delivery and posts it.
func (s *Service) send(ctx context.Context, d Delivery, e Endpoint) (answer, error) {
	secrets, err := s.secrets(e)
	if err != nil {
		return answer{}, err
	}
	at, messageID := s.now(), d.EventID.String()
	signature, err := SignAll(secrets, messageID, at, d.Payload)
	if err != nil {
		return answer{}, fmt.Errorf("sign delivery %s: %w", d.ID, err)
	}
	header := map[string][]string{
		HeaderID: {messageID}, HeaderTimestamp: {strconv.FormatInt(at.Unix(), 10)}, HeaderSignature: {signature},
	}
	return answerOf(s.web.Do(ctx, outbound.Request{
		Method: "POST", URL: e.URL, Header: header, Body: d.Payload, ContentType: "application/json",
		MaxResponse: answerMax, Party: e.OwnerID.String(),
	})), nil
}

// conclude records an attempt. The endpoint is locked before the delivery, if at
// all: whoever locks both does so in this order.
func (s *Service) conclude(ctx context.Context, d Delivery, e Endpoint, a answer, took time.Duration) error {
	now := s.clock.Now(d.Mode)
	err := s.db.InTx(ctx, func(ctx context.Context) error {
		if a.gone() {
			if err := s.disable(ctx, e, disabledGone, now); err != nil {
				return err
			}
		}
		current, err := s.lockDelivery(ctx, d.ID)
		if err != nil {
			return err
		}
		if err := s.insertAttempt(ctx, d.ID, a, took, now); err != nil || current.State != Pending {
			return err
		}
		return s.saveDelivery(ctx, current.after(a, s.schedule, now))
	})
	if err != nil {
		return fmt.Errorf("record attempt at %s: %w", d.ID, err)
	}
	return nil
}

func (s *Service) cancel(ctx context.Context, d Delivery, e Endpoint) error {
	err := s.db.InTx(ctx, func(ctx context.Context) error {
		current, err := s.lockDelivery(ctx, d.ID)
		if err != nil || current.State != Pending {
			return err
		}
		return s.saveDelivery(ctx, current.cancelled(e, s.clock.Now(d.Mode)))
	})
	if err != nil {
		return fmt.Errorf("cancel delivery %s: %w", d.ID, err)
	}
	return nil
}
