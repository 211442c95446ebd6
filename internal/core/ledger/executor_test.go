package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/outbox"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/testkit"
)

func TestExecutor_Flow(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		buyer, shop := b.euros(t, 1000), b.euros(t, 0)
		mustDo(t, b.x, pay(buyer, shop, 300))
		b.wantBalance(t, buyer, 700, 0)
		b.wantBalance(t, shop, 300, 0)

		h, rest := id.New(), id.New()
		mustDo(t, b.x, hold(h, buyer, 500))
		b.wantBalance(t, buyer, 700, 500)
		wantErr(t, b.x.Do(t.Context(), pay(buyer, shop, 201)), ErrInsufficientFunds)
		mustDo(t, b.x, capture(h, buyer, shop, 450))
		b.wantBalance(t, buyer, 250, 0)
		b.wantBalance(t, shop, 750, 0)

		mustDo(t, b.x, hold(rest, buyer, 250))
		mustDo(t, b.x, release(rest, buyer, HoldExpired))
		b.wantBalance(t, buyer, 250, 0)
		b.wantWhole(t)
	})
}

func TestExecutor_Hold_AsWritten(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		buyer, shop, h := b.euros(t, 1000), b.euros(t, 0), id.New()
		mustDo(t, b.x, hold(h, buyer, 500))
		b.clock.Advance(time.Minute)
		mustDo(t, b.x, capture(h, buyer, shop, 200))
		row, err := b.db.Client(t.Context()).Hold.Get(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		if row.AmountMinor != 500 || row.CapturedMinor != 200 || string(row.State) != string(HoldCaptured) ||
			!row.CreatedAt.Equal(start) || !row.ExpiresAt.Equal(start.Add(time.Hour)) || row.EndedAt == nil || !row.EndedAt.Equal(start.Add(time.Minute)) {
			t.Errorf("the hold was written as %+v", row)
		}
	})
}

func TestExecutor_Refusal_LeavesOnlyItsKey(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		poor, shop := b.euros(t, 100), b.euros(t, 0)
		transfers := b.count(t, `SELECT COUNT(*) FROM transfers`)
		c := pay(poor, shop, 60)
		c.decide = func(b *Batch) ([]byte, error) { // the first leg would do, the second would not
			b.Emit(outbox.Event{ID: id.New(), Topic: "test", SubjectID: id.New(), Payload: json.RawMessage(`{}`), At: start})
			if _, err := b.Hold(Hold{Account: poor, Amount: 10, SubjectID: id.New(), ExpiresAt: start}); err != nil {
				return nil, err
			}
			for range 2 {
				if _, err := b.Transfer(Transfer{Debit: poor, Credit: shop, Amount: 60, Kind: "TEST"}); err != nil {
					return nil, err
				}
			}
			return done, nil
		}
		r := b.x.Do(t.Context(), c.keyed("k", 60))
		wantErr(t, r, ErrInsufficientFunds)
		if r.Replayed || errs.As(r.Err).Retry != errs.RetryNewKey {
			t.Errorf("a first refusal is not a repetition, and needs a new key: %+v", r)
		}
		b.wantBalance(t, poor, 100, 0)
		for table, want := range map[string]int64{"transfers": transfers, "holds": 0, "outbox_events": 0, "idempotency_keys": 1} {
			if n := b.count(t, `SELECT COUNT(*) FROM `+table); n != want {
				t.Errorf("%s has %d rows, want %d", table, n, want)
			}
		}
		b.fund(t, poor, 1000) // the key remembers, even if it would do now
		r = b.x.Do(t.Context(), c)
		wantErr(t, r, ErrInsufficientFunds)
		if e := errs.As(r.Err); !r.Replayed || e.Message != ErrInsufficientFunds.Message || e.Retry != errs.RetryNewKey {
			t.Errorf("the repetition was answered %+v", r)
		}
		b.wantWhole(t)
	})
}

