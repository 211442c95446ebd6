package outbound

import (
	"net/http"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	var least, most time.Duration
	for made := range AttemptsMax {
		lo, ok1 := Backoff(made, func() float64 { return 0 })
		hi, ok2 := Backoff(made, func() float64 { return 0.999999 })
		mid, ok3 := Backoff(made, nil)
		if !ok1 || !ok2 || !ok3 || lo != schedule[made] || mid < lo || mid > lo+lo/5 || hi > lo+lo/5 {
			t.Errorf("attempt %d: %v, %v, %v", made, lo, mid, hi)
		}
		least, most = least+lo, most+hi
	}
	if least < 3*24*time.Hour || most > 4*24*time.Hour {
		t.Errorf("in all %v to %v, want some three days", least, most)
	}
	for _, made := range []int{-1, AttemptsMax, AttemptsMax + 1} {
		if _, ok := Backoff(made, nil); ok {
			t.Errorf("attempt %d was granted", made)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tests := map[string]time.Duration{
		"":                               0,
		"0":                              0,
		"120":                            2 * time.Minute,
		"-5":                             0,
		"1.5":                            0,
		"soon":                           0,
		"86401":                          RetryAfterMax,
		"99999999999999999999999":        RetryAfterMax,
		"Sun, 01 Mar 2026 12:01:00 GMT":  time.Minute,
		"Sun, 01 Mar 2026 11:00:00 GMT":  0,
		"Thu, 01 Mar 2126 12:00:00 GMT":  RetryAfterMax,
		"Sunday, 01-Mar-26 12:01:00 GMT": time.Minute, // RFC 850
		"Sun Mar  1 12:01:00 2026":       time.Minute, // asctime
	}
	for text, want := range tests {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
