package pubsub

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	originSize = 8
	// A connection is pinged once a second and given up when nothing, not even
	// a pong, came for deadAfter.
	deadAfter = 4 * time.Second
	pauseMin  = 50 * time.Millisecond
	pauseMax  = 2 * time.Second
	// Channels in one SUBSCRIBE, so that thousands of topics do not make one
	// huge command when a connection is made anew.
	subscribeBatch = 1000
)

// Run exchanges signals with the other processes until ctx is done. It outlives
// any failure of Redis.
func (b *Bus) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { b.persist(ctx, "publish", b.send) })
	wg.Go(func() { b.persist(ctx, "subscribe", b.listen) })
	wg.Wait()
}

// persist repeats do until ctx is done, with growing pauses while it fails at
// once. An outage is logged when it begins, not at each attempt.
func (b *Bus) persist(ctx context.Context, what string, do func(context.Context) error) {
	pause := pauseMin
	for ctx.Err() == nil {
		began := time.Now()
		err := do(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > pauseMax {
			pause = pauseMin
		}
		if pause == pauseMin {
			b.log.WarnContext(ctx, "pubsub: Redis is away", "doing", what, "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, pauseMax)
	}
}

// send passes what waits on to Redis until that fails; what failed then waits
// again, as wake-ups only.
func (b *Bus) send(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.publish:
		}
		b.mu.Lock()
		batch := b.outgoing
		b.outgoing = map[string][][]byte{}
		b.mu.Unlock()
		if err := b.sendBatch(ctx, batch); err != nil {
			b.mu.Lock()
			for topic := range batch {
				b.enqueue(topic, nil)
			}
			b.mu.Unlock()
			signal(b.publish)
			return err
		}
	}
}

func (b *Bus) sendBatch(ctx context.Context, batch map[string][][]byte) error {
	if len(batch) == 0 {
		return nil
	}
	_, err := b.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for topic, payloads := range batch {
			for _, payload := range payloads {
				p.Publish(ctx, channelPrefix+topic, b.origin+string(payload))
			}
		}
		return nil
	})
	return err
}

// listen holds one connection until it fails.
func (b *Bus) listen(ctx context.Context) error {
	ps := b.rdb.Subscribe(ctx)
	ctx, cancel := context.WithCancelCause(ctx)
	// Closing is the only thing that interrupts Receive.
	stop := context.AfterFunc(ctx, func() { _ = ps.Close() })
	heard := make(chan struct{}, 1)
	var wg sync.WaitGroup
	wg.Go(func() { cancel(b.tend(ctx, ps, heard)) })
	defer func() {
		b.connected.Store(false)
		cancel(nil)
		stop()
		_ = ps.Close()
		wg.Wait()
	}()
	for {
		m, err := ps.Receive(ctx)
		if err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		signal(heard)
		b.receive(m)
	}
}

func (b *Bus) receive(m any) {
	switch m := m.(type) {
	case *redis.Subscription:
		topic := strings.TrimPrefix(m.Channel, channelPrefix)
		switch {
		case m.Kind != "subscribe":
		case topic == "": // the channel that is always there
			b.connected.Store(true)
		default:
			b.deliver(topic, nil)
		}
	case *redis.Message:
		if len(m.Payload) < originSize || m.Payload[:originSize] == b.origin {
			return
		}
		var payload []byte
		if m.Payload != m.Payload[:originSize] {
			payload = []byte(m.Payload[originSize:])
		}
		b.deliver(strings.TrimPrefix(m.Channel, channelPrefix), payload)
	}
}

// tend keeps a connection's subscriptions in line with the topics of this
// process, and notices when it died without a word.
func (b *Bus) tend(ctx context.Context, ps *redis.PubSub, heard <-chan struct{}) error {
	// A channel without messages: it is what the connection lives for while
	// nobody subscribes to anything.
	if err := ps.Subscribe(ctx, channelPrefix); err != nil {
		return err
	}
	b.mu.Lock()
	for topic := range b.topics {
		b.touch(topic)
	}
	b.mu.Unlock()

	subscribed := map[string]bool{}
	ticks := time.NewTicker(b.deadAfter / 4)
	defer ticks.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-heard:
			last = time.Now()
		case <-b.retopic:
			if err := b.align(ctx, ps, subscribed); err != nil {
				return err
			}
		case <-ticks.C:
			if time.Since(last) > b.deadAfter {
				return errors.New("no answer on the subscription")
			}
			if err := ps.Ping(ctx); err != nil {
				return err
			}
		}
	}
}

// align subscribes to the topics that were gained and leaves those that were
// lost.
func (b *Bus) align(ctx context.Context, ps *redis.PubSub, subscribed map[string]bool) error {
	var gained, lost []string
	b.mu.Lock()
	for topic := range b.touched {
		_, wanted := b.topics[topic]
		switch {
		case wanted && !subscribed[topic]:
			gained = append(gained, channelPrefix+topic)
			subscribed[topic] = true
		case !wanted && subscribed[topic]:
			lost = append(lost, channelPrefix+topic)
			delete(subscribed, topic)
		}
	}
	clear(b.touched)
	b.mu.Unlock()
	for batch := range slices.Chunk(gained, subscribeBatch) {
		if err := ps.Subscribe(ctx, batch...); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(lost, subscribeBatch) {
		if err := ps.Unsubscribe(ctx, batch...); err != nil {
			return err
		}
	}
	return nil
}
