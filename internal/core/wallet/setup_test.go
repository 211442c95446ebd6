package wallet

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/outbox"
	"github.com/soukhq/souk/internal/base/seal"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/core/ledger"
	"github.com/soukhq/souk/internal/core/user"
	"github.com/soukhq/souk/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

const issuer = "https://issuer.test"

// testBundle is a wallet service with a user in sandbox 1 and one in live.
type testBundle struct {
	*Service
	clock *clock.Fixed
	users *user.Service
	ring  *seal.Keyring
	alice auth.Viewer
}

// onBoth runs a test on each engine, with the sandbox's rail.
func onBoth(t *testing.T, test func(t *testing.T, b *testBundle)) {
	t.Helper()
	onBothWith(t, nil, test)
}

// onBothWith also connects a rail.
func onBothWith(t *testing.T, rail func(c clock.Clock) Rail, test func(t *testing.T, b *testBundle)) {
	t.Helper()
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		c := clock.NewFixed(start)
		rails := []Rail{NewSandbox(c)}
		if rail != nil {
			rails = []Rail{rail(c)}
		}
		test(t, setup(t, db, c, rails...))
	})
}

func setup(t *testing.T, db *store.DB, c *clock.Fixed, rails ...Rail) *testBundle {
	t.Helper()
	all, err := NewRails(rails...)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.New(t.Context(), seal.Config{Path: filepath.Join(t.TempDir(), "keys.json"), Create: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	book, log := NewBook(), slog.New(slog.DiscardHandler)
	x := ledger.NewExecutor(db, c, outbox.New(db), log, book)
	t.Cleanup(x.Close)
	users := user.New(db, c)
	s, err := New(Config{}, Deps{
		DB: db, Clock: c, Log: log, Executor: x, Book: book, Ledger: ledger.New(db, c), Users: users, Rails: all, Sealer: sealer,
	})
	if err != nil {
		t.Fatal(err)
	}
	b := &testBundle{Service: s, clock: c, users: users, ring: sealer}
	b.alice = b.user(t, 1)
	return b
}

// user makes a user of a mode, as its viewer.
func (b *testBundle) user(t *testing.T, m mode.Mode) auth.Viewer {
	t.Helper()
	server := auth.Viewer{Kind: auth.Service, Mode: m, Issuer: issuer, Subject: "chat"}
	u, _, err := b.users.Provision(t.Context(), server, user.Profile{ExternalID: id.New().String(), DisplayName: "Somebody"})
	if err != nil {
		t.Fatal(err)
	}
	return auth.Viewer{Kind: auth.User, Mode: m, Issuer: issuer, UserID: u.ID, Subject: u.ExternalID}
}

func operator(m mode.Mode) auth.Viewer {
	return auth.Viewer{Kind: auth.Operator, Mode: m, Issuer: issuer, Subject: "root"}
}

func eur(minor int64) money.Amount { return money.Amount{Minor: minor, Currency: money.EUR} }

func (b *testBundle) add(t testing.TB, v auth.Viewer, k Kind, c money.Currency, token string) Source {
	t.Helper()
	src, err := b.Add(t.Context(), v, AddInput{Kind: k, Label: "My " + string(k), Currency: c, RailToken: token})
	if err != nil {
		t.Fatalf("add %s: %v", k, err)
	}
	return src
}

// pair gives a user a wallet, and a bank account that behaves as its token says.
func (b *testBundle) pair(t testing.TB, v auth.Viewer, token string) (wallet, bank Source) {
	t.Helper()
	return b.add(t, v, Wallet, money.EUR, ""), b.add(t, v, BankAccount, money.EUR, token)
}

func (b *testBundle) topUp(t testing.TB, v auth.Viewer, from Source, minor int64) Transfer {
	t.Helper()
	done, err := b.TopUp(t.Context(), v, TopUpInput{Key: id.New().String(), SourceID: from.ID, Amount: money.Amount{Minor: minor, Currency: from.Currency}})
	if err != nil || done.Transfer == nil || done.Replayed {
		t.Fatalf("top up: %+v, %v", done, err)
	}
	return *done.Transfer
}

func (b *testBundle) giveBack(t testing.TB, v auth.Viewer, topUp Transfer, amount *money.Amount) (Transfer, error) {
	t.Helper()
	done, err := b.Return(t.Context(), v, ReturnInput{Key: id.New().String(), TopUpID: topUp.ID, Amount: amount})
	if err != nil {
		return Transfer{}, err
	}
	return *done.Transfer, nil
}

// sweep asks about what is due.
func (b *testBundle) sweep(t testing.TB) int {
	t.Helper()
	n, err := b.CheckDue(t.Context(), 100)
	if err != nil {
		t.Fatalf("check due: %v", err)
	}
	return n
}

// now reads a transfer as it is now.
func (b *testBundle) now(t testing.TB, transfer Transfer) Transfer {
	t.Helper()
	got, err := b.readTransfer(t.Context(), transfer.ID)
	if err != nil {
		t.Fatalf("read transfer: %v", err)
	}
	return got
}

func (b *testBundle) wantState(t testing.TB, transfer Transfer, want State) Transfer {
	t.Helper()
	got := b.now(t, transfer)
	if got.State != want {
		t.Errorf("the transfer is %s (%s), want %s", got.State, got.FailureCode, want)
	}
	if done := want == Failed || want == Returned; done && got.CheckAt != nil || want == Pending && got.CheckAt == nil {
		t.Errorf("a transfer that is %s is checked at %v", want, got.CheckAt)
	}
	return got
}

func (b *testBundle) wantBalance(t testing.TB, a ledger.AccountID, balance, held int64) {
	t.Helper()
	all, err := b.Balances(t.Context(), []ledger.AccountID{a})
	if err != nil {
		t.Fatal(err)
	}
	if got := all[a]; got.Balance != balance || got.Held != held {
		t.Errorf("account %d has %d, %d of it held; want %d, %d", a, got.Balance, got.Held, balance, held)
	}
}

// wantOwed checks what a user owes in euros after a rail took money back.
func (b *testBundle) wantOwed(t testing.TB, v auth.Viewer, want int64) {
	t.Helper()
	all, err := b.Ledger.OwnedBy(t.Context(), ledger.OwnerUser, v.UserID)
	if err != nil {
		t.Fatal(err)
	}
	var owed int64
	for _, a := range all {
		if a.Kind == ledger.KindReceivable {
			owed -= a.Balance
		}
	}
	if owed != want {
		t.Errorf("%d is owed, want %d", owed, want)
	}
}

// wantClearing checks what rests with a rail, in euros of sandbox 1.
func (b *testBundle) wantClearing(t testing.TB, rail string, want int64) {
	t.Helper()
	a, err := b.openClearing(t.Context(), 1, money.EUR, rail)
	if err != nil {
		t.Fatal(err)
	}
	b.wantBalance(t, a, want, 0)
}

func (b *testBundle) wantWhole(t testing.TB) {
	t.Helper()
	r, err := b.Ledger.Verify(t.Context())
	if err != nil || !r.OK() {
		t.Fatalf("broken invariants: %+v, %v", r.Findings, err)
	}
}

// shop is who is paid, in euros of sandbox 1.
func (b *testBundle) shop(t testing.TB) ledger.AccountID {
	t.Helper()
	a, err := b.Ledger.Open(t.Context(), ledger.NewAccount{
		Mode: 1, Currency: money.EUR, Owner: ledger.OwnerMerchant, OwnerID: id.Of("shop"), Kind: ledger.KindPayable,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// spend pays from an account to the shop.
func (b *testBundle) spend(t testing.TB, from ledger.AccountID, minor int64) {
	t.Helper()
	if r := b.Executor.Do(t.Context(), &spending{from, b.shop(t), minor}); r.Err != nil {
		t.Fatalf("spend: %v", r.Err)
	}
}

type spending struct {
	from, to ledger.AccountID
	minor    int64
}

func (c *spending) Key() ledger.Key      { return ledger.Key{} }
func (c *spending) Want(b *ledger.Batch) { b.WantAccount(c.from); b.WantAccount(c.to) }

func (c *spending) Decide(b *ledger.Batch) ([]byte, error) {
	_, err := b.Transfer(ledger.Transfer{Debit: c.from, Credit: c.to, Amount: c.minor, Kind: "PURCHASE", SubjectID: id.New()})
	return nil, err
}

// fakeRail is a rail with books of its own, which a test can break.
type fakeRail struct {
	clock clock.Clock
	live  bool

	mu sync.Mutex
	// before and after may lose a call on its way there, or its answer. They are
	// called with the request, under the lock.
	before, after func(Request) error
	// decide says what becomes of a new movement; nil: it succeeds.
	decide func(Request) Answer
	moves  map[id.ID]*movement
}

type movement struct {
	Request
	Answer
	asked int
}

var errDown = errors.New("the rail is down")

func newFakeRail(c clock.Clock) Rail { return &fakeRail{clock: c, moves: map[id.ID]*movement{}} }

func (f *fakeRail) Name() string       { return "fake" }
func (f *fakeRail) Live() bool         { return f.live }
func (f *fakeRail) Serves(k Kind) bool { return k == BankAccount }

func (f *fakeRail) Pull(_ context.Context, r Request) (Answer, error) {
	if r.Direction != TopUp {
		return Answer{}, errors.New("a pull is for a top-up")
	}
	return f.move(r)
}

func (f *fakeRail) Push(_ context.Context, r Request) (Answer, error) {
	if r.Direction != Return {
		return Answer{}, errors.New("a push is for a return")
	}
	return f.move(r)
}

func (f *fakeRail) move(r Request) (Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.lose(f.before, r); err != nil {
		return Answer{}, err
	}
	m, ok := f.moves[r.ID]
	if !ok {
		m = &movement{Request: r, Answer: Answer{Outcome: OutcomeSucceeded, Reference: "ref-" + r.ID.String()}}
		if f.decide != nil {
			m.Answer = f.decide(r)
		}
		f.moves[r.ID] = m
	}
	m.asked++
	return m.Answer, f.lose(f.after, r)
}

func (f *fakeRail) Query(_ context.Context, r Request) (Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.lose(f.before, r); err != nil {
		return Answer{}, err
	}
	m, ok := f.moves[r.ID]
	if !ok {
		return Answer{Outcome: OutcomeNotKnown}, f.lose(f.after, r)
	}
	return m.Answer, f.lose(f.after, r)
}

func (f *fakeRail) lose(how func(Request) error, r Request) error {
	if how == nil {
		return nil
	}
	return how(r)
}

// breaks sets how the rail is broken; nil mends it.
func (f *fakeRail) breaks(before, after func(Request) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after = before, after
}

// become changes what the rail says of a movement.
func (f *fakeRail) become(transfer Transfer, a Answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moves[transfer.ID].Answer = a
}

func (f *fakeRail) asked(transfer Transfer) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m, ok := f.moves[transfer.ID]; ok {
		return m.asked
	}
	return 0
}

func down(Request) error { return errDown }

// fake gives the bundle's rail.
func (b *testBundle) fake() *fakeRail { return b.Rails.all[0].(*fakeRail) }
