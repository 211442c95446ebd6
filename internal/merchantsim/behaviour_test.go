package merchantsim

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/jose"
)

func TestBehaviour_Later(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := b.souk.onCallback(problem{Status: 503}, problem{Status: 429, Code: "RATE_LIMITED"}, problem{Status: 204})
	b.behave(Plan{Behaviour: Later, DelayMs: maxDelay.Milliseconds()})
	m := b.souk.order("mug", 1)
	for range 3 { // one call back, however often it is asked
		if a := b.mustSend(again(m)); a.status != http.StatusAccepted || a.body != "" {
			t.Fatal(a)
		}
	}
	if len(got) != 0 {
		t.Fatal("too early")
	}
	b.answerNow()
	close := len(got)
	if close != 3 {
		t.Fatalf("%d calls: two fail, the third does it", close)
	}
	seen := map[string]bool{}
	for range close {
		a := b.open(<-got)
		if a.OrderID != m.Order.ID || a.Decision != Confirmed || seen[a.ID] {
			t.Error(a)
		}
		seen[a.ID] = true
	}
	// It was heard: whoever asks now has lost it and gets it at once.
	if a := b.ask(again(m)); a.Decision != Confirmed {
		t.Error(a)
	}
	log := b.log()
	s := Stories(log)[m.Order.ID]
	if s.Asked != 4 || s.Confirmed != 2 || s.Released != 0 {
		t.Errorf("%+v", s)
	}
	var statuses []int
	for _, e := range log {
		if e.Kind == Called {
			statuses = append(statuses, e.Status)
		}
	}
	if len(statuses) != 3 || statuses[2] != 204 {
		t.Error(statuses)
	}
}

func TestBehaviour_Later_ReleasedMeanwhile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := b.souk.onCallback(problem{Status: 204})
	b.behave(Plan{Behaviour: Later, DelayMs: maxDelay.Milliseconds()})
	m := b.souk.order("mug", 1)
	b.mustSend(m)
	b.mustSend(release(m))
	b.answerNow()
	if len(got) != 0 {
		t.Error("confirmed what is off")
	}
}

func TestBehaviour_LateYes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := b.souk.onCallback(problem{Status: 409, Code: codeEnded})
	b.behave(Plan{Behaviour: LateYes})
	m := b.souk.order("mug", 1)
	soon := time.Now().Add(50 * time.Millisecond)
	m.Order.ConfirmBy = &soon
	if a := b.mustSend(m); a.status != http.StatusAccepted {
		t.Fatal(a)
	}
	if a := b.open(<-got); a.Decision != Confirmed || time.Now().Before(soon) {
		t.Error("not late", a)
	}
	if e := b.await(Released, m.Order.ID); !e.Callback {
		t.Error(e)
	}
	if a := b.mustSend(release(m)); a.status != http.StatusNoContent {
		t.Error(a)
	}
	s := Stories(b.log())[m.Order.ID]
	if s.Confirmed != 1 || s.Released != 2 {
		t.Errorf("%+v", s)
	}

	// Not even a release keeps it from saying yes.
	m = b.souk.order("mug", 1)
	b.mustSend(m)
	b.mustSend(release(m))
	b.answerNow()
	if a := b.open(<-got); a.Decision != Confirmed || a.OrderID != m.Order.ID {
		t.Error(a)
	}
}

func TestBehaviour_Double(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := b.souk.onCallback(problem{Status: 204})
	b.behave(Plan{Behaviour: Double})
	m := b.souk.order("mug", 1)
	inline, called := b.ask(m), b.open(<-got)
	if inline.ID == called.ID || inline.Reference != called.Reference || called.OrderID != m.Order.ID {
		t.Error(inline, called)
	}
	b.await(Called, m.Order.ID)
}

func TestBehaviour_Slow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.behave(Plan{Behaviour: Slow, DelayMs: 150})
	m := b.souk.order("mug", 1)
	began := time.Now()
	if a := b.ask(m); a.Decision != Confirmed || time.Since(began) < 150*time.Millisecond {
		t.Error(a, time.Since(began))
	}
	began = time.Now()
	if got := b.mustSend(release(m)); got.status != 204 || time.Since(began) < 150*time.Millisecond {
		t.Error(got)
	}
	if got := kinds(b.log()); got != "[order.asked order.answered order.released]" {
		t.Error(got)
	}
}

func TestBehaviour_Down(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.behave(Plan{Behaviour: Down, Count: 2})
	m := b.souk.order("mug", 1)
	for range 2 {
		if got, err := b.send(again(m)); err == nil {
			t.Errorf("%+v", got)
		}
	}
	b.ask(again(m))
	b.behave(Plan{Behaviour: Down, Status: 503, RetryAfterSec: 7})
	for _, m := range []Message{m, release(m)} {
		if got := b.mustSend(again(m)); got.status != 503 || got.header.Get("Retry-After") != "7" {
			t.Error(got)
		}
	}
	if got := kinds(b.log()); got != "[order.asked order.asked order.asked order.answered order.asked]" {
		t.Error(got)
	}
}

func TestBehaviour_Flaky(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.behave(Plan{Behaviour: Flaky, Fails: 2, Of: 3, Status: 500})
	m := b.souk.order("mug", 1)
	var got []int
	for range 6 {
		got = append(got, b.mustSend(again(m)).status)
	}
	for i, want := range []int{500, 500, 200, 500, 500, 200} {
		if got[i] != want {
			t.Fatal(got)
		}
	}
}

