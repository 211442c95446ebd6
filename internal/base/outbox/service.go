package outbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/soukhq/souk/internal/base/id"
)

// Lease takes up to limit events that are due and keeps them from other relays
// for the given time, after which an event that is not done is due again.
func (o *Outbox) Lease(ctx context.Context, limit int, lease time.Duration) (events []Event, err error) {
	err = o.db.InTx(ctx, func(ctx context.Context) error {
		events, err = o.claim(ctx, limit, lease)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("lease outbox: %w", err)
	}
	return events, nil
}

// Release makes leased events due at once, for a relay that could not send them.
func (o *Outbox) Release(ctx context.Context, ids []id.ID) error {
	if len(ids) == 0 {
		return nil
	}
	return o.db.InTx(ctx, func(ctx context.Context) error {
		_, err := o.makeDue(ctx, ids...)
		return err
	})
}

// ResendAll makes every event that was sent and is not done due at once: the
// queue has lost them.
func (o *Outbox) ResendAll(ctx context.Context) (n int, err error) {
	err = o.db.InTx(ctx, func(ctx context.Context) error {
		n, err = o.makeDue(ctx)
		return err
	})
	return n, err
}

// Done marks an event as handled.
func (o *Outbox) Done(ctx context.Context, event id.ID) error {
	return o.db.InTx(ctx, func(ctx context.Context) error { return o.markDone(ctx, event) })
}

// errorMax bounds how much of an error is kept.
const errorMax = 500

// patience is how often an event may fail before it is dead: with pauses that
// grow to an hour, that is a little over a week.
const patience = 180

// pause is how long an event rests after having failed n times: 1 s, 2 s, 4 s…
// up to an hour, half of it by chance.
func pause(n int32) time.Duration {
	d := min(time.Second<<min(n-1, 12), time.Hour)
	return d/2 + rand.N(d/2+1)
}

// Fail records why handling failed. The event is due again after a pause; one
// whose failure is final, or that has failed for too long, is dead until it is
// revived.
func (o *Outbox) Fail(ctx context.Context, event id.ID, cause error, final bool) error {
	return o.db.InTx(ctx, func(ctx context.Context) error {
		return o.markFailed(ctx, event, clean(cause.Error()), final)
	})
}

// Dead gives up to limit events that are not tried again, the oldest first.
func (o *Outbox) Dead(ctx context.Context, limit int) ([]Failed, error) { return o.dead(ctx, limit) }

// Revive has dead events tried again, as if they had never failed: those given,
// or all. It says how many there were.
func (o *Outbox) Revive(ctx context.Context, events ...id.ID) (n int, err error) {
	err = o.db.InTx(ctx, func(ctx context.Context) error {
		n, err = o.revive(ctx, events...)
		return err
	})
	if err == nil && n > 0 {
		o.Wake()
	}
	return n, err
}

// clean makes a text one that every engine takes: of bounded length, UTF-8, and
// without NUL.
func clean(s string) string {
	s = s[:min(len(s), errorMax)]
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
}

// Prune removes up to limit events that were done before the given time.
func (o *Outbox) Prune(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = o.db.InTx(ctx, func(ctx context.Context) error {
		n, err = o.deleteDone(ctx, before, limit)
		return err
	})
	return n, err
}

// Depth counts the events that wait for their handling, and tells when the
// oldest was made.
func (o *Outbox) Depth(ctx context.Context) (n int, oldest time.Time, err error) { return o.depth(ctx) }
