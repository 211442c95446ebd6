package limit

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testBundle is a Redis and processes whose clocks all stand still until told.
type testBundle struct {
	redis *miniredis.Miniredis
	now   atomic.Pointer[time.Time]
}

func setup(t testing.TB) *testBundle {
	t.Helper()
	tb := &testBundle{redis: miniredis.RunT(t)}
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	tb.now.Store(&start)
	tb.redis.SetTime(start)
	return tb
}

func (tb *testBundle) advance(d time.Duration) {
	now := tb.now.Load().Add(d)
	tb.now.Store(&now)
	tb.redis.SetTime(now)
	tb.redis.FastForward(d)
}

func (tb *testBundle) process(t testing.TB) *Limiter {
	l := newLimiter(t, tb.redis.Addr())
	l.now = func() time.Time { return *tb.now.Load() }
	l.patience = 10 * time.Second // a busy machine is no outage
	return l
}

func newLimiter(t testing.TB, addr string) *Limiter {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{
		Addr: addr, ContextTimeoutEnabled: true, DialTimeout: time.Second, DialerRetries: 1, MaxRetries: -1,
	})
	t.Cleanup(func() { _ = rdb.Close() })
	return New(rdb, slog.New(slog.NewTextHandler(io.Discard, nil)))
}

// drain counts how many of n requests pass.
func drain(l *Limiter, rule Rule, n int) (allowed int) {
	for range n {
		if l.Allow(context.Background(), "k", rule, 1).Allowed {
			allowed++
		}
	}
	return allowed
}

// equal forgives one token of many: redis_rate counts in doubles, and while the
// clock stands still their rounding may keep the last token of a burst back.
func equal(t *testing.T, what string, got, want int) {
	t.Helper()
	if got != want && (want < 5 || got != want-1) {
		t.Fatalf("%s: %d allowed, want %d", what, got, want)
	}
}

func TestLimiter_Exact(t *testing.T) {
	t.Parallel()
	for _, rule := range []Rule{
		{Rate: 1, Period: time.Minute, Burst: 1},
		{Rate: 5, Period: time.Second, Burst: 10},
		{Rate: 1000, Period: time.Second, Burst: 1000},
	} {
		tb := setup(t)
		l := tb.process(t)
		equal(t, "burst", drain(l, rule, 2*rule.Burst), rule.Burst)
		d := l.Allow(t.Context(), "k", rule, 1)
		if d.RetryAfter <= 0 || d.RetryAfter > rule.interval() {
			t.Fatalf("%+v: retry after %v", rule, d.RetryAfter)
		}
		tb.advance(d.RetryAfter + 20*time.Microsecond) // the grain of redis_rate's times
		equal(t, "one came back", drain(l, rule, 10), 1)
		tb.advance(time.Duration(rule.Burst+1) * rule.interval())
		equal(t, "all came back", drain(l, rule, 2*rule.Burst), rule.Burst)
	}
}

func TestLimiter_Cost(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	l := tb.process(t)
	rule := Rule{Rate: 100, Period: time.Second, Burst: 100}
	if d := l.Allow(t.Context(), "k", rule, 95); !d.Allowed || d.Remaining != 5 {
		t.Fatalf("first: %+v", d)
	}
	if d := l.Allow(t.Context(), "k", rule, 6); d.Allowed || d.RetryAfter <= 0 {
		t.Fatalf("too dear: %+v", d)
	}
	if d := l.Allow(t.Context(), "k", rule, 5); !d.Allowed {
		t.Fatalf("cheaper: %+v", d)
	}
	if d := l.Allow(t.Context(), "k", rule, 0); !d.Allowed {
		t.Fatalf("free: %+v", d)
	}
	if d := l.Allow(t.Context(), "other", rule, 1000); !d.Allowed {
		t.Fatalf("above the burst: %+v", d)
	}
	equal(t, "nothing left", drain(l, rule, 10), 0)
}

