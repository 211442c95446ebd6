package purchase_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/outbox"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/buying/purchase"
	"github.com/soukhq/souk/internal/core/ledger"
	"github.com/soukhq/souk/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const sandbox = mode.Mode(1)

// testBundle is a shop with one buyer, one merchant and one product of 12.50
// EUR, of which three are left; the buyer has 100 EUR.
type testBundle struct {
	db       *store.DB
	clock    *clock.Fixed
	ledger   *ledger.Service
	outbox   *outbox.Outbox
	service  *purchase.Service
	buyer    auth.Viewer
	merchant auth.Viewer
	wallet   ledger.AccountID
	payable  ledger.AccountID
	product  id.ID
	source   id.ID
	server   *fakeMerchant
	tellers  *fakeTellers

	mu     sync.Mutex
	offer  purchase.Offer
	forgot func()
}

func (b *testBundle) Offer(_ context.Context, m mode.Mode, card string) (purchase.Offer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if card == "forged" || m != sandbox {
		return purchase.Offer{}, errs.New(errs.Invalid, "CARD_INVALID", "no", "card")
	}
	of := b.offer
	of.Confirmed = card == "confirmed"
	return of, nil
}

func (b *testBundle) Forget(purchase.Offer) { b.forgot() }

func (b *testBundle) Source(_ context.Context, user, source id.ID) (purchase.Source, error) {
	if user != b.buyer.UserID || source != b.source {
		return purchase.Source{}, errs.New(errs.NotFound, "X", "no")
	}
	return purchase.Source{Account: b.wallet, Currency: money.EUR}, nil
}

func (b *testBundle) IsMember(context.Context, auth.Viewer, id.ID) (bool, error) { return true, nil }

// fakeMerchant is a product server whose behaviour tests choose.
type fakeMerchant struct {
	mu       sync.Mutex
	confirm  func(o purchase.Order) (purchase.Answer, error)
	asked    int
	released []id.ID
	answers  map[string]purchase.Answer
}

func (f *fakeMerchant) Confirm(_ context.Context, o purchase.Order) (purchase.Answer, error) {
	f.mu.Lock()
	f.asked++
	confirm := f.confirm
	f.mu.Unlock()
	return confirm(o)
}

func (f *fakeMerchant) Release(_ context.Context, o purchase.Order) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.released = append(f.released, o.ID)
	return nil
}

func (f *fakeMerchant) ReadAnswer(_ context.Context, token string) (purchase.Answer, error) {
	if a, ok := f.answers[token]; ok {
		return a, nil
	}
	return purchase.Answer{}, purchase.ErrAnswer
}

func yes(o purchase.Order) (purchase.Answer, error) {
	return purchase.Answer{MerchantID: o.MerchantID, OrderID: o.ID, Confirmed: true, Total: o.Total(), Reference: "R-1"}, nil
}

func later(o purchase.Order) (purchase.Answer, error) {
	return purchase.Answer{MerchantID: o.MerchantID, OrderID: o.ID, Later: true}, nil
}

type fakeTellers struct {
	mu       sync.Mutex
	receipts []purchase.Receipt
	notices  []purchase.Notice
}

func (f *fakeTellers) PostReceipt(_ context.Context, r purchase.Receipt) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.receipts = append(f.receipts, r)
	return nil
}
func (f *fakeTellers) AnnounceOrder(context.Context, id.ID, id.ID, int32) error { return nil }
func (f *fakeTellers) Dispatch(_ context.Context, n purchase.Notice) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notices = append(f.notices, n)
	return nil
}
func (f *fakeTellers) Pseudonym(buyer, merchant id.ID) string {
	return id.Of(buyer.String(), merchant.String()).String()
}

