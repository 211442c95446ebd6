// Package limit says how often something may happen, over all processes.
//
// A rule is a generic cell rate (GCRA): Burst at once, and Rate per Period in
// the long run. Redis counts (redis_rate). Since asking it for each of ten
// thousand payments a second would cost more than the payments, a process lets
// callers who are far from their limit pass on credit, and pays what they owe
// when it next asks:
//
//   - Credit is a part of what Redis said was left, and less than a tenth of the
//     burst. The closer a caller is to the limit the smaller it gets, and at last
//     each request asks; small limits always do.
//   - What is owed does not lapse, so in the long run the rate holds. In a short
//     window processes × (chunk - 1) more than the rule says may pass, if one
//     process does not know yet what others have used up.
//   - Once Redis has refused, no one is asked again until it could say yes, so a
//     flood above the limit costs no round trips.
//
// While Redis is away, or slower than patience, each process applies the same
// rules by itself: neither an open door nor a closed shop. All processes together
// then admit up to processes × the rule. A breaker keeps requests from waiting
// for a dead Redis, and tries it again each second.
//
// Lock-outs that protect a secret do not belong here but in SQL: this package
// forgets when Redis does.
package limit

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/go-redis/redis_rate/v10"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"
)

const (
	maxKeys  = 1 << 16
	maxChunk = 1000
	patience = 50 * time.Millisecond
	// After this many failures in a row Redis is left alone for reopenAfter.
	failuresMax = 3
	reopenAfter = time.Second
	longest     = 366 * 24 * time.Hour // in which a whole burst comes back
)

// Rule allows Burst at once and Rate per Period in the long run.
type Rule struct {
	Rate   int
	Period time.Duration
	Burst  int
}

// Validate tells what is wrong with a rule.
func (r Rule) Validate() error {
	if r.Rate < 1 || r.Burst < 1 || r.Period < time.Millisecond || r.Period > 24*time.Hour {
		return errors.New("limit: rate and burst must be positive, the period from a millisecond to a day")
	}
	if r.Rate > 1e6 || r.Burst > 1e6 || time.Duration(r.Burst) > longest/r.interval() {
		return errors.New("limit: too much in too long a time")
	}
	return nil
}

// interval is the time in which one token comes back.
func (r Rule) interval() time.Duration { return r.Period / time.Duration(r.Rate) }

// chunk is how many tokens a process pays for at once, at most.
func (r Rule) chunk() int { return max(1, min(r.Burst/10, maxChunk)) }

// Decision is the answer to one request.
type Decision struct {
	Allowed    bool
	Remaining  int           // tokens left, as far as this process knows
	RetryAfter time.Duration // when to come back, if not allowed
}

// Limiter decides for this process. It remembers a bounded number of keys.
type Limiter struct {
	redis   *redis_rate.Limiter
	breaker *gobreaker.CircuitBreaker[*redis_rate.Result]
	keys    *lru.Cache[string, *bucket]

	now      func() time.Time // the machine's, but in tests
	patience time.Duration    // the constant, but in tests
}

// New makes a limiter on rdb, whose options must have ContextTimeoutEnabled, or
// a Redis that hangs would hold requests for longer than patience.
func New(rdb redis.UniversalClient, log *slog.Logger) *Limiter {
	keys, err := lru.New[string, *bucket](maxKeys)
	if err != nil {
		panic(err) // the size is wrong
	}
	return &Limiter{
		redis:    redis_rate.NewLimiter(rdb),
		keys:     keys,
		now:      time.Now,
		patience: patience,
		breaker: gobreaker.NewCircuitBreaker[*redis_rate.Result](gobreaker.Settings{
			Name:        "limit",
			MaxRequests: 1,
			Timeout:     reopenAfter,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= failuresMax },
			OnStateChange: func(_ string, from, to gobreaker.State) {
				switch {
				case from == gobreaker.StateClosed:
					log.Warn("limit: Redis is away: each process limits by itself")
				case to == gobreaker.StateClosed:
					log.Info("limit: Redis is back")
				}
			},
		}),
	}
}

