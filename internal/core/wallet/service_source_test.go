package wallet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/soukhq/souk/ent/auditentry"
	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/core/ledger"
)

func TestService_Add(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		card := b.add(t, b.alice, Card, money.USD, TokenSlow)
		for _, want := range []Source{wallet, bank, card} {
			got, err := b.Source(t.Context(), b.alice.UserID, want.ID)
			if err != nil || got != want || got.Mode != 1 || got.UserID != b.alice.UserID || !got.CreatedAt.Equal(start) {
				t.Errorf("added %+v, found %+v, %v", want, got, err)
			}
		}
		if wallet.Account == 0 || wallet.Rail != "" || bank.Account != 0 || bank.Rail != SandboxName || bank.Label != "My BANK_ACCOUNT" {
			t.Errorf("added %+v and %+v", wallet, bank)
		}
		a, err := b.Balances(t.Context(), []ledger.AccountID{wallet.Account})
		if got := a[wallet.Account]; err != nil || got.Kind != ledger.KindWallet || got.OwnerID != b.alice.UserID || got.Floor != 0 || got.Mode() != 1 || got.Currency() != money.EUR {
			t.Errorf("the wallet's account is %+v, %v", got, err)
		}
		sealed, err := b.readToken(t.Context(), card.ID)
		if err != nil || strings.Contains(string(sealed), TokenSlow) {
			t.Errorf("the token is kept as %q, %v", sealed, err)
		}
		if token, err := b.openToken(t.Context(), card.ID); err != nil || token != TokenSlow {
			t.Errorf("the token opens to %q, %v", token, err)
		}
		if _, err := b.Sealer.Open(sealed, tokenContext(bank.ID)); err == nil {
			t.Error("a token opens in another's place")
		}
		if err := b.ring.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{2, 0} { // a wallet has no token
			if n, err := b.Reseal(t.Context()); err != nil || n != want {
				t.Errorf("Reseal = %d, %v, want %d", n, err, want)
			}
		}
		if token, err := b.openToken(t.Context(), card.ID); err != nil || token != TokenSlow {
			t.Errorf("sealed anew the token opens to %q, %v", token, err)
		}
	})
}

func TestService_Add_Refusals(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		b.add(t, b.alice, Wallet, money.EUR, "")
		long := strings.Repeat("x", TokenMax+1)
		for name, test := range map[string]struct {
			in    AddInput
			want  error
			field string
		}{
			"a second wallet":         {AddInput{Wallet, "Wallet", money.EUR, ""}, ErrLimit, ""},
			"a credit line":           {AddInput{CreditLine, "Line", money.EUR, ""}, ErrKind, "kind"},
			"no kind":                 {AddInput{"", "Line", money.EUR, ""}, ErrKind, "kind"},
			"a wallet with a token":   {AddInput{Wallet, "Wallet", money.USD, "ok"}, ErrKind, "railToken"},
			"a bank without a token":  {AddInput{BankAccount, "Bank", money.EUR, ""}, ErrText, "railToken"},
			"a long token":            {AddInput{BankAccount, "Bank", money.EUR, long}, ErrText, "railToken"},
			"a token with a new line": {AddInput{BankAccount, "Bank", money.EUR, "o\nk"}, ErrText, "railToken"},
			"no label":                {AddInput{Wallet, " ", money.USD, ""}, ErrText, "label"},
			"a long label":            {AddInput{Wallet, strings.Repeat("é", LabelMax+1), money.USD, ""}, ErrText, "label"},
			"an unknown currency":     {AddInput{Wallet, "Wallet", 1, ""}, ErrCurrency, "currency"},
		} {
			_, err := b.Add(t.Context(), b.alice, test.in)
			if !errors.Is(err, test.want) || strings.Join(errs.As(err).Field, ".") != test.field {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := b.Add(t.Context(), b.user(t, 0), AddInput{BankAccount, "Bank", money.EUR, "ok"}); !errors.Is(err, ErrRail) {
			t.Errorf("the sandbox's rail in live: %v", err)
		}
		b.add(t, b.user(t, 0), Wallet, money.EUR, "") // needs none
		for kind, want := range map[auth.Kind]error{auth.Anonymous: errs.ErrUnauthenticated, auth.Operator: errs.ErrForbidden, auth.Merchant: errs.ErrForbidden} {
			if _, err := b.Add(t.Context(), auth.Viewer{Kind: kind, Mode: 1}, AddInput{Wallet, "Wallet", money.USD, ""}); !errors.Is(err, want) {
				t.Errorf("%v: %v", kind, err)
			}
		}
	})
}