func setup(t *testing.T, db *store.DB) *testBundle {
	t.Helper()
	ctx := t.Context()
	b := &testBundle{
		db: db, clock: clock.NewFixed(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
		server: &fakeMerchant{confirm: yes, answers: map[string]purchase.Answer{}}, tellers: &fakeTellers{},
		buyer:    auth.Viewer{Kind: auth.User, UserID: id.New(), Mode: sandbox},
		merchant: auth.Viewer{Kind: auth.Merchant, MerchantID: id.New(), Mode: sandbox},
		product:  id.New(), source: id.New(), outbox: outbox.New(db),
	}
	b.ledger = ledger.New(db, b.clock)
	open := func(kind ledger.OwnerKind, owner id.ID, k string, floor int64) ledger.AccountID {
		a, err := b.ledger.Open(ctx, ledger.NewAccount{Mode: sandbox, Currency: money.EUR, Owner: kind, OwnerID: owner, Kind: k, Floor: floor})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	b.wallet = open(ledger.OwnerUser, b.buyer.UserID, ledger.KindWallet, 0)
	b.payable = open(ledger.OwnerMerchant, b.merchant.MerchantID, ledger.KindPayable, 0)
	clearing := open(ledger.OwnerPlatform, id.Of("rail"), ledger.KindClearing, ledger.NoFloor)

	now := b.clock.Now(sandbox)
	c := db.Client(ctx)
	err := db.InTx(ctx, func(ctx context.Context) error {
		c = db.Client(ctx)
		if err := c.Merchant.Create().SetID(b.merchant.MerchantID).SetMode(sandbox).SetName("M").SetEndpointURL("https://m.example").SetCreatedAt(now).SetUpdatedAt(now).Exec(ctx); err != nil {
			return err
		}
		return c.Product.Create().SetID(b.product).SetMode(sandbox).SetMerchantID(b.merchant.MerchantID).SetSku("TEA").SetName("Tea").
			SetPriceMinor(1250).SetCurrency(money.EUR).SetStockCount(3).SetCreatedAt(now).SetUpdatedAt(now).Exec(ctx)
	})
	if err != nil {
		t.Fatal(err)
	}
	b.offer = purchase.Offer{MerchantID: b.merchant.MerchantID, Account: b.payable, ProductID: b.product, SKU: "TEA", Name: "Tea", Price: money.Amount{Minor: 1250, Currency: money.EUR}, StockCounted: true, SellerAt: now}
	b.forgot = func() { t.Error("what was known of the card was forgotten") }

	b.service = b.process(t)
	if r := b.service.Executor.Do(ctx, &fund{from: clearing, to: b.wallet, amount: 10000}); r.Err != nil {
		t.Fatal(r.Err)
	}
	return b
}

// process makes another process's service on the same database.
func (b *testBundle) process(t *testing.T) *purchase.Service {
	t.Helper()
	book := purchase.NewBook()
	x := ledger.NewExecutor(b.db, b.clock, b.outbox, slog.New(slog.DiscardHandler), book)
	t.Cleanup(x.Close)
	s, err := purchase.New(purchase.Config{ConfirmWithin: time.Minute, InlineWait: 5 * time.Second}, purchase.Deps{
		DB: b.db, Clock: b.clock, Log: slog.New(slog.DiscardHandler), Executor: x, Book: book,
		Cards: b, Sources: b, Conversations: b, Merchants: b.server, Tellers: b.tellers,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fund puts money into an account.
type fund struct {
	from, to ledger.AccountID
	amount   int64
}

func (f *fund) Key() ledger.Key      { return ledger.Key{} }
func (f *fund) Want(b *ledger.Batch) { b.WantAccount(f.from); b.WantAccount(f.to) }
func (f *fund) Decide(b *ledger.Batch) ([]byte, error) {
	_, err := b.Transfer(ledger.Transfer{Debit: f.from, Credit: f.to, Amount: f.amount, Kind: "TOP_UP", SubjectID: id.New()})
	return nil, err
}

func (b *testBundle) input(key, card string) purchase.CreateInput {
	return purchase.CreateInput{Key: key, Card: card, Quantity: 1, SourceID: b.source}
}

func (b *testBundle) buy(t *testing.T, key, card string) purchase.Done {
	t.Helper()
	d, err := b.service.Create(t.Context(), b.buyer, b.input(key, card))
	if err != nil {
		t.Fatalf("buy: %v", err)
	}
	return d
}

// stands checks balances, what is held, stock, and the ledger's invariants.
func (b *testBundle) stands(t *testing.T, wallet, held, payable, stock int64) {
	t.Helper()
	acc, err := b.ledger.Accounts(t.Context(), []ledger.AccountID{b.wallet, b.payable})
	if err != nil {
		t.Fatal(err)
	}
	if w := acc[b.wallet]; w.Balance != wallet || w.Held != held {
		t.Errorf("wallet has %d, %d held; want %d, %d held", w.Balance, w.Held, wallet, held)
	}
	if p := acc[b.payable]; p.Balance != payable {
		t.Errorf("the merchant has %d, want %d", p.Balance, payable)
	}
	p, err := b.db.Client(t.Context()).Product.Get(t.Context(), b.product)
	if err != nil {
		t.Fatal(err)
	}
	if p.StockCount == nil || *p.StockCount != stock {
		t.Errorf("stock is %v, want %d", p.StockCount, stock)
	}
	r, err := b.ledger.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() {
		t.Errorf("the ledger does not hold: %+v", r.Findings)
	}
}

func (b *testBundle) topics(t *testing.T) (out []string) {
	t.Helper()
	events, err := b.outbox.Lease(t.Context(), 100, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		out = append(out, e.Topic)
	}
	return out
}

func refusedWith(t *testing.T, err error, code string, retry errs.Retry) {
	t.Helper()
	e := errs.As(err)
	if e == nil || e.Code != code || e.Retry != retry {
		t.Fatalf("got %v, want refusal %s with retry %d", err, code, retry)
	}
}

func TestService_Create(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		d := b.buy(t, "k1", "card")
		if d.Order.State != purchase.Paid || d.Order.Reference != "R-1" || d.Replayed {
			t.Fatalf("order is %+v", d.Order)
		}
		b.stands(t, 8750, 0, 1250, 2)
		if got := b.topics(t); len(got) != 1 || got[0] != purchase.TopicPaid {
			t.Errorf("events are %v", got)
		}

		again := b.buy(t, "k1", "card")
		if !again.Replayed || again.Order.ID != d.Order.ID || b.server.asked != 1 {
			t.Fatalf("repetition gave %+v, merchant asked %d times", again, b.server.asked)
		}
		b.stands(t, 8750, 0, 1250, 2)

		in := b.input("k1", "card")
		in.Quantity = 2
		_, err := b.service.Create(t.Context(), b.buyer, in)
		refusedWith(t, err, "IDEMPOTENCY_MISMATCH", errs.RetryNewKey)
	})
}

func TestService_Create_ConfirmedByCard(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		d := b.buy(t, "k1", "confirmed")
		if d.Order.State != purchase.Paid || b.server.asked != 0 {
			t.Fatalf("order is %+v, merchant asked %d times", d.Order, b.server.asked)
		}
		b.stands(t, 8750, 0, 1250, 2)
		read, err := b.service.ByIDs(t.Context(), b.buyer, []id.ID{d.Order.ID})
		if err != nil || len(read[d.Order.ID].Timeline) != 1 || read[d.Order.ID].Timeline[0] != d.Order.Timeline[0] {
			t.Fatalf("read back %+v, %v", read, err)
		}
	})
}

func TestService_Create_Refusals(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		for _, c := range []struct {
			name   string
			change func(b *testBundle, in *purchase.CreateInput)
			code   string
			retry  errs.Retry
		}{
			{"forged card", func(_ *testBundle, in *purchase.CreateInput) { in.Card = "forged" }, "CARD_INVALID", errs.RetryNever},
			{"no units", func(_ *testBundle, in *purchase.CreateInput) { in.Quantity = 0 }, "QUANTITY_INVALID", errs.RetryNever},
			{"too many units", func(_ *testBundle, in *purchase.CreateInput) { in.Quantity = 1001 }, "QUANTITY_INVALID", errs.RetryNever},
			{"more than the stock", func(_ *testBundle, in *purchase.CreateInput) { in.Quantity = 4 }, "OUT_OF_STOCK", errs.RetryNewKey},
			{"another's source", func(_ *testBundle, in *purchase.CreateInput) { in.SourceID = id.New() }, "FUNDING_SOURCE_NOT_FOUND", errs.RetryNever},
			{"price changed", func(b *testBundle, _ *purchase.CreateInput) { b.offer.Price.Minor = 1 }, "CARD_STALE", errs.RetryNewKey},
			{"overflow", func(b *testBundle, in *purchase.CreateInput) { b.offer.Price.Minor = 1 << 62; in.Quantity = 1000 }, "QUANTITY_INVALID", errs.RetryNever},
			{"another currency", func(b *testBundle, _ *purchase.CreateInput) { b.offer.Price.Currency = money.USD }, "CURRENCY_MISMATCH", errs.RetryNever},
			{"empty key", func(_ *testBundle, in *purchase.CreateInput) { in.Key = "" }, "IDEMPOTENCY_KEY_INVALID", errs.RetryNever},
		} {
			t.Run(c.name, func(t *testing.T) {
				b := setup(t, db)
				in := b.input("k", "card")
				c.change(b, &in)
				_, err := b.service.Create(t.Context(), b.buyer, in)
				refusedWith(t, err, c.code, c.retry)
				b.stands(t, 10000, 0, 0, 3)
				if in.Key != "" {
					d, err := b.service.Create(t.Context(), b.buyer, in)
					refusedWith(t, err, c.code, c.retry)
					if !d.Replayed {
						t.Error("the second refusal was not that of the first")
					}
				}
			})
		}
	})
}

