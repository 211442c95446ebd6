package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/outbox"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// start is when a test's clock begins.
var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// testBundle is a ledger with an executor on a database of its own.
type testBundle struct {
	*Service
	db    *store.DB
	clock *clock.Fixed
	x     *Executor
	log   *logbook
}

// onBoth runs a test on each engine.
func onBoth(t *testing.T, test func(t *testing.T, b *testBundle)) {
	t.Helper()
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) { test(t, setup(t, db)) })
}

func setup(t testing.TB, db *store.DB, books ...Book) *testBundle {
	t.Helper()
	c := clock.NewFixed(start)
	b := &testBundle{Service: New(db, c), db: db, clock: c, log: &logbook{}}
	b.x = b.executor(t, books...)
	return b
}

// executor starts another executor on the same database, as another process
// would.
func (b *testBundle) executor(t testing.TB, books ...Book) *Executor {
	t.Helper()
	x := NewExecutor(b.db, b.clock, outbox.New(b.db), slog.New(slog.NewTextHandler(b.log, nil)), books...)
	t.Cleanup(x.Close)
	return x
}

// logbook is a log that tests can read.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// account opens an account of a new owner.
func (b *testBundle) account(t testing.TB, m mode.Mode, c money.Currency, floor int64) AccountID {
	t.Helper()
	a, err := b.Open(t.Context(), NewAccount{Mode: m, Currency: c, Owner: OwnerUser, OwnerID: id.New(), Kind: KindWallet, Floor: floor})
	if err != nil {
		t.Fatalf("open account: %v", err)
	}
	return a
}

// euros opens an account in sandbox 1 with so many cents in it.
func (b *testBundle) euros(t testing.TB, cents int64) AccountID {
	t.Helper()
	a := b.account(t, 1, money.EUR, 0)
	if cents > 0 {
		b.fund(t, a, cents)
	}
	return a
}

// fund pays money in from outside.
func (b *testBundle) fund(t testing.TB, a AccountID, minor int64) {
	t.Helper()
	outside := b.account(t, ModeOf(a), CurrencyOf(a), NoFloor)
	mustDo(t, b.x, pay(outside, a, minor))
}

// act is a command made of functions.
type act struct {
	key    Key
	want   func(*Batch)
	decide func(*Batch) ([]byte, error)
}

func (c *act) Key() Key { return c.key }

func (c *act) Want(b *Batch) {
	if c.want != nil {
		c.want(b)
	}
}

func (c *act) Decide(b *Batch) ([]byte, error) { return c.decide(b) }

// keyed gives the act an idempotency key.
func (c *act) keyed(key string, input any) *act {
	k, err := NewKey("user:1", "test", key, input)
	if err != nil {
		panic(err)
	}
	c.key = k
	return c
}

var done = []byte(`"done"`)

// pay moves money at once.
func pay(from, to AccountID, minor int64) *act {
	return &act{
		want: func(b *Batch) { b.WantAccount(from); b.WantAccount(to) },
		decide: func(b *Batch) ([]byte, error) {
			_, err := b.Transfer(Transfer{Debit: from, Credit: to, Amount: minor, Kind: "TEST", SubjectID: id.New()})
			return done, err
		},
	}
}

// hold sets money aside under an id that the test gives.
func hold(holdID id.ID, a AccountID, minor int64) *act {
	return &act{
		want: func(b *Batch) { b.WantAccount(a) },
		decide: func(b *Batch) ([]byte, error) {
			_, err := b.Hold(Hold{ID: holdID, Account: a, Amount: minor, SubjectID: id.New(), ExpiresAt: start.Add(time.Hour)})
			return done, err
		},
	}
}

// capture moves a part of what was set aside.
func capture(holdID id.ID, from, to AccountID, minor int64) *act {
	return &act{
		want: func(b *Batch) { b.WantHold(holdID); b.WantAccount(from); b.WantAccount(to) },
		decide: func(b *Batch) ([]byte, error) {
			_, err := b.Capture(holdID, Transfer{Credit: to, Amount: minor, Kind: "TEST", SubjectID: id.New()})
			return done, err
		},
	}
}

// release sets free what was set aside.
func release(holdID id.ID, a AccountID, as HoldState) *act {
	return &act{
		want:   func(b *Batch) { b.WantHold(holdID); b.WantAccount(a) },
		decide: func(b *Batch) ([]byte, error) { return done, b.Release(holdID, as) },
	}
}