func TestExecutor_Replay(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		buyer, shop := b.euros(t, 1000), b.euros(t, 0)
		first := mustDo(t, b.x, pay(buyer, shop, 300).keyed("k", 300))
		again := mustDo(t, b.x, pay(buyer, shop, 300).keyed("k", 300))
		if first.Replayed || !again.Replayed || string(first.Result) != string(done) || string(again.Result) != string(done) {
			t.Errorf("answered %+v, then %+v", first, again)
		}
		b.wantBalance(t, buyer, 700, 0)

		r := b.x.Do(t.Context(), pay(buyer, shop, 301).keyed("k", 301))
		wantErr(t, r, ErrIdempotency)
		if r.Replayed {
			t.Error("a mismatch is no repetition")
		}
		other, err := NewKey("user:2", "test", "k", 300) // another's key of the same name
		if err != nil {
			t.Fatal(err)
		}
		c := pay(buyer, shop, 300)
		c.key = other
		mustDo(t, b.x, c)
		b.wantBalance(t, buyer, 400, 0)
	})
}

func TestExecutor_DuplicateInBatch_JoinsTheFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		buyer, shop := b.euros(t, 1000), b.euros(t, 0)
		answers := together(t, b.x,
			pay(buyer, shop, 300).keyed("paid", 300), pay(buyer, shop, 300).keyed("paid", 300), pay(buyer, shop, 30).keyed("paid", 30),
			pay(buyer, shop, 900).keyed("refused", 900), pay(buyer, shop, 900).keyed("refused", 900), pay(buyer, shop, 1).keyed("refused", 1),
			pay(buyer, shop, 300).keyed("paid", 300))
		wantCodes(t, answers, "done", "replayed", "IDEMPOTENCY_MISMATCH",
			"INSUFFICIENT_FUNDS", "replayed INSUFFICIENT_FUNDS", "IDEMPOTENCY_MISMATCH", "replayed")
		b.wantBalance(t, buyer, 700, 0)
		if n := b.count(t, `SELECT COUNT(*) FROM idempotency_keys`); n != 2 {
			t.Errorf("%d keys were stored", n)
		}
	})
}

func TestExecutor_Unkeyed_HasNoMemory(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		buyer, shop := b.euros(t, 1000), b.euros(t, 0)
		wantCodes(t, together(t, b.x, pay(buyer, shop, 300), pay(buyer, shop, 300), pay(buyer, shop, 900)), "done", "done", "INSUFFICIENT_FUNDS")
		if n := b.count(t, `SELECT COUNT(*) FROM idempotency_keys`); n != 0 {
			t.Errorf("%d keys were stored", n)
		}
	})
}

func TestExecutor_FullQueue_Refuses(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		buyer, shop := b.euros(t, MaxQueue), b.euros(t, 0)
		g := shut(t, b.x)
		waiting := make([]*pending, MaxQueue)
		for i := range waiting {
			waiting[i] = &pending{cmd: pay(buyer, shop, 1), since: time.Now(), reply: make(chan Reply, 1)}
			b.x.queue <- waiting[i]
		}
		r := b.x.Do(t.Context(), pay(buyer, shop, 1).keyed("k", 1))
		wantErr(t, r, ErrBusy)
		if errs.As(r.Err).Retry != errs.RetrySameKey {
			t.Errorf("may be sent again with the same key: %+v", r)
		}
		close(g.open)
		for _, p := range waiting {
			if r := <-p.reply; r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		b.wantBalance(t, shop, MaxQueue, 0)
		b.fund(t, buyer, 1)
		if r := mustDo(t, b.x, pay(buyer, shop, 1).keyed("k", 1)); r.Replayed {
			t.Error("what was refused as busy left a key")
		}
	})
}

func TestExecutor_Close(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		buyer, shop := b.euros(t, 1000), b.euros(t, 0)
		x := b.executor(t)
		g := shut(t, x)
		waiting := make([]*pending, 300) // more than a batch
		for i := range waiting {
			waiting[i] = &pending{cmd: pay(buyer, shop, 1), since: time.Now(), reply: make(chan Reply, 1)}
			x.queue <- waiting[i]
		}
		go x.Close()
		<-x.stop
		close(g.open)
		for _, p := range waiting {
			if r := <-p.reply; r.Err != nil {
				t.Fatalf("what was queued is finished: %v", r.Err)
			}
		}
		x.Close()
		wantErr(t, x.Do(t.Context(), pay(buyer, shop, 1)), ErrBusy)
		b.wantBalance(t, shop, 300, 0)
	})
}

