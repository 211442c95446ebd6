package wallet

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/core/ledger"
)

func TestService_TopUp(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		got := b.topUp(t, b.alice, bank, 2500)
		if got.State != Succeeded || got.Direction != TopUp || got.SourceID != bank.ID || got.Account != wallet.Account || got.Amount != eur(2500) ||
			got.Rail != SandboxName || got.Reference == "" || got.FailureCode != "" || got.CheckAt != nil || !got.CreatedAt.Equal(start) {
			t.Errorf("the top-up is %+v", got)
		}
		if read := b.wantState(t, got, Succeeded); !reflect.DeepEqual(read, got) {
			t.Errorf("it is kept as %+v, want %+v", read, got)
		}
		b.wantBalance(t, wallet.Account, 2500, 0)
		b.wantClearing(t, SandboxName, -2500)
		if n := b.sweep(t); n != 0 {
			t.Errorf("%d are due", n)
		}
		b.wantWhole(t)
	})
}

func TestService_TopUp_Tokens(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		wallet := b.add(t, b.alice, Wallet, money.EUR, "")
		from := func(token string) Source { return b.add(t, b.alice, BankAccount, money.EUR, token) }

		if got := b.topUp(t, b.alice, from(TokenDeclined), 10); got.State != Failed || got.FailureCode != "declined" {
			t.Errorf("declined: %+v", got)
		}
		if got := b.topUp(t, b.alice, from("whatever"), 10); got.State != Failed || got.FailureCode != "unknown_token" {
			t.Errorf("an unknown token: %+v", got)
		}
		slow, unknown, returned := b.topUp(t, b.alice, from(TokenSlow), 100), b.topUp(t, b.alice, from(TokenUnknown), 1000), b.topUp(t, b.alice, from(TokenReturned), 10_000)
		for transfer, want := range map[Transfer]State{slow: Pending, unknown: Pending, returned: Succeeded} {
			b.wantState(t, transfer, want)
		}
		b.wantBalance(t, wallet.Account, 10_000, 0)

		b.clock.Advance(2 * time.Second) // the answer was lost, so it is asked for soon
		if n := b.sweep(t); n != 1 {
			t.Errorf("%d were due, want the unknown one", n)
		}
		b.wantState(t, unknown, Succeeded)
		b.clock.Advance(SlowFor - 2*time.Second - time.Microsecond)
		if n := b.sweep(t); n != 0 {
			t.Errorf("%d were due too early", n)
		}
		b.clock.Advance(time.Microsecond)
		b.sweep(t)
		b.wantState(t, slow, Succeeded)
		b.wantBalance(t, wallet.Account, 11_100, 0)

		b.clock.Advance(ReturnedAfter)
		if n := b.sweep(t); n != 1 {
			t.Errorf("%d were due, want the returned one", n)
		}
		if got := b.wantState(t, returned, Returned); got.FailureCode != "returned_by_bank" {
			t.Errorf("taken back: %+v", got)
		}
		b.wantBalance(t, wallet.Account, 1100, 0)
		b.wantClearing(t, SandboxName, -1100)
		b.wantOwed(t, b.alice, 0)
		b.clock.Advance(24 * time.Hour)
		if n := b.sweep(t); n != 0 {
			t.Errorf("%d are still due", n)
		}
		b.wantWhole(t)
	})
}

func TestService_TopUp_TakenBack_MoreThanIsLeft(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		for name, test := range map[string]struct{ spend, hold, wallet, owed int64 }{
			"a part is left":     {700, 0, 0, 700},
			"all is spent":       {1000, 0, 0, 1000},
			"the rest is held":   {100, 300, 300, 400},
			"enough is left":     {0, 0, 0, 0},
			"everything is held": {0, 1000, 1000, 1000},
		} {
			v := b.user(t, 1)
			wallet, bank := b.pair(t, v, TokenReturned)
			top := b.topUp(t, v, bank, 1000)
			if test.spend > 0 {
				b.spend(t, wallet.Account, test.spend)
			}
			if test.hold > 0 {
				b.hold(t, wallet.Account, test.hold)
			}
			b.clock.Advance(ReturnedAfter)
			b.sweep(t)
			t.Log(name)
			b.wantState(t, top, Returned)
			b.wantBalance(t, wallet.Account, test.wallet, test.hold)
			b.wantOwed(t, v, test.owed)
			b.wantClearing(t, SandboxName, 0)
			b.wantWhole(t)
		}
	})
}

