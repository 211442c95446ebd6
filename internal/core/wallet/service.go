package wallet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/seal"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/core/ledger"
)

// Users is what wallets ask of those who know users.
type Users interface {
	// LockUsers tells of those of the ids that are users of a mode and issuer
	// whether they are active. That stays so until the transaction of ctx ends,
	// and others who ask wait for it.
	LockUsers(ctx context.Context, m mode.Mode, issuer string, ids []id.ID) (map[id.ID]bool, error)
}

// Config says how long things may take. Its zero value will do.
type Config struct {
	// RailTimeout is how long a rail may take to answer; 0 means 10 seconds.
	RailTimeout time.Duration
}

// Validate refuses times that cannot work.
func (c Config) Validate() error {
	if c.RailTimeout < 0 || c.RailTimeout > time.Minute {
		return errors.New("wallet: a rail has up to a minute to answer")
	}
	return nil
}

// Deps is what wallets lean on.
type Deps struct {
	DB       *store.DB
	Clock    clock.Clock
	Log      *slog.Logger
	Executor *ledger.Executor
	Book     *Book
	Ledger   *ledger.Service
	Users    Users
	Rails    *Rails
	Sealer   seal.Sealer
}

// Service is what can be done with funding sources.
type Service struct {
	Deps
	timeout time.Duration
	// paying holds sources that can pay: what it holds of them never changes, and
	// they cannot be removed.
	paying *lru.Cache[id.ID, Source]
}

// payingMax bounds the sources that are kept in memory, some 300 bytes each.
const payingMax = 50_000

// New makes the service.
func New(cfg Config, d Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	paying, err := lru.New[id.ID, Source](payingMax)
	if err != nil {
		return nil, fmt.Errorf("wallet: %w", err)
	}
	s := &Service{Deps: d, timeout: cfg.RailTimeout, paying: paying}
	if s.timeout == 0 {
		s.timeout = 10 * time.Second
	}
	return s, nil
}

// lease keeps others from asking about a transfer that somebody asks about: long
// enough to ask what became of it, and to send it again.
func (s *Service) lease() time.Duration { return 3 * s.timeout }

// Source gives a user's active source. It is on the path of every payment: for
// what can pay it asks no database once it knows the source.
//
// Refusals: FUNDING_SOURCE_NOT_FOUND.
func (s *Service) Source(ctx context.Context, userID, sourceID id.ID) (Source, error) {
	src, ok := s.paying.Get(sourceID)
	if !ok {
		var err error
		if src, err = s.readSource(ctx, sourceID); err != nil {
			return Source{}, err
		}
		if src.Account != 0 {
			s.paying.Add(src.ID, src)
		}
	}
	if src.UserID != userID {
		return Source{}, ErrSource
	}
	return src, nil
}

// ByIDs reads the active sources that the viewer may see: a user their own, an
// operator those of the mode. Others are left out.
func (s *Service) ByIDs(ctx context.Context, v auth.Viewer, ids []id.ID) (map[id.ID]Source, error) {
	all, err := s.readSources(ctx, ids)
	if err != nil {
		return nil, err
	}
	for k, src := range all {
		if !maySee(v, src.Mode, src.UserID) {
			delete(all, k)
		}
	}
	return all, nil
}

func maySee(v auth.Viewer, m mode.Mode, userID id.ID) bool {
	return v.Mode == m && (v.Kind == auth.User && v.UserID == userID || v.Kind == auth.Operator)
}

// Sources lists the viewer's active sources, newest first. Positions are those of
// [SourcePosition]. Only for users.
func (s *Service) Sources(ctx context.Context, v auth.Viewer, sl page.Slice) (page.List[Source], error) {
	if err := person(v); err != nil {
		return page.List[Source]{}, err
	}
	rows, err := s.listSources(ctx, v.UserID, sl)
	if err != nil {
		return page.List[Source]{}, fmt.Errorf("list funding sources: %w", err)
	}
	return page.Cut(sl, rows), nil
}

// Balances reads the accounts of sources, for a loader's batches. It asks no
// permission: the caller has got the sources from this service.
func (s *Service) Balances(ctx context.Context, accounts []ledger.AccountID) (map[ledger.AccountID]ledger.Account, error) {
	return s.Ledger.Accounts(ctx, accounts)
}

// Statement lists the movements of a source that the caller has got from this
// service, newest first. Positions are those of [ledger.LinePosition]. What is
// behind a rail has none.
func (s *Service) Statement(ctx context.Context, src Source, sl page.Slice) (page.List[ledger.Line], error) {
	if src.Account == 0 {
		return page.List[ledger.Line]{}, nil
	}
	return s.Ledger.Statement(ctx, src.Account, sl)
}

// TransfersByIDs reads the transfers that the viewer may see, as ByIDs does.
func (s *Service) TransfersByIDs(ctx context.Context, v auth.Viewer, ids []id.ID) (map[id.ID]Transfer, error) {
	all, err := s.readTransfers(ctx, ids)
	if err != nil {
		return nil, err
	}
	for k, t := range all {
		if !maySee(v, t.Mode, t.UserID) {
			delete(all, k)
		}
	}
	return all, nil
}

// Transfers lists the viewer's top-ups and returns, newest first. Positions are
// those of [TransferPosition]. Only for users.
func (s *Service) Transfers(ctx context.Context, v auth.Viewer, sl page.Slice) (page.List[Transfer], error) {
	if err := person(v); err != nil {
		return page.List[Transfer]{}, err
	}
	rows, err := s.listTransfers(ctx, v.UserID, sl)
	if err != nil {
		return page.List[Transfer]{}, fmt.Errorf("list funding transfers: %w", err)
	}
	return page.Cut(sl, rows), nil
}

// person lets users through.
func person(v auth.Viewer) error { return only(v, auth.User) }

func only(v auth.Viewer, kind auth.Kind) error {
	switch v.Kind {
	case kind:
		return nil
	case auth.Anonymous:
		return errs.ErrUnauthenticated
	default:
		return errs.ErrForbidden
	}
}