func TestBehaviour_Hang(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.behave(Plan{Behaviour: Hang})
	m := b.souk.order("mug", 1)
	failed := make(chan error)
	go func() {
		_, err := b.send(m)
		failed <- err
	}()
	b.await(Asked, m.Order.ID)
	b.sim.halt() // until the server ends
	if err := <-failed; err == nil {
		t.Error("answered")
	}
}

func TestBehaviour_Decline(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.behave(Plan{Behaviour: Decline, Count: 1})
	m := b.souk.order("mug", 1)
	for range 2 { // what was declined stays so
		if a := b.ask(again(m)); a.Decision != Declined || a.Reason == "" {
			t.Error(a)
		}
	}
	if a := b.ask(b.souk.order("mug", 1)); a.Decision != Confirmed {
		t.Error(a)
	}
}

func TestBehaviour_Spoilt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := b.souk.order("mug", 1)
	b.ask(before)
	check := map[Behaviour]func(m Message, body string){
		WrongSignature: func(_ Message, body string) {
			if _, err := b.souk.read(body, b.signing()); !errors.Is(err, jose.ErrSignature) {
				t.Error(err)
			}
		},
		WrongOrder: func(m Message, body string) {
			if a := b.open(body); a.OrderID == m.Order.ID || a.Decision != Confirmed {
				t.Error(a)
			}
		},
		WrongAmount: func(m Message, body string) {
			if a := b.open(body); a.OrderID != m.Order.ID || a.Total.AmountMinor != m.Order.Total.AmountMinor+1 {
				t.Error(a)
			}
		},
		Malformed: func(_ Message, body string) {
			if strings.Count(body, ".") == 4 {
				t.Error(body)
			}
		},
		Huge: func(_ Message, body string) {
			if len(body) != hugeAnswer {
				t.Error(len(body))
			}
		},
	}
	for how, check := range check {
		m := b.souk.order("mug", 1)
		b.behave(Plan{Behaviour: how, Count: 1})
		got := b.mustSend(m)
		if got.status != 200 {
			t.Fatal(how, got.status)
		}
		check(m, got.body)
		if s := Stories(b.log())[m.Order.ID]; s.Forged != 1 || s.Confirmed != 0 {
			t.Errorf("%s: %+v", how, s)
		}
		if a := b.ask(again(m)); a.Decision != Confirmed || a.OrderID != m.Order.ID {
			t.Error(how, "has not passed", a)
		}

		m = b.souk.order("mug", 1)
		calls := b.souk.onCallback(problem{Status: 400, Code: "ANSWER_INVALID"})
		b.behave(Plan{Behaviour: how, Callback: true, Count: 1})
		if got := b.mustSend(m); got.status != 202 {
			t.Fatal(how, got.status)
		}
		check(m, <-calls)
		if e := b.await(Called, m.Order.ID); e.Status != 400 || e.Code != "ANSWER_INVALID" {
			t.Error(e)
		}
	}
}

func TestServer_WrongOrder_First(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Plan = Plan{Behaviour: WrongOrder} })
	m := b.souk.order("mug", 1)
	if a := b.ask(m); a.OrderID == m.Order.ID || a.OrderID == "" {
		t.Error("there is no other order; it makes one up", a)
	}
}

func TestPlans(t *testing.T) {
	t.Parallel()
	p := newPlans(Plan{Behaviour: Slow, DelayMs: 1})
	expect := func(sku string, want Behaviour) {
		t.Helper()
		if got := p.next(OnOrders, sku); got.Behaviour != want {
			t.Errorf("%s: %s, not %s", sku, got.Behaviour, want)
		}
	}
	p.set(Plan{Behaviour: Decline, SKU: "a", Count: 1})
	p.set(Plan{Behaviour: Hang, Count: 1})
	p.set(Plan{Behaviour: Huge, Count: 1}) // instead of the one before
	expect("a", Decline)
	expect("a", Huge)
	expect("a", Slow)
	expect("b", Slow)
	if got := p.next(OnWebhooks, ""); got.Behaviour != OK {
		t.Error("orders' plan for webhooks", got)
	}
	p.set(Plan{Behaviour: Decline})
	if got := p.nextUnsettling(OnOrders, "a"); got.Behaviour != OK {
		t.Error(got)
	}
	p.set(Plan{Behaviour: OK})
	expect("a", OK)
	if got := p.list(); len(got) != 1 || got[0].Behaviour != OK {
		t.Error(got)
	}
}

func TestPlan_Validate(t *testing.T) {
	t.Parallel()
	for _, p := range []Plan{
		{}, {Behaviour: "rude"}, {Behaviour: OK, On: "mondays"}, {Behaviour: Decline, On: OnWebhooks}, {Behaviour: Down, On: OnWebhooks, SKU: "mug"},
		{Behaviour: Slow, DelayMs: -1}, {Behaviour: Slow, DelayMs: 1 << 60}, {Behaviour: Down, Status: 200}, {Behaviour: Flaky, Of: -1},
	} {
		if p.Validate() == nil {
			t.Errorf("%+v", p)
		}
	}
	for _, how := range Behaviours() {
		if err := (Plan{Behaviour: how}).Validate(); err != nil {
			t.Error(err)
		}
	}
}
