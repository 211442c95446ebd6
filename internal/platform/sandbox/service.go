package sandbox

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/soukhq/souk/internal/base/audit"
	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/pubsub"
	"github.com/soukhq/souk/internal/base/store"
)

// Service moves clocks, and keeps this process's in step with the others'.
type Service struct {
	db    *store.DB
	clock *clock.System
	bus   *pubsub.Bus
	log   *slog.Logger
}

// New makes the service over the process's clock.
func New(db *store.DB, c *clock.System, bus *pubsub.Bus, log *slog.Logger) *Service {
	return &Service{db: db, clock: c, bus: bus, log: log}
}

// topic tells processes that a clock was moved.
const topic = "sandboxes"

// Ensure makes a sandbox if it is not there.
func (s *Service) Ensure(ctx context.Context, m mode.Mode, name string) error {
	if m.IsLive() || !m.Valid() {
		return ErrLive
	}
	return s.db.InTx(ctx, func(ctx context.Context) error { return s.insert(ctx, m, name) })
}

// Advance moves the clock of the viewer's sandbox forward and gives its new
// time. Only servers and operators may.
//
// Refusals: CLOCK_LIVE, CLOCK_STEP.
func (s *Service) Advance(ctx context.Context, v auth.Viewer, by time.Duration) (time.Time, error) {
	switch {
	case v.Mode.IsLive():
		return time.Time{}, ErrLive
	case by <= 0 || by > StepMax:
		return time.Time{}, ErrStep
	}
	var ahead time.Duration
	err := s.db.InTx(ctx, func(ctx context.Context) (err error) {
		if err := s.insert(ctx, v.Mode, v.Mode.String()); err != nil {
			return err
		}
		before := s.clock.Now(v.Mode)
		if ahead, err = s.advance(ctx, v.Mode, by); err != nil {
			return err
		}
		return audit.Record(ctx, s.db, audit.Entry{By: v, Action: "clock.advance", Detail: map[string]string{"by": by.String()}, At: before})
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("advance clock of %s: %w", v.Mode, err)
	}
	s.clock.SetOffset(v.Mode, ahead)
	s.bus.Publish(ctx, topic, nil)
	return s.clock.Now(v.Mode), nil
}

// reloadEvery bounds how long another process's move may go unheard.
const reloadEvery = time.Second

// Run keeps the clock in step until ctx ends.
func (s *Service) Run(ctx context.Context) {
	news := s.bus.Subscribe(ctx, topic)
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	for {
		if err := s.Load(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("sandbox: clocks not read", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-news:
		case <-tick.C:
		}
	}
}

// Load reads every sandbox's clock.
func (s *Service) Load(ctx context.Context) error {
	ahead, err := s.moved(ctx)
	if err != nil {
		return err
	}
	for m, d := range ahead {
		s.clock.SetOffset(m, d)
	}
	return nil
}
