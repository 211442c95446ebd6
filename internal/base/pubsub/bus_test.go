package pubsub

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type testBundle struct {
	redis *miniredis.Miniredis
	addr  string
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	m := miniredis.RunT(t)
	return &testBundle{redis: m, addr: m.Addr()}
}

// process starts a bus as another process would have it.
func (tb *testBundle) process(t *testing.T) *Bus {
	t.Helper()
	b := newBus(t, tb.addr)
	run(t, b)
	return b
}

func newBus(t testing.TB, addr string) *Bus {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: addr, DialTimeout: time.Second, MaxRetries: -1})
	t.Cleanup(func() { _ = rdb.Close() })
	return New(rdb, slog.New(slog.NewTextHandler(io.Discard, nil)))
}

func run(t testing.TB, b *Bus) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); b.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// next waits for a payload, passing over wake-ups unless one is wanted.
func next(t *testing.T, ch <-chan []byte, want string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case p, ok := <-ch:
			if !ok {
				t.Fatalf("closed while waiting for %q", want)
			}
			if string(p) == want {
				return
			}
		case <-deadline:
			t.Fatalf("no %q came", want)
		}
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

func TestBus_AcrossProcesses(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	one, two := tb.process(t), tb.process(t)
	here := one.SubscribeQueue(t.Context(), "a", 4)
	there := two.SubscribeQueue(t.Context(), "a", 4)
	next(t, here, "") // confirmed
	next(t, there, "")

	one.Publish(t.Context(), "b", []byte("other topic"))
	one.Publish(t.Context(), "a", []byte("hello"))
	if p := <-here; string(p) != "hello" {
		t.Fatalf("own process got %q", p)
	}
	if p := <-there; string(p) != "hello" {
		t.Fatalf("other process got %q", p)
	}
	one.Publish(t.Context(), "a", []byte("again"))
	next(t, there, "again")
	if n := len(here); n != 1 {
		t.Fatalf("own process has %d more payloads, want 1: no echo", n)
	}
}

func TestBus_SlowSubscriberCollapses(t *testing.T) {
	t.Parallel()
	b := newBus(t, "127.0.0.1:1")
	wake := b.Subscribe(t.Context(), "a")
	queue := b.SubscribeQueue(t.Context(), "a", 3)
	for i := range 3 {
		b.Publish(t.Context(), "a", fmt.Append(nil, i))
	}
	if p := <-wake; p != nil {
		t.Fatalf("got %q, want a wake-up", p)
	}
	for i := range 3 {
		if p := <-queue; string(p) != fmt.Sprint(i) {
			t.Fatalf("got %q, want %d", p, i)
		}
	}
	for i := range 10 {
		b.Publish(t.Context(), "a", fmt.Append(nil, i))
	}
	if p := <-queue; p != nil {
		t.Fatalf("got %q, want a wake-up after the overflow", p)
	}
}

func TestBus_PayloadTooLong(t *testing.T) {
	t.Parallel()
	b := newBus(t, "127.0.0.1:1")
	ch := b.Subscribe(t.Context(), "a")
	b.Publish(t.Context(), "a", make([]byte, MaxPayload+1))
	if p := <-ch; p != nil {
		t.Fatalf("got %d bytes, want a wake-up", len(p))
	}
}

func TestBus_ClosesWithItsContext(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	b := tb.process(t)
	ctx, cancel := context.WithCancel(t.Context())
	ch := b.Subscribe(ctx, "a")
	until(t, "subscribed", func() bool { return len(tb.redis.PubSubChannels(channelPrefix+"a")) == 1 })
	cancel()
	until(t, "closed", func() bool {
		select {
		case _, ok := <-ch:
			return !ok
		default:
			return false
		}
	})
	until(t, "unsubscribed", func() bool { return len(tb.redis.PubSubChannels(channelPrefix+"a")) == 0 })
	b.Publish(t.Context(), "a", []byte("to nobody"))
}

func TestBus_OneSubscriptionForAll(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	b, other := tb.process(t), tb.process(t)
	const topics, each = 500, 10
	var all []<-chan []byte
	for i := range topics * each {
		all = append(all, b.SubscribeQueue(t.Context(), fmt.Sprint(i%topics), 2))
	}
	for _, ch := range all[:topics] {
		next(t, ch, "")
	}
	if n := tb.redis.PubSubNumSub(channelPrefix + "7")[channelPrefix+"7"]; n != 1 {
		t.Fatalf("Redis has %d subscriptions of one topic, want 1", n)
	}
	for i := range topics {
		other.Publish(t.Context(), fmt.Sprint(i), []byte("x"))
	}
	for _, ch := range all {
		next(t, ch, "x")
	}
}

