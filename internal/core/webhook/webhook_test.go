package webhook

import (
	"errors"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/outbound"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestDelivery_After(t *testing.T) {
	t.Parallel()
	secret := errors.New("dial tcp 10.1.2.3:443")
	for name, c := range map[string]struct {
		made    int
		answer  answer
		state   State
		wait    time.Duration
		problem string
	}{
		"taken":                   {0, answer{status: 204}, Delivered, 0, ""},
		"taken, answer too long":  {0, answer{status: 200, err: &outbound.Error{Reason: outbound.ErrTooLarge}}, Delivered, 0, ""},
		"refused, answer long":    {0, answer{status: 500, err: &outbound.Error{Reason: outbound.ErrTooLarge}}, Pending, 5 * time.Second, "the answer was too long"},
		"gone":                    {0, answer{status: 410}, Failed, 0, "answered 410"},
		"first failure":           {0, answer{status: 500}, Pending, 5 * time.Second, "answered 500"},
		"second failure":          {1, answer{status: 404}, Pending, 5 * time.Minute, "answered 404"},
		"asked for more patience": {0, answer{status: 429, wait: time.Hour}, Pending, time.Hour, "answered 429"},
		"asked for less patience": {1, answer{status: 429, wait: time.Second}, Pending, 5 * time.Minute, "answered 429"},
		"circuit open":            {0, answerOf(outbound.Response{}, &outbound.Error{Reason: outbound.ErrOpen, RetryIn: time.Minute}), Pending, time.Minute, "not tried: the host failed too often just before"},
		"no answer":               {0, answer{err: &outbound.Error{Reason: outbound.ErrTimeout, Err: secret}}, Pending, 5 * time.Second, "no answer in time"},
		"address inside":          {0, answer{err: &outbound.Error{Reason: outbound.ErrRefusedAddress, Err: secret}}, Pending, 5 * time.Second, "the address is not allowed"},
		"no connection":           {0, answer{err: &outbound.Error{Reason: outbound.ErrTransport, Err: secret}}, Pending, 5 * time.Second, "no connection, or it broke"},
		"last failure":            {outbound.AttemptsMax - 1, answer{status: 500}, Failed, 0, "answered 500"},
	} {
		d := Delivery{ID: id.New(), State: Pending, AttemptCount: c.made}
		got := d.after(c.answer, schedule{random: func() float64 { return 0 }}, noon)
		var wait time.Duration
		if got.NextAttemptAt != nil {
			wait = got.NextAttemptAt.Sub(noon)
		}
		if got.State != c.state || wait != c.wait || got.LastError != c.problem || got.AttemptCount != c.made+1 {
			t.Errorf("%s: %+v after a wait of %v", name, got, wait)
		}
	}
}

func TestSchedule_RetryFor(t *testing.T) {
	t.Parallel()
	attempts := func(retryFor time.Duration) (n int) {
		s := schedule{retryFor: retryFor}
		for ok := true; ok; n++ {
			_, ok = s.next(n + 1)
		}
		return n
	}
	for retryFor, want := range map[time.Duration]int{
		0: outbound.AttemptsMax, time.Second: 1, 5 * time.Second: 2, time.Hour: 4, 72 * time.Hour: 9, 1000 * time.Hour: outbound.AttemptsMax,
	} {
		if got := attempts(retryFor); got != want {
			t.Errorf("within %v there are %d attempts, want %d", retryFor, got, want)
		}
	}
}

func TestFirstOf(t *testing.T) {
	t.Parallel()
	before := time.Now()
	made := id.New()
	bound, later := firstOf(before), firstOf(before.Add(time.Minute))
	if bound.String() > made.String() || later.String() <= made.String() {
		t.Errorf("%s is not between %s and %s", made, bound, later)
	}
}
