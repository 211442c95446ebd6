package ledger

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/page"
)

func TestAccountID(t *testing.T) {
	t.Parallel()
	const numberMax = 1<<32 - 1
	for _, number := range []int64{1, 12345, numberMax} {
		for _, m := range []mode.Mode{mode.Live, 1, mode.Max} {
			for _, c := range []money.Currency{8, money.EUR, 999} {
				a := NewAccountID(number, m, c)
				if ModeOf(a) != m || CurrencyOf(a) != c || a>>realmBits != number || a <= 0 {
					t.Errorf("number %d, mode %v, currency %d became %d", number, m, c, a)
				}
				if AccountOfKey(AccountKey(a)) != a {
					t.Errorf("the key of %d is another's", a)
				}
			}
		}
	}
}

func TestAccount_Available(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ balance, held, floor, want int64 }{
		{100, 30, 0, 70}, {0, 0, 0, 0}, {-20, 10, -100, 70}, {100, 0, 40, 60}, {-100, 0, -100, 0},
		{-5, 3, NoFloor, math.MaxInt64}, {100, 50, -math.MaxInt64, math.MaxInt64}, {-100, 50, -math.MaxInt64, math.MaxInt64 - 150},
		{math.MaxInt64, 0, -1, math.MaxInt64},
	} {
		if got := (Account{Balance: test.balance, Held: test.held, Floor: test.floor}).Available(); got != test.want {
			t.Errorf("%+v has %d available", test, got)
		}
	}
}

func TestService_Open(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		n := NewAccount{Mode: 1, Currency: money.EUR, Owner: OwnerUser, OwnerID: id.New(), Kind: KindCredit, Floor: -500}
		a, err := b.Open(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		want := Account{ID: a, Owner: OwnerUser, OwnerID: n.OwnerID, Kind: KindCredit, Floor: -500}
		if got := b.read(t, a); got != want || got.Mode() != 1 || got.Currency() != money.EUR {
			t.Errorf("opened %+v", got)
		}
		for name, other := range map[string]NewAccount{
			"kind": {1, money.EUR, OwnerUser, n.OwnerID, KindWallet, 0}, "currency": {1, money.USD, OwnerUser, n.OwnerID, KindCredit, 0},
			"mode": {2, money.EUR, OwnerUser, n.OwnerID, KindCredit, 0}, "owner": {1, money.EUR, OwnerUser, id.New(), KindCredit, 0},
		} {
			if o, err := b.Open(t.Context(), other); err != nil || o == a {
				t.Errorf("another %s gave %d, %v", name, o, err)
			}
		}
		if again, err := b.Open(t.Context(), n); err != nil || again != a {
			t.Errorf("opened again: %d, %v", again, err)
		}
		all, err := b.OwnedBy(t.Context(), OwnerUser, n.OwnerID)
		if err != nil || len(all) != 4 {
			t.Errorf("the owner has %+v, %v", all, err)
		}
		for _, bad := range []NewAccount{{Mode: -1, Currency: money.EUR}, {Mode: mode.Max + 1, Currency: money.EUR}, {Mode: 1, Currency: 1}} {
			if _, err := b.Open(t.Context(), bad); !errors.Is(err, ErrCrossed) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
	})
}

// Whoever opens an account first, all find the same.
func TestService_Open_AtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		for range 10 {
			n := NewAccount{Mode: 1, Currency: money.EUR, Owner: OwnerUser, OwnerID: id.New(), Kind: KindWallet}
			var got [8]AccountID
			var all sync.WaitGroup
			for i := range got {
				all.Go(func() {
					var err error
					if got[i], err = b.Open(t.Context(), n); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if slices.Max(got[:]) != slices.Min(got[:]) || got[0] == 0 {
				t.Errorf("opened %v", got)
			}
		}
	})
}

func TestService_SetFloor(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		shop, line := b.euros(t, 0), b.account(t, 1, money.EUR, 0)
		wantErr(t, b.x.Do(t.Context(), pay(line, shop, 1)), ErrInsufficientFunds)
		if err := b.SetFloor(t.Context(), line, -100); err != nil {
			t.Fatal(err)
		}
		mustDo(t, b.x, pay(line, shop, 60))
		mustDo(t, b.x, hold(id.New(), line, 30))
		wantErr(t, b.x.Do(t.Context(), pay(line, shop, 11)), ErrInsufficientFunds)
		if err := b.SetFloor(t.Context(), line, -89); !errors.Is(err, ErrInsufficientFunds) {
			t.Errorf("a limit below what is used and held: %v", err)
		}
		if err := b.SetFloor(t.Context(), line, -90); err != nil {
			t.Error(err)
		}
		if err := b.SetFloor(t.Context(), line+1<<realmBits, 0); !errors.Is(err, ErrAccountUnknown) {
			t.Errorf("an unknown account: %v", err)
		}
		b.wantWhole(t)
	})
}

