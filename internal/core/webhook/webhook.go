package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/outbound"
)

// EndpointMax is how many endpoints an owner may have.
const EndpointMax = 10

// SecretOverlap is how long the previous secret signs beside a new one.
const SecretOverlap = 24 * time.Hour

// Status tells whether an endpoint is sent events.
type Status string

// The states of an endpoint.
const (
	Enabled  Status = "ENABLED"
	Disabled Status = "DISABLED"
)

// Why an endpoint is disabled.
const (
	disabledByOwner = "disabled by its owner"
	disabledGone    = "answered 410 Gone"
)

// Endpoint is where an owner wants to hear of events.
type Endpoint struct {
	ID                  id.ID
	Mode                mode.Mode
	OwnerID             id.ID
	URL                 string
	EventTypes          []string // empty: all
	Status              Status
	DisabledReason      string
	PreviousSecretUntil *time.Time // nil: only one secret signs
	CreatedAt           time.Time
	UpdatedAt           time.Time

	secret   []byte // sealed
	previous []byte // sealed; signs until PreviousSecretUntil
}

// Change says what to change about an endpoint; what is nil stays.
type Change struct {
	URL        *string
	EventTypes *[]string
	Enabled    *bool
}

func (e *Endpoint) enable(enabled bool) {
	e.Status, e.DisabledReason = Enabled, ""
	if !enabled {
		e.Status, e.DisabledReason = Disabled, disabledByOwner
	}
}

// Event is something that happened to what is an owner's.
type Event struct {
	OwnerID id.ID
	Mode    mode.Mode
	ID      id.ID
	Type    string // such as "order.paid"
	Data    json.RawMessage
	At      time.Time
}

// payloadMax is what the table holds, and more than a receiver has to take.
const payloadMax = 64 << 10

// payload writes the body of an event's messages (Standard Webhooks, "Payload
// structure").
func (e Event) payload() ([]byte, error) {
	b, err := json.Marshal(struct {
		Type      string          `json:"type"`
		Timestamp time.Time       `json:"timestamp"`
		Data      json.RawMessage `json:"data"`
	}{e.Type, e.At.UTC(), e.Data})
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", e.Type, err)
	}
	if len(b) > payloadMax {
		return nil, fmt.Errorf("event %s: a payload of %d bytes is too long", e.Type, len(b))
	}
	return b, nil
}

// State tells how a delivery stands.
type State string

// The states of a delivery.
const (
	Pending   State = "PENDING"
	Delivered State = "DELIVERED"
	Failed    State = "FAILED"
)

// Delivery is one event for one endpoint.
type Delivery struct {
	ID            id.ID
	Mode          mode.Mode
	EndpointID    id.ID
	EventID       id.ID // as text, the header webhook-id
	EventType     string
	Payload       []byte // the bytes that are signed and sent
	State         State
	AttemptCount  int        // since it was made, or replayed
	NextAttemptAt *time.Time // nil: it will not be tried again
	LastStatus    *int
	LastError     string
	CreatedAt     time.Time // when the event happened
	UpdatedAt     time.Time
}

// Attempt is one try at a delivery.
type Attempt struct {
	DeliveryID id.ID
	At         time.Time
	Status     *int // nil: there was no answer
	Error      string
	Duration   time.Duration
}

// Filter restricts deliveries; what is empty does not.
type Filter struct {
	States     []State
	EventTypes []string
	From       *time.Time // not before
	Until      *time.Time // before
}

// Empty tells whether the filter restricts nothing.
func (f Filter) Empty() bool {
	return len(f.States) == 0 && len(f.EventTypes) == 0 && f.From == nil && f.Until == nil
}

// answer is what became of a request.
type answer struct {
	status int // zero when there was no answer
	err    error
	wait   time.Duration // what the answer, or the way out, asks us to wait
}

func answerOf(res outbound.Response, err error) answer {
	a := answer{status: res.Status, err: err, wait: res.RetryAfter}
	var failed *outbound.Error
	if errors.As(err, &failed) && failed.RetryIn > a.wait {
		a.wait = failed.RetryIn
	}
	return a
}

// taken tells whether the endpoint has the message. An answer that was too long
// to be read has a status all the same.
func (a answer) taken() bool {
	return a.status >= 200 && a.status < 300 && (a.err == nil || errors.Is(a.err, outbound.ErrTooLarge))
}

// gone tells whether the endpoint wants to hear nothing any more (Standard
// Webhooks, "Endpoint failures").
func (a answer) gone() bool { return a.status == 410 }

// problem says what went wrong, in words for the endpoint's owner: the error
// itself may name addresses inside our network.
func (a answer) problem() string {
	switch {
	case a.taken():
		return ""
	case a.err == nil:
		return fmt.Sprintf("answered %d", a.status)
	}
	for _, known := range []struct {
		reason error
		text   string
	}{
		{outbound.ErrInvalidURL, "the URL is not allowed"},
		{outbound.ErrRefusedAddress, "the address is not allowed"},
		{outbound.ErrTimeout, "no answer in time"},
		{outbound.ErrOpen, "not tried: the host failed too often just before"},
		{outbound.ErrRedirect, "answered with a redirect, which is not followed"},
		{outbound.ErrTooLarge, "the answer was too long"},
	} {
		if errors.Is(a.err, known.reason) {
			return known.text
		}
	}
	return "no connection, or it broke"
}

// schedule says when deliveries are tried again.
type schedule struct {
	retryFor time.Duration  // 0: as long as there are attempts left
	random   func() float64 // jitter; nil: the machine's
}

// next gives the wait before the attempt that follows `made` others; ok is false
// if there is none.
func (s schedule) next(made int) (wait time.Duration, ok bool) {
	wait, ok = outbound.Backoff(made, s.random)
	if !ok || s.retryFor == 0 {
		return wait, ok
	}
	var since time.Duration
	for n := 1; n <= made; n++ {
		planned, _ := outbound.Backoff(n, func() float64 { return 0 })
		since += planned
	}
	return wait, since <= s.retryFor
}

// after gives a pending delivery as it stands after an attempt.
func (d Delivery) after(a answer, s schedule, now time.Time) Delivery {
	d.AttemptCount++
	d.LastStatus, d.LastError, d.NextAttemptAt, d.UpdatedAt = nil, a.problem(), nil, now
	if a.status != 0 {
		d.LastStatus = &a.status
	}
	wait, again := s.next(d.AttemptCount)
	switch {
	case a.taken():
		d.State = Delivered
	case a.gone() || !again:
		d.State = Failed
	default:
		at := now.Add(max(wait, a.wait))
		d.NextAttemptAt = &at
	}
	return d
}

// cancelled gives a pending delivery whose endpoint was disabled meanwhile.
func (d Delivery) cancelled(e Endpoint, now time.Time) Delivery {
	d.State, d.NextAttemptAt, d.UpdatedAt = Failed, nil, now
	d.LastError = "the endpoint is disabled: " + e.DisabledReason
	return d
}

// GlobalID is how the outside names it.
func (e Endpoint) GlobalID() string { return id.Global("WebhookEndpoint", e.ID) }

// GlobalID is how the outside names it.
func (d Delivery) GlobalID() string { return id.Global("WebhookDelivery", d.ID) }
