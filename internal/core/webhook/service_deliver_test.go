package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/outbound"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/core/webhook"
	"github.com/soukhq/souk/internal/testkit"
)

func TestService_DispatchAndDeliver(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		e, secret := b.create(t)
		picky, _ := b.create(t, "order.refunded")
		event := b.event("order.paid")
		b.dispatch(t, event)
		select {
		case <-b.service.Woken():
		default:
			t.Error("nobody was woken")
		}
		if n, err := b.service.Dispatch(t.Context(), event); err != nil || n != 0 {
			t.Errorf("the same event again made %d deliveries, %v", n, err)
		}
		if n := b.deliver(t); n != 1 {
			t.Errorf("%d deliveries were due, want 1", n)
		}
		m := b.receiver.last(t)
		if !m.signedBy(secret) || m.signatures() != 1 || m.ID != event.ID.String() || m.contentType != "application/json" {
			t.Errorf("the receiver got %+v", m)
		}
		var body struct {
			Type      string
			Timestamp time.Time
			Data      struct{ OrderID string }
		}
		if err := json.Unmarshal(m.Payload, &body); err != nil || body.Type != "order.paid" || !body.Timestamp.Equal(event.At) || body.Data.OrderID != "o1" {
			t.Errorf("the payload is %s, %v", m.Payload, err)
		}
		d := b.only(t, e)
		if d.State != webhook.Delivered || d.AttemptCount != 1 || d.NextAttemptAt != nil || *d.LastStatus != 204 || d.LastError != "" || string(d.Payload) != string(m.Payload) {
			t.Errorf("the delivery stands as %+v", d)
		}
		attempts, err := b.service.Attempts(t.Context(), b.viewer, []id.ID{d.ID})
		if err != nil || len(attempts[d.ID]) != 1 || *attempts[d.ID][0].Status != 204 || attempts[d.ID][0].Error != "" {
			t.Errorf("the attempts are %+v, %v", attempts, err)
		}
		if len(b.list(t, picky, webhook.Filter{})) != 0 {
			t.Error("an endpoint was sent what it does not want")
		}
		if err := b.service.Attempt(t.Context(), d.ID); err != nil || len(b.receiver.messages()) != 1 {
			t.Errorf("what was delivered was sent again: %v", err)
		}
		if err := b.service.Attempt(t.Context(), id.New()); err != nil {
			t.Errorf("an attempt at what was pruned: %v", err)
		}
	})
}

func TestService_Dispatch_JoinsTransaction(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		e, _ := b.create(t)
		refused := errors.New("refused")
		err := db.InTx(t.Context(), func(ctx context.Context) error {
			if _, err := b.service.Dispatch(ctx, b.event("order.paid")); err != nil {
				return err
			}
			return refused
		})
		if !errors.Is(err, refused) || len(b.list(t, e, webhook.Filter{})) != 0 {
			t.Errorf("a transaction that was rolled back left a delivery: %v", err)
		}
	})
}

func TestService_Dispatch_OnlyToItsOwner(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		b.create(t)
		for name, change := range map[string]func(*webhook.Event){
			"another owner": func(e *webhook.Event) { e.OwnerID = id.New() },
			"another mode":  func(e *webhook.Event) { e.Mode = mode.Live },
		} {
			e := b.event("order.paid")
			change(&e)
			if n, err := b.service.Dispatch(t.Context(), e); err != nil || n != 0 {
				t.Errorf("%s: %d deliveries, %v", name, n, err)
			}
		}
		long := b.event("order.paid")
		long.Data = json.RawMessage(`"` + strings.Repeat("x", 64<<10) + `"`)
		if _, err := b.service.Dispatch(t.Context(), long); err == nil {
			t.Error("a payload that is too long was taken")
		}
	})
}

// The whole schedule: a receiver that is down for days.
func TestService_Attempt_RetriesUntilTheEnd(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		e, secret := b.create(t)
		b.receiver.answer(status(http.StatusInternalServerError))
		b.dispatch(t, b.event("order.paid"))
		var waited time.Duration
		for made := 1; ; made++ {
			if n := b.deliver(t); n != 1 {
				t.Fatalf("attempt %d was not due", made)
			}
			if !b.receiver.last(t).signedBy(secret) {
				t.Fatalf("attempt %d is not signed with the time of the receiver's clock", made)
			}
			d := b.only(t, e)
			if d.AttemptCount != made || *d.LastStatus != 500 || d.LastError != "answered 500" {
				t.Fatalf("after attempt %d the delivery stands as %+v", made, d)
			}
			if d.State == webhook.Failed {
				if made != outbound.AttemptsMax || d.NextAttemptAt != nil || waited < 72*time.Hour {
					t.Errorf("given up after %d attempts in %v", made, waited)
				}
				break
			}
			if b.deliver(t) != 0 {
				t.Fatalf("after attempt %d there was no wait", made)
			}
			wait := d.NextAttemptAt.Sub(b.clock.Now(sandbox))
			waited += wait
			b.advance(wait)
		}
		if attempts, err := b.service.Attempts(t.Context(), b.viewer, []id.ID{b.only(t, e).ID}); err != nil || len(attempts[b.only(t, e).ID]) != outbound.AttemptsMax {
			t.Errorf("the attempts were not kept: %v", err)
		}
	})
}

