package graph

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/errs"
)

// eventStream writes one operation's results as server-sent events, each
// operation on a connection of its own ("distinct connections" of the GraphQL
// over SSE protocol).
type eventStream struct {
	mu      sync.Mutex
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	broken  bool
}

var headerStream = []string{typeStream + "; charset=utf-8"}

// serveStream answers with an event stream. Faults of the document are its only
// event then: a client that asked for a stream reads nothing else.
func (h *Handler) serveStream(ctx context.Context, w http.ResponseWriter, op *operation, faults gqlerror.List) {
	live, leave, err := h.streams.enter(ctx)
	if err != nil {
		write(w, accepted{}, answerTo(refused(h.engine.present(ctx, err)), accepted{}))
		return
	}
	defer leave()
	if faults == nil {
		var done func()
		if live, done, err = h.live(live, op); err != nil {
			faults = gqlerror.List{h.engine.present(ctx, err)}
		} else {
			defer done()
		}
	}
	s := &eventStream{w: w, control: http.NewResponseController(w), timeout: h.cfg.Limits.WriteTimeout}
	header := w.Header()
	header["Content-Type"] = headerStream
	header.Set("X-Accel-Buffering", "no") // proxies pass events on as they come
	retryAfter(header, faults)
	if faults != nil {
		s.next(refused(faults...))
	} else {
		s.run(live, h, op)
	}
	s.send("event: complete\ndata:\n\n")
}

// live admits a subscription, and watches over the credentials of its viewer.
// What is no subscription needs neither.
func (h *Handler) live(ctx context.Context, op *operation) (context.Context, func(), error) {
	if !op.is(ast.Subscription) {
		return ctx, func() {}, nil
	}
	viewer := auth.FromContext(ctx)
	leave, err := h.streams.subscribe(viewer)
	if err != nil || h.cfg.Verifier == nil {
		return ctx, leave, err
	}
	ctx, cancel, err := h.cfg.Verifier.Watch(ctx, viewer)
	if err != nil {
		leave()
		return nil, nil, err
	}
	return ctx, func() { cancel(); leave() }, nil
}

// run writes what an operation answers.
func (s *eventStream) run(ctx context.Context, h *Handler, op *operation) {
	s.send(":\n\n") // the client knows at once that the stream is open
	stop := h.keepAlive(s)
	defer stop()
	h.engine.stream(ctx, op, s.next)
	if err := endOfCaller(ctx); err != nil {
		s.next(refused(err))
	}
}

// endOfCaller tells why a stream ends before its operation does: the
// credentials ended, or the server goes away.
func endOfCaller(ctx context.Context) *gqlerror.Error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errShutdown):
		return fault(codeUnavailable, "This server is going away. Connect again.")
	case errs.KindOf(cause) == errs.Unauthenticated:
		return fault(codeUnauthenticated, errs.ErrUnauthenticated.Message)
	case errs.KindOf(cause) == errs.Forbidden:
		return fault(codeForbidden, errs.ErrForbidden.Message)
	}
	return nil
}

// keepAlive writes a comment while nothing else comes, so that proxies keep the
// connection and a vanished client is noticed.
func (h *Handler) keepAlive(s *eventStream) (stop func()) {
	done := make(chan struct{})
	var idle sync.WaitGroup
	idle.Go(func() {
		tick := time.NewTicker(h.cfg.Limits.PingEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.send(":\n\n")
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		idle.Wait() // nothing may be written once the handler returns
	}
}

// next writes a result; false when the client is gone.
func (s *eventStream) next(resp *graphql.Response) bool {
	b := buffers.Get().(*bytes.Buffer)
	defer release(b)
	b.WriteString("event: next\ndata: ")
	encode(b, resp)
	b.WriteString("\n\n")
	return s.write(b.Bytes())
}

func (s *eventStream) send(event string) { s.write([]byte(event)) }

func (s *eventStream) write(event []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return false
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(s.timeout)) // in place of the server's, which is for whole answers
	if _, err := s.w.Write(event); err != nil {
		s.broken = true
	} else if err := s.control.Flush(); err != nil {
		s.broken = true
	}
	return !s.broken
}
