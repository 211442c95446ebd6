package webhook_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/outbound"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/core/webhook"
	"github.com/soukhq/souk/internal/testkit"
)

func TestService_Replay(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		e, _ := b.create(t)
		b.dispatch(t, b.event("order.paid"))
		b.deliver(t)
		b.advance(time.Hour)
		later := b.clock.Now(sandbox)
		b.receiver.answer(status(http.StatusInternalServerError))
		b.dispatch(t, b.event("order.refunded"))
		for range outbound.AttemptsMax {
			b.deliver(t)
			b.advance(30 * time.Hour)
		}
		b.receiver.answer()
		before := len(b.receiver.messages())
		for _, c := range []struct {
			name   string
			filter webhook.Filter
			want   int
		}{
			{"failed", webhook.Filter{States: []webhook.State{webhook.Failed}}, 1},
			{"failed, again", webhook.Filter{States: []webhook.State{webhook.Failed}}, 0}, // it was delivered meanwhile
			{"one type", webhook.Filter{EventTypes: []string{"order.paid"}}, 1},
			{"until", webhook.Filter{Until: &later}, 1},
			{"from", webhook.Filter{From: &later}, 1},
			{"both", webhook.Filter{States: []webhook.State{webhook.Delivered, webhook.Failed}}, 2},
			{"none of them", webhook.Filter{States: []webhook.State{webhook.Pending}}, 0},
		} {
			n, err := b.service.Replay(t.Context(), b.viewer, e.ID, c.filter)
			if err != nil || n != c.want {
				t.Errorf("%s: replayed %d, want %d, %v", c.name, n, c.want, err)
			}
			b.advance(time.Minute)
			if sent := b.deliver(t); sent != c.want {
				t.Errorf("%s: %d were sent, want %d", c.name, sent, c.want)
			}
		}
		if got := len(b.receiver.messages()) - before; got != 6 {
			t.Errorf("%d messages came, want 6", got)
		}
		for _, d := range b.list(t, e, webhook.Filter{}) {
			if d.State != webhook.Delivered || d.AttemptCount != 1 {
				t.Errorf("a replayed delivery stands as %+v", d)
			}
		}
	})
}

func TestService_Replay_PendingIsBroughtForward(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		e, _ := b.create(t)
		b.receiver.answer(status(http.StatusInternalServerError))
		b.dispatch(t, b.event("order.paid"))
		b.deliver(t)
		pending := webhook.Filter{States: []webhook.State{webhook.Pending}}
		if n, err := b.service.Replay(t.Context(), b.viewer, e.ID, pending); err != nil || n != 0 {
			t.Errorf("what is tried again in seconds was replayed: %d, %v", n, err)
		}
		b.advance(5 * time.Second)
		b.deliver(t) // the next attempt is minutes away
		if n, err := b.service.Replay(t.Context(), b.viewer, e.ID, pending); err != nil || n != 1 {
			t.Errorf("Replay = %d, %v", n, err)
		}
		b.receiver.answer()
		if b.deliver(t) != 1 || b.only(t, e).State != webhook.Delivered {
			t.Error("it was not brought forward")
		}
	})
}

func TestService_Replay_Refusals(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		e, _ := b.create(t)
		b.dispatch(t, b.event("order.paid"))
		b.deliver(t)
		some := webhook.Filter{States: []webhook.State{webhook.Delivered}}
		stranger := auth.Viewer{Kind: auth.Merchant, MerchantID: id.New(), Mode: sandbox}
		_, err := b.service.Replay(t.Context(), stranger, e.ID, some)
		wants(t, "another merchant", err, webhook.ErrNotFound)
		_, err = b.service.Replay(t.Context(), b.viewer, id.New(), some)
		wants(t, "no endpoint", err, webhook.ErrNotFound)
		_, err = b.service.Replay(t.Context(), b.viewer, e.ID, webhook.Filter{})
		wants(t, "no filter", err, webhook.ErrFilterEmpty)
		off := false
		if _, err := b.service.Update(t.Context(), b.viewer, e.ID, webhook.Change{Enabled: &off}); err != nil {
			t.Fatal(err)
		}
		_, err = b.service.Replay(t.Context(), b.viewer, e.ID, some)
		wants(t, "a disabled endpoint", err, webhook.ErrDisabled)
	})
}

// More than a batch, and more than a call may replay.
func TestService_Replay_Bounded(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		e, _ := b.create(t)
		const total = webhook.ReplayMax + 700
		insertFailed(t, b, e, total)
		failed := webhook.Filter{States: []webhook.State{webhook.Failed}}
		for _, want := range []int{webhook.ReplayMax, 700, 0} {
			if n, err := b.service.Replay(t.Context(), b.viewer, e.ID, failed); err != nil || n != want {
				t.Errorf("Replay = %d, want %d, %v", n, want, err)
			}
		}
		at := b.event("order.paid")
		b.dispatch(t, at)
		b.advance(time.Second)
		due, err := b.service.Due(t.Context(), total)
		if err != nil || len(due) > total/2 {
			t.Errorf("%d replayed deliveries stand in line before a new one, %v", len(due), err)
		}
		b.advance(100 * time.Second)
		rest, err := b.service.Due(t.Context(), total)
		if err != nil || len(due)+len(rest) != total+1 {
			t.Errorf("%d of %d became due, %v", len(due)+len(rest), total+1, err)
		}
	})
}

