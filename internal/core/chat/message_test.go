package chat_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/core/chat"
)

func TestService_Send(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, bob := newViewer(), newViewer()
		c := b.conversation("c1", ada, bob)
		in := chat.SendInput{ConversationID: c.ID, Text: "  hello\r\n\tBob 👋 ", IdempotencyKey: "k1"}
		m, err := b.Send(ctx, ada, in)
		if err != nil {
			t.Fatal(err)
		}
		if m.Seq != 1 || m.Text != "hello\n\tBob 👋" || *m.SenderID != ada.UserID || m.Mode != 1 || !m.CreatedAt.Equal(b.clock.Now(1)) {
			t.Errorf("sent %+v", m)
		}
		b.clock.Advance(time.Minute)
		again, err := b.Send(ctx, ada, in)
		if err != nil || again.ID != m.ID || again.Seq != 1 || !again.CreatedAt.Equal(m.CreatedAt) {
			t.Errorf("sent again: %+v, %v", again, err)
		}
		// The key is the sender's own.
		reply, err := b.Send(ctx, bob, chat.SendInput{ConversationID: c.ID, Text: "hello Ada", IdempotencyKey: "k1"})
		if err != nil || reply.Seq != 2 {
			t.Errorf("replied %+v, %v", reply, err)
		}
		if got := b.texts(bob, c); !slices.Equal(got, []string{"1 hello\n\tBob 👋", "2 hello Ada"}) {
			t.Errorf("bob reads %q", got)
		}
		for _, v := range []id.ID{ada.UserID, bob.UserID} {
			viewer := ada
			viewer.UserID = v
			list := b.feed(viewer, 0)
			gapless(t, list, 0)
			if len(list) != 2 || list[0].SubjectID != m.ID || list[1].SubjectID != reply.ID || list[0].Kind != chat.EntryMessage {
				t.Errorf("the feed has %+v", list)
			}
		}
		seen, err := b.MessagesByIDs(ctx, bob, []id.ID{m.ID, reply.ID, id.New()})
		if err != nil || len(seen) != 2 || seen[m.ID].Text != m.Text {
			t.Errorf("bob finds %v, %v", seen, err)
		}
		if seen, err = b.MessagesByIDs(ctx, newViewer(), []id.ID{m.ID}); err != nil || len(seen) != 0 {
			t.Errorf("a stranger finds %v, %v", seen, err)
		}
	})
}

func TestService_Send_Refusals(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, bob := newViewer(), newViewer()
		mine, his := b.conversation("c1", ada), b.conversation("c2", bob)
		for _, c := range []struct {
			in    chat.SendInput
			want  *errs.Error
			field string
		}{
			{chat.SendInput{ConversationID: mine.ID, Text: " \n", IdempotencyKey: "k"}, chat.ErrText, "text"},
			{chat.SendInput{ConversationID: mine.ID, Text: "a\x00", IdempotencyKey: "k"}, chat.ErrText, "text"},
			{chat.SendInput{ConversationID: mine.ID, Text: "a\x1b[31m", IdempotencyKey: "k"}, chat.ErrText, "text"},
			{chat.SendInput{ConversationID: mine.ID, Text: "\xff", IdempotencyKey: "k"}, chat.ErrText, "text"},
			{chat.SendInput{ConversationID: mine.ID, Text: strings.Repeat("a", chat.TextMax+1), IdempotencyKey: "k"}, chat.ErrText, "text"},
			{chat.SendInput{ConversationID: mine.ID, Text: "a"}, chat.ErrKeyInvalid, "idempotencyKey"},
			{chat.SendInput{ConversationID: mine.ID, Text: "a", IdempotencyKey: strings.Repeat("k", 256)}, chat.ErrKeyInvalid, "idempotencyKey"},
			{chat.SendInput{ConversationID: his.ID, Text: "a", IdempotencyKey: "k"}, chat.ErrNotFound, ""},
			{chat.SendInput{ConversationID: id.New(), Text: "a", IdempotencyKey: "k"}, chat.ErrNotFound, ""},
		} {
			_, err := b.Send(ctx, ada, c.in)
			if refused(t, err, c.want); c.field != "" {
				refused(t, err, c.want, c.field)
			}
		}
		if got := b.texts(ada, mine); len(got) != 0 {
			t.Errorf("a refusal wrote %q", got)
		}
		b.send(ada, mine, strings.Repeat("a", chat.TextMax))
	})
}

