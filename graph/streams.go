package graph

import (
	"context"
	"errors"
	"sync"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/errs"
)

// streams counts what is live: connections in all, to end them at a shutdown,
// and subscriptions and WebSockets for each viewer.
type streams struct {
	limits Limits

	mu            sync.Mutex
	next          int
	open          map[int]context.CancelCauseFunc
	subscriptions map[string]int // by viewer
	sockets       map[string]int // by viewer
	closed        bool
	done          sync.WaitGroup
}

// errShutdown is the cause with which live connections end at a shutdown.
var errShutdown = errors.New("the server is going away")

var (
	errTooManyStreams       = errs.New(errs.Unavailable, "STREAMS_FULL", "Souk holds as many live connections as it can. Try again soon.")
	errTooManySockets       = errs.New(errs.RateLimited, "SOCKETS_FULL", "You have as many WebSockets open as you may.")
	errTooManySubscriptions = errs.New(errs.RateLimited, "SUBSCRIPTIONS_FULL", "You have as many live subscriptions as you may.")
)

// enter admits a live connection, until leave is called. The context ends at a
// shutdown.
func (s *streams) enter(parent context.Context) (ctx context.Context, leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.open) >= s.limits.Streams {
		return nil, nil, errTooManyStreams
	}
	ctx, cancel := context.WithCancelCause(parent)
	key := s.next
	s.next++
	s.open[key] = cancel
	s.done.Add(1)
	return ctx, func() {
		cancel(nil)
		s.mu.Lock()
		delete(s.open, key)
		s.mu.Unlock()
		s.done.Done()
	}, nil
}

// subscribe admits one more subscription of a viewer, until leave is called.
func (s *streams) subscribe(v auth.Viewer) (leave func(), err error) {
	return s.count(s.subscriptions, v, s.limits.Subscriptions, errTooManySubscriptions)
}

// connect admits one more WebSocket of a viewer, until leave is called. Nobody
// may hold all there are; each subscription may have one of its own.
func (s *streams) connect(v auth.Viewer) (leave func(), err error) {
	return s.count(s.sockets, v, s.limits.Subscriptions, errTooManySockets)
}

func (s *streams) count(counts map[string]int, v auth.Viewer, most int, full error) (leave func(), err error) {
	key := v.Kind.String() + " " + v.Issuer + " " + v.Subject
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.Kind != auth.Anonymous && counts[key] >= most {
		return nil, full
	}
	counts[key]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if counts[key]--; counts[key] == 0 {
			delete(counts, key)
		}
	}, nil
}

func (s *streams) shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for _, cancel := range s.open {
		cancel(errShutdown)
	}
	s.mu.Unlock()
	gone := make(chan struct{})
	go func() {
		s.done.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