// insertFailed makes failed deliveries, fast.
func insertFailed(t *testing.T, b *testBundle, e webhook.Endpoint, n int) {
	t.Helper()
	insert := store.NewInsert("webhook_deliveries", "id uuid", "mode integer", "endpoint_id uuid", "event_id uuid", "event_type text",
		"payload bytea", "state text", "attempt_count integer", "created_at timestamptz", "updated_at timestamptz")
	ids, modes, endpoints, events, types := make([]id.ID, n), make([]mode.Mode, n), make([]id.ID, n), make([]id.ID, n), make([]string, n)
	payloads, states, counts, times := make([][]byte, n), make([]string, n), make([]int32, n), make([]time.Time, n)
	for i := range n {
		ids[i], modes[i], endpoints[i], events[i], types[i] = id.New(), sandbox, e.ID, id.New(), "order.paid"
		payloads[i], states[i], times[i] = []byte("{}"), "FAILED", b.clock.Now(sandbox)
	}
	pipe, err := b.db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.End()
	pipe.Write(insert, n, ids, modes, endpoints, events, types, payloads, states, counts, times, times)
	if err := pipe.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestService_Deliveries_PagesAndFilters(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		e, _ := b.create(t)
		for _, kind := range []string{"order.paid", "order.declined", "order.refunded", "order.paid"} {
			b.dispatch(t, b.event(kind))
		}
		first, err := b.service.Deliveries(t.Context(), b.viewer, e.ID, webhook.Filter{}, page.Slice{Limit: 3})
		if err != nil || len(first.Items) != 3 || !first.HasNext || first.Items[1].EventType != "order.refunded" {
			t.Fatalf("the first page is %+v, %v", first, err)
		}
		rest, err := b.service.Deliveries(t.Context(), b.viewer, e.ID, webhook.Filter{}, page.Slice{Limit: 3, After: webhook.DeliveryPosition(first.Items[2])})
		if err != nil || len(rest.Items) != 1 || rest.HasNext {
			t.Errorf("the next page is %+v, %v", rest, err)
		}
		back, err := b.service.Deliveries(t.Context(), b.viewer, e.ID, webhook.Filter{EventTypes: []string{"order.paid"}}, page.Slice{Limit: 1, Backward: true})
		if err != nil || len(back.Items) != 1 || back.Items[0].ID != rest.Items[0].ID || !back.HasPrev {
			t.Errorf("the last of a type is %+v, %v", back, err)
		}
		stranger := auth.Viewer{Kind: auth.Merchant, MerchantID: id.New(), Mode: sandbox}
		ids := []id.ID{first.Items[0].ID, id.New()}
		if found, err := b.service.DeliveriesByIDs(t.Context(), b.viewer, ids); err != nil || len(found) != 1 {
			t.Errorf("the owner finds %d, %v", len(found), err)
		}
		for _, v := range []auth.Viewer{stranger, {}, {Kind: auth.Operator}} {
			if found, err := b.service.DeliveriesByIDs(t.Context(), v, ids); err != nil || len(found) != 0 {
				t.Errorf("%s finds %d, %v", v.Kind, len(found), err)
			}
		}
	})
}

func TestService_Attempts_LastTwenty(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		e, _ := b.create(t)
		b.dispatch(t, b.event("order.paid"))
		b.deliver(t)
		all := webhook.Filter{States: []webhook.State{webhook.Delivered}}
		for i := range 24 {
			b.receiver.answer(status(201 + i))
			if n, err := b.service.Replay(t.Context(), b.viewer, e.ID, all); err != nil || n != 1 {
				t.Fatal(n, err)
			}
			b.deliver(t)
		}
		d := b.only(t, e)
		attempts, err := b.service.Attempts(t.Context(), b.viewer, []id.ID{d.ID})
		got := attempts[d.ID]
		if err != nil || len(got) != 20 || *got[0].Status != 205 || *got[19].Status != 224 {
			t.Errorf("%d attempts are given, %v", len(got), err)
		}
		stranger := auth.Viewer{Kind: auth.Merchant, MerchantID: id.New(), Mode: sandbox}
		if attempts, err := b.service.Attempts(t.Context(), stranger, []id.ID{d.ID}); err != nil || len(attempts) != 0 {
			t.Errorf("another merchant sees the attempts: %v", err)
		}
	})
}

func TestService_Prune(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		e, _ := b.create(t)
		for range 3 {
			b.dispatch(t, b.event("order.paid"))
		}
		b.deliver(t)
		b.receiver.answer(status(http.StatusInternalServerError))
		b.dispatch(t, b.event("order.refunded"))
		b.deliver(t)
		if n, err := b.service.Prune(t.Context(), time.Now().Add(-time.Minute), 10); err != nil || n != 0 {
			t.Errorf("what is young was pruned: %d, %v", n, err)
		}
		for _, want := range []int{2, 1, 0} {
			if n, err := b.service.Prune(t.Context(), time.Now().Add(time.Minute), 2); err != nil || n != want {
				t.Errorf("Prune = %d, want %d, %v", n, want, err)
			}
		}
		if d := b.only(t, e); d.State != webhook.Pending {
			t.Errorf("left is %+v", d)
		}
	})
}