func TestService_Add_Limit(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		var last Source
		for range SourcesMax {
			last = b.add(t, b.alice, Card, money.EUR, "ok")
		}
		in := AddInput{Card, "One more", money.EUR, "ok"}
		if _, err := b.Add(t.Context(), b.alice, in); !errors.Is(err, ErrLimit) {
			t.Errorf("one too many: %v", err)
		}
		if err := b.Remove(t.Context(), b.alice, last.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Add(t.Context(), b.alice, in); err != nil {
			t.Errorf("in the place of one that was removed: %v", err)
		}
	})
}

// Whoever adds at once, one wallet and no source too many comes of it.
func TestService_Add_AtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		for range SourcesMax - 3 {
			b.add(t, b.alice, Card, money.EUR, "ok")
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		added := map[Kind]int{}
		for i := range 16 {
			all.Go(func() {
				in := AddInput{Card, "Card", money.EUR, "ok"}
				if i%2 == 0 {
					in = AddInput{Wallet, "Wallet", money.EUR, ""}
				}
				_, err := b.Add(t.Context(), b.alice, in)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					added[in.Kind]++
				} else if !errors.Is(err, ErrLimit) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if added[Wallet] > 1 || added[Wallet]+added[Card] != 3 {
			t.Errorf("added %v where there was room for 3", added)
		}
	})
}

func TestService_Source(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		bob := b.user(t, 1)
		for range 2 { // read, and remembered
			if got, err := b.Source(t.Context(), b.alice.UserID, wallet.ID); err != nil || got != wallet {
				t.Errorf("found %+v, %v", got, err)
			}
			for _, other := range []id.ID{wallet.ID, bank.ID} {
				if got, err := b.Source(t.Context(), bob.UserID, other); !errors.Is(err, ErrSource) || got != (Source{}) {
					t.Errorf("another's source: %+v, %v", got, err)
				}
			}
		}
		if _, err := b.Source(t.Context(), b.alice.UserID, id.New()); !errors.Is(err, ErrSource) {
			t.Errorf("an unknown source: %v", err)
		}
		if b.paying.Len() != 1 || !b.paying.Contains(wallet.ID) {
			t.Errorf("%v are remembered, want the wallet alone", b.paying.Keys())
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if got, err := b.Source(gone, b.alice.UserID, wallet.ID); err != nil || got != wallet {
			t.Errorf("the payment path went to the database: %+v, %v", got, err)
		}
	})
}

func TestService_Remove(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		if err := b.Remove(t.Context(), b.user(t, 1), bank.ID); !errors.Is(err, ErrSource) {
			t.Errorf("another's source: %v", err)
		}
		if err := b.Remove(t.Context(), b.alice, wallet.ID); !errors.Is(err, ErrKind) {
			t.Errorf("a wallet: %v", err)
		}
		if err := b.Remove(t.Context(), b.alice, bank.ID); err != nil {
			t.Fatal(err)
		}
		if err := b.Remove(t.Context(), b.alice, bank.ID); !errors.Is(err, ErrSource) || errs.As(err).Field[0] != "fundingSourceId" {
			t.Errorf("one that was removed: %v", err)
		}
		if _, err := b.Source(t.Context(), b.alice.UserID, bank.ID); !errors.Is(err, ErrSource) {
			t.Errorf("it is still there: %v", err)
		}
		if all, err := b.ByIDs(t.Context(), b.alice, []id.ID{bank.ID, wallet.ID}); err != nil || len(all) != 1 {
			t.Errorf("found %v, %v", all, err)
		}
		if _, err := b.TopUp(t.Context(), b.alice, TopUpInput{"k", bank.ID, eur(1)}); !errors.Is(err, ErrSource) {
			t.Errorf("a top-up from it: %v", err)
		}
	})
}

func TestService_ByIDs(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		transfer := b.topUp(t, b.alice, bank, 100)
		for _, test := range []struct {
			v    auth.Viewer
			want int
		}{{b.alice, 2}, {b.user(t, 1), 0}, {operator(1), 2}, {operator(0), 0}, {operator(2), 0}, {auth.Viewer{Kind: auth.Service, Mode: 1}, 0}, {auth.Viewer{}, 0}} {
			sources, err := b.ByIDs(t.Context(), test.v, []id.ID{wallet.ID, bank.ID, id.New()})
			if err != nil || len(sources) != test.want {
				t.Errorf("%v in %v sees %v, %v", test.v.Kind, test.v.Mode, sources, err)
			}
			transfers, err := b.TransfersByIDs(t.Context(), test.v, []id.ID{transfer.ID, id.New()})
			if err != nil || len(transfers) != test.want/2 {
				t.Errorf("%v in %v sees %v, %v", test.v.Kind, test.v.Mode, transfers, err)
			}
		}
	})
}