func mustDo(t testing.TB, x *Executor, c Command) Reply {
	t.Helper()
	r := x.Do(t.Context(), c)
	if r.Err != nil {
		t.Fatalf("refused: %v", r.Err)
	}
	return r
}

func wantErr(t testing.TB, r Reply, want error) {
	t.Helper()
	if !errors.Is(r.Err, want) {
		t.Errorf("answered %v, want %v", r.Err, want)
	}
}

// gate is a command that keeps the executor busy until it is opened.
type gate struct {
	reached chan struct{}
	open    chan struct{}
	answer  chan Reply
}

func shut(t testing.TB, x *Executor) *gate {
	t.Helper()
	g := &gate{make(chan struct{}), make(chan struct{}), make(chan Reply, 1)}
	go func() {
		g.answer <- x.Do(context.Background(), &act{decide: func(*Batch) ([]byte, error) {
			close(g.reached)
			<-g.open
			return nil, nil
		}})
	}()
	<-g.reached
	return g
}

// together runs commands in one batch (if there are at most MaxBatch), in their
// order, and gives their answers.
func together[C Command](t testing.TB, x *Executor, commands ...C) []Reply {
	t.Helper()
	g := shut(t, x)
	waiting := make([]*pending, len(commands))
	for i, c := range commands {
		waiting[i] = &pending{cmd: c, key: c.Key(), since: time.Now(), reply: make(chan Reply, 1)}
		x.queue <- waiting[i]
	}
	close(g.open)
	answers := make([]Reply, len(commands))
	for i, p := range waiting {
		answers[i] = <-p.reply
	}
	<-g.answer
	return answers
}

// read gives an account as it is now.
func (b *testBundle) read(t testing.TB, a AccountID) Account {
	t.Helper()
	all, err := b.Accounts(t.Context(), []AccountID{a})
	if err != nil {
		t.Fatalf("read account: %v", err)
	}
	return all[a]
}

func (b *testBundle) wantBalance(t testing.TB, a AccountID, balance, held int64) {
	t.Helper()
	if got := b.read(t, a); got.Balance != balance || got.Held != held {
		t.Errorf("the account has %d, %d of it held; want %d, %d", got.Balance, got.Held, balance, held)
	}
}

// wantWhole fails when an invariant does not hold.
func (b *testBundle) wantWhole(t testing.TB) {
	t.Helper()
	r, err := b.Verify(t.Context())
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	if !r.OK() {
		t.Fatalf("broken invariants: %+v", r.Findings)
	}
}

// exec runs a statement past the ledger.
func (b *testBundle) exec(ctx context.Context, statement string, args ...any) error {
	_, err := b.db.SQL(ctx).ExecContext(ctx, statement, args...)
	return err
}

// count gives the one number that a query gives.
func (b *testBundle) count(t testing.TB, query string, args ...any) (n int64) {
	t.Helper()
	err := b.scan(t.Context(), query, args, func(scan func(...any) error) error { return scan(&n) })
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// codes names what each answer was, for comparison.
func codes(answers []Reply) []string {
	out := make([]string, len(answers))
	for i, r := range answers {
		out[i] = code(r)
	}
	return out
}

func code(r Reply) string {
	switch e := errs.As(r.Err); {
	case r.Err == nil && r.Replayed:
		return "replayed"
	case r.Err == nil:
		return "done"
	case e == nil:
		return "failed"
	case r.Replayed:
		return "replayed " + e.Code
	default:
		return e.Code
	}
}

func wantCodes(t testing.TB, answers []Reply, want ...string) {
	t.Helper()
	if got := codes(answers); !slices.Equal(got, want) {
		t.Errorf("answered %v, want %v: %s", got, want, errorsOf(answers))
	}
}

func errorsOf(answers []Reply) string {
	var b bytes.Buffer
	for i, r := range answers {
		if r.Err != nil {
			fmt.Fprintf(&b, "\n\t%d: %v", i, r.Err)
		}
	}
	return b.String()
}

// newSQLite makes an SQLite database, for what has nothing to do with the engine.
func newSQLite(t *testing.T) *store.DB {
	t.Helper()
	db := testkit.OpenStore(t, filepath.Join(t.TempDir(), "souk.db"))
	if err := db.Migrate(t.Context(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return db
}
