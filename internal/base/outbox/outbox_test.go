package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/outbox"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

type testBundle struct {
	*outbox.Outbox
	db *store.DB
}

func onBoth(t *testing.T, test func(t *testing.T, b *testBundle)) {
	t.Helper()
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) { test(t, &testBundle{outbox.New(db), db}) })
}

func (b *testBundle) emit(t *testing.T) id.ID {
	t.Helper()
	e := outbox.Event{ID: id.New(), Mode: mode.Live, Topic: "order.paid", SubjectID: id.New(), Payload: json.RawMessage(`{}`), At: time.Now()}
	if err := b.db.InTx(t.Context(), func(ctx context.Context) error { return b.Emit(ctx, e) }); err != nil {
		t.Fatal(err)
	}
	return e.ID
}

func (b *testBundle) lease(t *testing.T, lease time.Duration) (ids []id.ID) {
	t.Helper()
	events, err := b.Lease(t.Context(), 10, lease)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	return ids
}

// dueIn tells how long from a moment an event rests.
func (b *testBundle) dueIn(t *testing.T, e id.ID, from time.Time) time.Duration {
	t.Helper()
	row, err := b.db.Client(t.Context()).OutboxEvent.Get(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return row.DueAt.Sub(from)
}

// rest has an event rest for so long from now; below zero, its rest is over.
func (b *testBundle) rest(t *testing.T, e id.ID, d time.Duration) {
	t.Helper()
	if err := b.db.Client(t.Context()).OutboxEvent.UpdateOneID(e).SetDueAt(time.Now().UTC().Add(d)).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (b *testBundle) wantDepth(t *testing.T, want int) {
	t.Helper()
	if n, _, err := b.Depth(t.Context()); err != nil || n != want {
		t.Errorf("depth is %d, %v; want %d", n, err, want)
	}
}

func TestOutbox_LeaseIsExclusiveUntilItRunsOut(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		e := b.emit(t)
		before := time.Now()
		if got := b.lease(t, time.Minute); !slices.Equal(got, []id.ID{e}) {
			t.Fatalf("first lease got %v, want %v", got, e)
		}
		if d := b.dueIn(t, e, before); d < time.Minute-time.Millisecond || d > 2*time.Minute {
			t.Errorf("leased for %v, want a minute", d)
		}
		if got := b.lease(t, time.Minute); len(got) > 0 {
			t.Errorf("a leased event was leased again: %v", got)
		}
		b.rest(t, e, -time.Second)
		if got := b.lease(t, time.Minute); !slices.Equal(got, []id.ID{e}) {
			t.Errorf("after its lease got %v, want %v", got, e)
		}
		if err := b.Done(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if n, err := b.ResendAll(t.Context()); err != nil || n != 0 {
			t.Errorf("%d events that are done are sent again, %v", n, err)
		}
		b.wantDepth(t, 0)
	})
}

func TestOutbox_AnEventOfARolledBackTransactionNeverWas(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		errUndo := errors.New("undo")
		err := b.db.InTx(t.Context(), func(ctx context.Context) error {
			if err := b.Emit(ctx, outbox.Event{ID: id.New(), Topic: "x", SubjectID: id.New(), Payload: json.RawMessage(`{}`), At: time.Now()}); err != nil {
				return err
			}
			return errUndo
		})
		if !errors.Is(err, errUndo) {
			t.Fatal(err)
		}
		b.wantDepth(t, 0)
	})
}

func TestOutbox_FailedComesBackAfterAPause(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		e := b.emit(t)
		b.lease(t, time.Minute)
		before := time.Now()
		if err := b.Fail(t.Context(), e, errors.New("the merchant is \x00 away \xff"), false); err != nil {
			t.Fatal(err)
		}
		if d := b.dueIn(t, e, before); d < 499*time.Millisecond {
			t.Errorf("due after %v, want a pause of half a second to one", d)
		}
		if d := b.dueIn(t, e, time.Now()); d > time.Second {
			t.Errorf("due in %v, want a pause of half a second to one", d)
		}
		b.rest(t, e, time.Minute)
		// A flushed queue is no reason to hurry what waits anyway.
		if _, err := b.ResendAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := b.lease(t, time.Minute); len(got) > 0 {
			t.Errorf("a failed event was leased without a pause: %v", got)
		}
		b.rest(t, e, -time.Second)
		if got := b.lease(t, time.Minute); !slices.Equal(got, []id.ID{e}) {
			t.Errorf("after its pause got %v, want %v", got, e)
		}
	})
}

func TestOutbox_DeadUntilRevived(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		refused, tired, other := b.emit(t), b.emit(t), b.emit(t)
		b.lease(t, time.Minute)
		if err := b.Fail(t.Context(), refused, errors.New("nobody listens "+strings.Repeat("ä", 500)), true); err != nil {
			t.Fatal(err)
		}
		failures := 0
		for ; failures < 1000 && b.alive(t) == 2; failures++ {
			if err := b.Fail(t.Context(), tired, errors.New("still away"), false); err != nil {
				t.Fatal(err)
			}
		}
		if failures < 150 || failures > 300 {
			t.Errorf("dead after %d failures; with pauses of up to an hour, want a week or a little more", failures)
		}
		dead, err := b.Dead(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(dead) != 2 || dead[0].ID != refused || dead[1].ID != tired || dead[1].Times != failures || dead[1].Why != "still away" ||
			!strings.HasPrefix(dead[0].Why, "nobody listens ä") {
			t.Errorf("dead are %+v", dead)
		}
		if err := b.Done(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		if n, err := b.Revive(t.Context(), refused, other); n != 1 || err != nil {
			t.Errorf("revived %d, %v; want 1: what is done stays done", n, err)
		}
		if got := b.lease(t, time.Minute); !slices.Equal(got, []id.ID{refused}) {
			t.Errorf("leased %v, want the revived %v", got, refused)
		}
		if n, err := b.Revive(t.Context()); n != 1 || err != nil {
			t.Errorf("revived %d, %v; want the other dead one", n, err)
		}
		b.wantDepth(t, 2)
	})
}

func (b *testBundle) alive(t *testing.T) int {
	t.Helper()
	n, _, err := b.Depth(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}