func TestService_Lists(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		bob := b.user(t, 1)
		b.pair(t, bob, TokenOK)
		_, bank := b.pair(t, b.alice, TokenOK)
		var sources, transfers []id.ID
		for range 7 {
			sources = append(sources, b.add(t, b.alice, Card, money.EUR, "ok").ID)
			transfers = append(transfers, b.topUp(t, b.alice, bank, 1).ID)
		}
		slices.Reverse(sources)
		slices.Reverse(transfers)
		for _, limit := range []int{1, 2, 7, 100} {
			for _, backward := range []bool{false, true} {
				got := walk(t, limit, backward, func(sl page.Slice) (page.List[Source], error) { return b.Sources(t.Context(), b.alice, sl) }, SourcePosition)
				if len(got) != 9 || !slices.Equal(ids(got, func(s Source) id.ID { return s.ID })[:7], sources) {
					t.Errorf("pages of %d, backward %v: %v", limit, backward, got)
				}
				moves := walk(t, limit, backward, func(sl page.Slice) (page.List[Transfer], error) { return b.Transfers(t.Context(), b.alice, sl) }, TransferPosition)
				if !slices.Equal(ids(moves, func(t Transfer) id.ID { return t.ID }), transfers) {
					t.Errorf("pages of %d, backward %v: %v", limit, backward, moves)
				}
			}
		}
		if _, err := b.Sources(t.Context(), operator(1), page.Slice{Limit: 1}); !errors.Is(err, errs.ErrForbidden) {
			t.Errorf("an operator has no list: %v", err)
		}
		if _, err := b.Transfers(t.Context(), auth.Viewer{}, page.Slice{Limit: 1}); !errors.Is(err, errs.ErrUnauthenticated) {
			t.Errorf("nobody has no list: %v", err)
		}
	})
}

func ids[T any](all []T, of func(T) id.ID) []id.ID {
	out := make([]id.ID, len(all))
	for i, one := range all {
		out[i] = of(one)
	}
	return out
}

// walk reads a whole list page by page, in either direction.
func walk[T any](t *testing.T, limit int, backward bool, read func(page.Slice) (page.List[T], error), position func(T) []byte) (all []T) {
	t.Helper()
	sl := page.Slice{Limit: limit, Backward: backward}
	for {
		p, err := read(sl)
		if err != nil {
			t.Fatal(err)
		}
		more := p.HasNext
		if backward {
			all, more = append(slices.Clone(p.Items), all...), p.HasPrev
		} else {
			all = append(all, p.Items...)
		}
		if !more {
			return all
		}
		if backward {
			sl.Before = position(p.Items[0])
		} else {
			sl.After = position(p.Items[len(p.Items)-1])
		}
	}
}

func TestService_Statement(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		wallet, bank := b.pair(t, b.alice, TokenOK)
		top := b.topUp(t, b.alice, bank, 100)
		if _, err := b.giveBack(t, b.alice, top, new(eur(30))); err != nil {
			t.Fatal(err)
		}
		p, err := b.Statement(t.Context(), wallet, page.Slice{Limit: 10})
		if err != nil || len(p.Items) != 2 || p.Items[0].Change != -30 || p.Items[0].Kind != "RETURN" || p.Items[1].Change != 100 || p.Items[1].Kind != "TOP_UP" || p.Items[1].SubjectID != top.ID {
			t.Errorf("the statement is %+v, %v", p, err)
		}
		if p, err := b.Statement(t.Context(), bank, page.Slice{Limit: 10}); err != nil || len(p.Items) != 0 {
			t.Errorf("a bank account's statement is %+v, %v", p, err)
		}
	})
}

func TestService_SetCreditLine(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		set := func(minor int64) (Source, error) {
			return b.SetCreditLine(t.Context(), operator(1), b.alice.UserID, eur(minor))
		}
		line, err := set(500)
		if err != nil || line.Kind != CreditLine || line.UserID != b.alice.UserID || line.Account == 0 || line.Currency != money.EUR {
			t.Fatalf("opened %+v, %v", line, err)
		}
		if got, err := b.Source(t.Context(), b.alice.UserID, line.ID); err != nil || got != line {
			t.Errorf("found %+v, %v", got, err)
		}
		elsewhere := operator(1)
		elsewhere.Issuer = "https://other.test"
		if _, err := b.SetCreditLine(t.Context(), elsewhere, b.alice.UserID, eur(5000)); !errors.Is(err, ErrUser) {
			t.Errorf("an operator of another issuer changes it: %v", err)
		}
		b.spend(t, line.Account, 400)
		b.wantBalance(t, line.Account, -400, 0)
		if _, err := set(399); !errors.Is(err, ErrUsed) || errs.As(err).Field[0] != "limit" {
			t.Errorf("less than is used: %v", err)
		}
		if _, err := set(0); !errors.Is(err, ErrUsed) {
			t.Errorf("an end while it is used: %v", err)
		}
		for _, minor := range []int64{400, AmountMax, 1000} {
			if again, err := set(minor); err != nil || again != line {
				t.Errorf("a limit of %d: %+v, %v", minor, again, err)
			}
		}
		b.spend(t, line.Account, 600)
		dollars, err := b.SetCreditLine(t.Context(), operator(1), b.alice.UserID, money.Amount{Minor: 5, Currency: money.USD})
		if err != nil || dollars.ID == line.ID {
			t.Errorf("another currency: %+v, %v", dollars, err)
		}
		if again, err := b.SetCreditLine(t.Context(), operator(1), b.alice.UserID, money.Amount{Currency: money.USD}); err != nil || again != dollars {
			t.Errorf("an end: %+v, %v", again, err)
		}
		rows, err := b.DB.Client(t.Context()).AuditEntry.Query().Where(auditentry.Action("credit_line.set")).Order(auditentry.ByID()).All(t.Context())
		if err != nil || len(rows) != 6 || rows[0].Actor != "operator:root" || rows[0].Issuer != issuer || rows[0].SubjectID != b.alice.UserID || !strings.Contains(string(rows[0].Detail), "500") {
			t.Errorf("the audit log has %+v, %v", rows, err)
		}
		b.wantWhole(t)
	})
}