// hold sets money aside, as an open order does.
func (b *testBundle) hold(t testing.TB, a ledger.AccountID, minor int64) {
	t.Helper()
	if r := b.Executor.Do(t.Context(), &holding{a, minor}); r.Err != nil {
		t.Fatalf("hold: %v", r.Err)
	}
}

type holding struct {
	account ledger.AccountID
	minor   int64
}

func (c *holding) Key() ledger.Key      { return ledger.Key{} }
func (c *holding) Want(b *ledger.Batch) { b.WantAccount(c.account) }

func (c *holding) Decide(b *ledger.Batch) ([]byte, error) {
	_, err := b.Hold(ledger.Hold{Account: c.account, Amount: c.minor, SubjectID: id.New(), ExpiresAt: start.Add(time.Hour)})
	return nil, err
}

func TestService_TopUp_Refusals(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		dollars := b.add(t, b.alice, BankAccount, money.USD, TokenOK)
		_, bobs := b.pair(t, b.user(t, 1), TokenOK)
		for name, test := range map[string]struct {
			source Source
			amount money.Amount
			want   error
			field  string
		}{
			"nothing":             {bank, eur(0), ErrAmount, "amount.amountMinor"},
			"less":                {bank, eur(-1), ErrAmount, "amount.amountMinor"},
			"too much":            {bank, eur(AmountMax + 1), ErrAmount, "amount.amountMinor"},
			"another currency":    {bank, money.Amount{Minor: 1, Currency: money.USD}, ErrCurrency, "amount.currency"},
			"no wallet for it":    {dollars, money.Amount{Minor: 1, Currency: money.USD}, ErrNoWallet, "amount.currency"},
			"from a wallet":       {wallet, eur(1), ErrKind, "sourceId"},
			"from another's":      {bobs, eur(1), ErrSource, "sourceId"},
			"from what is no one": {Source{ID: id.New()}, eur(1), ErrSource, "sourceId"},
		} {
			key := id.New().String()
			for _, replayed := range []bool{false, true} {
				done, err := b.TopUp(t.Context(), b.alice, TopUpInput{key, test.source.ID, test.amount})
				if !errors.Is(err, test.want) || strings.Join(errs.As(err).Field, ".") != test.field || done.Transfer != nil || done.Replayed != replayed {
					t.Errorf("%s: %+v, %v", name, done, err)
				}
			}
		}
		for _, key := range []string{"", strings.Repeat("k", 256)} {
			if _, err := b.TopUp(t.Context(), b.alice, TopUpInput{key, bank.ID, eur(1)}); !errors.Is(err, ledger.ErrKeyInvalid) {
				t.Errorf("a key of %d bytes: %v", len(key), err)
			}
		}
		if _, err := b.TopUp(t.Context(), operator(1), TopUpInput{"k", bank.ID, eur(1)}); !errors.Is(err, errs.ErrForbidden) {
			t.Errorf("an operator: %v", err)
		}
		if got := b.topUp(t, b.alice, bank, AmountMax); got.State != Succeeded {
			t.Errorf("the most: %+v", got)
		}
		b.wantBalance(t, wallet.Account, AmountMax, 0)
	})
}

func TestService_TopUp_Replay(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenSlow)
		in := TopUpInput{"once", bank.ID, eur(100)}
		first, err := b.TopUp(t.Context(), b.alice, in)
		if err != nil || first.Replayed || first.Transfer.State != Pending {
			t.Fatalf("%+v, %v", first, err)
		}
		b.clock.Advance(SlowFor)
		b.sweep(t)
		again, err := b.TopUp(t.Context(), b.alice, in)
		if err != nil || !again.Replayed || again.Transfer.ID != first.Transfer.ID || again.Transfer.State != Succeeded {
			t.Errorf("the repetition gives the transfer as it is now: %+v, %v", again, err)
		}
		other := in
		other.Amount = eur(101)
		if _, err := b.TopUp(t.Context(), b.alice, other); !errors.Is(err, ledger.ErrIdempotency) {
			t.Errorf("another input: %v", err)
		}
		if err := b.Remove(t.Context(), b.alice, bank.ID); err != nil {
			t.Fatal(err)
		}
		if again, err := b.TopUp(t.Context(), b.alice, in); err != nil || !again.Replayed || again.Transfer.ID != first.Transfer.ID {
			t.Errorf("what would be refused by now is answered as it was: %+v, %v", again, err)
		}
		b.wantBalance(t, wallet.Account, 100, 0)
	})
}

