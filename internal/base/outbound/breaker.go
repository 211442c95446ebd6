package outbound

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/sony/gobreaker/v2"
)

// errServerFault makes a 5xx count against its host; Do takes it off again.
var errServerFault = errors.New("server fault")

// breakers keeps a circuit breaker for each host that was called lately. To
// forget one is harmless: it protects our workers and a struggling party, it
// is no gate.
type breakers struct {
	cfg   Config
	hosts *lru.Cache[string, *breaker]
}

type breaker struct {
	circuit  *gobreaker.CircuitBreaker[Response]
	openedAt atomic.Pointer[time.Time]
}

func newBreakers(cfg Config) (*breakers, error) {
	hosts, err := lru.New[string, *breaker](cfg.BreakersMax)
	return &breakers{cfg: cfg, hosts: hosts}, err
}

// do runs an exchange with a host, unless the host is being left alone.
func (bs *breakers) do(key string, exchange func() (Response, error)) (Response, error) {
	b := bs.get(key)
	res, err := b.circuit.Execute(func() (Response, error) {
		res, err := exchange()
		if err == nil && res.Status >= 500 {
			err = errServerFault
		}
		return res, err
	})
	switch {
	case errors.Is(err, errServerFault):
		return res, nil
	case errors.Is(err, gobreaker.ErrOpenState):
		return res, &Error{Reason: ErrOpen, RetryIn: max(0, bs.cfg.BreakerOpen-time.Since(*b.openedAt.Load()))}
	case errors.Is(err, gobreaker.ErrTooManyRequests): // one probe is under way, for at most Timeout
		return res, &Error{Reason: ErrOpen, RetryIn: bs.cfg.Timeout}
	}
	return res, err
}

func (bs *breakers) get(key string) *breaker {
	if b, ok := bs.hosts.Get(key); ok {
		return b
	}
	b := bs.newBreaker()
	if other, ok, _ := bs.hosts.PeekOrAdd(key, b); ok {
		return other
	}
	return b
}

func (bs *breakers) newBreaker() *breaker {
	b := &breaker{}
	b.circuit = gobreaker.NewCircuitBreaker[Response](gobreaker.Settings{
		Timeout:      bs.cfg.BreakerOpen,
		ReadyToTrip:  func(n gobreaker.Counts) bool { return int64(n.ConsecutiveFailures) >= int64(bs.cfg.BreakerFailures) },
		IsSuccessful: healthy,
		IsExcluded:   saysNothing,
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if now := time.Now(); to == gobreaker.StateOpen {
				b.openedAt.Store(&now)
			}
		},
	})
	return b
}

// healthy picks the outcomes of a host that works, whatever we think of its answer.
func healthy(err error) bool {
	return err == nil || errors.Is(err, ErrRedirect) || errors.Is(err, ErrTooLarge)
}

// saysNothing picks the failures that tell nothing of the host's health: we
// refused it ourselves, or our caller went away.
func saysNothing(err error) bool {
	return errors.Is(err, ErrRefusedAddress) || errors.Is(err, context.Canceled)
}
