package chat_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/pubsub"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/core/chat"
	"github.com/soukhq/souk/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const issuer = "https://id.example"

var server = auth.Viewer{Kind: auth.Service, Mode: 1, Issuer: issuer, Subject: "chat-app"}

// testBundle is a service on an empty database, in a process of its own.
type testBundle struct {
	*chat.Service
	t     *testing.T
	db    *store.DB
	clock *clock.Fixed
	bus   *pubsub.Bus
	users
	cards
}

func setup(t *testing.T, db *store.DB) *testBundle {
	b := &testBundle{
		t: t, db: db, clock: clock.NewFixed(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)),
		bus: pubsub.New(nil, slog.New(slog.DiscardHandler)), // connected to nobody
	}
	b.card = chat.ProductCard{
		Token: "header.payload.signature", MerchantID: id.New(), ProductID: id.New(), SKU: "TEA-1", Name: "Tea",
		Price: money.Amount{Minor: 450, Currency: 978}, ExpiresAt: b.clock.Now(1).Add(time.Hour),
	}
	b.Service = chat.New(db, b.clock, b.bus, chat.Neighbours{Users: &b.users, Cards: &b.cards})
	return b
}

// onBoth runs a test on each engine.
func onBoth(t *testing.T, test func(t *testing.T, b *testBundle)) {
	t.Helper()
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) { test(t, setup(t, db)) })
}

// users are all active users of sandbox 1, but for some.
type users struct{ inactive []id.ID }

func (u *users) LockUsers(_ context.Context, m mode.Mode, from string, ids []id.ID) (map[id.ID]bool, error) {
	if m != 1 || from != issuer {
		return nil, nil
	}
	active := map[id.ID]bool{}
	for _, one := range ids {
		active[one] = !slices.Contains(u.inactive, one)
	}
	return active, nil
}

// cards is a merchant's only card, good unless it says otherwise.
type cards struct {
	card   chat.ProductCard
	refuse error
}

func (c *cards) CheckCard(_ context.Context, m mode.Mode, token string) (chat.ProductCard, error) {
	if c.refuse != nil {
		return chat.ProductCard{}, c.refuse
	}
	if m != 1 || token != c.card.Token {
		return chat.ProductCard{}, chat.ErrCardInvalid
	}
	return c.card, nil
}

// newViewer is a user's viewer.
func newViewer() auth.Viewer {
	return auth.Viewer{Kind: auth.User, UserID: id.New(), Mode: 1, Issuer: issuer}
}

// conversation provisions one with some members.
func (b *testBundle) conversation(name string, members ...auth.Viewer) chat.Conversation {
	b.t.Helper()
	c, _, err := b.Provision(b.t.Context(), server, chat.NewConversation{ExternalID: name, Title: name, MemberIDs: idsOf(members...)})
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func idsOf(viewers ...auth.Viewer) []id.ID {
	ids := make([]id.ID, len(viewers))
	for i, v := range viewers {
		ids[i] = v.UserID
	}
	return ids
}

// send writes a message with a key of its own.
func (b *testBundle) send(v auth.Viewer, c chat.Conversation, text string) chat.Message {
	b.t.Helper()
	m, err := b.Send(b.t.Context(), v, chat.SendInput{ConversationID: c.ID, Text: text, IdempotencyKey: id.New().String()})
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

// texts reads all messages that the viewer sees in a conversation.
func (b *testBundle) texts(v auth.Viewer, c chat.Conversation) []string {
	b.t.Helper()
	list, err := b.Messages(b.t.Context(), v, c.ID, page.Slice{Limit: 100})
	if err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for _, m := range list.Items {
		out = append(out, fmt.Sprintf("%d %s", m.Seq, m.Text))
	}
	return out
}

// feed reads all that is new for the viewer after a number.
func (b *testBundle) feed(v auth.Viewer, after int64) []chat.Entry {
	b.t.Helper()
	list, err := b.FeedAfter(b.t.Context(), v, after, 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// gapless checks that the entries' numbers are from+1, from+2…
func gapless(t *testing.T, list []chat.Entry, from int64) {
	t.Helper()
	for i, e := range list {
		if e.Seq != from+int64(i)+1 {
			t.Fatalf("entry %d has the number %d", i, e.Seq)
		}
	}
}

func refused(t *testing.T, err error, want *errs.Error, field ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %s", err, want.Code)
		return
	}
	if got := errs.As(err).Field; len(field) > 0 && !slices.Equal(got, field) {
		t.Errorf("%s is about %v, not %v", want.Code, got, field)
	}
}

// atOnce runs do n times at once.
func atOnce(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}
