package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/core/ledger"
)

// Options say where and how long to measure.
type Options struct {
	PostgresURL string // of a superuser: databases are made and dropped
	RedisURL    string
	PgBin       string // folder of pgbench and psql; empty: in the path
	Program     string // souk itself

	Connections int           // that the load comes over
	Rounds      int           // of each measurement; the median counts
	Duration    time.Duration // of each round, for the anchor and for Souk

	CPUProfile string    // where a CPU profile of Souk in the first round is written; empty: nowhere
	Progress   io.Writer // what goes on
}

// Validate says what is missing.
func (o Options) Validate() error {
	switch {
	case o.PostgresURL == "" || o.RedisURL == "":
		return errors.New("bench: needs a PostgreSQL and a Redis: run `make bench`, or give --postgres-url and --redis-url")
	case o.Connections < 1 || o.Connections > 1000, o.Rounds < 1, o.Duration < time.Second:
		return errors.New("bench: needs 1 to 1000 connections, a round, and a second for each")
	}
	return nil
}

func (o Options) say(format string, args ...any) {
	_, _ = fmt.Fprintf(o.Progress, format+"\n", args...)
}

// What Souk is held to, beside the anchor.
const (
	floorUniform = 1.0
	floorHot     = 3.0
	ceilingP99   = 3.0
)

// Purchase measures purchases.
func Purchase(ctx context.Context, o Options) (figures []Figure, err error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s, err := setUp(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.tearDown()) }()
	if figures, err = s.measure(ctx); err != nil {
		if s.souk != nil {
			err = fmt.Errorf("%w\nsouk's log ends with:\n%s", err, s.souk.server.tail())
		}
		return nil, err
	}
	return figures, s.check(ctx)
}

// stage is all that a measurement needs.
type stage struct {
	Options
	market *market
	db     *store.DB
	souk   *souk
	fleet  *fleet
	anchor *anchor
	closer []func() error
}

func (s *stage) later(f func() error) { s.closer = append(s.closer, f) }

func (s *stage) tearDown() error {
	var err error
	for i := len(s.closer) - 1; i >= 0; i-- {
		err = errors.Join(err, s.closer[i]())
	}
	return err
}

func setUp(ctx context.Context, o Options) (s *stage, err error) {
	s = &stage{Options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.tearDown())
		}
	}()
	dir, err := os.MkdirTemp("", "souk-bench-")
	if err != nil {
		return s, err
	}
	s.later(func() error { return os.RemoveAll(dir) })
	var urls [2]string
	for i, purpose := range []string{"souk", "anchor"} {
		var drop func() error
		if urls[i], drop, err = newDatabase(ctx, o.PostgresURL, purpose); err != nil {
			return s, err
		}
		s.later(drop)
	}
	if s.anchor, err = newAnchor(o.PgBin, dir, urls[1]); err != nil {
		return s, err
	}
	return s, s.open(ctx, dir, urls[0])
}

