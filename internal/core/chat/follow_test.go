package chat_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/pubsub"
	"github.com/soukhq/souk/internal/core/chat"
	"github.com/soukhq/souk/internal/testkit"
)

// patient is a context that ends a test which waits in vain.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	t.Cleanup(cancel)
	return ctx
}

// bySignals has followers look at nothing but signals.
func bySignals(b *testBundle) *testBundle {
	b.SetPace(chat.Never, chat.Never)
	return b
}

// followFeed begins to follow.
func followFeed(t *testing.T, ctx context.Context, s *chat.Service, v auth.Viewer, after *int64) iter.Seq2[chat.Entry, error] {
	t.Helper()
	seq, err := s.FollowFeed(ctx, v, after)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

// take reads the next n items.
func take[T any](t *testing.T, seq iter.Seq2[T, error], n int) (list []T) {
	t.Helper()
	for item, err := range seq {
		if err != nil {
			t.Fatalf("after %d items: %v", len(list), err)
		}
		if list = append(list, item); len(list) == n {
			return list
		}
	}
	t.Fatalf("it ended after %d items", len(list))
	return nil
}

// ending reads until the sequence ends, and gives the error that it ends with.
func ending[T any](seq iter.Seq2[T, error]) (last error) {
	for _, err := range seq {
		last = err
	}
	return last
}

func TestService_FollowFeed(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := patient(t)
		bySignals(b)
		ada, bob := newViewer(), newViewer()
		c := b.conversation("c1", ada, bob)
		for range chat.FollowBatch + 10 { // more than one batch is missed
			b.send(ada, c, "missed")
		}
		fromNow := followFeed(t, ctx, b.Service, bob, nil)
		resumed := followFeed(t, ctx, b.Service, bob, new(int64(5)))
		b.send(ada, c, "live")
		if err := b.Announce(ctx, bob.UserID, id.New(), 1); err != nil {
			t.Fatal(err)
		}
		live := take(t, fromNow, 2)
		gapless(t, live, chat.FollowBatch+10)
		if live[0].Kind != chat.EntryMessage || live[1].Kind != chat.EntryOrder {
			t.Errorf("live %+v", live)
		}
		gapless(t, take(t, resumed, chat.FollowBatch+7), 5)
	})
}

// TestService_FollowFeed_Live lets followers read while others write.
func TestService_FollowFeed_Live(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := patient(t)
		bySignals(b)
		const writers, each = 4, 10
		ada, bob := newViewer(), newViewer()
		one, two := b.conversation("c1", ada, bob), b.conversation("c2", ada, bob)
		feeds := []iter.Seq2[chat.Entry, error]{
			followFeed(t, ctx, b.Service, ada, nil), followFeed(t, ctx, b.Service, ada, nil), followFeed(t, ctx, b.Service, bob, new(int64(0))),
		}
		messages, err := b.FollowMessages(ctx, bob, two.ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		atOnce(writers+len(feeds)+1, func(i int) {
			switch {
			case i < writers:
				for n := range each {
					b.send(ada, []chat.Conversation{one, two}[i%2], fmt.Sprint(n))
				}
			case i < writers+len(feeds):
				gapless(t, take(t, feeds[i-writers], writers*each), 0)
			default:
				for n, m := range take(t, messages, writers*each/2) {
					if m.Seq != int64(n)+1 || m.ConversationID != two.ID {
						t.Errorf("message %d is %+v", n, m)
					}
				}
			}
		})
	})
}

// TestService_FollowFeed_SlowReader has a reader stop in the middle: nobody waits
// for it, and it loses nothing.
func TestService_FollowFeed_SlowReader(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := patient(t)
		bySignals(b)
		ada := newViewer()
		c := b.conversation("c1", ada)
		next, stop := iter.Pull2(followFeed(t, ctx, b.Service, ada, nil))
		defer stop()
		const n = 3 * chat.FollowBatch
		for i := range n {
			b.send(ada, c, "hello")
			if i == 0 {
				if e, err, _ := next(); err != nil || e.Seq != 1 {
					t.Fatalf("first %+v, %v", e, err)
				}
			}
		}
		for i := int64(2); i <= n; i++ {
			if e, err, _ := next(); err != nil || e.Seq != i {
				t.Fatalf("entry %d is %+v, %v", i, e, err)
			}
		}
	})
}

func TestService_FollowFeed_Expired(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := patient(t)
		bySignals(b)
		ada := newViewer()
		c := b.conversation("c1", ada)
		seq := followFeed(t, ctx, b.Service, ada, nil)
		b.send(ada, c, "one")
		b.send(ada, c, "two")
		if _, err := b.PruneFeed(ctx, b.clock.Now(0).Add(time.Second), 10); err != nil {
			t.Fatal(err)
		}
		if err := ending(seq); !errors.Is(err, chat.ErrCursorExpired) {
			t.Errorf("it ended with %v", err)
		}
		_, err := b.FollowFeed(ctx, ada, new(int64(0)))
		refused(t, err, chat.ErrCursorExpired)
		_, err = b.FollowFeed(ctx, ada, new(int64(3)))
		refused(t, err, chat.ErrCursorExpired)
	})
}

