// Package pubsub tells every process that there is something new.
//
// A message is a wake-up signal, not a record: whoever receives one reads SQL
// again, which alone says what happened. That makes the rules simple:
//
//   - a publisher never waits, for Redis or for a subscriber;
//   - a subscriber that is slow, or that may have missed something, gets a nil
//     payload, which means "anything may have happened: look again";
//   - subscribers in the publisher's own process are told even without Redis.
//
// A process holds one connection for all of its subscriptions, however many
// there are, and one subscription in Redis for each topic.
package pubsub

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// MaxPayload is the longest payload that is carried; a longer one becomes nil.
const MaxPayload = 4 << 10

const (
	channelPrefix = "souk:bus:"
	// A topic's payloads that wait for Redis; more of them collapse into nil.
	outgoingKeep = 256
	// Topics that wait for Redis. When it is away for so long that they do not
	// fit, the rest is dropped: other processes wake all of their subscribers
	// when Redis is back.
	outgoingTopics = 16 << 10
)

// Bus fans signals out to the subscribers of all processes that share a Redis.
// Until Run is called, and while Redis is away, it serves its own process only.
type Bus struct {
	rdb    redis.UniversalClient
	log    *slog.Logger
	origin string // marks this process's messages, which were delivered already

	mu       sync.Mutex
	topics   map[string]map[*subscriber]struct{}
	touched  map[string]struct{} // topics that were gained or lost since the connection was told
	outgoing map[string][][]byte

	retopic   chan struct{} // touched is not empty
	publish   chan struct{} // outgoing is not empty
	connected atomic.Bool
	deadAfter time.Duration // the constant, but in tests
}

// New makes a bus. Run connects it to Redis.
func New(rdb redis.UniversalClient, log *slog.Logger) *Bus {
	return &Bus{
		rdb: rdb, log: log, origin: rand.Text()[:originSize],
		topics:   map[string]map[*subscriber]struct{}{},
		touched:  map[string]struct{}{},
		outgoing: map[string][][]byte{},
		retopic:  make(chan struct{}, 1),
		publish:  make(chan struct{}, 1),

		deadAfter: deadAfter,
	}
}

// Connected tells whether other processes' signals arrive at this moment.
// A connection that died without a word is noticed within four seconds.
func (b *Bus) Connected() bool { return b.connected.Load() }

// Publish wakes the topic's subscribers: those of this process before it
// returns, the others soon after. It never waits; payload is not to be changed
// afterwards.
func (b *Bus) Publish(ctx context.Context, topic string, payload []byte) {
	if len(payload) > MaxPayload {
		payload = nil
	}
	b.mu.Lock()
	for s := range b.topics[topic] {
		s.put(payload)
	}
	kept := b.enqueue(topic, payload)
	b.mu.Unlock()
	if !kept {
		b.log.WarnContext(ctx, "pubsub: too much waits for Redis: signal kept in this process", "topic", topic)
	}
	signal(b.publish)
}

// Subscribe gives a channel that wakes for the topic until ctx is done, and is
// then closed. At most one payload waits in it: when more come they collapse
// into one nil. A nil also comes when Redis confirms a topic that is new to this
// process, and all topics after a lost connection, because only from then on is
// nothing missed. A reader that subscribes first, then reads SQL, and takes each
// wake-up for "read SQL again" therefore misses nothing.
func (b *Bus) Subscribe(ctx context.Context, topic string) <-chan []byte {
	return b.SubscribeQueue(ctx, topic, 1)
}

// SubscribeQueue is Subscribe for a reader that wants the payloads: up to n of
// them wait before they collapse into one nil.
func (b *Bus) SubscribeQueue(ctx context.Context, topic string, n int) <-chan []byte {
	s := &subscriber{ch: make(chan []byte, n)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.topics[topic] == nil {
		b.topics[topic] = map[*subscriber]struct{}{}
		b.touch(topic)
	}
	b.topics[topic][s] = struct{}{}
	context.AfterFunc(ctx, func() { b.remove(topic, s) })
	return s.ch
}

func (b *Bus) remove(topic string, s *subscriber) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.topics[topic], s)
	if len(b.topics[topic]) == 0 {
		delete(b.topics, topic)
		b.touch(topic)
	}
	close(s.ch)
}

// deliver gives a payload to this process's subscribers.
func (b *Bus) deliver(topic string, payload []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.topics[topic] {
		s.put(payload)
	}
}

// touch has the connection look at a topic again. The lock is held.
func (b *Bus) touch(topic string) {
	b.touched[topic] = struct{}{}
	signal(b.retopic)
}

// enqueue keeps a payload for Redis, if there is room. The lock is held.
func (b *Bus) enqueue(topic string, payload []byte) bool {
	waiting, ok := b.outgoing[topic]
	switch {
	case !ok && len(b.outgoing) >= outgoingTopics:
		return false
	case slices.ContainsFunc(waiting, isWake):
		return true // the nil that waits already says all that this one could
	case payload == nil || len(waiting) >= outgoingKeep:
		waiting = [][]byte{nil}
	default:
		waiting = append(waiting, payload)
	}
	b.outgoing[topic] = waiting
	return true
}

// subscriber is one reader. Its channel is written and closed under Bus.mu
// only, so that put never blocks and never meets a closed channel.
type subscriber struct{ ch chan []byte }

func (s *subscriber) put(payload []byte) {
	select {
	case s.ch <- payload:
		return
	default:
	}
	for len(s.ch) > 0 {
		select {
		case <-s.ch:
		default: // the reader was faster
		}
	}
	s.ch <- nil
}

func isWake(payload []byte) bool { return len(payload) == 0 }

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
