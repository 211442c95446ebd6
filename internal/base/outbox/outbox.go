// Package outbox holds what must still happen after a transaction has committed.
//
// An event is written in the transaction of what it tells, so that one is never
// there without the other. A relay leases events and puts them on the queue; the
// handler marks them done. The table is the truth and the queue a means: events
// that were sent and are not done are sent again when their lease has run out,
// so a queue that was flushed loses a moment and nothing else. Handlers
// therefore see an event at least once. One that fails is due again after a
// pause, for a week; then it is dead until an operator revives it.
package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/store"
)

// Event is something that happened. Topic names what ("order.paid"), SubjectID to
// whom or what; Payload is JSON and carries no secret.
type Event struct {
	ID        id.ID
	Mode      mode.Mode
	Topic     string
	SubjectID id.ID
	Payload   json.RawMessage
	At        time.Time
}

// Failed is an event that is no longer tried: how often it was, and why it failed
// the last time.
type Failed struct {
	Event
	Times int
	Why   string
}

// Outbox writes, leases and completes events.
type Outbox struct {
	db   *store.DB
	wake chan struct{}
}

// New makes an outbox over a database.
func New(db *store.DB) *Outbox {
	return &Outbox{db: db, wake: make(chan struct{}, 1)}
}

// Woken gives a signal soon after events were committed by this process. It is a
// hint: other processes' events are found by polling.
func (o *Outbox) Woken() <-chan struct{} { return o.wake }

// Wake says that events were committed.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Emit writes an event in the transaction of ctx.
func (o *Outbox) Emit(ctx context.Context, e Event) error {
	err := o.create(ctx, e)
	if err != nil {
		return fmt.Errorf("emit %s: %w", e.Topic, err)
	}
	o.db.After(ctx, o.Wake)
	return nil
}

var insertEvents = store.NewInsert("outbox_events",
	"id uuid", "mode integer", "topic text", "subject_id uuid", "payload jsonb", "state text", "attempts integer", "due_at timestamptz", "created_at timestamptz")

// Stage queues the insert of events in a pipe. Call Wake after its commit.
func Stage(p *store.Pipe, events []Event) {
	n := len(events)
	if n == 0 {
		return
	}
	ids, modes, topics, subjects := make([]id.ID, n), make([]mode.Mode, n), make([]string, n), make([]id.ID, n)
	payloads, states, attempts, due, created := make([]string, n), make([]string, n), make([]int32, n), make([]time.Time, n), make([]time.Time, n)
	now := machineNow()
	for i, e := range events {
		ids[i], modes[i], topics[i], subjects[i] = e.ID, e.Mode, e.Topic, e.SubjectID
		payloads[i], states[i], due[i], created[i] = string(e.Payload), "NEW", now, e.At
	}
	p.Write(insertEvents, n, ids, modes, topics, subjects, payloads, states, attempts, due, created)
}

// machineNow is the time of leases: they guard against processes that died,
// which do so on the machine's clock, not on a sandbox's.
func machineNow() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
