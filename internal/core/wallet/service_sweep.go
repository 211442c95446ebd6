package wallet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/core/ledger"
)

// checkWorkers is how many transfers are asked about at once.
const checkWorkers = 16

// CheckDue asks the rails about up to limit transfers whose time has come, and
// settles what they answer. It tells how many there were. It may run anywhere,
// at any time, and twice at once.
func (s *Service) CheckDue(ctx context.Context, limit int) (int, error) {
	var due []Transfer
	for _, d := range s.due() {
		if len(due) >= limit {
			break
		}
		claimed, err := s.claim(ctx, d, limit-len(due))
		if err != nil {
			return 0, fmt.Errorf("claim funding transfers: %w", err)
		}
		due = append(due, claimed...)
	}
	var (
		all   sync.WaitGroup
		slots = make(chan struct{}, checkWorkers)
	)
	for _, t := range due {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			s.ask(ctx, t, s.query)
		})
	}
	all.Wait()
	return len(due), nil
}

// moment is a moment in one mode, or in all.
type moment struct {
	in  *mode.Mode
	now time.Time
}

// due gives the moments that a sweep looks at.
func (s *Service) due() []moment {
	out := []moment{{nil, s.Clock.Now(mode.Live)}}
	for _, m := range s.Clock.Moved() {
		out = append(out, moment{&m, s.Clock.Now(m)})
	}
	return out
}

func (s *Service) claim(ctx context.Context, d moment, limit int) (claimed []Transfer, err error) {
	err = s.DB.InTx(ctx, func(ctx context.Context) error {
		claimed, err = s.claimDue(ctx, d, limit)
		return err
	})
	return claimed, err
}

// question is a way to ask a rail: to send a movement, or what became of it.
type question func(ctx context.Context, t Transfer) (Answer, error)

// ask asks a rail and settles what it answers. It gives the transfer as it is
// then, or as it was if that is not known: trouble is for the log, since the
// sweep asks again until there is an answer.
func (s *Service) ask(ctx context.Context, t Transfer, q question) Transfer {
	a, err := q(ctx, t)
	if err != nil {
		s.Log.Warn("wallet: rail gave no answer", "transfer", t.ID, "rail", t.Rail, "err", err)
		a = Answer{Outcome: OutcomePending}
	}
	after, err := s.settle(ctx, t, a.clean())
	if err != nil {
		s.Log.Error("wallet: answer not settled", "transfer", t.ID, "rail", t.Rail, "outcome", a.Outcome, "err", err)
		return t
	}
	return after
}

// send asks the rail to make the movement.
func (s *Service) send(ctx context.Context, t Transfer) (Answer, error) {
	return s.call(ctx, t, func(ctx context.Context, rail Rail, r Request) (Answer, error) {
		if t.Direction == TopUp {
			return rail.Pull(ctx, r)
		}
		return rail.Push(ctx, r)
	})
}

// query asks the rail what became of the movement, and to make it if it has
// never heard of it: a crash came between.
func (s *Service) query(ctx context.Context, t Transfer) (Answer, error) {
	a, err := s.call(ctx, t, func(ctx context.Context, rail Rail, r Request) (Answer, error) { return rail.Query(ctx, r) })
	if err == nil && a.Outcome == OutcomeNotKnown && t.State == Pending {
		return s.send(ctx, t)
	}
	return a, err
}

func (s *Service) call(ctx context.Context, t Transfer, do func(context.Context, Rail, Request) (Answer, error)) (Answer, error) {
	rail, err := s.Rails.named(t.Mode, t.Rail)
	if err != nil {
		return Answer{}, err
	}
	token, err := s.openToken(ctx, t.SourceID)
	if err != nil {
		return Answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return do(ctx, rail, Request{ID: t.ID, Mode: t.Mode, Direction: t.Direction, Token: token, Amount: t.Amount, At: t.CreatedAt})
}

func (s *Service) openToken(ctx context.Context, sourceID id.ID) (string, error) {
	sealed, err := s.readToken(ctx, sourceID)
	if err != nil {
		return "", err
	}
	if len(sealed) == 0 {
		return "", errors.New("the source's token was erased")
	}
	token, err := s.Sealer.Open(sealed, tokenContext(sourceID))
	if err != nil {
		return "", fmt.Errorf("open rail token: %w", err)
	}
	return string(token), nil
}

func (s *Service) settle(ctx context.Context, t Transfer, a Answer) (Transfer, error) {
	clearing, err := s.openClearing(ctx, t.Mode, t.Amount.Currency, t.Rail)
	if err != nil {
		return t, err
	}
	cmd := &settle{book: s.Book, transfer: t, answer: a, clearing: clearing}
	if t.Direction == TopUp && (a.Outcome == OutcomeReturned || a.Outcome == OutcomeFailed && t.State == Succeeded) {
		cmd.owed, err = s.Ledger.Open(ctx, ledger.NewAccount{
			Mode: t.Mode, Currency: t.Amount.Currency, Owner: ledger.OwnerUser, OwnerID: t.UserID, Kind: ledger.KindReceivable, Floor: ledger.NoFloor,
		})
		if err != nil {
			return t, err
		}
	}
	if r := s.Executor.Do(ctx, cmd); r.Err != nil {
		return t, r.Err
	}
	return cmd.after, nil
}

// openClearing gives the account of what rests with a rail.
func (s *Service) openClearing(ctx context.Context, m mode.Mode, c money.Currency, rail string) (ledger.AccountID, error) {
	return s.Ledger.Open(ctx, ledger.NewAccount{
		Mode: m, Currency: c, Owner: ledger.OwnerPlatform, OwnerID: ClearingOwner(rail), Kind: ledger.KindClearing, Floor: ledger.NoFloor,
	})
}

// ClearingOwner names the owner of a rail's clearing accounts.
func ClearingOwner(rail string) id.ID { return id.Of("rail", rail) }
