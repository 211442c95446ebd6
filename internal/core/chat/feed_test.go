package chat_test

import (
	"slices"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/core/chat"
)

func TestService_Announce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, order := newViewer(), id.New()
		atOnce(12, func(i int) {
			if err := b.Announce(ctx, ada.UserID, order, int32(i%3)+1); err != nil { // each version four times
				t.Error(err)
			}
		})
		list := b.feed(ada, 0)
		gapless(t, list, 0)
		var versions []int32
		for _, e := range list {
			if e.Kind != chat.EntryOrder || e.SubjectID != order {
				t.Errorf("announced %+v", e)
			}
			versions = append(versions, e.Version)
		}
		slices.Sort(versions)
		if !slices.Equal(versions, []int32{1, 2, 3}) {
			t.Errorf("announced %v", versions)
		}
	})
}

func TestService_FeedAfter(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada := newViewer()
		if list := b.feed(ada, 0); len(list) != 0 {
			t.Errorf("a new feed has %v", list)
		}
		_, err := b.FeedAfter(ctx, ada, 1, 10) // of a feed that was never that long
		refused(t, err, chat.ErrCursorExpired)
		for v := range int32(5) {
			if err := b.Announce(ctx, ada.UserID, id.New(), v); err != nil {
				t.Fatal(err)
			}
		}
		list, err := b.FeedAfter(ctx, ada, 2, 2)
		if err != nil || len(list) != 2 || list[0].Seq != 3 {
			t.Errorf("after 2: %v, %v", list, err)
		}
		if list := b.feed(ada, 5); len(list) != 0 {
			t.Errorf("after the last: %v", list)
		}
	})
}

func TestService_PruneFeed(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, bob := newViewer(), newViewer()
		c := b.conversation("c1", ada, bob)
		for range 4 {
			b.send(ada, c, "old")
		}
		b.clock.Advance(time.Hour)
		cutoff := b.clock.Now(0)
		b.send(ada, c, "new")
		total := 0
		for {
			n, err := b.PruneFeed(ctx, cutoff, 3)
			if err != nil {
				t.Fatal(err)
			}
			if total += n; n == 0 {
				break
			}
		}
		if total != 8 {
			t.Errorf("pruned %d entries", total)
		}
		for _, v := range []int64{0, 3} {
			_, err := b.FeedAfter(ctx, bob, v, 10)
			refused(t, err, chat.ErrCursorExpired)
		}
		list := b.feed(bob, 4)
		if gapless(t, list, 4); len(list) != 1 {
			t.Errorf("left %v", list)
		}
		b.send(bob, c, "newer")
		list = b.feed(bob, 4)
		if gapless(t, list, 4); len(list) != 2 {
			t.Errorf("then %v", list)
		}
		// With everything gone a reader of all of it can still go on.
		b.clock.Advance(time.Hour)
		if n, err := b.PruneFeed(ctx, b.clock.Now(0), 100); err != nil || n != 4 {
			t.Errorf("pruned %d, %v", n, err)
		}
		if list := b.feed(bob, 6); len(list) != 0 {
			t.Errorf("left %v", list)
		}
		_, err := b.FeedAfter(ctx, bob, 5, 10)
		refused(t, err, chat.ErrCursorExpired)
	})
}

// TestService_PruneFeed_WhileWriting has writers, pruners and readers meet.
func TestService_PruneFeed_WhileWriting(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, bob := newViewer(), newViewer()
		c := b.conversation("c1", ada, bob)
		atOnce(30, func(i int) {
			switch i % 3 {
			case 0:
				b.send(ada, c, "hello")
			case 1:
				if _, err := b.PruneFeed(ctx, b.clock.Now(0).Add(time.Second), 5); err != nil {
					t.Error(err)
				}
			default:
				if err := b.Announce(ctx, bob.UserID, id.New(), 1); err != nil {
					t.Error(err)
				}
			}
		})
		b.send(ada, c, "last")
		for v, last := range map[id.ID]int64{ada.UserID: 11, bob.UserID: 21} {
			viewer := ada
			viewer.UserID = v
			if list := b.feed(viewer, last-1); len(list) != 1 || list[0].Seq != last {
				t.Errorf("the last entry is %v, want the number %d", list, last)
			}
		}
	})
}
