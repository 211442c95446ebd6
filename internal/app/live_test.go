package app_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/driver"
	"github.com/soukhq/souk/internal/testkit"
)

const (
	messageFollow = `subscription MessageFollow($id: ID!, $after: String) {
  messageAdded(conversationId: $id, after: $after) { cursor node { id seq text } }
}`
	orderFollow = `subscription OrderFollow($after: String) {
  orderUpdated(after: $after) { cursor order { id state } }
}`
	feedFollow = `subscription FeedFollow($after: String) {
  feed(after: $after) { cursor subject { __typename ... on Message { text } ... on Order { id state } } }
}`
)

var transports = map[string]driver.Transport{"socket": driver.Socket, "events": driver.Events}

// event is an event of any of the three.
type event struct {
	MessageAdded *struct {
		Cursor string
		Node   message
	}
	OrderUpdated *struct {
		Cursor string
		Order  *struct{ ID, State string }
	}
	Feed *struct {
		Cursor  string
		Subject *subject
	}
}

// subject is what an entry of a feed is about.
type subject struct {
	Typename        string `json:"__typename"`
	Text, ID, State string
}

// follow begins a subscription that ends with the test.
func (b *testBundle) follow(t *testing.T, how driver.Transport, token, document string, variables map[string]any) *driver.Stream {
	t.Helper()
	return follow(t, b.api, how, token, document, variables)
}

func follow(t *testing.T, c *driver.Client, how driver.Transport, token, document string, variables map[string]any) *driver.Stream {
	t.Helper()
	s, err := c.Follow(context.Background(), how, token, document, variables)
	if err != nil {
		t.Fatalf("%s: %v", name(document), err)
	}
	t.Cleanup(s.Close)
	return s
}

// next waits for the next event.
func next(t *testing.T, s *driver.Stream) (e event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	if err := s.Next(ctx, &e); err != nil {
		t.Fatalf("waited for an event: %v", err)
	}
	return e
}

// onEach runs a test for both transports on both engines.
func onEach(t *testing.T, test func(t *testing.T, b *testBundle, how driver.Transport)) {
	t.Helper()
	t.Parallel()
	for engine, w := range worlds {
		for name, how := range transports {
			t.Run(engine+"/"+name, func(t *testing.T) {
				t.Parallel()
				test(t, setup(t, w), how)
			})
		}
	}
}

// begin writes messages until a subscription is heard to run, and gives the cursor
// of the last of them: nothing else tells a client from when on it will be told.
func (b *testBundle) begin(t *testing.T, s *driver.Stream, p *person, talk string) (cursor string) {
	t.Helper()
	for knock := 1; knock < 100; knock++ {
		last := fmt.Sprintf("knock %d", knock)
		b.say(t, p, talk, last)
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			var e event
			err := s.Next(ctx, &e)
			cancel()
			if errors.Is(err, context.DeadlineExceeded) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			switch {
			case e.MessageAdded != nil:
				cursor, text = e.MessageAdded.Cursor, e.MessageAdded.Node.Text
			case e.Feed.Subject != nil:
				cursor, text = e.Feed.Cursor, e.Feed.Subject.Text
			}
			if text == last {
				return cursor
			}
		}
	}
	t.Fatal("the subscription does not run")
	return ""
}

// Whoever was away is told exactly what was missed, once and in order, and then
// goes on live.
func TestFollow_Messages(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle, how driver.Transport) {
		alice, bob := b.user(t, "Alice"), b.user(t, "Bob")
		talk := b.talk(t, alice, bob)
		var said []string
		say := func(text string) {
			b.say(t, alice, talk, text)
			said = append(said, text)
		}
		first := b.follow(t, how, bob.Token, messageFollow, map[string]any{"id": talk})
		b.begin(t, first, alice, talk)
		var cursors []string
		for _, text := range []string{"one", "two", "three"} {
			say(text)
			e := next(t, first).MessageAdded
			if e.Node.Text != text {
				t.Fatalf("heard %q, want %q", e.Node.Text, text)
			}
			cursors = append(cursors, e.Cursor)
		}
		first.Close()
		say("four")
		say("five")
		for i, cursor := range cursors {
			again := b.follow(t, how, bob.Token, messageFollow, map[string]any{"id": talk, "after": cursor})
			for _, want := range said[i+1:] {
				if got := next(t, again).MessageAdded.Node.Text; got != want {
					t.Errorf("after %q, heard %q, want %q", said[i], got, want)
				}
			}
			say(fmt.Sprint("live ", i))
			if got, want := next(t, again).MessageAdded.Node.Text, said[len(said)-1]; got != want {
				t.Errorf("then heard %q, want %q", got, want)
			}
			again.Close()
		}
	})
}

