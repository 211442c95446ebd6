// Package errs is the one error type of Souk.
//
// A service returns an *Error for everything that a caller may be told: its
// Kind says what sort of answer it is, its Code is the stable name that clients
// switch on, and its Message is safe to show. What only the log may see is
// wrapped in Err.
package errs

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// Kind sorts errors by what the edge does with them.
type Kind uint8

// The kinds. Invalid, Conflict, Failed and NotFound are expected refusals and
// become userErrors; the others are faults of the caller or of the server and
// become top-level errors.
const (
	Internal        Kind = iota // a broken invariant or an unexpected fault; never shown
	Invalid                     // the input is wrong
	Conflict                    // the input is right but contradicts what is there
	Failed                      // a rule of the business refused
	NotFound                    // something that the input names is not there, or not the caller's
	Unauthenticated             // no valid credentials
	Forbidden                   // the caller's role may not do this at all
	RateLimited                 // too much, too fast
	Unavailable                 // a part is away or full; nothing was done
)

// String names the kind as it appears in logs.
func (k Kind) String() string {
	names := [...]string{"internal", "invalid", "conflict", "failed", "not_found", "unauthenticated", "forbidden", "rate_limited", "unavailable"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// Retry tells a client what may be done with a refused action.
type Retry uint8

// The ways to retry. Never is the zero value: a refusal is final unless its
// author thought about it.
const (
	RetryNever   Retry = iota // the same request can never succeed
	RetrySameKey              // nothing was done: send it again, same idempotency key
	RetryNewKey               // the refusal is stored: a new attempt needs a new idempotency key
	RetryAfter                // send it again after RetryIn
)

// Error is a refusal or a fault with a stable code.
type Error struct {
	Kind    Kind
	Code    string   // UPPER_SNAKE, never renamed
	Field   []string // path of the input field at fault, if one is
	Message string   // safe to show to the caller
	Retry   Retry
	RetryIn time.Duration // with RetryAfter
	Err     error         // cause, for the log only
}

// Error says the code, the message and the cause. It is for logs: a caller is
// shown Code and Message only.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Err)
	}
	return e.Code + ": " + e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a kind. Field may name the input field at fault.
func New(kind Kind, code, message string, field ...string) *Error {
	return &Error{Kind: kind, Code: code, Message: message, Field: field}
}

// With gives a copy with another retry rule.
func (e *Error) With(r Retry) *Error {
	c := *e
	c.Retry = r
	return &c
}

// In gives a copy that names the input field at fault.
func (e *Error) In(field ...string) *Error {
	c := *e
	c.Field = field
	return &c
}

// Because gives a copy with a cause for the log.
func (e *Error) Because(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// Is lets errors.Is match by code, so that a sentinel matches its copies.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Kind == e.Kind
}

// As finds the *Error in a chain; nil when there is none.
func As(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// IsRefusal tells whether err is an expected refusal, shown as a user error.
func IsRefusal(err error) bool {
	e := As(err)
	if e == nil {
		return false
	}
	switch e.Kind {
	case Invalid, Conflict, Failed, NotFound:
		return true
	}
	return false
}

// KindOf gives the kind of err; an error that is not ours is Internal.
func KindOf(err error) Kind {
	if e := As(err); e != nil {
		return e.Kind
	}
	return Internal
}

// Errors of the edge that no domain owns.
var (
	ErrUnauthenticated = New(Unauthenticated, "UNAUTHENTICATED", "Sign in: a valid bearer token is needed.")
	ErrForbidden       = New(Forbidden, "FORBIDDEN", "Your role may not do this.")
	ErrUnavailable     = New(Unavailable, "UNAVAILABLE", "Souk cannot do this right now; nothing was done. Try again.").With(RetrySameKey)
)

// Panicked makes an error of what a deferred function recovered, with the stack
// that led there.
func Panicked(value any) error { return fmt.Errorf("panic: %v\n%s", value, debug.Stack()) }
