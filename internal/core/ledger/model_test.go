package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/testkit"
)

// verb is what an op does.
type verb int

const (
	payOne  verb = iota // from → to
	payTwo              // from → to → third: both or none
	holdIt              // sets aside on from
	capIt               // captures a hold of from's to to
	voidIt              // sets a hold of from's free
	breakIt             // pays, and then panics
	verbs
)

// op is a random command, as data.
type op struct {
	verb            verb
	from, to, third AccountID
	minor           int64
	hold            id.ID
	key             string // may be empty

	order *atomic.Int64 // counts decisions
	at    int64         // which decision it was, the last time
}

// input is what the op's key is for: all but the new hold's name.
func (o *op) input() string {
	h := o.hold
	if o.verb == holdIt {
		h = id.Nil
	}
	return fmt.Sprint(o.verb, o.from, o.to, o.third, o.minor, h)
}

// command makes the op a command. Every command also wants the accounts given.
func (o *op) command(also ...AccountID) *act {
	c := &act{
		want: func(b *Batch) {
			for _, a := range append(also, o.from, o.to, o.third) {
				b.WantAccount(a)
			}
			if o.verb == capIt || o.verb == voidIt {
				b.WantHold(o.hold)
			}
		},
		decide: func(b *Batch) ([]byte, error) {
			if o.order != nil {
				o.at = o.order.Add(1)
			}
			return done, o.decide(b)
		},
	}
	if o.key != "" {
		c.keyed(o.key, o.input())
	}
	return c
}

func (o *op) decide(b *Batch) error {
	transfer := func(from, to AccountID) error {
		_, err := b.Transfer(Transfer{Debit: from, Credit: to, Amount: o.minor, Kind: "TEST", SubjectID: id.Nil})
		return err
	}
	switch o.verb {
	case payOne:
		return transfer(o.from, o.to)
	case payTwo:
		if err := transfer(o.from, o.to); err != nil {
			return err
		}
		return transfer(o.to, o.third)
	case holdIt:
		_, err := b.Hold(Hold{ID: o.hold, Account: o.from, Amount: o.minor, ExpiresAt: start})
		return err
	case capIt:
		_, err := b.Capture(o.hold, Transfer{Credit: o.to, Amount: o.minor, Kind: "TEST", SubjectID: id.Nil})
		return err
	case voidIt:
		return b.Release(o.hold, HoldVoided)
	default:
		_ = transfer(o.from, o.to)
		panic("broken on purpose")
	}
}

// model is a ledger in which commands run one after another, and nothing is
// clever.
type model struct {
	accounts  map[AccountID]*Account
	holds     map[id.ID]*Hold
	keys      map[string][2]string // input and code
	transfers int64
}

func newModel(b *testBundle, t testing.TB, accounts ...AccountID) *model {
	m := &model{accounts: map[AccountID]*Account{}, holds: map[id.ID]*Hold{}, keys: map[string][2]string{}}
	for _, a := range accounts {
		acc := b.read(t, a)
		m.accounts[a] = &acc
	}
	m.transfers = b.count(t, `SELECT COUNT(*) FROM transfers`)
	return m
}

// run gives the code that the op must be answered with.
func (m *model) run(o *op) string {
	if was, ok := m.keys[o.key]; ok {
		return replayed(was, o)
	}
	code := m.decide(o)
	if o.key != "" && code != "failed" {
		m.keys[o.key] = [2]string{o.input(), code}
	}
	return code
}

func replayed(was [2]string, o *op) string {
	switch {
	case was[0] != o.input():
		return "IDEMPOTENCY_MISMATCH"
	case was[1] == "done":
		return "replayed"
	}
	return "replayed " + was[1]
}

