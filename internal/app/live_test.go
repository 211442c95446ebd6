package app_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/driver"
	"github.com/soukhq/souk/internal/merchantsim"
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

var transports = []driver.Transport{driver.Socket, driver.Events}

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
		Subject *struct {
			Typename        string `json:"__typename"`
			Text, ID, State string
		}
	}
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
	onBoth(t, func(t *testing.T, b *testBundle) {
		for _, how := range transports {
			t.Run(string(how)[:4], func(t *testing.T) { test(t, b, how) })
		}
	})
}

// begin knocks until a subscription is heard to run, and gives its last event:
// nothing tells a client from when on it will be told.
func begin(t *testing.T, s *driver.Stream, knock func()) (last event) {
	t.Helper()
	var heard atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !heard.Load() {
			knock()
			for waited := 0; waited < 20 && !heard.Load(); waited++ {
				time.Sleep(10 * time.Millisecond)
			}
		}
	}()
	last = next(t, s)
	heard.Store(true)
	<-done
	return last
}