// A hundred clicks are one top-up.
func TestService_TopUp_AtOnce(t *testing.T) {
	onBothWith(t, newFakeRail, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if done, err := b.TopUp(t.Context(), b.alice, TopUpInput{"click", bank.ID, eur(100)}); err != nil || done.Transfer == nil {
					t.Errorf("%+v, %v", done, err)
				}
			})
		}
		all.Wait()
		b.wantBalance(t, wallet.Account, 100, 0)
		if n := len(b.fake().moves); n != 1 {
			t.Errorf("the rail moved money %d times", n)
		}
	})
}

func TestSandbox_Serves(t *testing.T) {
	t.Parallel()
	s := NewSandbox(clock.NewFixed(start))
	if s.Live() || !s.Serves(BankAccount) || !s.Serves(Card) || s.Serves(Wallet) || s.Serves(CreditLine) {
		t.Error("the sandbox's rail serves what it may not")
	}
}

// Whatever is lost on the way, the rail moves the money once and so does Souk.
func TestService_TopUp_Lost(t *testing.T) {
	tests := map[string]struct {
		before, after func(Request) error
	}{
		"on its way":      {down, nil}, // as when a crash comes before the call
		"on its way back": {nil, down},
	}
	onBothWith(t, newFakeRail, func(t *testing.T, b *testBundle) {
		for name, test := range tests {
			t.Log(name)
			v := b.user(t, 1)
			wallet, bank := b.pair(t, v, TokenOK)
			b.fake().breaks(test.before, test.after)
			top := b.topUp(t, v, bank, 100)
			b.wantState(t, top, Pending)
			b.clock.Advance(time.Hour)
			b.sweep(t)
			b.wantState(t, top, Pending)
			b.wantBalance(t, wallet.Account, 0, 0)
			b.fake().breaks(nil, nil)
			b.clock.Advance(time.Hour)
			b.sweep(t)
			b.wantState(t, top, Succeeded)
			b.wantBalance(t, wallet.Account, 100, 0)
			if n := b.fake().asked(top); n != 1 {
				t.Errorf("the rail was sent it %d times", n)
			}
			b.wantWhole(t)
		}
	})
}

// A crash right after the transfer was recorded leaves it to the sweep, but not
// before its time: whoever recorded it may be asking the rail.
func TestService_TopUp_Crash(t *testing.T) {
	onBothWith(t, newFakeRail, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		in := TopUpInput{"crash", bank.ID, eur(100)}
		key, err := ledger.NewKey(principal(b.alice), "walletTopUp", in.Key, in)
		if err != nil {
			t.Fatal(err)
		}
		transfer, err := b.prepareTopUp(t.Context(), b.alice, in)
		if err != nil {
			t.Fatal(err)
		}
		cmd := &topUp{book: b.Book, key: key, transfer: transfer, lease: b.lease()}
		if r := b.Executor.Do(t.Context(), cmd); r.Err != nil {
			t.Fatal(r.Err)
		}
		again, err := b.TopUp(t.Context(), b.alice, in)
		if err != nil || !again.Replayed || again.Transfer.State != Pending || b.fake().asked(transfer) != 0 {
			t.Errorf("the client's repetition: %+v, %v", again, err)
		}
		b.clock.Advance(b.lease() - time.Microsecond)
		if n := b.sweep(t); n != 0 {
			t.Errorf("%d were taken from whoever asks", n)
		}
		b.clock.Advance(time.Microsecond)
		b.sweep(t)
		b.wantState(t, transfer, Succeeded)
		b.wantBalance(t, wallet.Account, 100, 0)
	})
}

func TestService_TopUp_RailHangs(t *testing.T) {
	onBothWith(t, newFakeRail, func(t *testing.T, b *testBundle) {
		_, bank := b.pair(t, b.alice, TokenOK)
		s := *b.Service
		s.timeout = time.Millisecond
		rails, err := NewRails(hanging{b.fake()})
		if err != nil {
			t.Fatal(err)
		}
		s.Rails = rails
		done, err := s.TopUp(t.Context(), b.alice, TopUpInput{"hang", bank.ID, eur(1)})
		if err != nil || done.Transfer.State != Pending {
			t.Errorf("a rail that does not answer: %+v, %v", done, err)
		}
	})
}

// hanging is a rail that never answers.
type hanging struct{ *fakeRail }