// open fills the database and starts Souk.
func (s *stage) open(ctx context.Context, dir, databaseURL string) error {
	from, err := startIssuer()
	if err != nil {
		return err
	}
	s.later(func() error { from.close(); return nil })
	s.say("making %d users with tokens and wallets, %d merchants with keys and cards…", payers, sellers)
	if s.market, err = newMarket(from, shopFolder(dir)); err != nil {
		return err
	}
	if s.db, err = store.Open(ctx, store.Options{URL: databaseURL, MaxConns: 2}); err != nil {
		return err
	}
	s.later(s.db.Close)
	shopAddr, err := freeAddr()
	if err != nil {
		return err
	}
	if err := s.db.Migrate(ctx, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	if err := s.market.seed(ctx, s.db, from.url, "http://"+shopAddr); err != nil {
		return err
	}
	if s.souk, err = startSouk(ctx, s.Options, dir, databaseURL, from.url, shopAddr, s.market.asked); err != nil {
		return err
	}
	s.later(s.souk.stop)
	if s.fleet, err = newFleet(s.souk.addr, s.Connections); err != nil {
		return err
	}
	s.later(func() error { s.fleet.close(); return nil })
	return nil
}

// measure takes all figures.
func (s *stage) measure(ctx context.Context) ([]Figure, error) {
	s.say("%d keep-alive connections, whole documents, each user's own token, each merchant's own card", s.Connections)
	s.say("rate limits are those of production, but for that of one address: all load comes from 127.0.0.1")
	s.say("warming up…")
	if err := s.fleet.touch(ctx, s.market); err != nil {
		return nil, err
	}
	if _, err := s.fleet.closed(ctx, s.market.uniform, s.Duration); err != nil {
		return nil, err
	}
	uniform, err := s.rates(ctx, "uniform", anchorUniform, s.market.uniform, floorUniform)
	if err != nil {
		return nil, err
	}
	hot, err := s.rates(ctx, "hot merchant", anchorHot, s.market.hot, floorHot)
	if err != nil {
		return nil, err
	}
	latency, err := s.latencies(ctx, uniform.Anchor/2)
	if err != nil {
		return nil, err
	}
	confirmed, err := s.confirmedRate(ctx, uniform.Anchor)
	return []Figure{uniform, hot, latency, confirmed}, err
}

// rates lets anchor and Souk run by turns, as fast as they can.
func (s *stage) rates(ctx context.Context, name, script string, choose pick, floor float64) (Figure, error) {
	var anchors, souks []float64
	for round := range s.Rounds {
		a, err := s.anchor.peak(ctx, script, s.Duration)
		if err != nil {
			return Figure{}, err
		}
		b, err := s.closed(ctx, choose)
		if err != nil {
			return Figure{}, err
		}
		s.say("%s, round %d: anchor %.0f/s, souk %.0f/s, ratio %.2f", name, round+1, a, b, b/a)
		anchors, souks = append(anchors, a), append(souks, b)
	}
	f := newFigure("purchase, "+name, "payments/s", souks, anchors)
	f.AtLeast = floor
	return f, nil
}

// closed runs a closed loop, the first time beside a profiler if that is asked
// for.
func (s *stage) closed(ctx context.Context, choose pick) (float64, error) {
	path := s.CPUProfile
	if path == "" {
		return s.fleet.closed(ctx, choose, s.Duration)
	}
	s.CPUProfile = ""
	written := make(chan error, 1)
	go func() { written <- s.souk.profile(path, s.Duration) }()
	rate, err := s.fleet.closed(ctx, choose, s.Duration)
	return rate, errors.Join(err, <-written)
}

// latencies lets both run by turns at one rate.
func (s *stage) latencies(ctx context.Context, rate float64) (Figure, error) {
	const share = 0.99
	var anchors, souks []float64
	for round := range s.Rounds {
		a, err := s.anchor.latencies(ctx, anchorUniform, rate, s.Duration)
		if err != nil {
			return Figure{}, err
		}
		b, err := s.fleet.open(ctx, s.market.uniform, rate, s.Duration)
		if err != nil {
			return Figure{}, err
		}
		pa, pb := percentile(a, share), percentile(b, share)
		s.say("p99 at %.0f/s, round %d: anchor %.2f ms (median %.2f), souk %.2f ms (median %.2f), ratio %.2f",
			rate, round+1, pa, percentile(a, 0.5), pb, percentile(b, 0.5), pb/pa)
		anchors, souks = append(anchors, pa), append(souks, pb)
	}
	f := newFigure(fmt.Sprintf("p99 at %.0f/s, uniform", rate), "ms", souks, anchors)
	f.AtMost = ceilingP99
	return f, nil
}

// confirmedRate measures orders that the merchant's product server confirms. There
// is no floor: most of the work is the cryptography of both sides, and a hold
// that is captured later.
func (s *stage) confirmedRate(ctx context.Context, anchor float64) (Figure, error) {
	var souks []float64
	for round := range s.Rounds {
		b, err := s.fleet.closed(ctx, s.market.confirmed, s.Duration)
		if err != nil {
			return Figure{}, err
		}
		s.say("confirmed by the product server, round %d: souk %.0f/s", round+1, b)
		souks = append(souks, b)
	}
	return newFigure("purchase, confirmed by its product server", "payments/s", souks, []float64{anchor}), nil
}

// check holds the tables against what was acknowledged: nothing is under way any
// more.
func (s *stage) check(ctx context.Context) error {
	n, err := paidOrders(ctx, s.db)
	if err != nil {
		return err
	}
	if acknowledged := s.fleet.paid.Load(); n != acknowledged {
		return fmt.Errorf("bench: %d orders are paid, but %d were acknowledged", n, acknowledged)
	}
	r, err := ledger.New(s.db, &clock.System{}).Verify(ctx)
	if err != nil {
		return err
	}
	if !r.OK() {
		return fmt.Errorf("bench: the ledger does not hold: %+v", r.Findings)
	}
	s.say("%d payments were acknowledged, as many orders are paid, and the ledger holds", n)
	return nil
}