func TestService_Follow_EndsWithItsContext(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		bySignals(b)
		ada := newViewer()
		c := b.conversation("c1", ada)
		ctx, cancel := context.WithCancel(patient(t))
		defer cancel()
		seq := followFeed(t, ctx, b.Service, ada, nil)
		_ = followFeed(t, ctx, b.Service, ada, nil) // nobody ever reads
		b.send(ada, c, "hello")
		n := 0
		for _, err := range seq {
			if err != nil {
				t.Error(err)
			}
			n++
			cancel()
		}
		if n != 1 {
			t.Errorf("it gave %d entries", n)
		}
	})
}

func TestService_FollowMessages(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := patient(t)
		bySignals(b)
		ada, bob := newViewer(), newViewer()
		c := b.conversation("c1", ada, bob)
		for i := range 3 {
			b.send(ada, c, fmt.Sprint(i+1))
		}
		fromNow, err := b.FollowMessages(ctx, bob, c.ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		resumed, err := b.FollowMessages(ctx, bob, c.ID, new(int64(1)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Post(ctx, chat.PostInput{ID: id.New(), ConversationID: c.ID, OnlyForID: &ada.UserID, Text: "not for Bob"}); err != nil {
			t.Fatal(err)
		}
		b.send(ada, c, "live")
		if m := take(t, fromNow, 1)[0]; m.Seq != 5 || m.Text != "live" {
			t.Errorf("live %+v", m)
		}
		if list := take(t, resumed, 3); list[0].Seq != 2 || list[1].Seq != 3 || list[2].Seq != 5 {
			t.Errorf("resumed %+v", list)
		}

		_, err = b.FollowMessages(ctx, newViewer(), c.ID, nil)
		refused(t, err, chat.ErrNotFound)
		_, err = b.FollowMessages(ctx, newViewer(), c.ID, new(int64(0)))
		refused(t, err, chat.ErrNotFound)
		_, err = b.FollowMessages(ctx, bob, c.ID, new(int64(6)))
		refused(t, err, chat.ErrCursorExpired)
	})
}

// TestService_FollowMessages_MembershipEnds ends a membership in each way.
func TestService_FollowMessages_MembershipEnds(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := patient(t)
		bySignals(b)
		ada, bob := newViewer(), newViewer()
		for name, end := range map[string]func(c chat.Conversation) error{
			"provisioned without him": func(c chat.Conversation) error {
				_, _, err := b.Provision(ctx, server, chat.NewConversation{ExternalID: c.ExternalID, Title: c.Title, MemberIDs: idsOf(ada)})
				return err
			},
			"removed": func(c chat.Conversation) error { return b.Remove(ctx, server, c.ID) },
			"left":    func(chat.Conversation) error { return b.Leave(ctx, bob.UserID) },
		} {
			c := b.conversation(name, ada, bob)
			seq, err := b.FollowMessages(ctx, bob, c.ID, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := end(c); err != nil {
				t.Fatal(err)
			}
			if err := ending(seq); !errors.Is(err, chat.ErrNotFound) {
				t.Errorf("%s: it ended with %v", name, err)
			}
		}
	})
}

// TestService_Follow_WithoutSignals writes in a process that cannot be heard.
func TestService_Follow_WithoutSignals(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := patient(t)
		b.SetPace(chat.Never, time.Millisecond)
		other := setup(t, b.db)
		ada := newViewer()
		c := b.conversation("c1", ada)
		feed := followFeed(t, ctx, b.Service, ada, nil)
		messages, err := b.FollowMessages(ctx, ada, c.ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		other.send(ada, c, "one")
		other.send(ada, c, "two")
		gapless(t, take(t, feed, 2), 0)
		if m := take(t, messages, 2)[1]; m.Text != "two" {
			t.Errorf("read %+v", m)
		}
	})
}

// TestService_Follow_OtherProcess writes in a process that is heard by Redis.
func TestService_Follow_OtherProcess(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		options, err := redis.ParseURL(testkit.Redis(t))
		if err != nil {
			t.Fatal(err)
		}
		ctx := patient(t)
		connected := func() *chat.Service {
			rdb := redis.NewClient(options)
			bus := pubsub.New(rdb, slog.New(slog.DiscardHandler))
			running, stop := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() { defer close(done); bus.Run(running) }()
			t.Cleanup(func() { stop(); <-done; _ = rdb.Close() })
			testkit.Eventually(t, ctx, func() error {
				if !bus.Connected() {
					return errors.New("not connected")
				}
				return nil
			})
			s := chat.New(b.db, b.clock, bus, chat.Neighbours{Users: &b.users, Cards: &b.cards})
			s.SetPace(chat.Never, time.Millisecond)
			return s
		}
		here, there := connected(), connected()
		ada := newViewer()
		c := b.conversation("c1", ada)
		seq := followFeed(t, ctx, here, ada, nil)
		for i := range 3 {
			if _, err := there.Send(ctx, ada, chat.SendInput{ConversationID: c.ID, Text: "hello", IdempotencyKey: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		gapless(t, take(t, seq, 3), 0)
	})
}

func TestService_Follow_DatabaseStaysAway(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		b.SetPace(chat.Never, time.Millisecond)
		ada := newViewer()
		seq := followFeed(t, patient(t), b.Service, ada, nil)
		if err := b.db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := ending(seq); err == nil || errors.Is(err, chat.ErrCursorExpired) {
			t.Errorf("it ended with %v", err)
		}
	})
}