func TestService_SetCreditLine_Refusals(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		elsewhere := operator(1)
		elsewhere.Issuer = "https://other.test"
		live := b.user(t, 0)
		for name, test := range map[string]struct {
			v     auth.Viewer
			user  id.ID
			limit money.Amount
			want  error
		}{
			"a user":              {b.alice, b.alice.UserID, eur(1), errs.ErrForbidden},
			"nobody":              {auth.Viewer{}, b.alice.UserID, eur(1), errs.ErrUnauthenticated},
			"the chat app":        {auth.Viewer{Kind: auth.Service, Mode: 1, Issuer: issuer}, b.alice.UserID, eur(1), errs.ErrForbidden},
			"an unknown user":     {operator(1), id.New(), eur(1), ErrUser},
			"a user of live":      {operator(1), live.UserID, eur(1), ErrUser},
			"another realm":       {elsewhere, b.alice.UserID, eur(1), ErrUser},
			"less than nothing":   {operator(1), b.alice.UserID, eur(-1), ErrAmount},
			"too much":            {operator(1), b.alice.UserID, eur(AmountMax + 1), ErrAmount},
			"an unknown currency": {operator(1), b.alice.UserID, money.Amount{Minor: 1, Currency: 1}, ErrCurrency},
		} {
			if _, err := b.SetCreditLine(t.Context(), test.v, test.user, test.limit); !errors.Is(err, test.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n, err := b.DB.Client(t.Context()).AuditEntry.Query().Where(auditentry.Action("credit_line.set")).Count(t.Context()); err != nil || n != 0 {
			t.Errorf("%d refusals were audited, %v", n, err)
		}
	})
}

func TestService_SetCreditLine_AtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		var lines [8]Source
		var all sync.WaitGroup
		for i := range lines {
			all.Go(func() {
				var err error
				if lines[i], err = b.SetCreditLine(t.Context(), operator(1), b.alice.UserID, eur(int64(i))); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, l := range lines {
			if l.ID != lines[0].ID {
				t.Errorf("two lines: %+v and %+v", lines[0], l)
			}
		}
	})
}

func TestNewRails(t *testing.T) {
	t.Parallel()
	c := clock.NewFixed(start)
	fake := newFakeRail(c).(*fakeRail)
	real := &fakeRail{live: true}
	for name, rails := range map[string][]Rail{
		"two that serve the same": {NewSandbox(c), fake},
		"two of one name":         {fake, real},
		"one without a name":      {named{fake, ""}},
		"one with a long name":    {named{fake, strings.Repeat("x", 41)}},
	} {
		if _, err := NewRails(rails...); err == nil {
			t.Errorf("%s were connected", name)
		}
	}
	rails, err := NewRails(NewSandbox(c), real)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		mode mode.Mode
		kind Kind
		want string
	}{{0, BankAccount, "fake"}, {1, BankAccount, SandboxName}, {1, Card, SandboxName}, {0, Card, ""}, {1, Wallet, ""}} {
		t.Run(fmt.Sprint(test.mode, test.kind), func(t *testing.T) {
			r, err := rails.serving(test.mode, test.kind)
			if test.want == "" && !errors.Is(err, ErrRail) || test.want != "" && (err != nil || r.Name() != test.want) {
				t.Errorf("served by %v, %v", r, err)
			}
		})
	}
	if _, err := rails.named(0, SandboxName); !errors.Is(err, ErrRail) {
		t.Errorf("the sandbox's rail serves live: %v", err)
	}
}

type named struct {
	Rail
	name string
}

func (n named) Name() string { return n.name }