func TestService_Send_LongestText(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ada := newViewer()
		longest := strings.Repeat("語", chat.TextMax)
		if m := b.send(ada, b.conversation("c1", ada), longest); m.Text != longest {
			t.Error("the text was changed")
		}
	})
}

func TestService_Send_IdempotencyMismatch(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada := newViewer()
		one, two := b.conversation("c1", ada), b.conversation("c2", ada)
		if _, err := b.Send(ctx, ada, chat.SendInput{ConversationID: one.ID, Text: "hello", IdempotencyKey: "k"}); err != nil {
			t.Fatal(err)
		}
		for _, in := range []chat.SendInput{
			{ConversationID: one.ID, Text: "hallo", IdempotencyKey: "k"},
			{ConversationID: two.ID, Text: "hello", IdempotencyKey: "k"},
			{ConversationID: id.New(), Text: "hello", IdempotencyKey: "k"},
		} {
			_, err := b.Send(ctx, ada, in)
			refused(t, err, chat.ErrIdempotency, "idempotencyKey")
		}
		// Another operation has keys of its own.
		if _, err := b.ShareCard(ctx, ada, chat.ShareInput{ConversationID: one.ID, Card: b.card.Token, IdempotencyKey: "k"}); err != nil {
			t.Error(err)
		}
	})
}

func TestService_Send_SameKeyAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ada := newViewer()
		one, two := b.conversation("c1", ada), b.conversation("c2", ada)
		atOnce(20, func(int) {
			m, err := b.Send(t.Context(), ada, chat.SendInput{ConversationID: one.ID, Text: "hello", IdempotencyKey: "k"})
			if err != nil || m.Seq != 1 {
				t.Errorf("sent %+v, %v", m, err)
			}
		})
		// In two conversations nothing but the message's id keeps them apart.
		mismatched := make([]bool, 20)
		atOnce(len(mismatched), func(i int) {
			c := one
			if i%2 == 0 {
				c = two
			}
			_, err := b.Send(t.Context(), ada, chat.SendInput{ConversationID: c.ID, Text: "again", IdempotencyKey: "k2"})
			if err != nil {
				refused(t, err, chat.ErrIdempotency)
				mismatched[i] = true
			}
		})
		if len(b.texts(ada, one))+len(b.texts(ada, two)) != 2 {
			t.Errorf("wrote %q and %q", b.texts(ada, one), b.texts(ada, two))
		}
		for i := range mismatched {
			if mismatched[i] != mismatched[i%2] {
				t.Fatalf("no one conversation has won: %v", mismatched)
			}
		}
		gapless(t, b.feed(ada, 0), 0)
	})
}

// TestService_Send_Numbers writes into conversations whose members overlap, so
// that the locks of conversations and feeds meet in every order.
func TestService_Send_Numbers(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		const each = 50
		ada, bob, eve := newViewer(), newViewer(), newViewer()
		conversations := []chat.Conversation{b.conversation("c1", ada, bob, eve), b.conversation("c2", eve, bob), b.conversation("c3", bob, ada)}
		atOnce(each*len(conversations), func(i int) {
			in := chat.SendInput{ConversationID: conversations[i%3].ID, Text: fmt.Sprint(i), IdempotencyKey: fmt.Sprint(i)}
			if _, err := b.Send(ctx, bob, in); err != nil {
				t.Error(err)
			}
			if i%5 == 0 {
				if err := b.Announce(ctx, eve.UserID, id.New(), 1); err != nil {
					t.Error(err)
				}
			}
		})
		for _, c := range conversations {
			list, err := b.MessagesAfter(ctx, bob, c.ID, 0, 2*each)
			if err != nil || len(list) != each {
				t.Fatalf("%s has %d messages, %v", c.Title, len(list), err)
			}
			for i, m := range list {
				if m.Seq != int64(i)+1 {
					t.Errorf("message %d of %s has the number %d", i, c.Title, m.Seq)
				}
			}
		}
		for name, want := range map[string]struct {
			of id.ID
			n  int
		}{"ada": {ada.UserID, 2 * each}, "bob": {bob.UserID, 3 * each}, "eve": {eve.UserID, 2*each + 3*each/5}} {
			viewer := ada
			viewer.UserID = want.of
			list := b.feed(viewer, 0)
			if gapless(t, list, 0); len(list) != want.n {
				t.Errorf("%s has %d entries, want %d", name, len(list), want.n)
			}
		}
	})
}