func TestService_Create_InsufficientFunds(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		if err := db.InTx(t.Context(), func(ctx context.Context) error {
			return db.Client(ctx).Product.UpdateOneID(b.product).SetPriceMinor(6000).Exec(ctx)
		}); err != nil {
			t.Fatal(err)
		}
		b.offer.Price.Minor = 6000
		b.server.confirm = later
		b.buy(t, "k1", "card")
		_, err := b.service.Create(t.Context(), b.buyer, b.input("k2", "card"))
		refusedWith(t, err, "INSUFFICIENT_FUNDS", errs.RetryNewKey)
		b.stands(t, 10000, 6000, 0, 2)
	})
}

func TestService_Create_DoubleClick(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		other := b.process(t)
		orders := make([]id.ID, 100)
		var wg sync.WaitGroup
		for i := range orders {
			s := []*purchase.Service{b.service, other}[i%2]
			wg.Go(func() {
				d, err := s.Create(context.WithoutCancel(t.Context()), b.buyer, b.input("same", "card"))
				if err != nil {
					t.Error(err)
					return
				}
				orders[i] = d.Order.ID
			})
		}
		wg.Wait()
		for _, o := range orders {
			if o != orders[0] {
				t.Fatalf("two orders: %s and %s", o, orders[0])
			}
		}
		b.stands(t, 8750, 0, 1250, 2)
	})
}

