package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/soukhq/souk/internal/base/clock"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/base/store"
)

// Service opens and reads accounts. Value is moved by the [Executor].
type Service struct {
	db    *store.DB
	clock clock.Clock
}

// New makes the service.
func New(db *store.DB, c clock.Clock) *Service { return &Service{db: db, clock: c} }

// NewAccount says what account to open.
type NewAccount struct {
	Mode     mode.Mode
	Currency money.Currency
	Owner    OwnerKind
	OwnerID  id.ID
	Kind     string
	Floor    int64
}

// Open gives the owner's account of a kind and currency, and makes it if it is
// not there.
//
// Refusals: ACCOUNT_MISMATCH for a currency or mode that no account can have.
func (s *Service) Open(ctx context.Context, n NewAccount) (AccountID, error) {
	if !n.Currency.Known() || !n.Mode.Valid() {
		return 0, ErrCrossed
	}
	var out AccountID
	err := s.db.InTx(ctx, func(ctx context.Context) (err error) {
		if out, err = s.find(ctx, n); !errors.Is(err, ErrAccountUnknown) {
			return err
		}
		number, err := s.db.NextNumber(ctx, "account")
		if err != nil {
			return err
		}
		// Until this transaction ends the counter keeps others waiting, and what
		// they opened before can be seen now.
		if out, err = s.find(ctx, n); !errors.Is(err, ErrAccountUnknown) {
			return err
		}
		out = NewAccountID(number, n.Mode, n.Currency)
		return s.insert(ctx, out, n)
	})
	if err != nil {
		return 0, fmt.Errorf("open account: %w", err)
	}
	return out, nil
}

// Accounts reads accounts by id; one that is not there is left out.
func (s *Service) Accounts(ctx context.Context, ids []AccountID) (map[AccountID]Account, error) {
	return s.byIDs(ctx, ids)
}

// OwnedBy reads all accounts of some owners, in the order in which they were
// opened.
func (s *Service) OwnedBy(ctx context.Context, owner OwnerKind, ownerIDs ...id.ID) ([]Account, error) {
	return fromRows(s.owned(ctx, owner, ownerIDs...).All(ctx))
}

// Close ends all accounts of an owner who goes, in the transaction of ctx: it
// waits for payments that are under way, and those that come later are refused
// with ACCOUNT_CLOSED. ok is false, and nothing is closed, while there is a
// balance or a hold on one of them.
func (s *Service) Close(ctx context.Context, owner OwnerKind, ownerID id.ID) (ok bool, err error) {
	accounts, err := s.lockOwned(ctx, owner, ownerID)
	if err != nil {
		return false, err
	}
	for _, a := range accounts {
		if a.Balance != 0 || a.Held != 0 {
			return false, nil
		}
	}
	return true, s.close(ctx, owner, ownerID)
}

// SetFloor changes how low an account may go, as when a credit limit changes.
//
// Refusals: INSUFFICIENT_FUNDS when the account is already below.
func (s *Service) SetFloor(ctx context.Context, a AccountID, floor int64) error {
	return s.db.InTx(ctx, func(ctx context.Context) error { return s.updateFloor(ctx, a, floor) })
}

// Line is one line of an account's statement.
type Line struct {
	Transfer
	Change int64 // minor units: above zero is a credit of this account
}

// Statement lists an account's transfers, newest first. Positions are those of
// [LinePosition].
func (s *Service) Statement(ctx context.Context, a AccountID, sl page.Slice) (page.List[Line], error) {
	rows, err := s.lines(ctx, a, sl)
	if err != nil {
		return page.List[Line]{}, fmt.Errorf("statement: %w", err)
	}
	return page.Cut(sl, rows), nil
}

// LinePosition is where a line stands in its statement.
func LinePosition(l Line) []byte { return l.ID[:] }

// AccountKey is an account's id as 16 bytes, for use in a global id.
func AccountKey(a AccountID) id.ID {
	var u id.ID
	binary.BigEndian.PutUint64(u[8:], uint64(a))
	return u
}

// AccountOfKey reads AccountKey back.
func AccountOfKey(u id.ID) AccountID { return AccountID(binary.BigEndian.Uint64(u[8:])) }
