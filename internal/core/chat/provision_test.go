package chat_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/core/chat"
)

func (b *testBundle) membersOf(v auth.Viewer, c chat.Conversation) []id.ID {
	b.t.Helper()
	list, err := b.Members(b.t.Context(), v, c.ID, page.Slice{Limit: 100})
	if err != nil {
		b.t.Fatal(err)
	}
	var out []id.ID
	for _, m := range list.Items {
		out = append(out, m.UserID)
	}
	return out
}

func TestService_Provision(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, bob, eve := newViewer(), newViewer(), newViewer()
		c, created, err := b.Provision(ctx, server, chat.NewConversation{
			ExternalID: "c1", Title: " Friends ", MemberIDs: idsOf(bob, ada, bob), // one twice
		})
		if err != nil || !created || c.Title != "Friends" || c.Mode != 1 || c.Issuer != issuer {
			t.Fatalf("made %+v, %v, %v", c, created, err)
		}
		if got := b.membersOf(ada, c); !slices.Equal(got, idsOf(bob, ada)) {
			t.Errorf("members are %v", got)
		}
		again, created, err := b.Provision(ctx, server, chat.NewConversation{ExternalID: "c1", Title: "Others", MemberIDs: idsOf(eve, ada)})
		if err != nil || created || again.ID != c.ID || again.Title != "Others" {
			t.Errorf("changed to %+v, %v, %v", again, created, err)
		}
		if got := b.membersOf(server, c); !slices.Equal(got, idsOf(ada, eve)) {
			t.Errorf("members are %v", got)
		}
		_, err = b.Members(ctx, bob, c.ID, page.Slice{Limit: 1})
		refused(t, err, chat.ErrNotFound)
		seen, err := b.ByIDs(ctx, eve, []id.ID{c.ID, id.New()})
		if err != nil || len(seen) != 1 || seen[c.ID].Title != "Others" {
			t.Errorf("eve sees %v, %v", seen, err)
		}
	})
}

func TestService_Provision_AtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ada, bob := newViewer(), newViewer()
		var made atomic.Int32
		ids := make([]id.ID, 8)
		atOnce(len(ids), func(i int) {
			c, created, err := b.Provision(t.Context(), server, chat.NewConversation{ExternalID: "c1", Title: "Friends", MemberIDs: idsOf(ada, bob)})
			if err != nil {
				t.Error(err)
			}
			if created {
				made.Add(1)
			}
			ids[i] = c.ID
		})
		if made.Load() != 1 || len(slices.Compact(ids)) != 1 {
			t.Errorf("%d were made: %v", made.Load(), ids)
		}
	})
}

func TestService_Provision_Refusals(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, gone := newViewer(), newViewer()
		b.inactive = idsOf(gone)
		many := make([]id.ID, chat.MembersMax+1)
		for i := range many {
			many[i] = id.New()
		}
		for _, c := range []struct {
			in    chat.NewConversation
			want  *errs.Error
			field string
		}{
			{chat.NewConversation{ExternalID: "", Title: "T", MemberIDs: idsOf(ada)}, chat.ErrText, "externalId"},
			{chat.NewConversation{ExternalID: "c ", Title: "T", MemberIDs: idsOf(ada)}, chat.ErrText, "externalId"},
			{chat.NewConversation{ExternalID: "c", Title: " ", MemberIDs: idsOf(ada)}, chat.ErrText, "title"},
			{chat.NewConversation{ExternalID: "c", Title: strings.Repeat("a", 201), MemberIDs: idsOf(ada)}, chat.ErrText, "title"},
			{chat.NewConversation{ExternalID: "c", Title: "T"}, chat.ErrMemberLimit, "memberIds"},
			{chat.NewConversation{ExternalID: "c", Title: "T", MemberIDs: many}, chat.ErrMemberLimit, "memberIds"},
			{chat.NewConversation{ExternalID: "c", Title: "T", MemberIDs: idsOf(ada, gone)}, chat.ErrMemberNotFound, "memberIds"},
		} {
			_, _, err := b.Provision(ctx, server, c.in)
			refused(t, err, c.want, c.field)
		}
		elsewhere := server
		elsewhere.Mode = 2
		_, _, err := b.Provision(ctx, elsewhere, chat.NewConversation{ExternalID: "c", Title: "T", MemberIDs: idsOf(ada)})
		refused(t, err, chat.ErrMemberNotFound)
		if _, _, err := b.Provision(ctx, server, chat.NewConversation{ExternalID: "c", Title: "T", MemberIDs: many[1:]}); err != nil {
			t.Errorf("500 members: %v", err)
		}
	})
}

