package graph

import (
	"context"
	"time"
)

// Loader turns the single loads that the elements of a list ask for into
// batches. It is made once, as a field of Resolver, and keeps nothing from one
// batch to the next, so that a subscription that lives for hours never reads
// what is old.
type Loader[K comparable, V any] struct {
	fetch func(ctx context.Context, keys []K) (map[K]V, error)
}

// NewLoader makes a loader of a service's ByIDs.
func NewLoader[K comparable, V any](fetch func(ctx context.Context, keys []K) (map[K]V, error)) *Loader[K, V] {
	return &Loader[K, V]{fetch: fetch}
}

const (
	// gather is how long a batch waits for the other elements of its list:
	// gqlgen starts them all at once.
	gather = 300 * time.Microsecond
	// maxBatch is the largest batch; the next one starts beyond it.
	maxBatch = 500
)

// batch is one fetch, on its way.
type batch[K comparable, V any] struct {
	keys  []K
	known map[K]bool
	full  chan struct{} // closed when no more keys fit
	done  chan struct{} // closed when found and err stand
	found map[K]V
	err   error
}

// Load finds one value together with those that other resolvers of the same
// operation ask for now. It is the zero V when the fetch did not find it.
func (l *Loader[K, V]) Load(ctx context.Context, key K) (V, error) {
	v, _, err := l.Find(ctx, key)
	return v, err
}

// Find is Load for values whose zero is one: ok is false when the fetch did not
// find it.
func (l *Loader[K, V]) Find(ctx context.Context, key K) (v V, ok bool, err error) {
	s := scopeOf(ctx)
	if s == nil { // outside an operation there is nobody to share with
		found, err := l.fetch(ctx, []K{key})
		v, ok = found[key]
		return v, ok, err
	}
	b := l.join(ctx, s, key)
	select {
	case <-b.done:
		v, ok = b.found[key]
		return v, ok, b.err
	case <-ctx.Done():
		return v, false, ctx.Err()
	}
}

// join puts a key into the open batch of its operation, or opens one.
func (l *Loader[K, V]) join(ctx context.Context, s *scope, key K) *batch[K, V] {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, open := s.loads[l].(*batch[K, V])
	if !open {
		b = &batch[K, V]{known: map[K]bool{}, full: make(chan struct{}), done: make(chan struct{})}
		if s.loads == nil {
			s.loads = map[any]any{}
		}
		s.loads[l] = b
		go l.run(ctx, s, b)
	}
	if !b.known[key] {
		b.known[key] = true
		b.keys = append(b.keys, key)
	}
	if len(b.keys) == maxBatch {
		delete(s.loads, l)
		close(b.full)
	}
	return b
}

// run fetches a batch once it is full or has waited.
func (l *Loader[K, V]) run(ctx context.Context, s *scope, b *batch[K, V]) {
	defer close(b.done)
	defer func() {
		if value := recover(); value != nil {
			b.err = recovered(ctx, value)
		}
	}()
	wait := time.NewTimer(gather)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-b.full:
	}
	s.mu.Lock()
	if s.loads[l] == b {
		delete(s.loads, l)
	}
	s.mu.Unlock()
	b.found, b.err = l.fetch(ctx, b.keys)
}