func TestExecutor_CallerGoesAway(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		buyer, shop := b.euros(t, 1000), b.euros(t, 0)
		g := shut(t, b.x)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantErr(t, b.x.Do(ctx, pay(buyer, shop, 300).keyed("k", 300)), ErrUnknownOutcome)
		close(g.open)
		if r := mustDo(t, b.x, pay(buyer, shop, 300).keyed("k", 300)); !r.Replayed {
			t.Error("it ran all the same, and its key tells")
		}
		b.wantBalance(t, shop, 300, 0)
	})
}

// crossed is a transfer that Go let through by mistake.
func crossed(from, to AccountID) *act {
	c := pay(from, to, 1)
	c.decide = func(b *Batch) ([]byte, error) {
		b.transfers.Add(Transfer{ID: id.New(), Debit: from, Credit: to, Amount: 1, Kind: "TEST", At: start})
		return done, nil
	}
	return c
}

func TestExecutor_Poison_FailsAlone(t *testing.T) {
	boom := func(*Batch) ([]byte, error) { panic("boom") }
	tests := map[string]func(b *testBundle, from, to, dollars AccountID) *act{
		"an SQL error": func(_ *testBundle, from, _, dollars AccountID) *act { return crossed(from, dollars) },
		"a panic that decides": func(_ *testBundle, from, to, _ AccountID) *act {
			c := pay(from, to, 1)
			pay := c.decide
			c.decide = func(b *Batch) ([]byte, error) { _, _ = pay(b); return boom(b) }
			return c
		},
		"a panic that wants": func(_ *testBundle, from, to, _ AccountID) *act {
			c := pay(from, to, 1)
			c.want = func(*Batch) { panic("boom") }
			return c
		},
		"an error that is not ours": func(_ *testBundle, from, to, _ AccountID) *act {
			c := pay(from, to, 1)
			pay := c.decide
			c.decide = func(b *Batch) ([]byte, error) { _, _ = pay(b); return nil, errors.New("boom") }
			return c
		},
		"no result for its key": func(_ *testBundle, from, to, _ AccountID) *act {
			c := pay(from, to, 1)
			pay := c.decide
			c.decide = func(b *Batch) ([]byte, error) { _, err := pay(b); return nil, err }
			return c
		},
		"a row that was not locked": func(_ *testBundle, from, to, _ AccountID) *act {
			c := pay(from, to, 1)
			c.decide = func(b *Batch) ([]byte, error) { b.accounts.Set(to+1, Account{}); return done, nil }
			return c
		},
	}
	onBoth(t, func(t *testing.T, b *testBundle) {
		for name, poison := range tests {
			t.Run(name, func(t *testing.T) {
				const n = 20
				from, to, dollars := b.euros(t, 1000), b.euros(t, 0), b.account(t, 1, money.USD, 0)
				before := b.count(t, `SELECT COUNT(*) FROM idempotency_keys`)
				var commands []*act
				want := make([]string, n)
				for i := range n {
					c := pay(from, to, 10).keyed(fmt.Sprint(name, i), 10)
					want[i] = "done"
					if i == 7 {
						c, want[i] = poison(b, from, to, dollars).keyed(name, 1), "failed"
					}
					commands = append(commands, c)
				}
				wantCodes(t, together(t, b.x, commands...), want...)
				b.wantBalance(t, from, 1000-10*(n-1), 0)
				b.wantBalance(t, to, 10*(n-1), 0)
				if k := b.count(t, `SELECT COUNT(*) FROM idempotency_keys`) - before; k != n-1 {
					t.Errorf("%d keys, want %d: the poison leaves none", k, n-1)
				}
				b.wantWhole(t)
				mustDo(t, b.x, pay(from, to, 10)) // it goes on
			})
		}
	})
}

