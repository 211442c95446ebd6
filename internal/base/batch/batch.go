// Package batch reads for many callers in one query.
package batch

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	sizeMax = 500
	timeout = 10 * time.Second
)

// Reader reads for many callers in one query. It never waits for company: the
// first caller reads at once, and those who come while it does are read together
// afterwards. So nobody is given what was read before they asked.
type Reader[K comparable, V any] struct {
	read func(ctx context.Context, keys []K) (map[K]V, error)
	turn chan struct{} // holds one token while a batch is being read

	mu     sync.Mutex
	gather *batch[K, V] // what waits for its turn; nil if nothing does
}

// batch is one read, gathering or under way.
type batch[K comparable, V any] struct {
	keys  map[K]struct{}
	done  chan struct{}
	found map[K]V
	err   error
}

// New makes a reader of a function that reads a batch, and leaves out what is not
// there.
func New[K comparable, V any](read func(context.Context, []K) (map[K]V, error)) *Reader[K, V] {
	return &Reader[K, V]{read: read, turn: make(chan struct{}, 1)}
}

// Load reads one key; ok is false if there is nothing under it. It is
// not for use in a transaction, in which others would read, too.
func (l *Reader[K, V]) Load(ctx context.Context, key K) (v V, ok bool, err error) {
	b, first := l.join(key)
	if first {
		// Others wait for the batch: it is read even if this caller goes away.
		go l.lead(context.WithoutCancel(ctx), b)
	}
	select {
	case <-b.done:
		v, ok = b.found[key]
		return v, ok, b.err
	case <-ctx.Done():
		return v, false, ctx.Err()
	}
}

func (l *Reader[K, V]) join(key K) (b *batch[K, V], first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b = l.gather; b == nil || len(b.keys) >= sizeMax {
		b = &batch[K, V]{keys: map[K]struct{}{}, done: make(chan struct{}), err: errors.New("batch was not read")}
		l.gather, first = b, true
	}
	b.keys[key] = struct{}{}
	return b, first
}

// lead waits for the batch's turn and reads it.
func (l *Reader[K, V]) lead(ctx context.Context, b *batch[K, V]) {
	l.turn <- struct{}{}
	defer func() {
		<-l.turn
		close(b.done)
	}()
	l.mu.Lock()
	if l.gather == b {
		l.gather = nil
	}
	keys := make([]K, 0, len(b.keys))
	for k := range b.keys {
		keys = append(keys, k)
	}
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	b.found, b.err = l.read(ctx, keys)
}
