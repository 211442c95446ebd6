package wallet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/text"
)

// Rail moves money between Souk and bank accounts or cards.
//
// A request's id names the movement, and the rail makes it once, however often
// it is asked. An error says nothing about the outcome.
type Rail interface {
	// Name is kept with sources and transfers, and names the rail's clearing
	// accounts: it never changes. At most 40 bytes.
	Name() string
	// Live tells whether it moves real money: it then serves live alone, and
	// otherwise the sandboxes alone.
	Live() bool
	// Serves tells whether it moves money of such sources.
	Serves(k Kind) bool
	// Pull takes money from the source.
	Pull(ctx context.Context, r Request) (Answer, error)
	// Push gives money to the source.
	Push(ctx context.Context, r Request) (Answer, error)
	// Query tells what became of a request. NotKnown means that it has not
	// arrived.
	Query(ctx context.Context, r Request) (Answer, error)
}

// Request is a movement that a rail is asked to make.
type Request struct {
	ID        id.ID // names the movement
	Mode      mode.Mode
	Direction Direction // Pull is for a TopUp, Push for a Return
	Token     string    // what the rail knows the source by
	Amount    money.Amount
	At        time.Time // when it was asked for first, by the mode's clock
}

// Outcome is what became of a movement.
type Outcome string

// The outcomes.
const (
	OutcomePending   Outcome = "PENDING"   // not known yet
	OutcomeSucceeded Outcome = "SUCCEEDED" // the money has moved
	OutcomeFailed    Outcome = "FAILED"    // it has not, and will not
	OutcomeReturned  Outcome = "RETURNED"  // it has, and was taken back by the other side
	OutcomeNotKnown  Outcome = "NOT_KNOWN" // the rail has never heard of it
)

// Answer is what a rail says of a movement.
type Answer struct {
	Outcome     Outcome
	Reference   string // the rail's own name for it, at most 100 characters
	FailureCode string // why it failed or was taken back, at most 60 characters
	// CheckIn is when to ask again. Zero is for good with OutcomeSucceeded; a rail
	// whose money can still be taken back gives a time.
	CheckIn time.Duration
}

// clean keeps what a rail says within what can be stored.
func (a Answer) clean() Answer {
	switch a.Outcome {
	case OutcomeSucceeded, OutcomeFailed, OutcomeReturned:
	default:
		a.Outcome = OutcomePending
	}
	a.Reference, a.FailureCode = clip(a.Reference, 100), clip(a.FailureCode, 60)
	a.CheckIn = min(max(a.CheckIn, 0), checkInMax)
	return a
}

// checkInMax bounds how long a transfer can stay open to be taken back.
const checkInMax = 400 * 24 * time.Hour

func clip(s string, most int) string {
	r := []rune(s)
	clean, ok := text.Line(string(r[:min(len(r), most)]), most)
	if !ok {
		return ""
	}
	return clean
}

// Rails knows which rail serves what.
type Rails struct{ all []Rail }

// NewRails connects rails. No two may have one name, or serve the same.
func NewRails(rails ...Rail) (*Rails, error) {
	for i, r := range rails {
		if !text.Token(r.Name(), 40) {
			return nil, fmt.Errorf("wallet: a rail's name %q is empty or too long", r.Name())
		}
		for _, other := range rails[:i] {
			if other.Name() == r.Name() {
				return nil, fmt.Errorf("wallet: two rails are named %s", r.Name())
			}
			for _, k := range []Kind{BankAccount, Card} {
				if r.Live() == other.Live() && r.Serves(k) && other.Serves(k) {
					return nil, fmt.Errorf("wallet: rails %s and %s both serve %s", other.Name(), r.Name(), k)
				}
			}
		}
	}
	return &Rails{rails}, nil
}

// serving gives the rail of a kind of source.
func (r *Rails) serving(m mode.Mode, k Kind) (Rail, error) {
	return r.first(func(rail Rail) bool { return rail.Live() == m.IsLive() && rail.Serves(k) })
}

// named gives the rail that a source was added with.
func (r *Rails) named(m mode.Mode, name string) (Rail, error) {
	return r.first(func(rail Rail) bool { return rail.Live() == m.IsLive() && rail.Name() == name })
}

func (r *Rails) first(fits func(Rail) bool) (Rail, error) {
	for _, rail := range r.all {
		if fits(rail) {
			return rail, nil
		}
	}
	return nil, ErrRail
}

// errLost is what the sandbox says of an answer that never came.
var errLost = errors.New("the rail's answer was lost")
