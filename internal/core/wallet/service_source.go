package wallet

import (
	"context"
	"fmt"

	"github.com/soukhq/souk/internal/base/audit"
	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/base/seal"
	"github.com/soukhq/souk/internal/base/store"
	"github.com/soukhq/souk/internal/base/text"
	"github.com/soukhq/souk/internal/core/ledger"
)

// AddInput says what source to add.
type AddInput struct {
	Kind      Kind
	Label     string
	Currency  money.Currency
	RailToken string // of a bank account or card
}

// Add adds a wallet, bank account or card of the viewer's. Only for users.
//
// Refusals: FUNDING_SOURCE_KIND, FUNDING_SOURCE_LIMIT, CURRENCY_MISMATCH,
// TEXT_INVALID, RAIL_UNAVAILABLE.
func (s *Service) Add(ctx context.Context, v auth.Viewer, in AddInput) (Source, error) {
	if err := person(v); err != nil {
		return Source{}, err
	}
	src := Source{ID: id.New(), Mode: v.Mode, UserID: v.UserID, Kind: in.Kind, Currency: in.Currency, CreatedAt: s.Clock.Now(v.Mode)}
	var ok bool
	if src.Label, ok = text.Line(in.Label, LabelMax); !ok {
		return Source{}, ErrText.In("label")
	}
	if !in.Currency.Known() {
		return Source{}, ErrCurrency.In("currency")
	}
	token, err := s.prepareRail(&src, in.RailToken)
	if err != nil {
		return Source{}, err
	}
	err = s.DB.InTx(ctx, func(ctx context.Context) error { return s.addSource(ctx, v, &src, token) })
	if err != nil {
		return Source{}, fmt.Errorf("add funding source: %w", err)
	}
	return src, nil
}

// prepareRail finds the rail of a new source, and seals its token.
func (s *Service) prepareRail(src *Source, token string) (sealed []byte, err error) {
	switch {
	case src.Kind != Wallet && !src.Kind.behindRail():
		return nil, ErrKind
	case src.Kind == Wallet && token != "":
		return nil, ErrKind.In("railToken")
	case src.Kind == Wallet:
		return nil, nil
	case !text.Token(token, TokenMax):
		return nil, ErrText.In("railToken")
	}
	rail, err := s.Rails.serving(src.Mode, src.Kind)
	if err != nil {
		return nil, err
	}
	src.Rail = rail.Name()
	if sealed, err = s.Sealer.Seal([]byte(token), tokenContext(src.ID)); err != nil {
		return nil, fmt.Errorf("seal rail token: %w", err)
	}
	return sealed, nil
}

// tokenContext names the place of a source's token, so that it opens nowhere else.
func tokenContext(source id.ID) []byte {
	return seal.Context("funding_sources", source.String(), "rail_token")
}

// Reseal seals again the rail tokens that an older key of the keyset had sealed,
// and tells how many it changed.
func (s *Service) Reseal(ctx context.Context) (int, error) {
	n, err := store.Walk(ctx, s.DB, s.lockTokens, func(ctx context.Context, t sealedToken) (id.ID, bool, error) {
		fresh, renewed, err := seal.Renew(s.Sealer, t.sealed, tokenContext(t.source))
		if err != nil || !renewed {
			return t.source, false, err
		}
		return t.source, true, s.saveToken(ctx, sealedToken{t.source, fresh})
	})
	if err != nil {
		return n, fmt.Errorf("reseal rail tokens: %w", err)
	}
	return n, nil
}

// addSource counts under the lock of the user: two at once would each find room
// for the last.
func (s *Service) addSource(ctx context.Context, v auth.Viewer, src *Source, token []byte) error {
	active, err := s.Users.LockUsers(ctx, v.Mode, v.Issuer, []id.ID{v.UserID})
	if err != nil {
		return err
	}
	if !active[v.UserID] { // since the token was checked
		return errs.ErrUnauthenticated
	}
	n, err := s.countSources(ctx, *src)
	switch {
	case err != nil:
		return err
	case n.active >= SourcesMax || n.ever >= sourcesEver || src.Kind == Wallet && n.same > 0:
		return ErrLimit
	}
	if src.Kind == Wallet {
		if err := s.openAccount(ctx, src, ledger.KindWallet, 0); err != nil {
			return err
		}
	}
	return s.insertSource(ctx, *src, token)
}