func (h hanging) Pull(ctx context.Context, _ Request) (Answer, error) {
	<-ctx.Done()
	return Answer{}, ctx.Err()
}

func TestService_Return(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		top := b.topUp(t, b.alice, bank, 1000)
		part, err := b.giveBack(t, b.alice, top, new(eur(300)))
		if err != nil {
			t.Fatal(err)
		}
		if part.State != Succeeded || part.Direction != Return || part.SourceID != bank.ID || part.Amount != eur(300) || *part.TopUpID != top.ID || part.HoldID == nil || part.CheckAt != nil {
			t.Errorf("the return is %+v", part)
		}
		b.wantBalance(t, wallet.Account, 700, 0)
		if got := b.now(t, top); got.Returned() != eur(300) || got.State != Succeeded {
			t.Errorf("the top-up is %+v", got)
		}
		if _, err := b.giveBack(t, b.alice, top, new(eur(701))); !errors.Is(err, ErrAmount) {
			t.Errorf("more than is left: %v", err)
		}
		rest, err := b.giveBack(t, b.alice, top, nil)
		if err != nil || rest.Amount != eur(700) {
			t.Errorf("the rest: %+v, %v", rest, err)
		}
		for _, amount := range []*money.Amount{nil, new(eur(1))} {
			if _, err := b.giveBack(t, b.alice, top, amount); !errors.Is(err, ErrNotReturnable) {
				t.Errorf("more than all: %v", err)
			}
		}
		b.wantBalance(t, wallet.Account, 0, 0)
		b.wantClearing(t, SandboxName, 0)
		b.wantWhole(t)
	})
}

func TestService_Return_Refusals(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		top := b.topUp(t, b.alice, bank, 1000)
		slow := b.topUp(t, b.alice, b.add(t, b.alice, BankAccount, money.EUR, TokenSlow), 10)
		failed := b.topUp(t, b.alice, b.add(t, b.alice, BankAccount, money.EUR, TokenDeclined), 10)
		returned, err := b.giveBack(t, b.alice, top, new(eur(100)))
		if err != nil {
			t.Fatal(err)
		}
		b.spend(t, wallet.Account, 500)
		for name, test := range map[string]struct {
			v      auth.Viewer
			topUp  Transfer
			amount *money.Amount
			want   error
		}{
			"another's":               {b.user(t, 1), top, nil, ErrTopUp},
			"an unknown one":          {b.alice, Transfer{ID: id.New()}, nil, ErrTopUp},
			"a return":                {b.alice, returned, nil, ErrTopUp},
			"one that is pending":     {b.alice, slow, nil, ErrNotReturnable},
			"one that failed":         {b.alice, failed, nil, ErrNotReturnable},
			"nothing":                 {b.alice, top, new(eur(0)), ErrAmount},
			"less":                    {b.alice, top, new(eur(-1)), ErrAmount},
			"more than was paid in":   {b.alice, top, new(eur(1001)), ErrAmount},
			"far too much":            {b.alice, top, new(eur(AmountMax + 1)), ErrAmount},
			"another currency":        {b.alice, top, &money.Amount{Minor: 1, Currency: money.USD}, ErrCurrency},
			"more than is there":      {b.alice, top, new(eur(401)), ledger.ErrInsufficientFunds},
			"all, which is not there": {b.alice, top, nil, ledger.ErrInsufficientFunds},
			"an operator":             {operator(1), top, nil, errs.ErrForbidden},
		} {
			if _, err := b.giveBack(t, test.v, test.topUp, test.amount); !errors.Is(err, test.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		b.wantBalance(t, wallet.Account, 400, 0)
		if got := b.now(t, top); got.ReturnedMinor != 100 {
			t.Errorf("the top-up is %+v", got)
		}
		b.wantWhole(t)
	})
}

// A top-up goes back even to a source that was removed: the money is its owner's.
func TestService_Return_ToRemovedSource(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		top := b.topUp(t, b.alice, bank, 1000)
		if err := b.Remove(t.Context(), b.alice, bank.ID); err != nil {
			t.Fatal(err)
		}
		if got, err := b.giveBack(t, b.alice, top, nil); err != nil || got.State != Succeeded {
			t.Errorf("%+v, %v", got, err)
		}
		b.wantBalance(t, wallet.Account, 0, 0)
	})
}