// Allow takes cost tokens from key, or none. One key goes with one rule. A cost
// above the rule's burst counts as the burst, lest it could never pass.
func (l *Limiter) Allow(ctx context.Context, key string, rule Rule, cost int) Decision {
	cost = min(cost, rule.Burst)
	if cost < 1 {
		return Decision{Allowed: true}
	}
	b := l.bucket(key)
	// Held while Redis is asked: requests of one key share the credit that comes.
	b.mu.Lock()
	defer b.mu.Unlock()
	now := l.now()
	if d, ok := b.spend(now, rule, cost); ok {
		return d
	}
	d, err := l.settle(ctx, key, b, rule, cost)
	if err != nil {
		return b.alone(now, rule, cost)
	}
	return d
}

func (l *Limiter) bucket(key string) *bucket {
	if b, ok := l.keys.Get(key); ok {
		return b
	}
	b := &bucket{}
	if old, ok, _ := l.keys.PeekOrAdd(key, b); ok {
		return old
	}
	return b
}

// settle asks Redis for what is owed and for cost.
func (l *Limiter) settle(ctx context.Context, key string, b *bucket, rule Rule, cost int) (Decision, error) {
	res, err := l.ask(ctx, key, rule, min(b.owed+cost, rule.Burst))
	if err != nil {
		return Decision{}, err
	}
	now := l.now()
	b.remaining = res.Remaining
	if res.Allowed == 0 {
		b.denied, b.deniedUntil = cost, now.Add(res.RetryAfter)
		return Decision{Remaining: res.Remaining, RetryAfter: res.RetryAfter}, nil
	}
	b.owed = 0
	b.count(now, rule, cost)
	return Decision{Allowed: true, Remaining: res.Remaining}, nil
}

func (l *Limiter) ask(ctx context.Context, key string, rule Rule, n int) (*redis_rate.Result, error) {
	return l.breaker.Execute(func() (*redis_rate.Result, error) {
		// A caller who hangs up must not count as a failure of Redis.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.patience)
		defer cancel()
		return l.redis.AllowN(ctx, key, redis_rate.Limit{Rate: rule.Rate, Period: rule.Period, Burst: rule.Burst}, n)
	})
}

// bucket is what this process knows of a key.
type bucket struct {
	mu sync.Mutex

	owed      int // spent, and not yet asked for
	remaining int // what Redis had left when it was last asked

	denied      int // Redis refuses this many until deniedUntil
	deniedUntil time.Time

	full time.Time // when this process's own count, of what it admitted, is back at nothing
}

// spend decides without Redis, if that is possible.
func (b *bucket) spend(now time.Time, rule Rule, cost int) (Decision, bool) {
	if b.denied > 0 && cost >= b.denied && now.Before(b.deniedUntil) {
		return Decision{Remaining: b.remaining - b.owed, RetryAfter: b.deniedUntil.Sub(now)}, true
	}
	if credit := min(rule.chunk()-1, b.remaining/4); b.owed+cost > credit {
		return Decision{}, false
	}
	b.owed += cost
	b.count(now, rule, cost)
	return Decision{Allowed: true, Remaining: b.remaining - b.owed}, true
}

// count keeps this process's own account of what it admitted: it is what rules
// when Redis is gone, so that an outage does not start with a fresh burst.
func (b *bucket) count(now time.Time, rule Rule, cost int) {
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(time.Duration(cost) * rule.interval())
}

// alone applies the rule to this process only.
func (b *bucket) alone(now time.Time, rule Rule, cost int) Decision {
	used := max(0, b.full.Sub(now))
	room := time.Duration(rule.Burst)*rule.interval() - used
	need := time.Duration(cost) * rule.interval()
	if need > room {
		return Decision{RetryAfter: need - room}
	}
	b.count(now, rule, cost)
	return Decision{Allowed: true, Remaining: int((room - need) / rule.interval())}
}
