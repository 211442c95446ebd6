package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soukhq/souk/internal/driver"
)

// Engine is what Souk stands on.
type Engine string

// The engines.
const (
	Postgres Engine = "postgres" // PostgreSQL and Redis; servers and worker apart
	SQLite   Engine = "sqlite"   // the embedded default: all in one process
)

// Config says how hard the drill is.
type Config struct {
	Binary  string // the souk to drill
	Engines []Engine
	Kills   int // of each kind
	Clients int
	Seed    uint64
	// ConfirmWithin is how long merchants have to confirm; 0 is what suits the
	// drill.
	ConfirmWithin time.Duration
	// Every is the mean time between two kills of a kind; 0 is what suits the
	// engine.
	Every time.Duration
	// Folder is where journals and logs are kept.
	Folder string
	Out    io.Writer

	// PostgresURL is a superuser of a throw-away server, and PostgresCrash a
	// program that stops that server as a crash does and starts it again.
	PostgresURL, PostgresCrash string
}

// Validate tells what cannot be done.
func (c Config) Validate() error {
	if c.Kills < 1 || c.Clients < 1 || c.Clients > 200 {
		return errors.New("at least one kill, and 1 to 200 clients")
	}
	for _, e := range c.Engines {
		if e == Postgres && (c.PostgresURL == "" || c.PostgresCrash == "") {
			return errors.New("PostgreSQL is needed: run this under scripts/with-services --durable, or with --engine sqlite")
		}
	}
	return nil
}

// Run drills every engine. The verdicts tell what was found; an error means that
// the drill itself could not be carried out.
func Run(ctx context.Context, cfg Config) (all []Verdict, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	for n, engine := range cfg.Engines {
		d := &drill{
			cfg: cfg, engine: engine, dir: filepath.Join(cfg.Folder, string(engine)), began: time.Now(),
			random: rand.New(rand.NewPCG(cfg.Seed, uint64(n))), kills: map[Kill]*atomic.Int64{},
		}
		v, err := d.run(ctx)
		if err != nil {
			return all, fmt.Errorf("%s: %w", engine, err)
		}
		all = append(all, v)
	}
	return all, nil
}

// drill is the drill of one engine.
type drill struct {
	cfg       Config
	engine    Engine
	dir       string
	began     time.Time
	random    *rand.Rand // of this goroutine alone
	publicURL string

	issuer  *issuer
	shops   []*shop
	redis   *process
	flush   func(context.Context) error // of Redis
	servers []*process
	worker  *process
	souk    []*driver.Client
	base    []string // command of any souk process of the drill
	env     []string // its environment

	world *world
	tally tally
	kills map[Kill]*atomic.Int64
}

// Times of the whole drill.
const (
	loadWithin   = 20 * time.Minute
	answerWithin = 90 * time.Second // after the last kill
)

func (d *drill) run(ctx context.Context) (Verdict, error) {
	alive, bury := context.WithCancel(ctx)
	defer bury()
	processes, err := d.build(alive)
	defer func() {
		bury()
		for _, p := range processes {
			p.buried()
		}
		if d.issuer != nil {
			d.issuer.close()
		}
	}()
	if err != nil {
		return Verdict{}, err
	}
	d.say("%d servers at %s, %d clients, %d kills of each kind, seed %d", len(d.servers), d.publicURL, d.cfg.Clients, d.cfg.Kills, d.cfg.Seed)
	if err := d.populate(ctx); err != nil {
		return Verdict{}, err
	}
	if err := d.load(ctx, processes); err != nil {
		return Verdict{}, err
	}
	facts, err := d.settle(ctx)
	if err != nil {
		return Verdict{}, err
	}
	bury()
	for _, p := range processes {
		p.buried()
		facts.faults = append(facts.faults, p.faultsSeen()...)
	}
	if err := d.verifyLedger(ctx); err != nil {
		facts.faults = append(facts.faults, err.Error())
	}
	v := judge(facts)
	v.Engine, v.Folder, v.Took = d.engine, d.dir, time.Since(d.began)
	v.Kills, v.Lost = d.killed(), d.tally.lost
	return v, nil
}

// load sells while things are killed, and ends when every client has heard what
// became of what it did.
func (d *drill) load(ctx context.Context, processes []*process) error {
	ctx, cancel := context.WithTimeout(ctx, loadWithin)
	defer cancel()
	var (
		closed atomic.Bool
		trade  = d.newTrade()
	)
	selling := make(chan error, 1)
	go func() { selling <- trade.run(ctx, closed.Load) }()

	err := d.strike(ctx)
	for _, p := range processes {
		err = errors.Join(err, p.await(ctx))
	}
	d.say("all kills are done; clients finish what they have begun")
	closed.Store(true)
	defer time.AfterFunc(answerWithin, cancel).Stop()
	// A client that never got an answer is a finding of the judge's, who sees in
	// the journals what it is.
	if sold := <-selling; sold != nil {
		d.say("not all was answered: %v", sold)
	}
	return err
}

// trade is all that buy, and those who give money back.
type trade struct {
	shoppers []*shopper
	desks    map[string]*desk
	journals []*Journal
	err      error
}

func (d *drill) newTrade() *trade {
	t := &trade{desks: map[string]*desk{}}
	join := func(name string) *client {
		j, err := OpenJournal(filepath.Join(d.dir, "journals", name+".jsonl"))
		t.err = errors.Join(t.err, err)
		t.journals = append(t.journals, j)
		return &client{souk: d.souk, journal: j, tally: &d.tally, random: rand.New(rand.NewPCG(d.cfg.Seed, d.random.Uint64()))}
	}
	for _, s := range d.shops {
		t.desks[s.name] = newDesk(join("desk-"+s.name), s)
	}
	for i := range d.cfg.Clients {
		name := fmt.Sprintf("client-%03d", i)
		t.shoppers = append(t.shoppers, &shopper{
			client: join(name), name: name, user: d.world.users[i%len(d.world.users)], world: d.world, desks: t.desks,
		})
	}
	return t
}

// run sells until closing time, and waits for the last answer.
func (t *trade) run(ctx context.Context, closing func() bool) error {
	if t.err != nil {
		return t.err
	}
	var (
		buyers, desks sync.WaitGroup
		mu            sync.Mutex
		fails         []error
	)
	note := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		fails = append(fails, err)
	}
	for _, k := range t.desks {
		desks.Go(func() { note(k.serve(ctx)) })
	}
	for _, s := range t.shoppers {
		buyers.Go(func() { note(s.shop(ctx, closing)) })
	}
	buyers.Wait()
	for _, k := range t.desks {
		close(k.complaints)
	}
	desks.Wait()
	for _, j := range t.journals {
		note(j.Close())
	}
	return errors.Join(fails...)
}

// say tells the operator how it goes.
func (d *drill) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.cfg.Out, "%-8s %4.0fs  %s\n", d.engine, time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}

func (d *drill) logPath(name string) string { return filepath.Join(d.dir, "logs", name+".log") }

// newClient makes a client of one of Souk's servers. It keeps its connections:
// a purchase should not wait for a handshake.
func newClient(url string) *driver.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 256
	c := driver.New(url)
	c.HTTP.Transport = transport
	return c
}

// makeFolder makes the folder of this engine's drill.
func (d *drill) makeFolder() error {
	if _, err := os.Stat(d.dir); err == nil {
		return fmt.Errorf("%s is there already: give a new folder", d.dir)
	}
	return os.MkdirAll(d.dir, 0o750)
}