func TestService_Create_LastItem(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		other := b.process(t)
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			sold int
		)
		for i := range 100 {
			s := []*purchase.Service{b.service, other}[i%2]
			wg.Go(func() {
				_, err := s.Create(context.WithoutCancel(t.Context()), b.buyer, b.input(fmt.Sprint("k", i), "confirmed"))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					sold++
				case errs.As(err) == nil || errs.As(err).Code != "OUT_OF_STOCK":
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if sold != 3 {
			t.Errorf("sold %d of 3", sold)
		}
		b.stands(t, 10000-3*1250, 0, 3*1250, 0)
	})
}

func TestService_MerchantAnswers(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		for _, c := range []struct {
			name    string
			confirm func(o purchase.Order) (purchase.Answer, error)
			state   purchase.State
			last    purchase.Kind
			held    int64
			stock   int64
		}{
			{"declines", func(o purchase.Order) (purchase.Answer, error) {
				return purchase.Answer{MerchantID: o.MerchantID, OrderID: o.ID, Reason: "sold elsewhere"}, nil
			}, purchase.Declined, purchase.EventDeclined, 0, 3},
			{"later", later, purchase.Authorised, purchase.EventAccepted, 1250, 2},
			{"is down", func(purchase.Order) (purchase.Answer, error) { return purchase.Answer{}, errors.New("refused") }, purchase.Authorised, purchase.EventForwardFailed, 1250, 2},
			{"signs wrongly", func(purchase.Order) (purchase.Answer, error) { return purchase.Answer{}, purchase.ErrAnswer }, purchase.Authorised, purchase.EventAnswerRefused, 1250, 2},
			{"means another order", func(purchase.Order) (purchase.Answer, error) { return purchase.Answer{}, purchase.ErrAnswerFor }, purchase.Authorised, purchase.EventAnswerRefused, 1250, 2},
		} {
			t.Run(c.name, func(t *testing.T) {
				b := setup(t, db)
				b.server.confirm = c.confirm
				d := b.buy(t, "k", "card")
				if d.Order.State != c.state || d.Order.Timeline[len(d.Order.Timeline)-1].Kind != c.last {
					t.Fatalf("order is %+v", d.Order)
				}
				b.stands(t, 10000, c.held, 0, c.stock)
			})
		}
	})
}

