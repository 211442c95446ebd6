package app_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/core/ledger"
	"github.com/soukhq/souk/internal/driver"
	"github.com/soukhq/souk/internal/merchantsim"
	"github.com/soukhq/souk/internal/testkit"
)

// audience is what tokens for Souk are made for.
const audience = "souk"

// testBundle is what a test works with: a sandbox of a world, and who may act in
// it.
type testBundle struct {
	*world
	sandbox  int32
	api      *driver.Client
	service  string // token of the chat app's server
	operator string
}

// setup takes a new sandbox of a world. When the test has ended, the books must
// hold.
func setup(t *testing.T, w *world) *testBundle {
	t.Helper()
	w.start(t)
	b := &testBundle{world: w, sandbox: w.sandbox.Add(1), api: newClient(t, w.url)}
	b.service = b.token(t, b.name("chat-app"), map[string]any{"souk_role": "service"})
	b.operator = b.token(t, b.name("operator"), map[string]any{"souk_role": "operator"})
	t.Cleanup(func() { b.verify(t) })
	return b
}

func newClient(t *testing.T, url string) *driver.Client {
	c := driver.New(url)
	t.Cleanup(c.HTTP.CloseIdleConnections)
	return c
}

// verify proves the ledger's invariants.
func (b *testBundle) verify(t *testing.T) {
	t.Helper()
	r, err := b.app.Ledger.Verify(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		t.Errorf("the ledger does not hold: %s: account %d: %s", f.Rule, f.Account, f.Detail)
	}
}

// name makes a name that no other test has.
func (b *testBundle) name(of string) string { return fmt.Sprintf("%s-%d", of, b.sandbox) }

// token mints a token of this sandbox with these claims beside or instead of the
// usual.
func (b *testBundle) token(t *testing.T, subject string, claims map[string]any) string {
	t.Helper()
	return b.mint(t, auth.MintInput{Subject: subject, Claims: claims})
}

// mint mints a token as the input says; what it leaves out is as it should be.
func (b *testBundle) mint(t *testing.T, in auth.MintInput) string {
	t.Helper()
	claims := map[string]any{"souk_sandbox": b.sandbox}
	maps.Copy(claims, in.Claims)
	in.Claims = claims
	in.Issuer, in.Audience, in.Lifetime = or(in.Issuer, b.issuer), or(in.Audience, audience), or(in.Lifetime, time.Hour)
	if in.Now.IsZero() {
		in.Now = time.Now()
	}
	token, err := auth.Mint(t.Context(), b.keys, in)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// person is a user of the sandbox.
type person struct {
	ID      string
	Subject string
	Token   string
	Wallet  string // empty until it is filled
	Bank    string
}

// user makes a user.
func (b *testBundle) user(t *testing.T, name string) *person {
	t.Helper()
	p := &person{Subject: b.name(name)}
	var err error
	if p.ID, err = b.api.ProvisionUser(t.Context(), b.service, p.Subject, name); err != nil {
		t.Fatal(err)
	}
	p.Token = b.token(t, p.Subject, nil)
	return p
}

// rich makes a user with a wallet that holds so many cents.
func (b *testBundle) rich(t *testing.T, name string, cents int64) *person {
	t.Helper()
	p := b.user(t, name)
	b.fill(t, p, cents)
	return p
}

// fill gives a user a wallet and tops it up.
func (b *testBundle) fill(t *testing.T, p *person, cents int64) {
	t.Helper()
	var err error
	if p.Wallet, err = b.api.AddSource(t.Context(), p.Token, "WALLET", "My wallet", ""); err != nil {
		t.Fatal(err)
	}
	if p.Bank, err = b.api.AddSource(t.Context(), p.Token, "BANK_ACCOUNT", "My bank", "ok"); err != nil {
		t.Fatal(err)
	}
	if cents == 0 {
		return
	}
	state, err := b.api.TopUp(t.Context(), p.Token, newKey(), p.Bank, driver.Euro(cents))
	if err != nil || state != "SUCCEEDED" {
		t.Fatalf("top-up is %s: %v", state, err)
	}
}

// newKey makes an idempotency key.
func newKey() string { return id.New().String() }

// talk makes a conversation.
func (b *testBundle) talk(t *testing.T, members ...*person) string {
	t.Helper()
	ids := make([]string, len(members))
	for i, m := range members {
		ids[i] = m.ID
	}
	var p struct{ Conversation struct{ ID string } }
	b.do(t, b.service, driver.ConversationProvision, map[string]any{"externalId": newKey(), "title": "Tea time", "memberIds": ids}, &p)
	return p.Conversation.ID
}

// do performs a mutation that must not be refused.
func (b *testBundle) do(t *testing.T, token, document string, input map[string]any, out any) {
	t.Helper()
	if err := b.api.Mutate(t.Context(), token, document, input, out); err != nil {
		t.Fatalf("%v: %v", name(document), err)
	}
}

// ask performs a query.
func (b *testBundle) ask(t *testing.T, token, document string, variables map[string]any, out any) {
	t.Helper()
	if err := b.api.Do(t.Context(), token, document, variables, out); err != nil {
		t.Fatalf("%v: %v", name(document), err)
	}
}

// name is the first line of a document.
func name(document string) string {
	line, _, _ := strings.Cut(document, "\n")
	return line
}

// wantRefusal checks that err is a refusal with this code, and perhaps of this
// field.
func wantRefusal(t *testing.T, err error, code string, field ...string) {
	t.Helper()
	var refused *driver.UserError
	if !errors.As(err, &refused) || refused.Code != code {
		t.Errorf("want the refusal %s, got %v", code, err)
		return
	}
	if len(field) > 0 && !slices.Equal(refused.Field, field) {
		t.Errorf("%s is about %v, want %v", code, refused.Field, field)
	}
}

// wantFault checks that err is a top-level error with this code.
func wantFault(t *testing.T, err error, code string) {
	t.Helper()
	if faultOf(err) != code {
		t.Errorf("want the error %s, got %v", code, err)
	}
}

// faultOf is the code of a top-level error, or what the error says if it is none.
func faultOf(err error) string {
	var fault *driver.Error
	if errors.As(err, &fault) {
		return fault.Code
	}
	return fmt.Sprint(err)
}

// shop is a merchant and its product server.
type shop struct {
	*merchantsim.Server
	ID  string
	URL string
}

// Prices of what shops sell, in euro cents.
const (
	teaPrice = 1250
	mugPrice = 600
)

// shop registers a merchant that sells tea, of which there is as much as one
// likes, and mugs, of which there are so many.
func (b *testBundle) shop(t *testing.T, mugs int) *shop {
	t.Helper()
	s := &shop{}
	s.open(t, merchantsim.Config{Souk: b.url})
	s.ID = b.register(t, s, "The Tea House")
	if err := s.Configure(merchantsim.Settings{MerchantID: s.ID}); err != nil {
		t.Fatal(err)
	}
	b.offer(t, s, "TEA", teaPrice, nil)
	b.offer(t, s, "MUG", mugPrice, &mugs)
	var w struct{ Secret string }
	b.do(t, s.token(t), driver.WebhookEndpointCreate, map[string]any{"url": s.URL + "/webhooks"}, &w)
	if err := s.Configure(merchantsim.Settings{WebhookSecrets: []string{w.Secret}}); err != nil {
		t.Fatal(err)
	}
	return s
}

// open starts the product server on a free port.
func (s *shop) open(t *testing.T, c merchantsim.Config) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.URL = "http://" + l.Addr().String()
	c.Data, c.Log = filepath.Join(t.TempDir(), "shop"), quiet
	if s.Server, err = merchantsim.New(c); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, s.Close()); err != nil {
			t.Error(err)
		}
	})
}