func (m *model) decide(o *op) string {
	h, from, to := m.holds[o.hold], m.accounts[o.from], m.accounts[o.to]
	free := from.Balance - from.Held - from.Floor
	if from.Floor == NoFloor {
		free = 1 << 62
	}
	ended := (o.verb == capIt || o.verb == voidIt) && (h == nil || h.State != HoldHeld)
	switch {
	case o.verb == breakIt:
		return "failed"
	case ended:
		return "HOLD_ENDED"
	case o.verb == voidIt:
		h.State = HoldVoided
		from.Held -= h.Amount
		return "done"
	case o.verb == capIt && o.minor > h.Amount:
		return "HOLD_EXCEEDED"
	case o.minor <= 0:
		return "AMOUNT_INVALID"
	case o.verb != holdIt && (o.from == o.to || o.verb == payTwo && o.from != o.to && free >= o.minor && o.to == o.third):
		return "ACCOUNT_MISMATCH"
	case o.verb != capIt && free < o.minor:
		return "INSUFFICIENT_FUNDS"
	case o.verb == payTwo && m.short(to, o.minor):
		return "INSUFFICIENT_FUNDS"
	}
	switch o.verb {
	case holdIt:
		from.Held += o.minor
		m.holds[o.hold] = &Hold{Account: o.from, Amount: o.minor, State: HoldHeld}
		return "done"
	case capIt:
		from.Held -= h.Amount
		h.State, h.Captured = HoldCaptured, o.minor
	case payTwo:
		m.accounts[o.third].Balance += o.minor
		to.Balance -= o.minor
		m.transfers++
	}
	from.Balance -= o.minor
	to.Balance += o.minor
	m.transfers++
	return "done"
}

// short tells whether an account cannot pass on what it is about to get.
func (m *model) short(a *Account, minor int64) bool {
	return a.Floor != NoFloor && a.Balance+minor-a.Held-a.Floor < minor
}

// compare holds the database against the model.
func (m *model) compare(b *testBundle, t testing.TB) error {
	for a, want := range m.accounts {
		if got := b.read(t, a); got != *want {
			return fmt.Errorf("account %d is %+v, want %+v", a, got, *want)
		}
	}
	for h, want := range m.holds {
		row, err := b.db.Client(t.Context()).Hold.Get(t.Context(), h)
		if err != nil {
			return err
		}
		if row.AccountID != want.Account || row.AmountMinor != want.Amount || row.CapturedMinor != want.Captured || string(row.State) != string(want.State) ||
			(row.EndedAt == nil) != (want.State == HoldHeld) {
			return fmt.Errorf("hold %s is %+v, want %+v", h, row, *want)
		}
	}
	if n := b.count(t, `SELECT COUNT(*) FROM transfers`); n != m.transfers {
		return fmt.Errorf("%d transfers, want %d", n, m.transfers)
	}
	if r, err := b.Verify(t.Context()); err != nil || !r.OK() {
		return errors.Join(err, fmt.Errorf("broken invariants: %+v", r.Findings))
	}
	return nil
}

// field is where random commands play: an account outside, a credit line, and
// some that are funded.
func (b *testBundle) field(t testing.TB) []AccountID {
	t.Helper()
	all := []AccountID{b.account(t, 1, money.EUR, NoFloor), b.account(t, 1, money.EUR, -50), b.euros(t, 100), b.euros(t, 100), b.euros(t, 0)}
	return all
}

// Batches of random commands, of random sizes, give what the same commands give
// one after another.
func TestExecutor_IsAsOneAfterAnother(t *testing.T) {
	onBoth(t, func(t *testing.T, b *testBundle) {
		rapid.Check(t, func(rt *rapid.T) {
			accounts := b.field(t)
			m := newModel(b, t, accounts...)
			run := id.New().String()                              // keys of another run are no keys of this one
			holds := []Hold{{ID: id.New(), Account: accounts[2]}} // unknown
			for range rapid.IntRange(1, 4).Draw(rt, "batches") {
				ops := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) *op {
					return drawOp(rt, accounts, holds, run)
				}), 1, 40).Draw(rt, "batch")
				commands, want := make([]*act, len(ops)), make([]string, len(ops))
				for i, o := range ops {
					commands[i], want[i] = o.command(), m.run(o)
					if o.verb == holdIt && want[i] == "done" {
						holds = append(holds, Hold{ID: o.hold, Account: o.from})
					}
				}
				if got := codes(together(t, b.x, commands...)); !slices.Equal(got, want) {
					rt.Fatalf("answered\n%v, want\n%v", got, want)
				}
				if err := m.compare(b, t); err != nil {
					rt.Fatal(err)
				}
				m.limit(rt, b, t, accounts[1])
			}
		})
	})
}

func drawOp(rt *rapid.T, accounts []AccountID, holds []Hold, run string) *op {
	account := rapid.SampledFrom(accounts)
	o := &op{
		verb: verb(rapid.IntRange(0, int(verbs)-1).Draw(rt, "verb")), from: account.Draw(rt, "from"), to: account.Draw(rt, "to"), third: account.Draw(rt, "third"),
		minor: rapid.Int64Range(-1, 60).Draw(rt, "minor"), hold: id.New(),
	}
	if key := rapid.IntRange(0, 12).Draw(rt, "key"); key > 4 {
		o.key = fmt.Sprint(run, key)
	}
	if o.verb == capIt || o.verb == voidIt {
		h := rapid.SampledFrom(holds).Draw(rt, "hold")
		o.hold, o.from = h.ID, h.Account
	}
	return o
}

