package merchantsim

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/jose"
)

func TestServer_Order_Confirm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.souk.order("mug", 2)
	first := b.ask(m)
	if first.OrderID != m.Order.ID || first.Decision != Confirmed || first.Total != m.Order.Total || first.Reference == "" {
		t.Errorf("%+v", first)
	}
	second := b.ask(again(m))
	if second.ID == first.ID {
		t.Error("one answer given twice: Souk could take the second for a replay")
	}
	if second.Decision != first.Decision || second.Reference != first.Reference {
		t.Errorf("asked again: %+v", second)
	}
	if got := kinds(b.log()); got != "[order.asked order.answered order.asked order.answered]" {
		t.Error(got)
	}
	if b.souk.fetches != 1 {
		t.Errorf("keys fetched %d times", b.souk.fetches)
	}
}

func TestServer_Order_Refusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stranger := generate(t, jose.EdDSA)
	to := b.sim.keys.Decrypt.Public()
	good := func() Message { return b.souk.order("mug", 1) }
	with := func(change func(*Message)) string {
		m := good()
		change(&m)
		return b.souk.seal(t, m, to)
	}
	forged := func(id string) string {
		stranger.ID = id
		token, err := jose.EncryptSigned([]byte(`{}`), stranger, TypeOrder, to)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	plain, err := jose.Sign([]byte(`{}`), b.souk.sign, TypeOrder)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := jose.EncryptSigned([]byte(`{}`), b.souk.sign, TypeAnswer, to)
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := jose.Encrypt([]byte(`{}`), to, "JWT")
	if err != nil {
		t.Fatal(err)
	}
	foreign := b.souk.seal(t, good(), generate(t, jose.ECDHESA256KW))
	tag := []byte(b.souk.seal(t, good(), to))
	if i := bytes.LastIndexByte(tag, '.') + 1; tag[i] != 'A' {
		tag[i] = 'A'
	} else {
		tag[i] = 'B'
	}
	tampered := string(tag)
	for _, c := range []struct {
		name, body string
		status     int
		code       string
	}{
		{"another's key", forged(b.souk.sign.ID), 401, "NOT_TRUSTED"},
		{"unknown key", forged("unheard-of"), 401, "NOT_TRUSTED"},
		{"another type", answer, 401, "NOT_TRUSTED"},
		{"not signed", unsigned, 400, "MALFORMED"},
		{"not encrypted", plain, 400, "MALFORMED"},
		{"encrypted to another", foreign, 401, "NOT_TRUSTED"},
		{"tampered", tampered, 400, "MALFORMED"},
		{"no token", "hello", 400, "MALFORMED"},
		{"empty", "", 400, "MALFORMED"},
		{"too large", strings.Repeat("A", maxBody+1), 413, "TOO_LARGE"},
		{"another issuer", with(func(m *Message) { m.Issuer = "https://elsewhere.example" }), 401, "NOT_TRUSTED"},
		{"another audience", with(func(m *Message) { m.Audience = id.Global("Merchant", id.New()) }), 401, "NOT_TRUSTED"},
		{"expired", with(func(m *Message) { m.Expires = time.Now().Add(-2 * time.Minute).Unix() }), 401, "NOT_TRUSTED"},
		{"good for a day", with(func(m *Message) { m.Expires = time.Now().Add(24 * time.Hour).Unix() }), 401, "NOT_TRUSTED"},
		{"no jti", with(func(m *Message) { m.ID = "" }), 409, "REPLAYED"},
		{"unknown kind", with(func(m *Message) { m.Type = "order.gift" }), 400, "TYPE_UNKNOWN"},
		{"total is not the sum", with(func(m *Message) { m.Order.Total.AmountMinor-- }), 400, "MALFORMED"},
		{"sum runs over", with(func(m *Message) { m.Order.Quantity = 1 << 60 }), 400, "MALFORMED"},
		{"quantity zero", with(func(m *Message) { m.Order.Quantity, m.Order.Total.AmountMinor = 0, 0 }), 400, "MALFORMED"},
	} {
		got, err := post(t, b.url+"/orders", ContentType, c.body)
		if err != nil {
			t.Fatal(c.name, err)
		}
		if got.status != c.status || !strings.Contains(got.body, c.code) || got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", c.name, got.status, got.body)
		}
	}
	if got, err := post(t, b.url+"/orders", "application/json", b.souk.seal(t, good(), to)); err != nil || got.status != 415 {
		t.Error(got, err)
	}
	for _, e := range b.log() {
		if e.Kind != Refused {
			t.Errorf("%+v", e)
		}
	}
}

func TestServer_Order_Replay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.souk.order("mug", 1)
	b.ask(m)
	for range 2 {
		if got := b.mustSend(m); got.status != http.StatusConflict || !strings.Contains(got.body, "REPLAYED") {
			t.Error(got)
		}
		b.restart() // it is remembered
	}
}

func TestServer_Order_Differs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.souk.order("mug", 1)
	b.ask(m)
	m.Order.Quantity, m.Order.Total.AmountMinor = 2, 2500
	if got := b.mustSend(again(m)); got.status != http.StatusConflict || !strings.Contains(got.body, "ORDER_DIFFERS") {
		t.Error(got)
	}
}

func TestServer_Order_KeysRotated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.sim.souk.pause = 0
	b.ask(b.souk.order("mug", 1))

	b.souk.mu.Lock()
	b.souk.sign, b.souk.decrypt = generate(t, jose.EdDSA), generate(t, jose.ECDHESA256KW)
	b.souk.mu.Unlock()
	b.ask(b.souk.order("mug", 1))

	// Old keys do while Souk is away: what it has signed before still comes.
	stale := *b.sim.souk.known.Load()
	stale.at = time.Now().Add(-time.Hour)
	b.sim.souk.known.Store(&stale)
	b.souk.mu.Lock()
	b.souk.down = true
	b.souk.mu.Unlock()
	b.ask(b.souk.order("mug", 1))
}

