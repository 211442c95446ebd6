package wallet

import (
	"context"
	"time"

	"github.com/soukhq/souk/internal/base/clock"
)

// Tokens that say how the sandbox's rail behaves. Any other is declined.
const (
	TokenOK       = "ok"       // succeeds at once
	TokenDeclined = "declined" // fails at once
	TokenSlow     = "slow"     // succeeds after SlowFor
	TokenUnknown  = "unknown"  // succeeds, but the answer is lost
	TokenReturned = "returned" // a top-up succeeds, and is taken back after ReturnedAfter
)

// How long the sandbox's rail takes, by the sandbox's own clock.
const (
	SlowFor       = 5 * time.Second
	ReturnedAfter = 10 * time.Second
)

// SandboxName is the name of the sandbox's rail.
const SandboxName = "sandbox"

// Sandbox is the rail of the sandboxes: it moves nothing, and behaves as a
// source's token says. What it answers follows from the request alone, so that it
// answers the same after a restart.
type Sandbox struct{ clock clock.Clock }

// NewSandbox makes the rail.
func NewSandbox(c clock.Clock) *Sandbox { return &Sandbox{c} }

// Name is SandboxName.
func (s *Sandbox) Name() string { return SandboxName }

// Live is false: it moves play money.
func (s *Sandbox) Live() bool { return false }

// Serves is true of everything behind a rail.
func (s *Sandbox) Serves(k Kind) bool { return k.behindRail() }

// Pull acts as the token says.
func (s *Sandbox) Pull(ctx context.Context, r Request) (Answer, error) {
	if r.Token == TokenUnknown {
		return Answer{}, errLost
	}
	return s.Query(ctx, r)
}

// Push acts as the token says.
func (s *Sandbox) Push(ctx context.Context, r Request) (Answer, error) { return s.Pull(ctx, r) }

// Query tells what became of a request.
func (s *Sandbox) Query(_ context.Context, r Request) (Answer, error) {
	passed := s.clock.Now(r.Mode).Sub(r.At)
	a := Answer{Outcome: OutcomeSucceeded, Reference: "sandbox-" + r.ID.String()}
	switch {
	case r.Token == TokenOK, r.Token == TokenUnknown:
	case r.Token == TokenSlow && passed < SlowFor:
		a.Outcome, a.CheckIn = OutcomePending, SlowFor-passed
	case r.Token == TokenSlow:
	case r.Token == TokenReturned && r.Direction == Return:
	case r.Token == TokenReturned && passed < ReturnedAfter:
		a.CheckIn = ReturnedAfter - passed
	case r.Token == TokenReturned:
		a.Outcome, a.FailureCode = OutcomeReturned, "returned_by_bank"
	case r.Token == TokenDeclined:
		a.Outcome, a.FailureCode = OutcomeFailed, "declined"
	default:
		a.Outcome, a.FailureCode = OutcomeFailed, "unknown_token"
	}
	return a, nil
}