func (s *Service) openAccount(ctx context.Context, src *Source, kind string, floor int64) (err error) {
	src.Account, err = s.Ledger.Open(ctx, ledger.NewAccount{
		Mode: src.Mode, Currency: src.Currency, Owner: ledger.OwnerUser, OwnerID: src.UserID, Kind: kind, Floor: floor,
	})
	return err
}

// Remove takes a bank account or card from the viewer's sources. Top-ups from it
// can still be given back. Only for users.
//
// Refusals: FUNDING_SOURCE_NOT_FOUND, FUNDING_SOURCE_KIND.
func (s *Service) Remove(ctx context.Context, v auth.Viewer, sourceID id.ID) error {
	if err := person(v); err != nil {
		return err
	}
	err := s.DB.InTx(ctx, func(ctx context.Context) error {
		src, err := s.readSource(ctx, sourceID)
		switch {
		case err != nil:
			return err
		case src.UserID != v.UserID:
			return ErrSource
		case !src.Kind.behindRail():
			return ErrKind.In("fundingSourceId")
		}
		return s.markRemoved(ctx, sourceID)
	})
	if errs.KindOf(err) == errs.NotFound {
		return ErrSource.In("fundingSourceId")
	}
	if err != nil {
		return fmt.Errorf("remove funding source: %w", err)
	}
	return nil
}

// SetCreditLine grants a user a credit line, or changes its limit. Only for
// operators.
//
// Refusals: USER_NOT_FOUND, AMOUNT_INVALID, CURRENCY_MISMATCH,
// INSUFFICIENT_FUNDS when more of the line is used than the new limit.
func (s *Service) SetCreditLine(ctx context.Context, v auth.Viewer, userID id.ID, limit money.Amount) (src Source, err error) {
	if err := only(v, auth.Operator); err != nil {
		return Source{}, err
	}
	if limit.Minor < 0 || limit.Minor > AmountMax {
		return Source{}, ErrAmount.In("limit", "amountMinor")
	}
	if !limit.Currency.Known() {
		return Source{}, ErrCurrency.In("limit", "currency")
	}
	err = s.DB.InTx(ctx, func(ctx context.Context) error {
		if src, err = s.setCreditLine(ctx, v, userID, limit); err != nil {
			return err
		}
		return audit.Record(ctx, s.DB, audit.Entry{
			By: v, Action: "credit_line.set", SubjectID: userID, At: s.Clock.Now(v.Mode),
			Detail: map[string]any{"source": src.ID, "limitMinor": limit.Minor, "currency": limit.Currency.String()},
		})
	})
	if err != nil {
		return Source{}, fmt.Errorf("set credit line: %w", err)
	}
	return src, nil
}

func (s *Service) setCreditLine(ctx context.Context, v auth.Viewer, userID id.ID, limit money.Amount) (Source, error) {
	users, err := s.Users.LockUsers(ctx, v.Mode, v.Issuer, []id.ID{userID})
	if err != nil {
		return Source{}, err
	}
	active, known := users[userID]
	if !known {
		return Source{}, ErrUser
	}
	src, err := s.sourceOf(ctx, userID, CreditLine, limit.Currency)
	switch {
	case err == nil: // a user who is blocked keeps what can be limited
		if err = s.Ledger.SetFloor(ctx, src.Account, -limit.Minor); errs.KindOf(err) == errs.Failed {
			err = ErrUsed
		}
		return src, err
	case errs.KindOf(err) != errs.NotFound:
		return Source{}, err
	case !active:
		return Source{}, ErrUser
	}
	src = Source{ID: id.New(), Mode: v.Mode, UserID: userID, Kind: CreditLine, Label: "Credit line", Currency: limit.Currency, CreatedAt: s.Clock.Now(v.Mode)}
	if err := s.openAccount(ctx, &src, ledger.KindCredit, -limit.Minor); err != nil {
		return Source{}, err
	}
	return src, s.insertSource(ctx, src, nil)
}
