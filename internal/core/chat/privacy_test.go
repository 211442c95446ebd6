package chat_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/core/chat"
)

func TestPersonalData_Export(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, bob := newViewer(), newViewer()
		one, two := b.conversation("c1", ada, bob), b.conversation("c2", ada)
		for i := range 3 {
			b.send(ada, one, fmt.Sprint("mine ", i))
			b.send(bob, one, "not mine")
		}
		if _, err := b.ShareCard(ctx, ada, chat.ShareInput{ConversationID: two.ID, Card: b.card.Token, Text: "look", IdempotencyKey: "k"}); err != nil {
			t.Fatal(err)
		}
		receipt := chat.ReceiptCard{OrderID: id.New(), BuyerID: ada.UserID, State: "PAID", Name: "Tea", Amount: money.Amount{Minor: 450, Currency: 978}}
		if _, err := b.Post(ctx, chat.PostInput{ID: id.New(), ConversationID: two.ID, OnlyForID: &ada.UserID, Text: "Paid.", Receipt: &receipt}); err != nil {
			t.Fatal(err)
		}
		section, err := b.PersonalData().Export(ctx, ada.UserID)
		if err != nil {
			t.Fatal(err)
		}
		document, err := json.Marshal(section)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Conversations []struct{ ID, ExternalID string }
			Messages      []struct {
				Text, CardType string
				FromSouk       bool
				Card           map[string]any
			}
			Complete bool
		}
		if err := json.Unmarshal(document, &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Conversations) != 2 || got.Conversations[0].ID != id.Global("Conversation", one.ID) || got.Conversations[1].ExternalID != "c2" {
			t.Errorf("conversations %+v", got.Conversations)
		}
		var texts []string
		for _, m := range got.Messages {
			texts = append(texts, m.Text)
		}
		if !got.Complete || !slices.Equal(texts, []string{"mine 0", "mine 1", "mine 2", "look", "Paid."}) {
			t.Errorf("messages %q, complete %v", texts, got.Complete)
		}
		if shared, paid := got.Messages[3], got.Messages[4]; shared.Card["token"] != b.card.Token || !paid.FromSouk || paid.Card["amountMinor"] != 450.0 || paid.Card["currency"] != "EUR" {
			t.Errorf("cards %+v, %+v", shared, paid)
		}
	})
}

func TestPersonalData_Erase(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		ctx := t.Context()
		ada, bob := newViewer(), newViewer()
		c := b.conversation("c1", ada, bob)
		b.send(ada, c, "my secret")
		b.send(bob, c, "my reply")
		post := chat.PostInput{ID: id.New(), ConversationID: c.ID, OnlyForID: &ada.UserID, Text: "Paid.", Receipt: &chat.ReceiptCard{
			OrderID: id.New(), BuyerID: ada.UserID, State: "PAID", Name: "Tea", Amount: money.Amount{Minor: 450, Currency: 978},
		}}
		if _, err := b.Post(ctx, post); err != nil {
			t.Fatal(err)
		}
		privacy := b.PersonalData()
		if err := privacy.Blocks(ctx, ada.UserID); err != nil {
			t.Errorf("chat blocks: %v", err)
		}
		if err := privacy.Erase(ctx, ada.UserID); err != nil {
			t.Fatal(err)
		}
		if got := b.texts(bob, c); !slices.Equal(got, []string{"1 [erased]", "2 my reply"}) {
			t.Errorf("bob reads %q", got)
		}
		list, err := b.Messages(ctx, ada, c.ID, page.Slice{Limit: 10})
		if err != nil || len(list.Items) != 3 || list.Items[2].Text != "[erased]" || list.Items[2].Receipt != nil {
			t.Errorf("left %+v, %v", list.Items, err)
		}
		// What was posted before is still known as such.
		if m, err := b.Post(ctx, post); err != nil || m.Seq != 3 {
			t.Errorf("posted again: %+v, %v", m, err)
		}
		_, err = b.FeedAfter(ctx, ada, 0, 10)
		refused(t, err, chat.ErrCursorExpired)
		if list := b.feed(ada, 3); len(list) != 0 {
			t.Errorf("the feed has %v", list)
		}
		if list := b.feed(bob, 0); len(list) != 2 {
			t.Errorf("bob's feed has %v", list)
		}
		if err := privacy.Erase(ctx, id.New()); err != nil { // somebody without a feed
			t.Error(err)
		}
	})
}
