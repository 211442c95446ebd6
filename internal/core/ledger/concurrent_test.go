package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/testkit"
)

// Two processes are given the same keys at once: each is done once, and all are
// told the same.
func TestExecutor_TwoAtOnce_SameKeys(t *testing.T) {
	t.Parallel()
	testkit.EngineURLs(t, func(t *testing.T, at string) {
		b, other := setup(t, testkit.OpenStore(t, at)), setup(t, testkit.OpenStore(t, at))
		const keys, callers = 150, 6
		shop := b.euros(t, 0)
		buyers := make([]AccountID, 10)
		for i := range buyers {
			buyers[i] = b.euros(t, 10*keys)
		}
		answers := make([][callers]Reply, keys)
		var all sync.WaitGroup
		for caller := range callers {
			all.Go(func() {
				x := []*Executor{b.x, other.x}[caller%2]
				for _, k := range rand.Perm(keys) {
					c := pay(buyers[k%len(buyers)], shop, 1).keyed(fmt.Sprint(k), k)
					if k%3 == 0 { // some share no row that could keep the two apart
						c.want, c.decide = nil, func(*Batch) ([]byte, error) { return fmt.Appendf(nil, `"%d by %p"`, k, x), nil }
					}
					answers[k][caller] = x.Do(t.Context(), c)
				}
			})
		}
		all.Wait()
		for k, said := range answers {
			first := 0
			for _, r := range said {
				if r.Err != nil || string(r.Result) != string(said[0].Result) {
					t.Fatalf("key %d was answered %+v and %+v", k, said[0], r)
				}
				if !r.Replayed {
					first++
				}
			}
			if first != 1 {
				t.Errorf("key %d was done %d times", k, first)
			}
		}
		b.wantBalance(t, shop, keys-keys/3, 0)
		if n := b.count(t, `SELECT COUNT(*) FROM idempotency_keys`); n != keys {
			t.Errorf("%d keys were stored", n)
		}
		b.wantWhole(t)
	})
}

// Two processes pay to and fro between the same accounts, through other
// connections that change limits: nobody waits for ever, nothing is lost.
func TestExecutor_TwoAtOnce_NoDeadlock(t *testing.T) {
	t.Parallel()
	testkit.EngineURLs(t, func(t *testing.T, at string) {
		b, other := setup(t, testkit.OpenStore(t, at)), setup(t, testkit.OpenStore(t, at))
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		accounts := b.field(t)
		l := &load{executors: []*Executor{b.x, other.x}, accounts: accounts, run: fmt.Sprint(seed)}
		stop := make(chan struct{})
		var limits sync.WaitGroup
		limits.Go(func() {
			for i := int64(0); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := b.SetFloor(t.Context(), accounts[1], -(i % 100)); err != nil && !errors.Is(err, ErrInsufficientFunds) {
					t.Error(err)
				}
			}
		})
		l.play(t, seed, 16, 40)
		close(stop)
		limits.Wait()
		for i, r := range l.said {
			if r.Err != nil && !errs.IsRefusal(r.Err) && l.ops[i].verb != breakIt {
				t.Errorf("%+v was answered %v", l.ops[i], r.Err)
			}
		}
		b.wantWhole(t)
	})
}

// Connections are cut again and again while two processes pay. A caller who is
// told that the outcome is not known asks again with the same key, as clients
// do. In the end everything was done once, and what was said is what is stored.
func TestExecutor_ConnectionsCut(t *testing.T) {
	t.Parallel()
	testkit.EngineURLs(t, func(t *testing.T, at string) {
		b, other, axe := setup(t, testkit.OpenStore(t, at)), setup(t, testkit.OpenStore(t, at)), testkit.OpenStore(t, at)
		if !b.db.IsPostgres() {
			return // SQLite is in the process: there is nothing to cut
		}
		const callers, each, cuts = 16, 60, 60
		shop := b.euros(t, 0)
		buyers := make([]AccountID, callers)
		for i := range buyers {
			buyers[i] = b.euros(t, each/2*10) // pays for one half; the other is refused
		}
		var (
			said          [callers][each]string
			unknown, made atomic.Int64
			all           sync.WaitGroup
			paying        = make(chan struct{})
		)
		for caller := range callers {
			all.Go(func() {
				x := []*Executor{b.x, other.x}[caller%2]
				for i := range each {
					c := pay(buyers[caller], shop, 10).keyed(fmt.Sprint(caller, " ", i), nil)
					r := x.Do(t.Context(), c)
					for errs.KindOf(r.Err) == errs.Unavailable {
						unknown.Add(1)
						r = x.Do(t.Context(), c)
					}
					made.Add(1)
					if said[caller][i] = code(r); said[caller][i] == "failed" {
						t.Errorf("answered %v", r.Err)
					}
				}
			})
		}
		go func() { all.Wait(); close(paying) }()
		for cut := int64(1); cut <= cuts; cut++ {
			// Spread over the load, however fast it is.
			testkit.Eventually(t, t.Context(), func() error {
				select {
				case <-paying:
					return nil
				default:
				}
				if made.Load() < cut*callers*each/(cuts+1) {
					return errors.New("not yet")
				}
				return nil
			})
			cutAll(t, axe)
		}
		<-paying
		b = setup(t, testkit.OpenStore(t, at)) // whose connections are whole
		replayed := 0
		for caller, answers := range said {
			for i, a := range answers {
				// A commit whose answer was cut off is found by its key when it is run
				// again, and so looks like a repetition.
				want := []string{"done", "replayed"}
				if i >= each/2 {
					want = []string{"INSUFFICIENT_FUNDS", "replayed INSUFFICIENT_FUNDS"}
				}
				if !slices.Contains(want, a) {
					t.Errorf("payment %d of %d was answered %s", i, caller, a)
				}
				if a == want[1] {
					replayed++
				}
			}
			b.wantBalance(t, buyers[caller], 0, 0)
		}
		t.Logf("%d answers, %d times unknown, %d commits whose answer was cut off", made.Load(), unknown.Load(), replayed)
		b.wantBalance(t, shop, callers*each/2*10, 0)
		if n := b.count(t, `SELECT COUNT(*) FROM idempotency_keys`); n != callers*each {
			t.Errorf("%d keys for %d payments", n, callers*each)
		}
		b.wantWhole(t)
	})
}