// However many processes spend from one key, together they keep to its rule, but
// for the little that each lets pass on credit.
func TestLimiter_TwoProcesses(t *testing.T) {
	t.Parallel()
	for _, rule := range []Rule{
		{Rate: 10, Period: time.Second, Burst: 20},
		{Rate: 1000, Period: time.Second, Burst: 1000},
	} {
		tb := setup(t)
		one, two := tb.process(t), tb.process(t)
		credit := 2 * (rule.chunk() - 1)
		total := 0
		for range 2 * rule.Burst {
			total += drain(one, rule, 1) + drain(two, rule, 1)
		}
		if total < rule.Burst-1 || total > rule.Burst+credit { // 1: see equal
			t.Fatalf("%+v: a burst of %d", rule, total)
		}

		const seconds = 5
		total = 0
		for range seconds * 100 {
			tb.advance(10 * time.Millisecond)
			total += drain(one, rule, rule.Rate/100+1) + drain(two, rule, rule.Rate/100+1)
		}
		if most := seconds*rule.Rate + 1; total > most || total < most-credit-1 {
			t.Fatalf("%+v: %d allowed in %d s", rule, total, seconds)
		}
	}
}

// What passed on credit is paid for, however much later.
func TestLimiter_DebtsArePaid(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	one, two := tb.process(t), tb.process(t)
	rule := Rule{Rate: 100, Period: time.Second, Burst: 100}
	equal(t, "one asks, and then takes credit", drain(one, rule, rule.chunk()), rule.chunk())
	if owed := one.bucket("k").owed; owed != rule.chunk()-1 {
		t.Fatalf("owes %d", owed)
	}
	tb.advance(time.Hour)
	equal(t, "one pays with the next", drain(one, rule, 1), 1)
	if owed := one.bucket("k").owed; owed != 0 {
		t.Fatalf("owes %d", owed)
	}
	equal(t, "two gets what is left", drain(two, rule, 200), 100-rule.chunk())
	equal(t, "one gets no more than its credit", drain(one, rule, 200), rule.chunk()-1)
	tb.advance(50 * time.Millisecond)
	equal(t, "one pays before it gets more", drain(one, rule, 10), 0)
	tb.advance(time.Second)
	equal(t, "and then gets the rest", drain(one, rule, 200), 100-(rule.chunk()-1))
}

func TestLimiter_RefusalsAskOnce(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	l := tb.process(t)
	rule := Rule{Rate: 1, Period: time.Minute, Burst: 1}
	drain(l, rule, 2)
	before := tb.redis.CommandCount()
	equal(t, "flood", drain(l, rule, 1000), 0)
	if n := tb.redis.CommandCount() - before; n != 0 {
		t.Fatalf("%d commands for a flood", n)
	}
}

func TestLimiter_ChunksSpareRedis(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	l := tb.process(t)
	equal(t, "all", drain(l, Rule{Rate: 10_000, Period: time.Second, Burst: 10_000}, 10_000), 10_000)
	if n := tb.redis.CommandCount(); n > 400 {
		t.Fatalf("%d commands for 10000 requests", n)
	}
}

func TestLimiter_RedisAwayAndBack(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	l := tb.process(t)
	rule := Rule{Rate: 10, Period: time.Second, Burst: 10}
	equal(t, "before", drain(l, rule, 4), 4)

	tb.redis.Close()
	began := time.Now()
	equal(t, "away: no fresh burst", drain(l, rule, 1000), 6)
	// Three are allowed to wait for patience; time for slow machines.
	if d := time.Since(began); d > 5*time.Second {
		t.Fatalf("1000 requests took %v without Redis", d)
	}
	d := l.Allow(t.Context(), "k", rule, 1)
	if d.Allowed || d.RetryAfter != 100*time.Millisecond {
		t.Fatalf("away: %+v", d)
	}
	tb.advance(300 * time.Millisecond)
	equal(t, "away: the rate goes on", drain(l, rule, 10), 3)

	if err := tb.redis.Restart(); err != nil {
		t.Fatal(err)
	}
	tb.advance(time.Minute)
	for deadline := time.Now().Add(20 * time.Second); l.breaker.State() != gobreaker.StateClosed; {
		if time.Now().After(deadline) {
			t.Fatal("Redis is never asked again")
		}
		time.Sleep(10 * time.Millisecond) // the breaker knows real time only
		l.Allow(t.Context(), "probe", rule, 1)
	}
	other := tb.process(t)
	equal(t, "back: shared again", drain(l, rule, 7)+drain(other, rule, 7), 10)
}