// limit changes a credit line between batches.
func (m *model) limit(rt *rapid.T, b *testBundle, t testing.TB, line AccountID) {
	acc, floor := m.accounts[line], -rapid.Int64Range(0, 100).Draw(rt, "limit")
	err := b.SetFloor(t.Context(), line, floor)
	if refused := acc.Balance-acc.Held < floor; refused != errors.Is(err, ErrInsufficientFunds) || !refused && err != nil {
		rt.Fatalf("a limit of %d for %+v: %v", -floor, acc, err)
	} else if !refused {
		acc.Floor = floor
	}
}

// Two processes at once give what the same commands give one after another, in
// the order in which they were committed.
func TestExecutor_TwoAtOnce_AreAsOneAfterAnother(t *testing.T) {
	t.Parallel()
	testkit.EngineURLs(t, func(t *testing.T, url string) {
		b, other := setup(t, testkit.OpenStore(t, url)), setup(t, testkit.OpenStore(t, url))
		for round := range 3 {
			seed := rand.Uint64()
			t.Logf("round %d: seed %d", round, seed)
			accounts := b.field(t)
			// Every command locks this one too, so that the order of decisions is that
			// of commits.
			turn := b.euros(t, 0)
			m := newModel(b, t, accounts...)
			l := &load{executors: []*Executor{b.x, other.x}, accounts: accounts, also: []AccountID{turn}, run: fmt.Sprint(seed)}
			l.play(t, seed, 16, 40)
			l.check(t, m)
			if err := m.compare(b, t); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// load is random commands from many callers at once.
type load struct {
	executors []*Executor
	accounts  []AccountID
	also      []AccountID
	run       string

	order atomic.Int64
	mu    sync.Mutex
	holds []Hold
	ops   []*op
	said  []Reply
}

func (l *load) play(t *testing.T, seed uint64, callers, each int) {
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(caller)))
			for range each {
				o := l.draw(r)
				reply := l.executors[r.IntN(len(l.executors))].Do(t.Context(), o.command(l.also...))
				l.mu.Lock()
				l.ops, l.said = append(l.ops, o), append(l.said, reply)
				if o.verb == holdIt && code(reply) == "done" {
					l.holds = append(l.holds, Hold{ID: o.hold, Account: o.from})
				}
				l.mu.Unlock()
			}
		})
	}
	all.Wait()
}

func (l *load) draw(r *rand.Rand) *op {
	account := func() AccountID { return l.accounts[r.IntN(len(l.accounts))] }
	o := &op{verb: verb(r.IntN(int(verbs))), from: account(), to: account(), third: account(), minor: r.Int64N(60), hold: id.New(), order: &l.order}
	if key := r.IntN(60); key > 20 {
		o.key = fmt.Sprint(l.run, "/", key)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.holds); n > 0 && (o.verb == capIt || o.verb == voidIt) {
		h := l.holds[r.IntN(n)]
		o.hold, o.from = h.ID, h.Account
	}
	return o
}

// check runs on the model what was done, in the order of its decisions, and then
// holds every answer against it.
func (l *load) check(t *testing.T, m *model) {
	t.Helper()
	var first, again []int
	for i, r := range l.said {
		if e := errs.As(r.Err); r.Replayed || e != nil && errors.Is(e, ErrIdempotency) {
			again = append(again, i)
		} else {
			first = append(first, i)
		}
	}
	slices.SortFunc(first, func(i, j int) int { return cmp.Compare(l.ops[i].at, l.ops[j].at) })
	for _, i := range first {
		if got, want := code(l.said[i]), m.run(l.ops[i]); got != want {
			t.Fatalf("decision %d, %+v, was answered %v, want %s", l.ops[i].at, l.ops[i], l.said[i], want)
		}
	}
	for _, i := range again {
		o := l.ops[i]
		if got, want := code(l.said[i]), replayed(m.keys[o.key], o); got != want {
			t.Fatalf("the repetition %+v was answered %v, want %s", o, l.said[i], want)
		}
	}
	t.Logf("%d done or refused, %d repetitions", len(first), len(again))
}