func TestService_Return_Replay(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		top := b.topUp(t, b.alice, bank, 1000)
		in := ReturnInput{"back", top.ID, new(eur(400))}
		first, err := b.Return(t.Context(), b.alice, in)
		if err != nil {
			t.Fatal(err)
		}
		again, err := b.Return(t.Context(), b.alice, in)
		if err != nil || !again.Replayed || again.Transfer.ID != first.Transfer.ID {
			t.Errorf("the repetition: %+v, %v", again, err)
		}
		in.Amount = nil
		if _, err := b.Return(t.Context(), b.alice, in); !errors.Is(err, ledger.ErrIdempotency) {
			t.Errorf("another input: %v", err)
		}
		b.wantBalance(t, wallet.Account, 600, 0)
	})
}

// However many give back at once, no more goes than came.
func TestService_Return_AtOnce(t *testing.T) {
	onBothWith(t, newFakeRail, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		top := b.topUp(t, b.alice, bank, 1000)
		b.topUp(t, b.alice, bank, 5000) // so that the wallet is not what limits
		var all sync.WaitGroup
		var mu sync.Mutex
		done := 0
		for range 16 {
			all.Go(func() {
				_, err := b.giveBack(t, b.alice, top, new(eur(150)))
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					done++
				} else if !errors.Is(err, ErrAmount) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if done != 6 {
			t.Errorf("%d returns of 150 fitted into 1000", done)
		}
		b.wantBalance(t, wallet.Account, 6000-6*150, 0)
		b.wantClearing(t, "fake", -(6000 - 6*150))
		b.wantWhole(t)
	})
}

func TestService_Return_Outcomes(t *testing.T) {
	refuse := func(r Request) Answer {
		if r.Direction == Return {
			return Answer{Outcome: OutcomeFailed, FailureCode: "account_closed"}
		}
		return Answer{Outcome: OutcomeSucceeded}
	}
	onBothWith(t, newFakeRail, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		top := b.topUp(t, b.alice, bank, 1000)

		b.fake().decide = refuse
		got, err := b.giveBack(t, b.alice, top, new(eur(600)))
		if err != nil || got.State != Failed || got.FailureCode != "account_closed" {
			t.Errorf("one that the rail refuses: %+v, %v", got, err)
		}
		b.wantBalance(t, wallet.Account, 1000, 0)
		if n := b.now(t, top).ReturnedMinor; n != 0 {
			t.Errorf("%d count as returned", n)
		}

		b.fake().decide = func(Request) Answer { return Answer{Outcome: OutcomePending, CheckIn: time.Minute} }
		waits, err := b.giveBack(t, b.alice, top, new(eur(600)))
		if err != nil || waits.State != Pending || waits.CheckAt == nil || !waits.CheckAt.Equal(start.Add(time.Minute)) {
			t.Errorf("one that waits: %+v, %v", waits, err)
		}
		b.wantBalance(t, wallet.Account, 1000, 600)
		if _, err := b.giveBack(t, b.alice, top, new(eur(401))); !errors.Is(err, ErrAmount) {
			t.Errorf("what is about to be returned counts: %v", err)
		}
		b.clock.Advance(time.Minute)
		b.fake().become(waits, Answer{Outcome: OutcomeSucceeded, CheckIn: time.Hour})
		b.sweep(t)
		b.wantState(t, waits, Succeeded)
		b.wantBalance(t, wallet.Account, 400, 0)

		b.clock.Advance(time.Hour)
		b.fake().become(waits, Answer{Outcome: OutcomeReturned, FailureCode: "no_such_account"})
		b.sweep(t)
		b.wantState(t, waits, Returned)
		b.wantBalance(t, wallet.Account, 1000, 0)
		if n := b.now(t, top).ReturnedMinor; n != 0 {
			t.Errorf("%d count as returned", n)
		}
		p, err := b.Statement(t.Context(), wallet, page.Slice{Limit: 10})
		if err != nil || len(p.Items) != 3 {
			t.Fatalf("the statement is %+v, %v", p, err)
		}
		back, away, filled := p.Items[0], p.Items[1], p.Items[2]
		if filled.Reverses != nil || away.Reverses == nil || *away.Reverses != filled.ID || back.Reverses == nil || *back.Reverses != away.ID {
			t.Errorf("what reverses what: %+v", p.Items)
		}
		b.wantClearing(t, "fake", -1000)
		b.wantWhole(t)
	})
}