// feedCursor is where a user's feed stands.
func (b *testBundle) feedCursor(t *testing.T, p *person, talk string) string {
	t.Helper()
	s := b.follow(t, driver.Events, p.Token, feedFollow, nil)
	defer s.Close()
	return b.begin(t, s, p, talk)
}

func TestFollow_Orders(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle, how driver.Transport) {
		ctx := t.Context()
		shop, alice := b.shop(t, 10), b.rich(t, "Alice", 5000)
		cursor := b.feedCursor(t, alice, b.talk(t, alice))
		live := b.follow(t, how, alice.Token, orderFollow, map[string]any{"after": cursor})
		wantNext := func(s *driver.Stream, o driver.Order, state string) string {
			t.Helper()
			e := next(t, s).OrderUpdated
			if e.Order == nil || e.Order.ID != o.ID || e.Order.State != state {
				t.Errorf("heard %+v, want %s of %s", e.Order, state, o.ID)
			}
			return e.Cursor
		}
		tea := b.buy(t, alice, shop.card(t, "TEA"))
		paid := wantNext(live, tea, "PAID")
		live.Close()
		mug := b.pending(t, alice, shop, "MUG")
		if _, _, err := b.api.Cancel(ctx, alice.Token, newKey(), mug.ID); err != nil {
			t.Fatal(err)
		}
		b.settled(t) // two events at once may be told in either order
		if _, err := b.api.GiveBack(ctx, shop.token(t), newKey(), tea.ID, driver.Euro(1)); err != nil {
			t.Fatal(err)
		}
		again := b.follow(t, how, alice.Token, orderFollow, map[string]any{"after": paid})
		wantNext(again, mug, "CANCELLED")
		wantNext(again, tea, "PARTIALLY_REFUNDED")
	})
}

// The feed has everything that is new for a user, receipts for them alone.
func TestFollow_Feed(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle, how driver.Transport) {
		shop, alice, bob := b.shop(t, 10), b.rich(t, "Alice", 5000), b.user(t, "Bob")
		talk := b.talk(t, alice, bob)
		hers := b.follow(t, how, alice.Token, feedFollow, map[string]any{"after": b.feedCursor(t, alice, talk)})
		his := b.follow(t, how, bob.Token, feedFollow, map[string]any{"after": b.feedCursor(t, bob, talk)})
		// news leaves out what was said to find the ends of the feeds.
		news := func(s *driver.Stream) *subject {
			t.Helper()
			for {
				got := next(t, s).Feed.Subject
				if got == nil {
					t.Fatal("heard of nothing")
				}
				if !strings.HasPrefix(got.Text, "knock ") {
					return got
				}
			}
		}
		o, _, err := b.api.Buy(t.Context(), alice.Token, driver.Purchase{Key: newKey(), Card: shop.card(t, "TEA"), Source: alice.Wallet, Conversation: talk})
		if err != nil {
			t.Fatal(err)
		}
		var heard []string
		for range 2 {
			subject := news(hers)
			heard = append(heard, subject.Typename)
			if subject.Typename == "Order" && (subject.ID != o.ID || subject.State != "PAID") {
				t.Errorf("heard of the order %+v", subject)
			}
		}
		if slices.Sort(heard); !slices.Equal(heard, []string{"Message", "Order"}) {
			t.Errorf("heard %v", heard)
		}
		b.say(t, alice, talk, "I bought it.")
		for _, s := range []*driver.Stream{his, hers} {
			if got := news(s); got.Text != "I bought it." {
				t.Errorf("heard %+v", got)
			}
		}
	})
}

// What one server is told, those who follow on another one hear.
func TestFollow_AcrossServers(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle, how driver.Transport) {
		shop, alice, bob := b.shop(t, 10), b.rich(t, "Alice", 5000), b.user(t, "Bob")
		talk := b.talk(t, alice, bob)
		elsewhere := newClient(t, b.other)
		messages := follow(t, elsewhere, how, bob.Token, messageFollow, map[string]any{"id": talk})
		b.begin(t, messages, alice, talk)
		for i := range 20 {
			b.say(t, alice, talk, fmt.Sprint("news ", i))
		}
		for i := range 20 {
			if got, want := next(t, messages).MessageAdded.Node.Text, fmt.Sprint("news ", i); got != want {
				t.Fatalf("heard %q, want %q", got, want)
			}
		}
		orders := follow(t, elsewhere, how, alice.Token, orderFollow, map[string]any{"after": b.feedCursor(t, alice, talk)})
		o := b.buy(t, alice, shop.card(t, "TEA"))
		if got := next(t, orders).OrderUpdated.Order; got == nil || got.ID != o.ID {
			t.Errorf("heard of the order %+v", got)
		}
	})
}