func TestService_ShareCard(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, bob := newViewer(), newViewer()
		c := b.conversation("c1", ada, bob)
		in := chat.ShareInput{ConversationID: c.ID, Card: b.card.Token, Text: " try this ", IdempotencyKey: "k"}
		m, err := b.ShareCard(ctx, ada, in)
		if err != nil || m.Seq != 1 || m.Text != "try this" || *m.Product != b.card {
			t.Fatalf("shared %+v, %v", m, err)
		}
		list, err := b.Messages(ctx, bob, c.ID, page.Slice{Limit: 1})
		if err != nil || len(list.Items) != 1 || *list.Items[0].Product != b.card || list.Items[0].Receipt != nil {
			t.Errorf("bob reads %+v, %v", list, err)
		}
		// A repetition is one even after the card's time.
		b.refuse = chat.ErrCardExpired
		again, err := b.ShareCard(ctx, ada, in)
		if err != nil || again.ID != m.ID || *again.Product != b.card {
			t.Errorf("shared again: %+v, %v", again, err)
		}
		in.Card = "another"
		_, err = b.ShareCard(ctx, ada, in)
		refused(t, err, chat.ErrIdempotency)
	})
}

func TestService_ShareCard_Refusals(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, bob := newViewer(), newViewer()
		c, his := b.conversation("c1", ada), b.conversation("c2", bob)
		in := chat.ShareInput{ConversationID: c.ID, Card: b.card.Token, IdempotencyKey: "k"}
		for _, change := range []struct {
			what  func(*chat.ShareInput)
			want  *errs.Error
			field string
		}{
			{func(in *chat.ShareInput) { in.Card = "forged" }, chat.ErrCardInvalid, "card"},
			{func(in *chat.ShareInput) { in.Text = "a\x00" }, chat.ErrText, "text"},
			{func(in *chat.ShareInput) { in.Text = strings.Repeat("a", chat.TextMax+1) }, chat.ErrText, "text"},
			{func(in *chat.ShareInput) { in.IdempotencyKey = "" }, chat.ErrKeyInvalid, "idempotencyKey"},
			{func(in *chat.ShareInput) { in.ConversationID = his.ID }, chat.ErrNotFound, ""},
		} {
			other := in
			change.what(&other)
			_, err := b.ShareCard(ctx, ada, other)
			if refused(t, err, change.want); change.field != "" {
				refused(t, err, change.want, change.field)
			}
		}
		for _, want := range []*errs.Error{chat.ErrCardInvalid, chat.ErrCardExpired, chat.ErrCardStale, chat.ErrMerchantSuspended} {
			b.refuse = want
			_, err := b.ShareCard(ctx, ada, in)
			refused(t, err, want, "card")
		}
		b.refuse = nil
		if m, err := b.ShareCard(ctx, ada, in); err != nil || m.Seq != 1 || m.Text != "" {
			t.Errorf("shared %+v, %v", m, err)
		}
	})
}

