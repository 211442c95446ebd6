package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"
)

// Kill is a kind of kill.
type Kill string

// The kinds.
const (
	KillServer   Kill = "server killed (-9)"
	KillWorker   Kill = "worker killed (-9)"
	KillPostgres Kill = "PostgreSQL stopped (immediate)"
	FlushRedis   Kill = "Redis flushed"
	KillRedis    Kill = "Redis killed (-9)"
)

// kinds gives them in the order in which they are shown.
var kinds = []Kill{KillServer, KillWorker, KillPostgres, FlushRedis, KillRedis}

// Usual mean times between two kills of a kind. On PostgreSQL five kinds are at
// work at once.
const (
	everyOnPostgres = 4 * time.Second
	everyOnSQLite   = 2 * time.Second
)

// redisKillShare is how many flushes come to one kill of Redis.
const redisKillShare = 4

// striker kills one kind of thing, n times.
type striker struct {
	kind   Kill
	n      int
	every  time.Duration
	random *rand.Rand
	kill   func(ctx context.Context) error // waits until it is healed
}

// strike kills everything as often as it should be.
func (d *drill) strike(ctx context.Context) error {
	every := d.cfg.Every
	if every == 0 && d.engine == Postgres {
		every = everyOnPostgres
	} else if every == 0 {
		every = everyOnSQLite
	}
	all := []striker{{kind: KillServer, n: d.cfg.Kills, every: every, kill: d.killOne(d.servers)}}
	if d.engine == Postgres {
		all = append(all,
			striker{kind: KillWorker, n: d.cfg.Kills, every: every, kill: d.worker.kill},
			striker{kind: KillPostgres, n: d.cfg.Kills, every: every, kill: d.crashPostgres},
			// A little faster than the others: what happens after the last flush is
			// not healed by one.
			striker{kind: FlushRedis, n: d.cfg.Kills, every: every * 3 / 4, kill: d.flush},
			striker{kind: KillRedis, n: max(1, d.cfg.Kills/redisKillShare), every: every * 2, kill: d.redis.kill},
		)
	}
	for i := range all {
		d.kills[all[i].kind] = &atomic.Int64{}
		all[i].random = rand.New(rand.NewPCG(d.cfg.Seed, d.random.Uint64()))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go d.report(ctx)
	var wg sync.WaitGroup
	for _, s := range all {
		wg.Go(func() {
			if err := d.runStriker(ctx, s); err != nil {
				cancel(fmt.Errorf("%s: %w", s.kind, err))
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// lifeWithin is how long the load may stand still.
const lifeWithin = 60 * time.Second

func (d *drill) runStriker(ctx context.Context, s striker) error {
	for range s.n {
		before := d.tally.answers.Load()
		if !wait(ctx, s.every*3/10+time.Duration(s.random.Int64N(int64(s.every*14/10)))) {
			return ctx.Err()
		}
		// Nothing is proven by killing what is not at work: every client, on average,
		// has bought something since the last time.
		limit := time.Now().Add(lifeWithin)
		for d.tally.answers.Load() < before+int64(d.cfg.Clients) {
			if time.Now().After(limit) {
				return fmt.Errorf("%d purchases were answered in %s, which is no load", d.tally.answers.Load()-before, lifeWithin)
			}
			if !wait(ctx, lookEvery) {
				return ctx.Err()
			}
		}
		if err := s.kill(ctx); err != nil {
			return err
		}
		d.kills[s.kind].Add(1)
	}
	return nil
}

// killOne kills one of several.
func (d *drill) killOne(of []*process) func(context.Context) error {
	random := rand.New(rand.NewPCG(d.cfg.Seed, d.random.Uint64()))
	return func(ctx context.Context) error { return of[random.IntN(len(of))].kill(ctx) }
}

// crashPostgres stops PostgreSQL without letting it flush anything, and starts it
// again.
func (d *drill) crashPostgres(ctx context.Context) error {
	log, err := os.OpenFile(d.logPath("postgres"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(ctx, d.cfg.PostgresCrash, "immediate") // #nosec G204 -- the operator names it
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: see %s", err, log.Name())
	}
	return nil
}

// killed counts what was killed.
func (d *drill) killed() map[Kill]int64 {
	out := map[Kill]int64{}
	for kind, n := range d.kills {
		out[kind] = n.Load()
	}
	return out
}

// reportEvery is how often the operator hears how the load goes.
const reportEvery = 10 * time.Second

func (d *drill) report(ctx context.Context) {
	for wait(ctx, reportEvery) {
		var kills string
		for _, kind := range kinds {
			if n := d.kills[kind]; n != nil {
				kills += fmt.Sprintf(", %s %d", kind, n.Load())
			}
		}
		d.say("%d purchases answered%s", d.tally.answers.Load(), kills)
	}
}