func TestService_Confirm_Callback(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		b.server.confirm = later
		o := b.buy(t, "k", "card").Order
		a, _ := yes(*o)
		b.server.answers["ok"] = a
		wrong := a
		wrong.Total.Minor++
		b.server.answers["amount"] = wrong
		stranger := a
		stranger.MerchantID = id.New()
		b.server.answers["stranger"] = stranger

		_, err := b.service.Confirm(t.Context(), "amount")
		refusedWith(t, err, "ANSWER_MISMATCH", errs.RetryNever)
		_, err = b.service.Confirm(t.Context(), "stranger")
		refusedWith(t, err, "ORDER_NOT_FOUND", errs.RetryNever)
		_, err = b.service.Confirm(t.Context(), "garbage")
		refusedWith(t, err, "ANSWER_INVALID", errs.RetryNever)
		b.stands(t, 10000, 1250, 0, 2)

		for range 2 { // answering twice pays once
			if after, err := b.service.Confirm(t.Context(), "ok"); err != nil || after.State != purchase.Paid {
				t.Fatalf("confirm: %v, %v", after.State, err)
			}
			b.stands(t, 8750, 0, 1250, 2)
		}
	})
}

func TestService_Confirm_TooLate(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		for _, swept := range []bool{true, false} {
			t.Run(fmt.Sprintf("swept=%v", swept), func(t *testing.T) {
				b := setup(t, db)
				b.server.confirm = later
				o := b.buy(t, "k", "card").Order
				b.server.answers["ok"], _ = yes(*o)
				b.clock.Advance(time.Minute)
				if swept {
					if n, err := b.service.ExpireDue(t.Context(), 10); err != nil || n != 1 {
						t.Fatalf("expired %d, %v", n, err)
					}
				}
				for range 2 {
					after, err := b.service.Confirm(t.Context(), "ok")
					refusedWith(t, err, "ORDER_ENDED", errs.RetryNever)
					if after.State != purchase.Expired {
						t.Fatalf("order is %s", after.State)
					}
				}
				b.stands(t, 10000, 0, 0, 3)
				got := map[string]int{}
				for _, topic := range b.topics(t) {
					got[topic]++
				}
				if got[purchase.TopicExpired] != 1 || got[purchase.TopicRelease] != 1 || len(got) != 2 {
					t.Errorf("events are %v", got)
				}
				for range 2 {
					if err := b.service.Release(t.Context(), o.ID); err != nil {
						t.Fatal(err)
					}
				}
				if len(b.server.released) != 1 {
					t.Errorf("released %d times", len(b.server.released))
				}
			})
		}
	})
}