func TestService_Post(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, bob := newViewer(), newViewer()
		c := b.conversation("c1", ada, bob)
		receipt := chat.ReceiptCard{OrderID: id.New(), BuyerID: ada.UserID, State: "PAID", Name: "Tea", Amount: money.Amount{Minor: 450, Currency: 978}}
		private := chat.PostInput{ID: id.Of("receipt", "1"), ConversationID: c.ID, OnlyForID: &ada.UserID, Text: "Paid.", Receipt: &receipt}
		atOnce(5, func(int) {
			m, err := b.Post(ctx, private)
			if err != nil || m.Seq != 1 || m.SenderID != nil || *m.Receipt != receipt || m.Mode != 1 {
				t.Errorf("posted %+v, %v", m, err)
			}
		})
		public, err := b.Post(ctx, chat.PostInput{ID: id.Of("receipt", "2"), ConversationID: c.ID, Text: "Ada bought tea.", Receipt: &receipt})
		if err != nil || public.Seq != 2 {
			t.Errorf("posted %+v, %v", public, err)
		}
		if got := b.texts(ada, c); !slices.Equal(got, []string{"1 Paid.", "2 Ada bought tea."}) {
			t.Errorf("ada reads %q", got)
		}
		if got := b.texts(bob, c); !slices.Equal(got, []string{"2 Ada bought tea."}) {
			t.Errorf("bob reads %q", got)
		}
		if got := b.texts(server, c); !slices.Equal(got, []string{"2 Ada bought tea."}) {
			t.Errorf("the server reads %q", got)
		}
		if seen, err := b.MessagesByIDs(ctx, bob, []id.ID{private.ID, public.ID}); err != nil || len(seen) != 1 || *seen[public.ID].Receipt != receipt {
			t.Errorf("bob finds %v, %v", seen, err)
		}
		if ofAda, ofBob := b.feed(ada, 0), b.feed(bob, 0); len(ofAda) != 2 || len(ofBob) != 1 || ofBob[0].SubjectID != public.ID {
			t.Errorf("the feeds have %v and %v", ofAda, ofBob)
		}

		stranger := id.New()
		_, err = b.Post(ctx, chat.PostInput{ID: id.New(), ConversationID: c.ID, OnlyForID: &stranger, Text: "Psst."})
		refused(t, err, chat.ErrNotFound)
		_, err = b.Post(ctx, chat.PostInput{ID: id.New(), ConversationID: id.New(), Text: "Hello?"})
		refused(t, err, chat.ErrNotFound)
	})
}

func TestService_Messages_Pages(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada := newViewer()
		c := b.conversation("c1", ada)
		for i := range 7 {
			b.send(ada, c, fmt.Sprint(i+1))
		}
		read := func(sl page.Slice) string {
			t.Helper()
			list, err := b.Messages(ctx, ada, c.ID, sl)
			if err != nil {
				t.Fatal(err)
			}
			said := ""
			for _, m := range list.Items {
				said += m.Text
			}
			return fmt.Sprintf("%s next=%v prev=%v", said, list.HasNext, list.HasPrev)
		}
		for _, c := range []struct {
			sl   page.Slice
			want string
		}{
			{page.Slice{Limit: 3}, "123 next=true prev=false"},
			{page.Slice{Limit: 3, After: chat.SeqPosition(3)}, "456 next=true prev=true"},
			{page.Slice{Limit: 3, After: chat.SeqPosition(6)}, "7 next=false prev=true"},
			{page.Slice{Limit: 3, Backward: true}, "567 next=false prev=true"},
			{page.Slice{Limit: 3, Backward: true, Before: chat.SeqPosition(5)}, "234 next=true prev=true"},
			{page.Slice{Limit: 7}, "1234567 next=false prev=false"},
			{page.Slice{Limit: 3, After: chat.SeqPosition(2), Before: chat.SeqPosition(5)}, "34 next=false prev=true"},
		} {
			if got := read(c.sl); got != c.want {
				t.Errorf("%+v gives %s, want %s", c.sl, got, c.want)
			}
		}
		for limit, want := range map[int]int{1: 1, 2: 2, 50: 4} {
			if list, err := b.MessagesAfter(ctx, ada, c.ID, 3, limit); err != nil || len(list) != want || list[0].Seq != 4 {
				t.Errorf("after 3 with limit %d: %v, %v", limit, list, err)
			}
		}
		_, err := b.MessagesAfter(ctx, ada, c.ID, 8, 1)
		refused(t, err, chat.ErrCursorExpired)
		_, err = b.MessagesAfter(ctx, newViewer(), c.ID, 0, 1)
		refused(t, err, chat.ErrNotFound)
	})
}
