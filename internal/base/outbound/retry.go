package outbound

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// RetryAfterMax bounds what an answer's Retry-After can ask for.
const RetryAfterMax = 24 * time.Hour

// schedule is the one that the Standard Webhooks specification suggests: an
// endpoint that is away for a weekend still hears of everything.
var schedule = [...]time.Duration{
	0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute,
	2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// AttemptsMax is how often Backoff lets something be tried.
const AttemptsMax = len(schedule)

// Backoff says how long to wait before the next attempt when `made` attempts
// have been made; ok is false when there shall be no other. Each wait is up to a
// fifth longer than the schedule says, so that what failed together does not
// return together. random gives numbers in [0, 1); nil means the machine's.
func Backoff(made int, random func() float64) (wait time.Duration, ok bool) {
	if made < 0 || made >= AttemptsMax {
		return 0, false
	}
	if random == nil {
		random = rand.Float64
	}
	wait = schedule[made]
	return wait + time.Duration(random()*float64(wait)/5), true
}

// retryAfter reads Retry-After (RFC 9110 §10.2.3): seconds or a date. Zero when
// there is none, or none that lies ahead.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(RetryAfterMax/time.Second))) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), RetryAfterMax)
}