func TestService_Statement(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		a, other := b.euros(t, 1000), b.euros(t, 1000)
		want := []int64{1000}
		for i := int64(1); i <= 20; i++ { // both sides in turns, and others' in between
			if i%3 == 0 {
				mustDo(t, b.x, pay(other, a, i))
				want = append(want, i)
			} else {
				mustDo(t, b.x, pay(a, other, i))
				want = append(want, -i)
			}
			b.euros(t, i)
		}
		slices.Reverse(want)
		for _, limit := range []int{1, 2, 3, 7, 20, 21, 100} {
			if got := b.walk(t, a, limit, false); !slices.Equal(got, want) {
				t.Errorf("pages of %d from the head: %v", limit, got)
			}
			if got := b.walk(t, a, limit, true); !slices.Equal(got, want) {
				t.Errorf("pages of %d from the tail: %v", limit, got)
			}
		}
	})
}

// walk reads a whole statement page by page, in either direction.
func (b *testBundle) walk(t *testing.T, a AccountID, limit int, backward bool) (changes []int64) {
	t.Helper()
	sl := page.Slice{Limit: limit, Backward: backward}
	for {
		p, err := b.Statement(t.Context(), a, sl)
		if err != nil {
			t.Fatal(err)
		}
		var on []int64
		for _, l := range p.Items {
			on = append(on, l.Change)
		}
		more := p.HasNext
		if backward {
			changes, more = append(on, changes...), p.HasPrev
		} else {
			changes = append(changes, on...)
		}
		if !more {
			return changes
		}
		if backward {
			sl.Before = LinePosition(p.Items[0])
		} else {
			sl.After = LinePosition(p.Items[len(p.Items)-1])
		}
	}
}

func TestService_Statement_Between(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		a, other := b.euros(t, 1000), b.euros(t, 0)
		for i := int64(1); i <= 9; i++ {
			mustDo(t, b.x, pay(a, other, i))
		}
		all, err := b.Statement(t.Context(), a, page.Slice{Limit: 100})
		if err != nil || len(all.Items) != 10 || all.HasNext || all.HasPrev {
			t.Fatalf("%+v, %v", all, err)
		}
		after, before := LinePosition(all.Items[1]), LinePosition(all.Items[7])
		for _, backward := range []bool{false, true} {
			p, err := b.Statement(t.Context(), a, page.Slice{Limit: 3, Backward: backward, After: after, Before: before})
			if err != nil {
				t.Fatal(err)
			}
			want := all.Items[2:5]
			if backward {
				want = all.Items[4:7]
			}
			if len(p.Items) != 3 || p.Items[0].ID != want[0].ID || p.Items[2].ID != want[2].ID || !p.HasNext || !p.HasPrev {
				t.Errorf("backward %v: %+v", backward, p)
			}
		}
	})
}

func TestService_Statement_Line(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		from, to, subject, reverses := b.euros(t, 1000), b.euros(t, 0), id.New(), id.New()
		c := pay(from, to, 40)
		c.decide = func(b *Batch) ([]byte, error) {
			_, err := b.Transfer(Transfer{Debit: from, Credit: to, Amount: 40, Kind: "REFUND", SubjectID: subject, Reverses: &reverses})
			return done, err
		}
		mustDo(t, b.x, c)
		for a, change := range map[AccountID]int64{from: -40, to: 40} {
			p, err := b.Statement(t.Context(), a, page.Slice{Limit: 1})
			if err != nil || len(p.Items) != 1 {
				t.Fatalf("%+v, %v", p, err)
			}
			l := p.Items[0]
			if l.Change != change || l.Kind != "REFUND" || l.SubjectID != subject || l.Reverses == nil || *l.Reverses != reverses || !l.At.Equal(start) ||
				l.Debit != from || l.Credit != to || l.Amount != 40 {
				t.Errorf("the line is %+v", l)
			}
		}
	})
}

// What is closed neither takes nor gives, and holds nothing.
func TestService_Close(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		a, other := b.euros(t, 1000), b.euros(t, 1000)
		owner := b.read(t, a)
		shut := func() (ok bool) {
			t.Helper()
			err := b.db.InTx(t.Context(), func(ctx context.Context) (err error) {
				ok, err = b.Close(ctx, owner.Owner, owner.OwnerID)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		h := id.New()
		if shut() {
			t.Error("closed with a balance")
		}
		mustDo(t, b.x, pay(a, other, 999))
		mustDo(t, b.x, hold(h, a, 1))
		if shut() {
			t.Error("closed with a hold")
		}
		mustDo(t, b.x, capture(h, a, other, 1))
		if !shut() || !b.read(t, a).Closed || b.read(t, other).Closed {
			t.Errorf("closed are %+v and %+v", b.read(t, a), b.read(t, other))
		}
		wantErr(t, b.x.Do(t.Context(), pay(other, a, 1)), ErrAccountClosed)
		wantErr(t, b.x.Do(t.Context(), pay(a, other, 1)), ErrAccountClosed)
		wantErr(t, b.x.Do(t.Context(), hold(id.New(), a, 1)), ErrAccountClosed)
		b.wantWhole(t)
	})
}
