package chat

import (
	"context"
	"iter"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
)

// followBatch is how many items a follower reads at once.
const followBatch = 50

// FollowFeed gives the entries of the viewer's feed as they come: first those
// after the number *after, if it is given, then new ones, without end until ctx is
// done. What is new is what comes after FollowFeed has returned.
//
// The sequence is for one reader, who may take its time. When it cannot go on, it
// yields an error and ends: CURSOR_EXPIRED for a reader who was too slow, or the
// error of a database that stays away. Only for users.
//
// Refusals: CURSOR_EXPIRED.
func (s *Service) FollowFeed(ctx context.Context, v auth.Viewer, after *int64) (iter.Seq2[Entry, error], error) {
	if err := only(v, auth.User); err != nil {
		return nil, err
	}
	f := follower[Entry]{
		pace: s.pace, heard: s.bus.Connected,
		wake: s.bus.Subscribe(ctx, userTopic(v.UserID)),
		read: func(ctx context.Context, at int64) ([]Entry, error) { return s.FeedAfter(ctx, v, at, followBatch) },
		seq:  func(e Entry) int64 { return e.Seq },
	}
	return f.start(ctx, after, func(ctx context.Context) (int64, error) {
		h, err := s.head(ctx, v.UserID)
		return h.last, err
	})
}

// FollowMessages gives the messages of a conversation as they are written, in the
// manner of [Service.FollowFeed]. It ends with CONVERSATION_NOT_FOUND when the
// viewer is no longer in it. Only for users.
//
// Refusals: CONVERSATION_NOT_FOUND, CURSOR_EXPIRED.
func (s *Service) FollowMessages(ctx context.Context, v auth.Viewer, conversationID id.ID, after *int64) (iter.Seq2[Message, error], error) {
	if err := only(v, auth.User); err != nil {
		return nil, err
	}
	f := follower[Message]{
		pace: s.pace, heard: s.bus.Connected,
		wake: s.bus.Subscribe(ctx, conversationTopic(conversationID)),
		read: func(ctx context.Context, at int64) ([]Message, error) {
			return s.MessagesAfter(ctx, v, conversationID, at, followBatch)
		},
		seq: func(m Message) int64 { return m.Seq },
	}
	return f.start(ctx, after, func(ctx context.Context) (int64, error) {
		c, err := s.visible(ctx, v, conversationID)
		return c.LastSeq, err
	})
}

// follower reads a numbered list as it grows. It keeps nothing in memory but one
// batch: a slow reader costs nothing, and nobody waits for it.
type follower[T any] struct {
	pace
	heard func() bool                                      // whether other processes' signals arrive
	wake  <-chan []byte                                    // closed when the context is done
	read  func(ctx context.Context, at int64) ([]T, error) // the next batch after a number
	seq   func(T) int64
}

// start finds where to begin before it returns, so that the caller knows what it
// will be given.
func (f follower[T]) start(ctx context.Context, after *int64, end func(context.Context) (int64, error)) (iter.Seq2[T, error], error) {
	if after == nil {
		at, err := end(ctx)
		if err != nil {
			return nil, err
		}
		return f.follow(ctx, at, nil), nil
	}
	first, err := f.read(ctx, *after)
	if err != nil {
		return nil, err
	}
	return f.follow(ctx, *after, first), nil
}

func (f follower[T]) follow(ctx context.Context, at int64, batch []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		failures := 0
		for {
			for _, item := range batch {
				if ctx.Err() != nil || !yield(item, nil) {
					return
				}
				at = f.seq(item)
			}
			if len(batch) < followBatch && !f.rest(ctx, failures) {
				return
			}
			var err error
			if batch, err = f.read(ctx, at); err == nil {
				failures = 0
				continue
			}
			failures++
			if ctx.Err() != nil {
				return
			}
			if errs.IsRefusal(err) || failures >= f.tries {
				var none T
				yield(none, err)
				return
			}
		}
	}
}

// rest waits until it is time to look again, and tells whether to go on. After a
// failure signals are not heeded: each of them would only hit what is down.
func (f follower[T]) rest(ctx context.Context, failures int) bool {
	wake, turn := f.wake, f.poll
	switch {
	case failures > 0:
		wake, turn = nil, f.retry
	case !f.heard():
		turn = f.alone
	}
	look := time.NewTimer(turn)
	defer look.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-look.C:
	}
	return ctx.Err() == nil
}