func TestFollow_Refusals(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle, how driver.Transport) {
		shop, alice, bob, eve := b.shop(t, 10), b.user(t, "Alice"), b.user(t, "Bob"), b.user(t, "Eve")
		talk, other := b.talk(t, alice, bob), b.talk(t, alice, bob)
		feed := b.feedCursor(t, alice, talk)
		message := b.messageCursor(t, alice, talk)
		for what, try := range map[string]struct {
			token, document string
			variables       map[string]any
			want            string
		}{
			"a stranger":              {eve.Token, messageFollow, map[string]any{"id": talk}, "CONVERSATION_NOT_FOUND"},
			"no conversation":         {alice.Token, messageFollow, map[string]any{"id": "nonsense"}, "CONVERSATION_NOT_FOUND"},
			"another talk's cursor":   {alice.Token, messageFollow, map[string]any{"id": other, "after": message}, "CURSOR_INVALID"},
			"a feed's cursor":         {alice.Token, messageFollow, map[string]any{"id": talk, "after": feed}, "CURSOR_INVALID"},
			"a message's cursor":      {alice.Token, feedFollow, map[string]any{"after": message}, "CURSOR_INVALID"},
			"another's cursor":        {bob.Token, feedFollow, map[string]any{"after": feed}, "CURSOR_INVALID"},
			"another's order cursor":  {bob.Token, orderFollow, map[string]any{"after": feed}, "CURSOR_INVALID"},
			"a tampered cursor":       {alice.Token, feedFollow, map[string]any{"after": tampered(feed)}, "CURSOR_INVALID"},
			"nonsense for a cursor":   {alice.Token, orderFollow, map[string]any{"after": "nonsense"}, "CURSOR_INVALID"},
			"a merchant":              {shop.token(t), feedFollow, nil, "FORBIDDEN"},
			"the chat app's server":   {b.service, orderFollow, nil, "FORBIDDEN"},
			"nobody":                  {"", feedFollow, nil, "UNAUTHENTICATED"},
			"a forged token":          {tampered(alice.Token), feedFollow, nil, "UNAUTHENTICATED"},
			"a document that is none": {alice.Token, "subscription { nothing }", nil, "VALIDATION_FAILED"},
		} {
			s, err := b.api.Follow(t.Context(), how, try.token, try.document, try.variables)
			if err == nil {
				ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
				err = s.Next(ctx, nil)
				cancel()
				s.Close()
			}
			var closed *driver.Closed
			if errors.As(err, &closed) && try.want == "UNAUTHENTICATED" {
				if closed.Code != closeUnauthorized {
					t.Errorf("%s: %v", what, closed)
				}
				continue
			}
			if got := faultOf(err); got != try.want {
				t.Errorf("%s: %s, want %s", what, got, try.want)
			}
		}
		// A subscription needs a transport that can carry it.
		wantFault(t, b.api.Do(t.Context(), alice.Token, feedFollow, nil, nil), "VALIDATION_FAILED")
	})
}

// closeUnauthorized is how graphql-transport-ws closes for bad credentials.
const closeUnauthorized = 4401

// messageCursor is the cursor of a conversation's last message.
func (b *testBundle) messageCursor(t *testing.T, p *person, talk string) string {
	t.Helper()
	var out struct {
		Conversation struct {
			Messages struct{ PageInfo struct{ EndCursor string } }
		}
	}
	b.ask(t, p.Token, `query LastMessage($id: ID!) { conversation(id: $id) { messages(last: 1) { pageInfo { endCursor } } } }`, map[string]any{"id": talk}, &out)
	return out.Conversation.Messages.PageInfo.EndCursor
}

// tampered changes one letter in the middle.
func tampered(s string) string {
	at, letter := len(s)/2, byte('A')
	if s[at] == letter {
		letter = 'B'
	}
	return s[:at] + string(letter) + s[at+1:]
}