func TestService_Forward_AfterCrash(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		b.server.confirm = func(purchase.Order) (purchase.Answer, error) { return purchase.Answer{}, errors.New("refused") }
		o := b.buy(t, "k", "card").Order
		if ids, err := b.service.ClaimForwards(t.Context(), 10); err != nil || len(ids) != 0 {
			t.Fatalf("claimed %v too early, %v", ids, err)
		}
		b.clock.Advance(20 * time.Second)
		ids, err := b.service.ClaimForwards(t.Context(), 10)
		if err != nil || len(ids) != 1 || ids[0] != o.ID {
			t.Fatalf("claimed %v, %v", ids, err)
		}
		if again, err := b.service.ClaimForwards(t.Context(), 10); err != nil || len(again) != 0 {
			t.Fatalf("claimed %v twice, %v", again, err)
		}
		b.server.confirm = yes
		if err := b.service.Forward(t.Context(), o.ID); err != nil {
			t.Fatal(err)
		}
		b.stands(t, 8750, 0, 1250, 2)
	})
}

func TestService_Cancel(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		b.server.confirm = later
		o := b.buy(t, "k", "card").Order
		stranger := auth.Viewer{Kind: auth.User, UserID: id.New(), Mode: sandbox}
		_, err := b.service.Cancel(t.Context(), stranger, "c0", o.ID)
		refusedWith(t, err, "ORDER_NOT_FOUND", errs.RetryNever)
		_, err = b.service.Cancel(t.Context(), b.merchant, "c0", o.ID)
		refusedWith(t, err, "ORDER_NOT_FOUND", errs.RetryNever)
		for i := range 2 {
			d, err := b.service.Cancel(t.Context(), b.buyer, "c1", o.ID)
			if err != nil || d.Order.State != purchase.Cancelled || d.Replayed != (i == 1) {
				t.Fatalf("cancel %d: %+v, %v", i, d, err)
			}
		}
		b.stands(t, 10000, 0, 0, 3)
		_, err = b.service.Cancel(t.Context(), b.buyer, "c2", o.ID)
		refusedWith(t, err, "ORDER_STATE", errs.RetryNever)
	})
}

func TestService_Refund(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		o := b.buy(t, "k", "card").Order
		eur := func(n int64) *money.Amount { return &money.Amount{Minor: n, Currency: money.EUR} }
		d, err := b.service.Refund(t.Context(), b.merchant, purchase.RefundInput{Key: "r1", OrderID: o.ID, Amount: eur(250), Reason: "one cup broken"})
		if err != nil || d.Order.State != purchase.PartiallyRefunded || d.Refund.Amount != *eur(250) {
			t.Fatalf("refund: %+v, %v", d, err)
		}
		again, err := b.service.Refund(t.Context(), b.merchant, purchase.RefundInput{Key: "r1", OrderID: o.ID, Amount: eur(250), Reason: "one cup broken"})
		if err != nil || !again.Replayed || again.Refund == nil || again.Refund.ID != d.Refund.ID {
			t.Fatalf("repetition: %+v, %v", again, err)
		}
		b.stands(t, 9000, 0, 1000, 2)
		_, err = b.service.Refund(t.Context(), b.merchant, purchase.RefundInput{Key: "r2", OrderID: o.ID, Amount: eur(1001)})
		refusedWith(t, err, "REFUND_AMOUNT", errs.RetryNever)
		_, err = b.service.Refund(t.Context(), b.merchant, purchase.RefundInput{Key: "r3", OrderID: o.ID, Amount: &money.Amount{Minor: 1, Currency: money.USD}})
		refusedWith(t, err, "REFUND_AMOUNT", errs.RetryNever)
		other := auth.Viewer{Kind: auth.Merchant, MerchantID: id.New(), Mode: sandbox}
		_, err = b.service.Refund(t.Context(), other, purchase.RefundInput{Key: "r4", OrderID: o.ID})
		refusedWith(t, err, "ORDER_NOT_FOUND", errs.RetryNever)
		if d, err = b.service.Refund(t.Context(), b.merchant, purchase.RefundInput{Key: "r5", OrderID: o.ID}); err != nil || d.Order.State != purchase.Refunded {
			t.Fatalf("refund of the rest: %+v, %v", d, err)
		}
		b.stands(t, 10000, 0, 0, 2)
		_, err = b.service.Refund(t.Context(), b.merchant, purchase.RefundInput{Key: "r6", OrderID: o.ID})
		refusedWith(t, err, "ORDER_STATE", errs.RetryNever)
		list, err := b.service.Refunds(t.Context(), o.ID, page.Slice{Limit: 10})
		if err != nil || len(list.Items) != 2 || list.Items[0].Amount.Minor != 1000 {
			t.Fatalf("refunds are %+v, %v", list, err)
		}
	})
}