func TestService_Remove(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada := newViewer()
		c := b.conversation("c1", ada)
		m := b.send(ada, c, "hello")
		for _, v := range []auth.Viewer{
			{Kind: auth.Service, Mode: 2, Issuer: issuer},
			{Kind: auth.Service, Mode: 1, Issuer: "https://other.example"},
		} {
			refused(t, b.Remove(ctx, v, c.ID), chat.ErrNotFound)
			if seen, err := b.ByIDs(ctx, v, []id.ID{c.ID}); err != nil || len(seen) != 0 {
				t.Errorf("%+v sees %v, %v", v, seen, err)
			}
		}
		if err := b.Remove(ctx, server, c.ID); err != nil {
			t.Fatal(err)
		}
		refused(t, b.Remove(ctx, server, c.ID), chat.ErrNotFound)
		_, err := b.Messages(ctx, ada, c.ID, page.Slice{Limit: 1})
		refused(t, err, chat.ErrNotFound)
		_, err = b.Send(ctx, ada, chat.SendInput{ConversationID: c.ID, Text: "hello?", IdempotencyKey: "k"})
		refused(t, err, chat.ErrNotFound)
		if seen, err := b.MessagesByIDs(ctx, ada, []id.ID{m.ID}); err != nil || len(seen) != 0 {
			t.Errorf("ada still sees %v, %v", seen, err)
		}
		if list, err := b.Conversations(ctx, ada, page.Slice{Limit: 1}); err != nil || len(list.Items) != 0 {
			t.Errorf("ada is still in %v, %v", list.Items, err)
		}
		// Those who are new to it shall not find what others wrote there.
		_, _, err = b.Provision(ctx, server, chat.NewConversation{ExternalID: "c1", Title: "T", MemberIDs: idsOf(ada)})
		refused(t, err, chat.ErrNotFound, "externalId")
	})
}

func TestService_Roles(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada := newViewer()
		c := b.conversation("c1", ada)
		merchant := auth.Viewer{Kind: auth.Merchant, Mode: 1, MerchantID: id.New()}
		servers := map[string]func(auth.Viewer) error{
			"Provision": func(v auth.Viewer) error { _, _, err := b.Provision(ctx, v, chat.NewConversation{}); return err },
			"Remove":    func(v auth.Viewer) error { return b.Remove(ctx, v, c.ID) },
		}
		people := map[string]func(auth.Viewer) error{
			"Conversations":  func(v auth.Viewer) error { _, err := b.Conversations(ctx, v, page.Slice{Limit: 1}); return err },
			"Send":           func(v auth.Viewer) error { _, err := b.Send(ctx, v, chat.SendInput{ConversationID: c.ID}); return err },
			"ShareCard":      func(v auth.Viewer) error { _, err := b.ShareCard(ctx, v, chat.ShareInput{}); return err },
			"FeedAfter":      func(v auth.Viewer) error { _, err := b.FeedAfter(ctx, v, 0, 1); return err },
			"FollowFeed":     func(v auth.Viewer) error { _, err := b.FollowFeed(ctx, v, nil); return err },
			"FollowMessages": func(v auth.Viewer) error { _, err := b.FollowMessages(ctx, v, c.ID, nil); return err },
		}
		for name, try := range servers {
			t.Log(name)
			refused(t, try(ada), errs.ErrForbidden)
			refused(t, try(merchant), errs.ErrForbidden)
			refused(t, try(auth.Viewer{}), errs.ErrUnauthenticated)
		}
		for name, try := range people {
			t.Log(name)
			refused(t, try(server), errs.ErrForbidden)
			refused(t, try(merchant), errs.ErrForbidden)
			refused(t, try(auth.Viewer{}), errs.ErrUnauthenticated)
		}
		for _, v := range []auth.Viewer{merchant, {}} {
			_, err := b.Messages(ctx, v, c.ID, page.Slice{Limit: 1})
			refused(t, err, chat.ErrNotFound)
		}
	})
}