// Somebody keeps a row locked. The payments that need it are told to come again,
// the others are made.
func TestExecutor_RowLockedByAnother(t *testing.T) {
	t.Parallel()
	testkit.EngineURLs(t, func(t *testing.T, at string) {
		owner := testkit.OpenStore(t, at)
		if !owner.IsPostgres() {
			return // SQLite locks the file, and waits for it in other ways
		}
		b := setup(t, testkit.OpenStore(t, at+"&lock_timeout=50"))
		stuck, shop := b.euros(t, 100), b.euros(t, 0)
		var commands []*act
		want := make([]string, 12)
		for i := range want {
			from := stuck
			if want[i] = "UNAVAILABLE"; i%4 != 0 {
				from, want[i] = b.euros(t, 100), "done"
			}
			commands = append(commands, pay(from, shop, 1).keyed(fmt.Sprint(i), i))
		}
		err := owner.InTx(t.Context(), func(ctx context.Context) error {
			if _, err := owner.SQL(ctx).ExecContext(ctx, `UPDATE accounts SET kind = kind WHERE id = $1`, stuck); err != nil {
				return err
			}
			answers := together(t, b.x, commands...)
			wantCodes(t, answers, want...)
			if e := errs.As(answers[0].Err); e == nil || e.Retry != errs.RetrySameKey {
				t.Errorf("it may be sent again with the same key: %+v", e)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range together(t, b.x, commands...) {
			if r.Err != nil || r.Replayed != (want[i] == "done") {
				t.Errorf("sent again, %d was answered %+v", i, r)
			}
		}
		b.wantBalance(t, shop, 12, 0)
		b.wantWhole(t)
	})
}

// The database goes away for a while. Who has waited for too long is told that
// the outcome is not known; who has not is served when it is back.
func TestExecutor_DatabaseAway(t *testing.T) {
	t.Parallel()
	testkit.EngineURLs(t, func(t *testing.T, at string) {
		u, err := url.Parse(at)
		if err != nil || u.Host == "" {
			return // SQLite does not go away
		}
		way := &way{to: u.Host}
		u.Host = way.open(t, "127.0.0.1:0")
		b := setup(t, testkit.OpenStore(t, u.String()))
		buyer, shop := b.euros(t, 100), b.euros(t, 0)
		way.close()

		waited := &pending{cmd: pay(buyer, shop, 1).keyed("waited", 1), since: time.Now().Add(-outage), reply: make(chan Reply, 1)}
		waited.key = waited.cmd.Key()
		b.x.queue <- waited
		r := <-waited.reply
		wantErr(t, r, ErrUnknownOutcome)
		if e := errs.As(r.Err); e == nil || e.Retry != errs.RetrySameKey {
			t.Errorf("it may be sent again with the same key: %+v", e)
		}
		patient := make(chan Reply, 1)
		go func() { patient <- b.x.Do(t.Context(), pay(buyer, shop, 10).keyed("patient", 10)) }()
		way.open(t, u.Host)
		if r := <-patient; r.Err != nil {
			t.Errorf("it is back, and yet: %v", r.Err)
		}
		if r := mustDo(t, b.x, waited.cmd); r.Replayed {
			t.Error("nothing had been done")
		}
		b.wantBalance(t, shop, 11, 0)
	})
}

// way is a way to a server that can be closed and opened again.
type way struct {
	to string

	mu     sync.Mutex
	listen net.Listener
	conns  []net.Conn
	all    sync.WaitGroup
}

func (w *way) open(t *testing.T, at string) string {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	w.listen = l
	w.all.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			w.join(from)
		}
	})
	t.Cleanup(w.close)
	return l.Addr().String()
}

// join lets bytes through, both ways.
func (w *way) join(from net.Conn) {
	to, err := net.Dial("tcp", w.to)
	if err != nil {
		_ = from.Close()
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, from, to)
	for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
		w.all.Go(func() {
			_, _ = io.Copy(pair[0], pair[1])
			_ = pair[0].Close()
			_ = pair[1].Close()
		})
	}
}

func (w *way) close() {
	_ = w.listen.Close()
	w.mu.Lock()
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
	w.mu.Unlock()
	w.all.Wait()
}

// cutAll ends every connection to the database but its own.
func cutAll(t *testing.T, axe *store.DB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	rows, err := axe.SQL(ctx).QueryContext(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	if err != nil {
		t.Errorf("cut: %v", err)
		return
	}
	_ = rows.Close()
}