func TestService_Attempt_RecoversInBetween(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		e, _ := b.create(t)
		b.receiver.answer(status(http.StatusBadGateway), status(http.StatusOK))
		b.dispatch(t, b.event("order.paid"))
		b.deliver(t)
		b.advance(5 * time.Second)
		b.deliver(t)
		if d := b.only(t, e); d.State != webhook.Delivered || d.AttemptCount != 2 || d.LastError != "" || *d.LastStatus != 200 {
			t.Errorf("the delivery stands as %+v", d)
		}
		if got := b.receiver.messages(); got[0].ID != got[1].ID || string(got[0].Payload) != string(got[1].Payload) {
			t.Error("two attempts sent different messages")
		}
	})
}

func TestService_Attempt_RetryForEndsItSooner(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		b.service = b.process(t, db, time.Minute)
		e, _ := b.create(t)
		b.receiver.answer(status(http.StatusInternalServerError))
		b.dispatch(t, b.event("order.paid"))
		b.deliver(t)
		b.advance(5 * time.Second)
		b.deliver(t)
		if d := b.only(t, e); d.State != webhook.Failed || d.AttemptCount != 2 {
			t.Errorf("the delivery stands as %+v", d)
		}
	})
}

func TestService_Attempt_RetryAfterIsObeyed(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		b.create(t)
		b.receiver.answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusServiceUnavailable)
		}, status(http.StatusOK))
		b.dispatch(t, b.event("order.paid"))
		b.deliver(t)
		b.advance(59 * time.Minute)
		if b.deliver(t) != 0 {
			t.Error("it was tried sooner than the receiver asked")
		}
		b.advance(time.Minute)
		if b.deliver(t) != 1 {
			t.Error("it was not tried when the receiver asked")
		}
	})
}

func TestService_Attempt_GoneEndsTheEndpoint(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		e, _ := b.create(t)
		b.receiver.answer(status(http.StatusServiceUnavailable), status(http.StatusGone))
		b.dispatch(t, b.event("order.paid"))
		b.deliver(t)
		b.dispatch(t, b.event("order.refunded"))
		b.deliver(t)
		gone := b.endpoint(t, e.ID)
		if gone.Status != webhook.Disabled || gone.DisabledReason != "answered 410 Gone" {
			t.Fatalf("the endpoint stands as %+v", gone)
		}
		if n, err := b.service.Dispatch(t.Context(), b.event("order.paid")); err != nil || n != 0 {
			t.Errorf("a disabled endpoint was given %d deliveries, %v", n, err)
		}
		b.advance(time.Minute)
		if b.deliver(t) != 1 || len(b.receiver.messages()) != 2 {
			t.Error("what was pending was sent to a disabled endpoint, or is pending still")
		}
		for _, d := range b.list(t, e, webhook.Filter{}) {
			if d.State != webhook.Failed || d.NextAttemptAt != nil {
				t.Errorf("a delivery stands as %+v", d)
			}
			if d.EventType == "order.paid" && !strings.Contains(d.LastError, "the endpoint is disabled: answered 410 Gone") {
				t.Errorf("the pending delivery ended with %q", d.LastError)
			}
		}
	})
}

// A URL that was changed while the old one was asked is not to blame.
func TestService_Attempt_GoneOfAnOldURL(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		e, _ := b.create(t)
		next := newReceiver(t)
		b.receiver.answer(func(w http.ResponseWriter, _ *http.Request) {
			if _, err := b.service.Update(context.Background(), b.viewer, e.ID, webhook.Change{URL: &next.url}); err != nil {
				t.Error(err)
			}
			w.WriteHeader(http.StatusGone)
		})
		b.dispatch(t, b.event("order.paid"))
		b.deliver(t)
		if now := b.endpoint(t, e.ID); now.Status != webhook.Enabled {
			t.Errorf("the endpoint stands as %+v", now)
		}
	})
}