func TestService_Conversations_Pages(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ada, bob := newViewer(), newViewer()
		var newest []id.ID
		for i := range 5 {
			newest = append([]id.ID{b.conversation(fmt.Sprint("c", i), ada).ID}, newest...)
			b.conversation(fmt.Sprint("d", i), bob)
		}
		var got []id.ID
		for sl := (page.Slice{Limit: 2}); ; {
			list, err := b.Conversations(t.Context(), ada, sl)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range list.Items {
				got = append(got, c.ID)
			}
			if !list.HasNext {
				break
			}
			sl.After = chat.ConversationPosition(list.Items[len(list.Items)-1])
		}
		if !slices.Equal(got, newest) {
			t.Errorf("read %v, want %v", got, newest)
		}
		list, err := b.Conversations(t.Context(), ada, page.Slice{Limit: 2, Backward: true, Before: newest[4][:]})
		if err != nil || len(list.Items) != 2 || list.Items[0].ID != newest[2] || list.Items[1].ID != newest[3] || !list.HasPrev || !list.HasNext {
			t.Errorf("backward %+v, %v", list, err)
		}
	})
}

func TestService_Members_Pages(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		viewers := []auth.Viewer{newViewer(), newViewer(), newViewer(), newViewer(), newViewer()}
		slices.Reverse(viewers) // the order of joining is not that of the users' ids
		c := b.conversation("c1", viewers...)
		first, err := b.Members(t.Context(), viewers[0], c.ID, page.Slice{Limit: 3})
		if err != nil || len(first.Items) != 3 || !first.HasNext || first.Items[2].UserID != viewers[2].UserID {
			t.Fatalf("first %+v, %v", first, err)
		}
		rest, err := b.Members(t.Context(), viewers[0], c.ID, page.Slice{Limit: 3, After: chat.MemberPosition(first.Items[2])})
		if err != nil || len(rest.Items) != 2 || rest.HasNext || rest.Items[1].UserID != viewers[4].UserID {
			t.Errorf("rest %+v, %v", rest, err)
		}
		last, err := b.Members(t.Context(), viewers[0], c.ID, page.Slice{Limit: 2, Backward: true})
		if err != nil || len(last.Items) != 2 || last.Items[0].UserID != viewers[3].UserID || !last.HasPrev {
			t.Errorf("last %+v, %v", last, err)
		}
	})
}

func TestService_Companions_AndLeave(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, bob, eve, joe, kim := newViewer(), newViewer(), newViewer(), newViewer(), newViewer()
		b.conversation("c1", ada, bob)
		b.conversation("c2", ada, bob, eve)
		b.conversation("c3", joe, eve)
		dead := b.conversation("c4", ada, kim)
		if err := b.Remove(ctx, server, dead.ID); err != nil {
			t.Fatal(err)
		}
		found, err := b.Companions(ctx, ada.UserID, idsOf(bob, eve, joe, kim))
		want := idsOf(bob, eve)
		if err != nil || len(found) != 2 || !slices.Contains(found, want[0]) || !slices.Contains(found, want[1]) {
			t.Errorf("found %v, want %v, %v", found, want, err)
		}
		if err := b.Leave(ctx, bob.UserID); err != nil {
			t.Fatal(err)
		}
		if found, err = b.Companions(ctx, ada.UserID, idsOf(bob, eve)); err != nil || !slices.Equal(found, idsOf(eve)) {
			t.Errorf("found %v, %v", found, err)
		}
		if list, err := b.Conversations(ctx, bob, page.Slice{Limit: 1}); err != nil || len(list.Items) != 0 {
			t.Errorf("bob is still in %v, %v", list.Items, err)
		}
	})
}