func TestService_Refund_ManyAtOnce(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		other := b.process(t)
		o := b.buy(t, "k", "card").Order
		var wg sync.WaitGroup
		for i := range 20 {
			s := []*purchase.Service{b.service, other}[i%2]
			wg.Go(func() {
				_, err := s.Refund(context.WithoutCancel(t.Context()), b.merchant, purchase.RefundInput{Key: fmt.Sprint("r", i), OrderID: o.ID, Amount: &money.Amount{Minor: 500, Currency: money.EUR}})
				if err != nil && !errs.IsRefusal(err) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		b.stands(t, 9750, 0, 250, 2)
	})
}

func TestService_Reverse(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		reverse := func(key, purchaseKey string) (purchase.Done, purchase.Outcome) {
			t.Helper()
			d, outcome, err := b.service.Reverse(t.Context(), b.buyer, key, purchaseKey)
			if err != nil {
				t.Fatal(err)
			}
			return d, outcome
		}
		for range 2 {
			if _, outcome := reverse("v1", "not arrived"); outcome != purchase.NeverCharged {
				t.Fatalf("outcome is %s", outcome)
			}
		}
		_, err := b.service.Create(t.Context(), b.buyer, b.input("not arrived", "card"))
		refusedWith(t, err, "REVERSED", errs.RetryNever)

		b.server.confirm = later
		waiting := b.buy(t, "waiting", "card").Order
		if d, outcome := reverse("v2", "waiting"); outcome != purchase.NotCharged || d.Order.State != purchase.Cancelled {
			t.Fatalf("outcome is %s, %+v", outcome, d)
		}
		b.stands(t, 10000, 0, 0, 3)
		b.server.answers["ok"], _ = yes(*waiting)
		_, err = b.service.Confirm(t.Context(), "ok")
		refusedWith(t, err, "ORDER_ENDED", errs.RetryNever)

		b.server.confirm = yes
		b.buy(t, "paid", "card")
		if _, outcome := reverse("v3", "paid"); outcome != purchase.WasPaid {
			t.Fatalf("outcome is %s", outcome)
		}
		b.stands(t, 8750, 0, 1250, 2)
		_, err = b.service.Create(t.Context(), b.buyer, b.input("refused", "forged"))
		refusedWith(t, err, "CARD_INVALID", errs.RetryNever)
		if _, outcome := reverse("v4", "refused"); outcome != purchase.NeverCharged {
			t.Fatalf("outcome is %s", outcome)
		}
	})
}