func TestServer_Order_KeysUnreachable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.souk.down = true
	m := b.souk.order("mug", 1)
	if got := b.mustSend(m); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "KEYS_UNREACHABLE") {
		t.Error(got)
	}
	b.souk.mu.Lock()
	b.souk.down = false
	b.souk.mu.Unlock()
	b.ask(m) // it was not taken for seen
}

func TestServer_Order_Stock(t *testing.T) {
	t.Parallel()
	three := int64(3)
	b := setup(t, func(c *Config) {
		c.Products = []Product{{SKU: "mug", Name: "Blue mug", Price: Money{1250, "EUR"}, Stock: &three}, {SKU: "dear", Price: Money{1300, "EUR"}}}
	})
	two := b.souk.order("mug", 2)
	if a := b.ask(two); a.Decision != Confirmed {
		t.Fatal(a)
	}
	b.ask(again(two)) // takes nothing more
	if a := b.ask(b.souk.order("mug", 2)); a.Decision != Declined || a.Reason != "out of stock" || a.Reference != "" {
		t.Error(a)
	}
	if a := b.ask(b.souk.order("mug", 1)); a.Decision != Confirmed {
		t.Error(a)
	}
	for range 2 { // the second changes nothing
		if got := b.mustSend(release(two)); got.status != http.StatusNoContent || got.body != "" {
			t.Error(got)
		}
	}
	b.restart()
	if a := b.ask(b.souk.order("mug", 2)); a.Decision != Confirmed {
		t.Error("released units are not for sale", a)
	}
	if a := b.ask(b.souk.order("mug", 1)); a.Decision != Declined {
		t.Error("sold more than there were", a)
	}
	if a := b.ask(again(two)); a.Decision != Declined || a.Reason != "released" {
		t.Error("confirmed after its release", a)
	}
	if a := b.ask(b.souk.order("dear", 1)); a.Decision != Declined || a.Reason != "not sold at this price" {
		t.Error(a)
	}
	if a := b.ask(b.souk.order("unknown", 1)); a.Decision != Declined || a.Reason != "no such product" {
		t.Error(a)
	}
}

func TestServer_Order_ReleasedFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.souk.order("mug", 1)
	if got := b.mustSend(release(m)); got.status != http.StatusNoContent {
		t.Fatal(got)
	}
	if a := b.ask(m); a.Decision != Declined {
		t.Error(a)
	}
}

func TestServer_Order_RestartKeepsDecisions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	yes, no := b.souk.order("mug", 1), b.souk.order("mug", 1)
	confirmed := b.ask(yes)
	b.behave(Plan{Behaviour: Decline})
	if a := b.ask(no); a.Decision != Declined {
		t.Fatal(a)
	}
	b.restart() // and is told nothing of declining
	if a := b.ask(again(yes)); a.Decision != Confirmed || a.Reference != confirmed.Reference {
		t.Error(a)
	}
	if a := b.ask(again(no)); a.Decision != Declined {
		t.Error(a)
	}
}

// TestServer_Order_AtOnce asks for a few orders from many sides: each gets one
// decision, and the stock is not oversold.
func TestServer_Order_AtOnce(t *testing.T) {
	t.Parallel()
	const orders, times, stock = 20, 10, 12
	left := int64(stock)
	b := setup(t, func(c *Config) { c.Products = []Product{{SKU: "mug", Price: Money{1250, "EUR"}, Stock: &left}} })
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		got = map[string]map[Decision]int{}
	)
	for range orders {
		m := b.souk.order("mug", 1)
		got[m.Order.ID] = map[Decision]int{}
		for range times {
			wg.Go(func() {
				a := b.ask(again(m))
				mu.Lock()
				defer mu.Unlock()
				got[m.Order.ID][a.Decision]++
			})
		}
	}
	wg.Wait()
	confirmed := 0
	for order, decisions := range got {
		if len(decisions) != 1 {
			t.Errorf("%s: %v", order, decisions)
		}
		confirmed += min(decisions[Confirmed], 1)
	}
	if confirmed != stock {
		t.Errorf("%d of %d sold", confirmed, stock)
	}
	stories := Stories(b.log())
	for order, decisions := range got {
		s := stories[order]
		if s.Asked != times || s.Confirmed != decisions[Confirmed] || s.Declined != decisions[Declined] {
			t.Errorf("%+v", s)
		}
	}
}

func TestServer_Order_NotRegistered(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Merchant = "" })
	m := b.souk.order("mug", 1)
	if got := b.mustSend(m); got.status != http.StatusServiceUnavailable {
		t.Error(got)
	}
	if _, err := b.sim.Card("mug", ConfirmByServer); err == nil {
		t.Error("a card of nobody's")
	}
	if err := b.sim.Configure(Settings{MerchantID: b.souk.merchantID}); err != nil {
		t.Fatal(err)
	}
	b.ask(m)
}

func TestServer_Order_LogBroken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.sim.log.mu.Lock()
	b.sim.log.err = errors.New("disk on fire")
	b.sim.log.mu.Unlock()
	if got := b.mustSend(b.souk.order("mug", 1)); got.status != http.StatusServiceUnavailable {
		t.Error("answered what it cannot remember", got)
	}
	b.sim.log.mu.Lock()
	b.sim.log.err = nil
	b.sim.log.mu.Unlock()
}