// Somebody who keeps a row, such as an operator with a transaction open, holds up
// only those who need it, and them not for long. SQLite has one writer, and so
// nobody else to keep a row.
func TestExecutor_LockedRow_HoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	b := setup(t, testkit.OpenStore(t, testkit.PostgresStore(t)))
	rich, locked, shop := b.euros(t, 1000), b.euros(t, 1000), b.euros(t, 0)
	err := b.db.InTx(t.Context(), func(ctx context.Context) error {
		if _, err := b.db.SQL(ctx).ExecContext(ctx, `SELECT id FROM accounts WHERE id = $1 FOR UPDATE`, locked); err != nil {
			return err
		}
		quick := func(all []*act, codes []string, want time.Duration) {
			t.Helper()
			began := time.Now()
			wantCodes(t, together(t, b.x, all...), codes...)
			if took := time.Since(began); took > want {
				t.Errorf("%d commands took %v, want at most %v", len(all), took, want)
			}
		}
		var (
			all   []*act
			codes []string
		)
		for range 120 {
			all, codes = append(all, pay(rich, shop, 1), pay(locked, shop, 1)), append(codes, "done", "UNAVAILABLE")
		}
		quick([]*act{pay(locked, shop, 1)}, []string{"UNAVAILABLE"}, 6*time.Second) // alone, it waits as any
		quick(all, codes, 8*time.Second)
		// Nobody waits for long as long as there is somebody who would.
		quick([]*act{pay(locked, shop, 1)}, []string{"UNAVAILABLE"}, 2*time.Second)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	mustDo(t, b.x, pay(locked, shop, 1))
	b.wantBalance(t, shop, 121, 0)
	b.wantWhole(t)
}

// After a lost connection a locked row may be what the lost run still commits:
// nobody may say that nothing was done.
func TestExecutor_LockedRow_AfterALostRun(t *testing.T) {
	t.Parallel()
	b := setup(t, testkit.OpenStore(t, testkit.PostgresStore(t)))
	locked, shop := b.euros(t, 1000), b.euros(t, 0)
	err := b.db.InTx(t.Context(), func(ctx context.Context) error {
		if _, err := b.db.SQL(ctx).ExecContext(ctx, `SELECT id FROM accounts WHERE id = $1 FOR UPDATE`, locked); err != nil {
			return err
		}
		p := &pending{cmd: pay(locked, shop, 1), since: time.Now(), reply: make(chan Reply, 1), unsure: true}
		b.x.queue <- p
		if r := <-p.reply; r.Err == nil || errs.As(r.Err).Message != ErrUnknownOutcome.Message {
			t.Errorf("answered %v, want that nobody knows", r.Err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestExecutor_FundsForFiveOfSix(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		buyer := b.euros(t, 599)
		var holds []*act
		for range 6 {
			holds = append(holds, hold(id.New(), buyer, 100))
		}
		wantCodes(t, together(t, b.x, holds...), "done", "done", "done", "done", "done", "INSUFFICIENT_FUNDS")
		b.wantBalance(t, buyer, 599, 500)
		b.wantWhole(t)
	})
}

func TestExecutor_LateFunds_InOneBatch(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		a, c := b.euros(t, 100), b.euros(t, 0)
		wantCodes(t, together(t, b.x, pay(c, a, 50), pay(a, c, 100), pay(c, a, 50), pay(a, c, 51), pay(a, c, 50)),
			"INSUFFICIENT_FUNDS", "done", "done", "INSUFFICIENT_FUNDS", "done")
		b.wantBalance(t, c, 100, 0)
	})
}

func TestExecutor_Hold_EndsOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		buyer, shop := b.euros(t, 1000), b.euros(t, 0)
		one, two, none := id.New(), id.New(), id.New()
		mustDo(t, b.x, hold(one, buyer, 100))
		mustDo(t, b.x, hold(two, buyer, 100))
		wantCodes(t, together(t, b.x,
			capture(one, buyer, shop, 101), capture(one, buyer, shop, 60), capture(one, buyer, shop, 60), release(one, buyer, HoldVoided),
			release(two, buyer, HoldVoided), release(two, buyer, HoldVoided), capture(two, buyer, shop, 1), capture(none, buyer, shop, 1)),
			"HOLD_EXCEEDED", "done", "HOLD_ENDED", "HOLD_ENDED", "done", "HOLD_ENDED", "HOLD_ENDED", "HOLD_ENDED")
		wantErr(t, b.x.Do(t.Context(), capture(one, buyer, shop, 1)), ErrHoldEnded)
		wantErr(t, b.x.Do(t.Context(), release(two, buyer, HoldExpired)), ErrHoldEnded)
		b.wantBalance(t, buyer, 940, 0)
		b.wantBalance(t, shop, 60, 0)
		b.wantWhole(t)
	})
}