// TestService_Reverse_Race lets a purchase and its reversal meet: whichever is
// first, the two agree on what became of it.
func TestService_Reverse_Race(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		other := b.process(t)
		paid := 0
		for i := range 20 {
			key := fmt.Sprint("k", i)
			var (
				wg      sync.WaitGroup
				bought  error
				outcome purchase.Outcome
			)
			wg.Go(func() {
				_, bought = b.service.Create(context.WithoutCancel(t.Context()), b.buyer, b.input(key, "confirmed"))
			})
			wg.Go(func() {
				var err error
				if _, outcome, err = other.Reverse(context.WithoutCancel(t.Context()), b.buyer, "v"+key, key); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			if bought == nil {
				paid++
			}
			if (bought == nil) != (outcome == purchase.WasPaid) {
				t.Fatalf("bought: %v, outcome: %s", bought, outcome)
			}
			if paid == 3 {
				break
			}
		}
		b.stands(t, int64(10000-1250*paid), 0, int64(1250*paid), int64(3-paid))
	})
}

func TestService_SeenByItsOwnOnly(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		o := b.buy(t, "k", "card").Order
		for _, c := range []struct {
			who  string
			v    auth.Viewer
			sees bool
		}{
			{"buyer", b.buyer, true},
			{"merchant", b.merchant, true},
			{"operator", auth.Viewer{Kind: auth.Operator, Mode: sandbox}, true},
			{"another user", auth.Viewer{Kind: auth.User, UserID: id.New(), Mode: sandbox}, false},
			{"another merchant", auth.Viewer{Kind: auth.Merchant, MerchantID: id.New(), Mode: sandbox}, false},
			{"live operator", auth.Viewer{Kind: auth.Operator}, false},
			{"service", auth.Viewer{Kind: auth.Service, Mode: sandbox}, false},
			{"nobody", auth.Viewer{}, false},
		} {
			seen, err := b.service.ByIDs(t.Context(), c.v, []id.ID{o.ID})
			if err != nil || (len(seen) == 1) != c.sees {
				t.Errorf("%s sees %v, %v", c.who, seen, err)
			}
			list, err := b.service.List(t.Context(), c.v, nil, page.Slice{Limit: 10})
			if err != nil || len(list.Items) == 1 != (c.sees && c.v.Kind != auth.Operator) {
				t.Errorf("%s lists %v, %v", c.who, list.Items, err)
			}
		}
	})
}

func TestService_Tell(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		conversation := id.New()
		in := b.input("k", "card")
		in.Conversation = &conversation
		if _, err := b.service.Create(t.Context(), b.buyer, in); err != nil {
			t.Fatal(err)
		}
		events, err := b.outbox.Lease(t.Context(), 10, time.Minute)
		if err != nil || len(events) != 1 {
			t.Fatalf("events are %v, %v", events, err)
		}
		if err := b.service.Tell(t.Context(), events[0]); err != nil {
			t.Fatal(err)
		}
		if r := b.tellers.receipts; len(r) != 1 || r[0].ConversationID != conversation || r[0].Text != "Paid 12.50 EUR for Tea." {
			t.Errorf("receipts are %+v", r)
		}
		if n := b.tellers.notices; len(n) != 1 || n[0].Type != purchase.TopicPaid || n[0].MerchantID != b.merchant.MerchantID {
			t.Errorf("notices are %+v", n)
		}
	})
}

// A merchant's keys may have changed since its card was verified in memory.
func TestService_Create_MerchantChanged(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		b := setup(t, db)
		ctx, later := t.Context(), b.offer.SellerAt.Add(time.Second)
		if err := db.Client(ctx).Merchant.UpdateOneID(b.merchant.MerchantID).SetUpdatedAt(later).Exec(ctx); err != nil {
			t.Fatal(err)
		}
		looked := 0
		b.forgot = func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			looked++
			b.offer.SellerAt = later
		}
		if d := b.buy(t, "k", "card"); d.Order.State != purchase.Paid || looked != 1 {
			t.Fatalf("%s, looked again %d times", d.Order.State, looked)
		}
	})
}