// A Redis that takes connections and never answers.
func TestLimiter_RedisHangs(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	l := newLimiter(t, ln.Addr().String())
	began := time.Now()
	equal(t, "local", drain(l, Rule{Rate: 1, Period: time.Hour, Burst: 5}, 500), 5)
	if d := time.Since(began); d > 5*time.Second {
		t.Fatalf("500 requests took %v", d)
	}
}

// A caller that hangs up says nothing about Redis.
func TestLimiter_CallerGone(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	l := tb.process(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	rule := Rule{Rate: 1, Period: time.Hour, Burst: 50}
	for range 50 {
		l.Allow(gone, "k", rule, 1)
	}
	if l.breaker.State() != gobreaker.StateClosed {
		t.Fatal("the breaker opened")
	}
	equal(t, "another process", drain(tb.process(t), rule, 1), 0)
}

func TestLimiter_Concurrent(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	processes := []*Limiter{tb.process(t), tb.process(t)}
	rule := Rule{Rate: 500, Period: time.Second, Burst: 500}
	var allowed [3]atomic.Int64
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 300 {
				key := i % 3
				if processes[g%2].Allow(context.Background(), fmt.Sprint(key), rule, 1).Allowed {
					allowed[key].Add(1)
				}
			}
		})
	}
	wg.Wait()
	for key := range allowed {
		got := int(allowed[key].Load())
		// Each may let some pass before it hears that the other has used them up.
		if got < 499 || got > 500+2*(rule.chunk()-1) {
			t.Errorf("key %d: %d allowed, want 500", key, got)
		}
	}
}

func TestRule_Validate(t *testing.T) {
	t.Parallel()
	if err := (Rule{Rate: 60, Period: time.Minute, Burst: 10}).Validate(); err != nil {
		t.Error(err)
	}
	for _, r := range []Rule{
		{}, {Rate: 1, Period: time.Second}, {Rate: 1, Burst: 1}, {Rate: -1, Period: time.Second, Burst: 1},
		{Rate: 1, Period: 24 * time.Hour, Burst: 1e6}, {Rate: 1 << 40, Period: time.Second, Burst: 1},
	} {
		if r.Validate() == nil {
			t.Errorf("%+v passes", r)
		}
	}
}

func BenchmarkLimiter(b *testing.B) {
	tb := setup(b)
	l := newLimiter(b, tb.redis.Addr())
	tb.redis.SetTime(time.Time{})
	rule := Rule{Rate: 1e6, Period: time.Second, Burst: 1e6}
	small := Rule{Rate: 1, Period: time.Millisecond, Burst: 9}
	b.Run("on credit", func(b *testing.B) {
		for range b.N {
			l.Allow(context.Background(), "credit", rule, 1)
		}
	})
	b.Run("on credit, parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				l.Allow(context.Background(), "parallel", rule, 1)
			}
		})
	})
	b.Run("refused", func(b *testing.B) {
		never := Rule{Rate: 1, Period: time.Hour, Burst: 1}
		for range b.N {
			l.Allow(context.Background(), "refused", never, 1)
		}
	})
	b.Run("round trip", func(b *testing.B) {
		for i := range b.N {
			l.Allow(context.Background(), fmt.Sprint("small", i), small, 1)
		}
	})
	b.Run("redis away", func(b *testing.B) {
		tb.redis.Close()
		for i := range b.N {
			l.Allow(context.Background(), fmt.Sprint(i%1000), rule, 1)
		}
	})
}