func TestService_TopUp_TakenBack_BeforeItWasKnown(t *testing.T) {
	onBothWith(t, newFakeRail, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		b.fake().breaks(nil, down)
		top := b.topUp(t, b.alice, bank, 1000)
		b.fake().breaks(nil, nil)
		b.fake().become(top, Answer{Outcome: OutcomeReturned})
		b.clock.Advance(time.Hour)
		b.sweep(t)
		b.wantState(t, top, Returned)
		b.wantBalance(t, wallet.Account, 0, 0)
		b.wantClearing(t, "fake", 0)
		b.wantOwed(t, b.alice, 0)
		b.wantWhole(t)
	})
}

// Some rails say FAILED of what they take back.
func TestService_TopUp_FailsAfterItSucceeded(t *testing.T) {
	onBothWith(t, newFakeRail, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		b.fake().decide = func(Request) Answer { return Answer{Outcome: OutcomeSucceeded, CheckIn: time.Hour} }
		top := b.topUp(t, b.alice, bank, 1000)
		b.spend(t, wallet.Account, 400)
		b.clock.Advance(time.Hour)
		b.fake().become(top, Answer{Outcome: OutcomeFailed, FailureCode: "insufficient"})
		b.sweep(t)
		b.wantState(t, top, Returned)
		b.wantBalance(t, wallet.Account, 0, 0)
		b.wantOwed(t, b.alice, 400)
		b.wantWhole(t)
	})
}

// A rail may forget what it has long done: that changes nothing.
func TestService_CheckDue_ForgottenByTheRail(t *testing.T) {
	onBothWith(t, newFakeRail, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		b.fake().decide = func(Request) Answer { return Answer{Outcome: OutcomeSucceeded, CheckIn: time.Hour} }
		top := b.topUp(t, b.alice, bank, 1000)
		b.fake().moves = map[id.ID]*movement{}
		b.clock.Advance(time.Hour)
		b.sweep(t)
		b.wantState(t, top, Succeeded)
		b.wantBalance(t, wallet.Account, 1000, 0)
		if n := b.fake().asked(top); n != 0 {
			t.Errorf("money that was there was pulled again %d times", n)
		}
	})
}

func TestService_CheckDue_Backoff(t *testing.T) {
	onBothWith(t, newFakeRail, func(t *testing.T, b *testBundle) {
		_, bank := b.pair(t, b.alice, TokenOK)
		b.fake().breaks(down, nil)
		top := b.topUp(t, b.alice, bank, 1000)
		var waits []time.Duration
		for range 14 {
			got := b.wantState(t, top, Pending)
			wait := got.CheckAt.Sub(b.clock.Now(1))
			waits = append(waits, wait)
			b.clock.Advance(wait - time.Microsecond)
			if n := b.sweep(t); n != 0 {
				t.Fatalf("asked %v too early", wait)
			}
			b.clock.Advance(time.Microsecond)
			if n := b.sweep(t); n != 1 {
				t.Fatalf("%d were due after %v", n, wait)
			}
		}
		if waits[0] != 2*time.Second || waits[1] != 4*time.Second || waits[13] != time.Hour {
			t.Errorf("waited %v", waits)
		}
	})
}

func TestService_CheckDue_Limit(t *testing.T) {
	onBothWith(t, newFakeRail, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		b.fake().breaks(nil, down)
		for range 5 {
			b.topUp(t, b.alice, bank, 100)
		}
		b.fake().breaks(nil, nil)
		b.clock.Advance(time.Minute)
		for _, want := range []int{3, 2, 0} {
			if n, err := b.CheckDue(t.Context(), 3); err != nil || n != want {
				t.Errorf("asked about %d, %v; want %d", n, err, want)
			}
		}
		b.wantBalance(t, wallet.Account, 500, 0)
	})
}

// Many sweeps at once settle each transfer once.
func TestService_CheckDue_AtOnce(t *testing.T) {
	onBothWith(t, newFakeRail, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		b.fake().breaks(down, nil)
		for range 30 {
			b.topUp(t, b.alice, bank, 100)
		}
		b.fake().breaks(nil, nil)
		b.clock.Advance(time.Minute)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { b.sweep(t) })
		}
		all.Wait()
		b.sweep(t)
		b.wantBalance(t, wallet.Account, 3000, 0)
		b.wantWhole(t)
	})
}

