package outbound

import (
	"errors"
	"time"
)

// The reasons for which a request has no usable answer. Test with errors.Is.
var (
	ErrInvalidURL     = errors.New("outbound: URL not allowed")
	ErrRefusedAddress = errors.New("outbound: address refused")
	ErrTooLarge       = errors.New("outbound: too large")
	ErrTimeout        = errors.New("outbound: timed out")
	ErrOpen           = errors.New("outbound: host is failing, circuit open")
	ErrRedirect       = errors.New("outbound: answered with a redirect")
	ErrTransport      = errors.New("outbound: transport failed")
)

// Error says why a request has no usable answer and what is known of it. Its
// text may name addresses inside our network: it is for the log, not for the
// party whose URL it was (except with ErrInvalidURL, which speaks of the URL
// alone).
type Error struct {
	Reason  error         // one of the sentinels above
	Sent    bool          // the party may have seen the request
	RetryIn time.Duration // with ErrOpen: when the host is tried again
	Err     error         // cause; nil when Reason says it all
}

// Error gives the reason and the cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Reason.Error()
	}
	return e.Reason.Error() + ": " + e.Err.Error()
}

// Unwrap gives the reason and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Reason}
	}
	return []error{e.Reason, e.Err}
}

// NotSent tells whether a failed request certainly never reached the party:
// it was refused here, or no connection came about. Of every other failure the
// outcome is unknown: the party may have acted on the request. It speaks of this
// attempt alone, not of earlier ones with the same content.
func NotSent(err error) bool {
	var e *Error
	return errors.As(err, &e) && !e.Sent
}
