package webhook

import (
	"context"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/page"
)

const (
	// ReplayMax is how many deliveries one call replays.
	ReplayMax   = 10_000
	replayBatch = 500
	// replayPace spreads replayed deliveries, so that ten thousand of one
	// merchant's do not stand in line before everybody else's.
	replayPace = 10 * time.Millisecond
	// attemptsShown is how many of a delivery's attempts are given.
	attemptsShown = 20
)

// Replay sends again those of an endpoint's deliveries that the filter picks,
// from the oldest on, with all their attempts before them, and tells how many.
// Those that are about to be sent anyway are left alone. After ReplayMax another
// call goes on.
//
// Refusals: ENDPOINT_NOT_FOUND, ENDPOINT_DISABLED, FILTER_EMPTY.
func (s *Service) Replay(ctx context.Context, v auth.Viewer, endpointID id.ID, f Filter) (int, error) {
	if err := owner(v); err != nil {
		return 0, err
	}
	if f.Empty() {
		return 0, ErrFilterEmpty
	}
	e, err := s.endpointOf(ctx, v, endpointID)
	if err != nil {
		return 0, err
	}
	if e.Status == Disabled {
		return 0, ErrDisabled
	}
	count, last := 0, id.Nil
	for count < ReplayMax {
		var ids []id.ID
		err := s.db.InTx(ctx, func(ctx context.Context) error {
			ids, err = s.replayBatch(ctx, e, f, last, count)
			return err
		})
		if err != nil {
			return count, fmt.Errorf("replay deliveries: %w", err)
		}
		if count += len(ids); len(ids) < replayBatch {
			break
		}
		last = ids[len(ids)-1]
	}
	if count > 0 {
		s.woke()
	}
	return count, nil
}

// replayBatch makes the deliveries after the last one pending again.
func (s *Service) replayBatch(ctx context.Context, e Endpoint, f Filter, last id.ID, before int) ([]id.ID, error) {
	now := s.clock.Now(e.Mode)
	// What is due within a lease may be under way.
	ids, err := s.replayable(ctx, e.ID, f, last, now.Add(s.cfg.Lease))
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return ids, s.makePending(ctx, ids, now.Add(time.Duration(before)*replayPace), now)
}

// endpointOf gives an endpoint if it is the viewer's.
func (s *Service) endpointOf(ctx context.Context, v auth.Viewer, endpointID id.ID) (Endpoint, error) {
	found, err := s.EndpointsByIDs(ctx, v, []id.ID{endpointID})
	if err != nil {
		return Endpoint{}, err
	}
	e, ok := found[endpointID]
	if !ok {
		return Endpoint{}, ErrNotFound
	}
	return e, nil
}

// Deliveries lists what was sent to an endpoint of the viewer's, newest first.
// Positions are those of [DeliveryPosition].
//
// Refusals: ENDPOINT_NOT_FOUND.
func (s *Service) Deliveries(ctx context.Context, v auth.Viewer, endpointID id.ID, f Filter, sl page.Slice) (page.List[Delivery], error) {
	if _, err := s.endpointOf(ctx, v, endpointID); err != nil {
		return page.List[Delivery]{}, err
	}
	rows, err := s.deliveriesOf(ctx, endpointID, f, sl)
	if err != nil {
		return page.List[Delivery]{}, fmt.Errorf("deliveries: %w", err)
	}
	return page.Cut(sl, rows), nil
}

// DeliveryPosition is where a delivery stands in its endpoint's list.
func DeliveryPosition(d Delivery) []byte { return d.ID[:] }

// DeliveriesByIDs reads those of the deliveries that are the viewer's.
func (s *Service) DeliveriesByIDs(ctx context.Context, v auth.Viewer, ids []id.ID) (map[id.ID]Delivery, error) {
	if !isOwner(v) {
		return nil, nil
	}
	return s.deliveriesByIDs(ctx, v.MerchantID, ids)
}

// Attempts gives the last twenty attempts at each of the deliveries that are the
// viewer's, oldest first.
func (s *Service) Attempts(ctx context.Context, v auth.Viewer, deliveryIDs []id.ID) (map[id.ID][]Attempt, error) {
	if !isOwner(v) {
		return nil, nil
	}
	return s.attempts(ctx, v.MerchantID, deliveryIDs)
}

// Prune forgets up to limit deliveries that have ended and were dispatched before
// a time of the machine's clock, with their attempts.
func (s *Service) Prune(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context) error {
		n, err = s.deleteEnded(ctx, firstOf(before), limit)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("prune deliveries: %w", err)
	}
	return n, nil
}

// firstOf gives an id that is smaller than all that were made from a time on:
// UUIDv7 begins with the milliseconds (RFC 9562 §5.7).
func firstOf(at time.Time) (u id.ID) {
	ms := at.UnixMilli()
	for i := range 6 {
		u[i] = byte(ms >> (8 * (5 - i)))
	}
	return u
}