// A sandbox that was moved ahead is swept by its own clock, and once.
func TestService_CheckDue_MovedSandbox(t *testing.T) {
	onBothWith(t, newFakeRail, func(t *testing.T, b *testBundle) {
		_, bank := b.pair(t, b.alice, TokenOK)
		b.fake().breaks(down, nil)
		top := b.topUp(t, b.alice, bank, 100)
		c := &moved{Fixed: b.clock}
		s := *b.Service
		s.Clock = c
		b.clock.Advance(time.Second)
		if n, err := s.CheckDue(t.Context(), 10); err != nil || n != 0 {
			t.Errorf("asked about %d, %v", n, err)
		}
		c.ahead = time.Hour
		if n, err := s.CheckDue(t.Context(), 10); err != nil || n != 1 {
			t.Errorf("asked about %d, %v", n, err)
		}
		b.clock.Advance(time.Hour) // by now it is due on every clock
		if n, err := s.CheckDue(t.Context(), 10); err != nil || n != 1 {
			t.Errorf("asked about %d, %v", n, err)
		}
		if got := b.now(t, top); got.CheckCount != 3 {
			t.Errorf("the transfer is %+v", got)
		}
	})
}

// moved is a clock whose first sandbox runs ahead.
type moved struct {
	*clock.Fixed
	ahead time.Duration
}

func (m *moved) Now(of mode.Mode) time.Time {
	if of == 1 {
		return m.Fixed.Now(of).Add(m.ahead)
	}
	return m.Fixed.Now(of)
}

func (m *moved) Moved() []mode.Mode {
	if m.ahead > 0 {
		return []mode.Mode{1}
	}
	return nil
}

// An answer that comes after the end, as from a call that was given up, changes
// nothing.
func TestService_Settle_StaleAnswer(t *testing.T) {
	onBothWith(t, newFakeRail, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		b.topUp(t, b.alice, bank, 1000)
		good := b.topUp(t, b.alice, bank, 1000)
		back, err := b.giveBack(t, b.alice, good, new(eur(10)))
		if err != nil {
			t.Fatal(err)
		}
		b.fake().decide = func(Request) Answer { return Answer{Outcome: OutcomeFailed} }
		bad := b.topUp(t, b.alice, bank, 1000)
		for _, o := range []Outcome{OutcomePending, OutcomeSucceeded, OutcomeFailed, OutcomeReturned, OutcomeNotKnown, "NONSENSE"} {
			for _, transfer := range []Transfer{good, back, bad} {
				before := b.now(t, transfer)
				stale := before
				stale.State = Pending // as it was when the rail was asked
				after, err := b.settle(t.Context(), stale, Answer{Outcome: o, CheckIn: time.Hour}.clean())
				if err != nil || !cmp.Equal(after, b.now(t, transfer)) || after.State != before.State || after.CheckAt != nil {
					t.Errorf("%s made %+v of %+v, %v", o, after, before, err)
				}
			}
		}
		b.wantBalance(t, wallet.Account, 1990, 0)
		b.wantWhole(t)
	})
}

// A caller who goes away while the rail is asked takes nothing along.
func TestService_TopUp_CallerGoesAway(t *testing.T) {
	onBothWith(t, newFakeRail, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		ctx, cancel := context.WithCancel(t.Context())
		b.fake().breaks(func(Request) error { cancel(); return nil }, nil)
		done, err := b.TopUp(ctx, b.alice, TopUpInput{"away", bank.ID, eur(100)})
		if err != nil || done.Transfer.State != Succeeded {
			t.Errorf("%+v, %v", done, err)
		}
		b.wantBalance(t, wallet.Account, 100, 0)
	})
}

func TestAnswer_Clean(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 200)
	for _, test := range []struct{ in, want Answer }{
		{Answer{Outcome: "NONSENSE", CheckIn: -1}, Answer{Outcome: OutcomePending}},
		{Answer{Outcome: OutcomeNotKnown}, Answer{Outcome: OutcomePending}},
		{Answer{Outcome: OutcomeFailed, Reference: " r ", FailureCode: "a\x00b"}, Answer{Outcome: OutcomeFailed, Reference: "r"}},
		{Answer{Outcome: OutcomeReturned, Reference: long, FailureCode: long, CheckIn: 1 << 62},
			Answer{Outcome: OutcomeReturned, Reference: long[:200], FailureCode: long[:120], CheckIn: checkInMax}},
	} {
		if got := test.in.clean(); got != test.want {
			t.Errorf("%+v became %+v", test.in, got)
		}
	}
}