func (b *testBundle) register(t *testing.T, s *shop, name string) string {
	t.Helper()
	var m struct{ Merchant struct{ ID string } }
	b.do(t, b.service, driver.MerchantRegister, map[string]any{"name": name, "endpointUrl": s.URL + "/orders", "jwks": string(s.JWKS())}, &m)
	return m.Merchant.ID
}

// offer makes or changes a product, with Souk and with the product server.
func (b *testBundle) offer(t *testing.T, s *shop, sku string, cents int64, stock *int) (product string) {
	t.Helper()
	in := map[string]any{"sku": sku, "name": "Some " + sku, "price": driver.Euro(cents)}
	if stock != nil {
		in["stockCount"] = strconv.Itoa(*stock)
	}
	var p struct{ Product struct{ ID string } }
	b.do(t, s.token(t), driver.ProductPut, in, &p)
	err := s.Configure(merchantsim.Settings{Products: []merchantsim.Product{
		{SKU: sku, Name: "Some " + sku, Price: merchantsim.Money{AmountMinor: cents, Currency: "EUR"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return p.Product.ID
}

// token is the merchant's own.
func (s *shop) token(t *testing.T) string {
	t.Helper()
	token, err := s.APIToken(audience)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// card signs a product card whose orders the product server confirms.
func (s *shop) card(t *testing.T, sku string) string {
	t.Helper()
	return s.cardBy(t, sku, merchantsim.ConfirmByServer)
}

func (s *shop) cardBy(t *testing.T, sku, confirm string) string {
	t.Helper()
	card, err := s.Card(sku, confirm)
	if err != nil {
		t.Fatal(err)
	}
	return card
}

// behave tells the product server how to treat orders.
func (s *shop) behave(t *testing.T, p merchantsim.Plan) {
	t.Helper()
	if err := s.Behave(p); err != nil {
		t.Fatal(err)
	}
}

// heard waits for an entry of the product server's log.
func (s *shop) heard(t *testing.T, kind merchantsim.Kind, order string, also ...func(merchantsim.Entry) bool) merchantsim.Entry {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	e, err := s.Log().Await(ctx, func(e merchantsim.Entry) bool {
		ok := e.Kind == kind && e.OrderID == order
		for _, more := range also {
			ok = ok && more(e)
		}
		return ok
	})
	if err != nil {
		t.Fatalf("the merchant did not hear %s of %s", kind, order)
	}
	return e
}

// told waits for a webhook about an order.
func (s *shop) told(t *testing.T, event, order string) {
	t.Helper()
	e := s.heard(t, merchantsim.Webhook, order, func(e merchantsim.Entry) bool { return e.Event == event })
	if e.Verdict != merchantsim.Verified {
		t.Errorf("the webhook %s is not believed: %s", event, e.Verdict)
	}
}

// entries are those of the log so far that are of this kind.
func (s *shop) entries(kind merchantsim.Kind) (some []merchantsim.Entry) {
	all, _ := s.Log().Recent()
	for _, e := range all {
		if e.Kind == kind {
			some = append(some, e)
		}
	}
	return some
}

// buy buys and fails the test if that is refused.
func (b *testBundle) buy(t *testing.T, p *person, card string) driver.Order {
	t.Helper()
	o, _, err := b.api.Buy(t.Context(), p.Token, driver.Purchase{Key: newKey(), Card: card, Source: p.Wallet})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// wantState checks how an order stands.
func wantState(t *testing.T, o driver.Order, state string) {
	t.Helper()
	if o.State != state {
		t.Fatalf("order %s is %s, want %s", o.ID, o.State, state)
	}
}

// order is an order with its story.
type order struct {
	driver.Order
	DeclineReason *string
	Timeline      []struct {
		Kind   string
		Detail *string
	}
}

func (o order) kinds() (all []string) {
	for _, e := range o.Timeline {
		all = append(all, e.Kind)
	}
	return all
}

const orderShow = `query OrderShow($id: ID!) {
  order(id: $id) {
    id state total { amountMinor currency } refunded { amountMinor currency } reference declineReason
    timeline { kind at detail }
  }
}`

// order reads an order as the bearer of a token sees it; nil if not at all.
func (b *testBundle) order(t *testing.T, token, orderID string) *order {
	t.Helper()
	var out struct{ Order *order }
	b.ask(t, token, orderShow, map[string]any{"id": orderID}, &out)
	return out.Order
}

// await waits until an order is in a state.
func (b *testBundle) await(t *testing.T, p *person, orderID, state string) (o order) {
	t.Helper()
	b.awaitOrder(t, p, orderID, func(now order) error {
		if o = now; o.State != state {
			return fmt.Errorf("order %s is %s after %v, want %s", orderID, o.State, o.kinds(), state)
		}
		return nil
	})
	return o
}

// awaitEvent waits until something has happened to an order.
func (b *testBundle) awaitEvent(t *testing.T, p *person, orderID, kind string) (o order) {
	t.Helper()
	b.awaitOrder(t, p, orderID, func(now order) error {
		if o = now; !slices.Contains(o.kinds(), kind) {
			return fmt.Errorf("order %s has seen %v, want %s", orderID, o.kinds(), kind)
		}
		return nil
	})
	return o
}

func (b *testBundle) awaitOrder(t *testing.T, p *person, orderID string, suits func(order) error) {
	t.Helper()
	testkit.Eventually(t, t.Context(), func() error {
		var out struct{ Order *order }
		if err := b.api.Do(t.Context(), p.Token, orderShow, map[string]any{"id": orderID}, &out); err != nil {
			return err
		}
		if out.Order == nil {
			return errors.New("there is no order " + orderID)
		}
		return suits(*out.Order)
	})
}

const testClockAdvance = `mutation TestClockAdvance($input: TestClockAdvanceInput!) {
  testClockAdvance(input: $input) { now userErrors { code message field retry } }
}`

// advance moves the sandbox's clock.
func (b *testBundle) advance(t *testing.T, by time.Duration) {
	t.Helper()
	b.do(t, b.service, testClockAdvance, map[string]any{"seconds": int(by.Seconds())}, nil)
}

// wantWallet checks what stands in a user's wallet.
func (b *testBundle) wantWallet(t *testing.T, p *person, balance, held int64) {
	t.Helper()
	all, err := b.api.Sources(t.Context(), p.Token)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.ID != p.Wallet {
			continue
		}
		if *s.Balance != driver.Euro(balance) || *s.Held != driver.Euro(held) {
			t.Errorf("the wallet has %s, %s of it held; want %d and %d", s.Balance.AmountMinor, s.Held.AmountMinor, balance, held)
		}
		return
	}
	t.Error("the wallet is not there")
}

// wantEarned checks what Souk owes a merchant, which only the books say.
func (b *testBundle) wantEarned(t *testing.T, s *shop, cents int64) {
	t.Helper()
	_, merchantID, err := id.ParseGlobal(s.ID)
	if err != nil {
		t.Fatal(err)
	}
	all, err := b.app.Ledger.OwnedBy(t.Context(), ledger.OwnerMerchant, merchantID)
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, a := range all {
		sum += a.Balance
	}
	if sum != cents {
		t.Errorf("the merchant has earned %d, want %d", sum, cents)
	}
}

// eventually waits until something is so.
func (b *testBundle) eventually(t *testing.T, is func() bool, what string) {
	t.Helper()
	testkit.Eventually(t, t.Context(), func() error {
		if !is() {
			return errors.New("there is not yet " + what)
		}
		return nil
	})
}

// quiet is a log that nobody reads.
var quiet = slog.New(slog.DiscardHandler)