func TestExecutor_Crossing_IsRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		euros, dollars, live := b.euros(t, 1000), b.account(t, 1, money.USD, 0), b.account(t, 0, money.EUR, 0)
		h := id.New()
		mustDo(t, b.x, hold(h, euros, 10))
		wantCodes(t, together(t, b.x, pay(euros, dollars, 1), pay(euros, live, 1), capture(h, euros, live, 1), pay(euros, euros, 1)),
			"ACCOUNT_MISMATCH", "ACCOUNT_MISMATCH", "ACCOUNT_MISMATCH", "ACCOUNT_MISMATCH")
		for _, to := range []AccountID{dollars, live} {
			if r := b.x.Do(t.Context(), crossed(euros, to)); r.Err == nil || errs.IsRefusal(r.Err) {
				t.Errorf("the database let a crossing transfer through: %+v", r)
			}
		}
		b.wantBalance(t, euros, 1000, 10)
		b.wantWhole(t)
	})
}

func TestExecutor_Amounts(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		outside, a, c := b.account(t, 1, money.EUR, NoFloor), b.euros(t, 0), b.euros(t, 100)
		wantCodes(t, together(t, b.x,
			pay(outside, a, math.MaxInt64), pay(outside, a, 1), pay(outside, a, 0), pay(outside, a, -1), hold(id.New(), a, 0), hold(id.New(), a, -1),
			pay(c, a, 1), pay(outside, c, math.MaxInt64), hold(id.New(), a, math.MaxInt64), hold(id.New(), a, 1)),
			"done", "AMOUNT_INVALID", "AMOUNT_INVALID", "AMOUNT_INVALID", "AMOUNT_INVALID", "AMOUNT_INVALID",
			"AMOUNT_INVALID", "AMOUNT_INVALID", "done", "INSUFFICIENT_FUNDS")
		b.wantBalance(t, a, math.MaxInt64, math.MaxInt64)
		b.wantBalance(t, outside, -math.MaxInt64, 0)
		b.wantWhole(t)
	})
}

// An account without a floor can hold anything, but not more than 64 bits.
func TestExecutor_Amounts_NoFloor(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		outside, a := b.account(t, 1, money.EUR, NoFloor), b.euros(t, 0)
		const half = math.MaxInt64/2 + 1
		wantCodes(t, together(t, b.x, hold(id.New(), outside, half), hold(id.New(), outside, half), pay(outside, a, half), pay(outside, a, half-1)),
			"done", "AMOUNT_INVALID", "done", "AMOUNT_INVALID")
		b.wantBalance(t, outside, -half, half)
		b.wantWhole(t)
	})
}

// What is available must not wrap round on the way to it.
func TestExecutor_Amounts_WideLimit(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		outside, line := b.account(t, 1, money.EUR, NoFloor), b.account(t, 1, money.EUR, -math.MaxInt64)
		wantCodes(t, together(t, b.x, pay(outside, line, 100), pay(line, outside, 200), hold(id.New(), line, 100)), "done", "done", "done")
		b.wantBalance(t, line, -100, 100)
	})
}

func TestExecutor_UnknownAccount(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		a := b.euros(t, 100)
		nobody := NewAccountID(1<<20, 1, money.EUR)
		unwanted := b.euros(t, 0)
		careless := pay(a, unwanted, 1)
		careless.want = func(b *Batch) { b.WantAccount(a) }
		wantCodes(t, together(t, b.x, pay(a, nobody, 1), pay(nobody, a, 1), hold(id.New(), nobody, 1), careless),
			"ACCOUNT_NOT_FOUND", "ACCOUNT_NOT_FOUND", "ACCOUNT_NOT_FOUND", "ACCOUNT_NOT_FOUND")
		b.wantWhole(t)
	})
}