// Whoever was away for too long must start anew.
func TestFollow_CursorExpired(t *testing.T) {
	onEach(t, func(t *testing.T, b *testBundle, how driver.Transport) {
		ctx := t.Context()
		alice := b.user(t, "Alice")
		talk := b.talk(t, alice)
		old := b.feedCursor(t, alice, talk)
		b.say(t, alice, talk, "missed")
		month := time.Now().Add(-30 * 24 * time.Hour)
		err := b.app.DB.InTx(ctx, func(ctx context.Context) error {
			_, err := b.app.DB.SQL(ctx).ExecContext(ctx, `UPDATE feed_entries SET created_at = $1 WHERE user_id IN (SELECT id FROM users WHERE mode = $2)`, month, b.sandbox)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.app.Chat.PruneFeed(ctx, month.Add(time.Hour), 1000); err != nil {
			t.Fatal(err)
		}
		s, err := b.api.Follow(ctx, how, alice.Token, feedFollow, map[string]any{"after": old})
		if err == nil {
			defer s.Close()
			err = s.Next(ctx, nil)
		}
		wantFault(t, err, "CURSOR_EXPIRED")
	})
}

// atOnce is how soon a subscription ends that may not go on.
const atOnce = time.Second

// Whatever ends a token, ends what was opened with it, on every server.
func TestFollow_EndsWithItsToken(t *testing.T) {
	alone(t, func(t *testing.T, b *testBundle) {
		for what, end := range map[string]struct {
			claims func(p *person, device string) map[string]any
			act    func(p *person, device, token string) (actor, document string, input map[string]any)
		}{
			"token revoked": {nil, func(_ *person, _, token string) (string, string, map[string]any) {
				return token, tokenRevoke, map[string]any{}
			}},
			"tokens revoked": {nil, func(p *person, _, _ string) (string, string, map[string]any) {
				return b.service, userTokensRevoke, map[string]any{"userId": p.ID}
			}},
			"user blocked": {nil, func(p *person, _, _ string) (string, string, map[string]any) {
				return b.service, userBlock, map[string]any{"userId": p.ID, "blocked": true}
			}},
			"user removed": {nil, func(p *person, _, _ string) (string, string, map[string]any) {
				return b.service, userRemove, map[string]any{"userId": p.ID}
			}},
			"user erased": {nil, func(p *person, _, _ string) (string, string, map[string]any) {
				return b.service, userErase, map[string]any{"userId": p.ID}
			}},
			"device revoked": {
				func(_ *person, device string) map[string]any { return map[string]any{"device": device} },
				func(p *person, device, _ string) (string, string, map[string]any) {
					return p.Token, deviceRevoke, map[string]any{"deviceId": device}
				},
			},
		} {
			t.Run(what, func(t *testing.T) {
				alice := b.user(t, "Alice-"+what)
				device, _ := b.device(t, alice)
				var claims map[string]any
				if end.claims != nil {
					claims = end.claims(alice, device)
				}
				token := b.token(t, alice.Subject, claims)
				talk := b.talk(t, alice)
				var open []*driver.Stream
				for _, how := range transports {
					for _, url := range []string{b.url, b.other} {
						s := follow(t, newClient(t, url), how, token, messageFollow, map[string]any{"id": talk})
						b.begin(t, s, alice, talk)
						open = append(open, s)
					}
				}
				for _, s := range open { // what was said to begin the others
					drain(t, s)
				}
				actor, document, input := end.act(alice, device, token)
				b.do(t, actor, document, input, nil)
				wantEnded(t, open, time.Now())
				for _, url := range []string{b.url, b.other} {
					wantFault(t, newClient(t, url).Do(t.Context(), token, viewerShow, nil, nil), "UNAUTHENTICATED")
				}
			})
		}
	})
}

// A token that expires ends what was opened with it, too.
func TestFollow_EndsWithExpiry(t *testing.T) {
	alone(t, func(t *testing.T, b *testBundle) {
		alice := b.user(t, "Alice")
		// Issuers' clocks may be off by half a minute, so one that expired a little
		// less ago is still good.
		token := b.mint(t, auth.MintInput{Subject: alice.Subject, Now: time.Now().Add(-time.Hour), Lifetime: time.Hour + 2*time.Second})
		expiry := time.Now().Add(2 * time.Second)
		var open []*driver.Stream
		for _, how := range transports {
			open = append(open, b.follow(t, how, token, feedFollow, nil))
		}
		wantEnded(t, open, expiry)
	})
}

const tokenRevoke = `mutation TokenRevoke($input: TokenRevokeInput!) { tokenRevoke(input: $input) { clientMutationId userErrors { code message } } }`

// drain reads what is there.
func drain(t *testing.T, s *driver.Stream) {
	t.Helper()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		var e event
		err := s.Next(ctx, &e)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// wantEnded checks that streams end at once, and tell why.
func wantEnded(t *testing.T, open []*driver.Stream, at time.Time) {
	t.Helper()
	for _, s := range open {
		ctx, cancel := context.WithDeadline(t.Context(), at.Add(atOnce))
		err := s.Next(ctx, new(event))
		cancel()
		var closed *driver.Closed
		if errors.As(err, &closed) {
			if closed.Code != closeUnauthorized {
				t.Errorf("the socket was closed with %v", closed)
			}
			continue
		}
		wantFault(t, err, "UNAUTHENTICATED")
	}
}