func TestService_Attempt_Problems(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		for name, c := range map[string]struct {
			answer http.HandlerFunc
			state  webhook.State
			status int
			text   string
		}{
			"too long, but taken": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) }, webhook.Delivered, 200, ""},
			"redirect": {func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			}, webhook.Pending, 307, "answered with a redirect, which is not followed"},
			"broken connection": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, webhook.Pending, 0, "no connection, or it broke"},
			"refusal":           {status(http.StatusForbidden), webhook.Pending, 403, "answered 403"},
		} {
			b.receiver.answer(c.answer)
			e, _ := b.create(t)
			event := b.event("order.paid")
			if _, err := b.service.Dispatch(t.Context(), event); err != nil {
				t.Fatal(err)
			}
			b.deliver(t)
			d := b.only(t, e)
			if d.State != c.state || d.LastError != c.text || (d.LastStatus == nil) != (c.status == 0) || d.LastStatus != nil && *d.LastStatus != c.status {
				t.Errorf("%s: the delivery stands as %+v", name, d)
			}
			off := false
			if _, err := b.service.Update(t.Context(), b.viewer, e.ID, webhook.Change{Enabled: &off}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestService_Attempt_StoppedIsNotRecorded(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		e, _ := b.create(t)
		ctx, stop := context.WithCancel(t.Context())
		b.receiver.answer(func(_ http.ResponseWriter, r *http.Request) {
			stop()
			<-r.Context().Done()
		}, status(http.StatusOK))
		b.dispatch(t, b.event("order.paid"))
		due, err := b.service.Due(t.Context(), 1)
		if err != nil || len(due) != 1 {
			t.Fatal(err)
		}
		if err := b.service.Attempt(ctx, due[0]); !errors.Is(err, context.Canceled) {
			t.Errorf("a stopped attempt gave %v", err)
		}
		if d := b.only(t, e); d.AttemptCount != 0 || d.State != webhook.Pending {
			t.Errorf("the delivery stands as %+v", d)
		}
		if b.deliver(t) != 0 {
			t.Error("it was due before its lease ended")
		}
		b.advance(2 * time.Minute)
		if b.deliver(t) != 1 || b.only(t, e).State != webhook.Delivered {
			t.Error("after its lease it was not delivered")
		}
	})
}

func TestService_Due_TwoProcessesDeliverOnce(t *testing.T) {
	t.Parallel()
	testkit.EngineURLs(t, func(t *testing.T, url string) {
		b := setup(t, testkit.OpenStore(t, url))
		second := b.process(t, testkit.OpenStore(t, url), 0)
		b.create(t)
		want := map[string]bool{}
		for range 60 {
			e := b.event("order.paid")
			want[e.ID.String()] = true
			b.dispatch(t, e)
		}
		var all sync.WaitGroup
		for i := range 6 {
			service := []*webhook.Service{b.service, second}[i%2]
			all.Go(func() {
				for {
					due, err := service.Due(t.Context(), 7)
					if err != nil {
						t.Error(err)
						return
					}
					for _, d := range due {
						if err := service.Attempt(t.Context(), d); err != nil {
							t.Error(err)
						}
					}
					if len(due) == 0 {
						return
					}
				}
			})
		}
		all.Wait()
		b.deliver(t) // those that a process passed over while another held them
		got := b.receiver.messages()
		if len(got) != len(want) {
			t.Errorf("%d messages came, want %d", len(got), len(want))
		}
		for _, m := range got {
			delete(want, m.ID)
		}
		if len(want) != 0 {
			t.Errorf("%d events never came", len(want))
		}
	})
}

func TestService_Attempt_TwiceAtOnce(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		e, _ := b.create(t)
		b.dispatch(t, b.event("order.paid"))
		d := b.only(t, e)
		both := make(chan struct{}, 2)
		met := make(chan struct{})
		var once sync.Once
		b.receiver.answer(func(w http.ResponseWriter, _ *http.Request) {
			both <- struct{}{}
			if len(both) == 2 {
				once.Do(func() { close(met) })
			}
			<-met
			w.WriteHeader(http.StatusOK)
		})
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				if err := b.service.Attempt(t.Context(), d.ID); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if d := b.only(t, e); d.State != webhook.Delivered || d.AttemptCount != 1 {
			t.Errorf("the delivery stands as %+v", d)
		}
		if attempts, err := b.service.Attempts(t.Context(), b.viewer, []id.ID{d.ID}); err != nil || len(attempts[d.ID]) != 2 {
			t.Errorf("%d attempts were recorded, %v", len(attempts[d.ID]), err)
		}
	})
}

// What is due in one mode is not by another's clock.
func TestService_Due_ByTheClockOfItsMode(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		b.receiver.answer(status(http.StatusInternalServerError))
		counts := map[mode.Mode]int{}
		for _, m := range []mode.Mode{mode.Live, 1, 2} {
			b.viewer.Mode = m
			if _, _, err := b.service.Create(t.Context(), b.viewer, b.receiver.url, nil); err != nil {
				t.Fatal(err)
			}
			e := b.event("order.paid")
			e.Mode = m
			b.dispatch(t, e)
		}
		if n := b.deliver(t); n != 3 {
			t.Fatalf("%d deliveries were due, want 3", n)
		}
		b.clock.SetOffset(1, time.Hour)
		b.clock.SetOffset(2, 4*time.Second)
		due, err := b.service.Due(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		found, err := b.service.DeliveriesByIDs(t.Context(), b.viewer, due)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range found {
			counts[d.Mode]++
		}
		if len(due) != 1 || counts[1] != 1 {
			t.Errorf("after sandbox 1 was moved, there are due by mode: %v", counts)
		}
	})
}
