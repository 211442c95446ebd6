package wallet

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/core/ledger"
)

// Users top up, give back and spend while a rail loses calls and answers, is
// slow, refuses, and takes back what was done. In the end the rail's own books
// and Souk's say the same.
func TestService_Chaos(t *testing.T) {
	onBothWith(t, newFakeRail, func(t *testing.T, b *testBundle) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		b.fake().misbehave(rand.New(rand.NewPCG(seed, 0)))
		type person struct{ wallet, bank Source }
		people := make([]person, 4)
		for i := range people {
			v := b.user(t, 1)
			if i == 0 {
				v = b.alice
			}
			people[i].wallet, people[i].bank = b.pair(t, v, TokenOK)
		}
		var all sync.WaitGroup
		for i, p := range people {
			all.Go(func() {
				r := rand.New(rand.NewPCG(seed, uint64(i+1)))
				var mine []id.ID
				for n := range 30 {
					b.act(t, r, fmt.Sprint(seed, i, n), p.wallet, p.bank, &mine)
				}
			})
		}
		all.Wait()
		b.fake().behave()
		for range 40 { // whatever is open comes to its end
			b.clock.Advance(2 * time.Hour)
			b.sweep(t)
		}
		b.wantAgreement(t)
	})
}

// act does something at random, and does it again when it is told to.
func (b *testBundle) act(t *testing.T, r *rand.Rand, key string, wallet, bank Source, mine *[]id.ID) {
	v := b.alice
	v.UserID = wallet.UserID
	for range 1 + r.IntN(2) {
		switch pick := r.IntN(10); {
		case pick < 4 || len(*mine) == 0:
			done, err := b.TopUp(t.Context(), v, TopUpInput{"t" + key, bank.ID, eur(1 + int64(len(key)))})
			if err != nil {
				t.Error(err)
				return
			}
			*mine = append(*mine, done.Transfer.ID)
		case pick < 7:
			in := ReturnInput{"r" + key, (*mine)[r.IntN(len(*mine))], nil}
			if r.IntN(2) == 0 {
				in.Amount = new(eur(1 + r.Int64N(8)))
			}
			if _, err := b.Return(t.Context(), v, in); err != nil && !errs.IsRefusal(err) {
				t.Error(err)
			}
		case pick < 8:
			if r := b.Executor.Do(t.Context(), &spending{wallet.Account, b.shop(t), 1 + r.Int64N(10)}); r.Err != nil && !errors.Is(r.Err, ledger.ErrInsufficientFunds) {
				t.Error(r.Err)
			}
		default:
			b.clock.Advance(time.Duration(r.IntN(20)) * time.Second)
			b.sweep(t)
		}
	}
}

// misbehave makes the rail lose one call in four on the way, and one answer in
// four on its way back, and answer whatever it likes.
func (f *fakeRail) misbehave(r *rand.Rand) {
	lose := func(Request) error {
		if r.IntN(4) == 0 {
			return errDown
		}
		return nil
	}
	f.before, f.after = lose, lose
	f.decide = func(q Request) Answer {
		switch r.IntN(6) {
		case 0:
			return Answer{Outcome: OutcomeFailed, FailureCode: "no"}
		case 1:
			return Answer{Outcome: OutcomePending}
		case 2:
			return Answer{Outcome: OutcomeSucceeded, CheckIn: time.Minute}
		}
		return Answer{Outcome: OutcomeSucceeded}
	}
}

// behave mends the rail. What it had left open ends one way or another.
func (f *fakeRail) behave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after, f.decide = nil, nil, nil
	ends := map[Answer][]Outcome{
		{Outcome: OutcomePending}:                         {OutcomeSucceeded, OutcomeFailed, OutcomeReturned},
		{Outcome: OutcomeSucceeded, CheckIn: time.Minute}: {OutcomeSucceeded, OutcomeReturned},
	}
	n := 0
	for _, m := range f.moves {
		if ways := ends[m.Answer]; len(ways) > 0 {
			m.Answer = Answer{Outcome: ways[n%len(ways)]}
			n++
		}
	}
}

// wantAgreement compares the rail's books with Souk's.
func (b *testBundle) wantAgreement(t *testing.T) {
	t.Helper()
	states := map[Outcome]State{OutcomeSucceeded: Succeeded, OutcomeFailed: Failed, OutcomeReturned: Returned}
	var resting int64
	count := map[State]int{}
	for _, m := range b.fake().moves {
		got, err := b.readTransfer(t.Context(), m.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.State != states[m.Outcome] || got.CheckAt != nil || got.Amount != m.Amount {
			t.Errorf("the rail says %+v, Souk %+v", m, got)
		}
		count[got.State]++
		if m.Outcome == OutcomeSucceeded && m.Direction == TopUp {
			resting += m.Amount.Minor
		} else if m.Outcome == OutcomeSucceeded {
			resting -= m.Amount.Minor
		}
	}
	n, err := b.transfers(t.Context()).Count(t.Context())
	if err != nil || n != len(b.fake().moves) {
		t.Errorf("Souk knows %d transfers, %v; the rail %d", n, err, len(b.fake().moves))
	}
	t.Logf("%d transfers: %v", n, count)
	b.wantClearing(t, "fake", -resting)
	b.wantReturnsWithin(t)
	b.wantWhole(t)
}

// wantReturnsWithin checks that each top-up counts what was given back of it.
func (b *testBundle) wantReturnsWithin(t *testing.T) {
	t.Helper()
	rows, err := b.transfers(t.Context()).All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	given := map[id.ID]int64{}
	for _, r := range rows {
		if t := transferFromRow(r); t.Direction == Return && t.State == Succeeded {
			given[*t.TopUpID] += t.Amount.Minor
		}
	}
	for _, r := range rows {
		if top := transferFromRow(r); top.Direction == TopUp && top.ReturnedMinor != given[top.ID] {
			t.Errorf("%+v was given back %d", top, given[top.ID])
		}
	}
}