func TestExecutor_Bar(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		buyer, shop := b.euros(t, 1000), b.euros(t, 0)
		why := errs.New(errs.Conflict, "BARRED", "Not any more.")
		bar := func(key Key) *act {
			return &act{
				want: func(b *Batch) { b.WantKey(key.ID) },
				decide: func(b *Batch) ([]byte, error) {
					if b.KeyUsed(key.ID) {
						return nil, errs.New(errs.Conflict, "USED", "It is there.")
					}
					b.Bar(key.ID, why)
					return done, nil
				},
			}
		}
		late, early, soon := pay(buyer, shop, 1).keyed("late", 1), pay(buyer, shop, 2).keyed("early", 2), pay(buyer, shop, 4).keyed("soon", 4)
		mustDo(t, b.x, early)
		wantCodes(t, together(t, b.x, bar(late.key), bar(early.key), bar(soon.key).keyed("bar", 0), soon, bar(soon.key).keyed("bar", 0), bar(soon.key)),
			"done", "USED", "done", "replayed BARRED", "replayed", "USED")
		r := b.x.Do(t.Context(), late)
		wantCodes(t, []Reply{r, b.x.Do(t.Context(), pay(buyer, shop, 9).keyed("late", 9))}, "replayed BARRED", "replayed BARRED")
		if errs.As(r.Err).Retry != errs.RetryNever {
			t.Errorf("a barred key stays so: %+v", r)
		}
		b.wantBalance(t, shop, 2, 0)
	})
}

func TestExecutor_Emit(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		e := outbox.Event{ID: id.New(), Mode: 1, Topic: "test.done", SubjectID: id.New(), Payload: json.RawMessage(`{"n":1}`), At: start}
		mustDo(t, b.x, &act{decide: func(b *Batch) ([]byte, error) { b.Emit(e); return nil, nil }})
		<-b.x.outbox.Woken()
		got, err := b.x.outbox.Lease(t.Context(), 10, time.Minute)
		if err != nil || len(got) != 1 || got[0].ID != e.ID || got[0].Mode != 1 || got[0].Topic != e.Topic || got[0].SubjectID != e.SubjectID || !got[0].At.Equal(start) {
			t.Fatalf("leased %+v, %v", got, err)
		}
	})
}

// noted is a book of one table, to see what the executor does with books.
type noted struct{ *Table[id.ID, id.ID] }

func (n noted) Lock(*store.Pipe)  {}
func (n noted) Write(*store.Pipe) {}

func TestExecutor_Books_AreRolledBack(t *testing.T) {
	t.Parallel()
	b := setup(t, newSQLite(t))
	book := noted{NewTable[id.ID, id.ID](CompareIDs)}
	x := b.executor(t, book)
	add := func(n id.ID, err error) *act {
		return &act{decide: func(*Batch) ([]byte, error) { book.Add(n); return done, err }}
	}
	one, two, three := id.New(), id.New(), id.New()
	var seen []id.ID
	look := &act{decide: func(*Batch) ([]byte, error) { seen = append([]id.ID{}, book.Added()...); return nil, nil }}
	answers := together(t, x, add(one, nil), add(two, ErrAmount), add(two, errors.New("boom")), add(three, nil), look)
	wantCodes(t, answers, "done", "AMOUNT_INVALID", "failed", "done", "done")
	if len(seen) != 2 || seen[0] != one || seen[1] != three {
		t.Errorf("the book kept %v", seen)
	}
}

func TestExecutor_SaysWhichCommandFailed(t *testing.T) {
	t.Parallel()
	b := setup(t, newSQLite(t))
	r := b.x.Do(t.Context(), &act{decide: func(*Batch) ([]byte, error) { panic("boom") }})
	if r.Err == nil || errs.KindOf(r.Err) != errs.Internal || !strings.Contains(r.Err.Error(), "*ledger.act") {
		t.Errorf("answered %v", r.Err)
	}
}
