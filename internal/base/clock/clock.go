// Package clock is the only source of the time that business rules see.
//
// Deadlines are compared with a Clock, never with SQL's now() or a queue's
// delay, so that a sandbox can be moved forward and its expiries, retries and
// settlements fall due in order.
package clock

import (
	"sync"
	"time"

	"github.com/soukhq/souk/internal/base/mode"
)

// Clock tells the time in a mode. Times are UTC and whole microseconds, the
// finest that every engine stores.
type Clock interface {
	Now(m mode.Mode) time.Time
	// Moved lists the sandboxes that run ahead. A deadline that has passed on the
	// live clock has passed in every sandbox; a sweep looks at these besides.
	Moved() []mode.Mode
}

// Trim makes t comparable with what a database gives back.
func Trim(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// System is the machine's clock; each sandbox runs ahead of it by its offset.
// The zero value is ready for use.
type System struct {
	mu      sync.RWMutex
	offsets map[mode.Mode]time.Duration
}

// Now gives the time in m.
func (s *System) Now(m mode.Mode) time.Time {
	now := time.Now()
	if !m.IsLive() {
		s.mu.RLock()
		now = now.Add(s.offsets[m])
		s.mu.RUnlock()
	}
	return Trim(now)
}

// SetOffset says how far a sandbox runs ahead. Live cannot be moved.
func (s *System) SetOffset(m mode.Mode, ahead time.Duration) {
	if m.IsLive() {
		panic("clock: the live clock cannot be moved")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.offsets == nil {
		s.offsets = map[mode.Mode]time.Duration{}
	}
	s.offsets[m] = ahead
}

// Offsets gives a copy of how far each sandbox runs ahead.
func (s *System) Offsets() map[mode.Mode]time.Duration {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make(map[mode.Mode]time.Duration, len(s.offsets))
	for m, d := range s.offsets {
		out[m] = d
	}
	return out
}

// Moved lists the sandboxes that run ahead.
func (s *System) Moved() []mode.Mode {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []mode.Mode
	for m, d := range s.offsets {
		if d > 0 {
			out = append(out, m)
		}
	}
	return out
}

// Fixed is a clock for tests that moves only when told.
type Fixed struct {
	mu  sync.Mutex
	now time.Time
}

// NewFixed starts a test clock at t.
func NewFixed(t time.Time) *Fixed { return &Fixed{now: Trim(t)} }

// Now gives the same time in every mode.
func (f *Fixed) Now(mode.Mode) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Moved lists none: a fixed clock shows every mode the same time.
func (f *Fixed) Moved() []mode.Mode { return nil }

// Advance moves the clock forward.
func (f *Fixed) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}