func TestBus_RedisAwayAndBack(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	one, two := tb.process(t), tb.process(t)
	a, gone := one.Subscribe(t.Context(), "a"), two.Subscribe(t.Context(), "a")
	next(t, a, "")
	next(t, gone, "")

	tb.redis.Close()
	until(t, "noticed", func() bool { return !one.Connected() && !two.Connected() })
	one.Publish(t.Context(), "a", []byte("alone"))
	next(t, a, "alone")
	late := two.Subscribe(t.Context(), "late") // asked for during the outage

	if err := tb.redis.Restart(); err != nil {
		t.Fatal(err)
	}
	next(t, a, "") // each local subscriber looks again
	next(t, gone, "")
	next(t, late, "")
	until(t, "reconnected", func() bool { return one.Connected() && two.Connected() })
	one.Publish(t.Context(), "late", []byte("x"))
	next(t, late, "x")
	one.Publish(t.Context(), "a", []byte("y"))
	next(t, gone, "y")
}

func TestBus_SignalsKeptWhileOnlyThePublisherIsCutOff(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	two := tb.process(t)
	ch := two.Subscribe(t.Context(), "a")
	next(t, ch, "")

	one := newBus(t, tb.addr)
	one.Publish(t.Context(), "a", []byte("before Run"))
	run(t, one)
	next(t, ch, "before Run")

	tb.redis.SetError("LOADING")
	one.Publish(t.Context(), "a", []byte("refused"))
	until(t, "tried and kept", func() bool {
		one.mu.Lock()
		defer one.mu.Unlock()
		return len(one.outgoing["a"]) == 1 && isWake(one.outgoing["a"][0])
	})
	tb.redis.SetError("")
	next(t, ch, "")
}

func TestBus_OutgoingIsBounded(t *testing.T) {
	t.Parallel()
	b := newBus(t, "127.0.0.1:1")
	for i := range outgoingTopics + 10 {
		b.Publish(t.Context(), fmt.Sprint(i), []byte("x"))
	}
	for range outgoingKeep + 10 {
		b.Publish(t.Context(), "0", []byte("x"))
	}
	if n := len(b.outgoing); n != outgoingTopics {
		t.Fatalf("%d topics wait, want %d", n, outgoingTopics)
	}
	if n := len(b.outgoing["0"]); n != 1 {
		t.Fatalf("%d payloads wait, want them collapsed", n)
	}
}

// A peer that vanished without closing the connection is noticed by silence.
func TestBus_SilentConnection(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	p := newProxy(t, tb.addr)
	b := newBus(t, p.ln.Addr().String())
	b.deadAfter = 200 * time.Millisecond
	run(t, b)
	ch := b.Subscribe(t.Context(), "a")
	next(t, ch, "")
	p.freeze()
	until(t, "noticed", func() bool { return !b.Connected() })
	p.thaw()
	next(t, ch, "")
	until(t, "reconnected", b.Connected)
}

// proxy forwards to Redis, or swallows everything while frozen.
type proxy struct {
	ln     net.Listener
	mu     sync.Mutex
	frozen bool
	conns  sync.WaitGroup
}

func newProxy(t *testing.T, to string) *proxy {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln}
	p.conns.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			p.conns.Go(func() { p.copy(in, out) })
			p.conns.Go(func() { p.copy(out, in) })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); p.conns.Wait() })
	return p
}

func (p *proxy) copy(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		frozen := p.frozen
		p.mu.Unlock()
		if frozen {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) freeze() { p.mu.Lock(); p.frozen = true; p.mu.Unlock() }
func (p *proxy) thaw()   { p.mu.Lock(); p.frozen = false; p.mu.Unlock() }

// Publishers, subscribers that come and go, and an unreliable Redis at once: at
// the end everyone hears.
func TestBus_Storm(t *testing.T) {
	t.Parallel()
	tb := setup(t)
	buses := []*Bus{tb.process(t), tb.process(t)}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for i := range 8 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				b := buses[n%2]
				sctx, leave := context.WithCancel(ctx)
				ch := b.Subscribe(sctx, fmt.Sprint(n%5))
				b.Publish(ctx, fmt.Sprint((n+i)%5), []byte("x"))
				select {
				case <-ch:
				default:
				}
				leave()
			}
		})
	}
	for range 3 {
		tb.redis.Close()
		if err := tb.redis.Restart(); err != nil {
			t.Error(err)
		}
	}
	cancel()
	wg.Wait()
	ch := buses[0].Subscribe(t.Context(), "end")
	next(t, ch, "")
	buses[1].Publish(t.Context(), "end", []byte("x"))
	next(t, ch, "x")
}

func BenchmarkBus_Publish(b *testing.B) {
	m := miniredis.RunT(b)
	bus := newBus(b, m.Addr())
	run(b, bus)
	for range 1000 {
		bus.Subscribe(b.Context(), "busy")
	}
	b.Run("no subscriber here", func(b *testing.B) {
		for i := range b.N {
			bus.Publish(b.Context(), fmt.Sprint(i%1000), []byte("x"))
		}
	})
	b.Run("1000 subscribers here", func(b *testing.B) {
		for range b.N {
			bus.Publish(b.Context(), "busy", []byte("x"))
		}
	})
}
