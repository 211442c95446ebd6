package wallet

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/core/ledger"
)

// Done is the answer to an act that moves money.
type Done struct {
	Transfer *Transfer
	Replayed bool
}

// TopUpInput says from where, and how much.
type TopUpInput struct {
	Key      string       `json:"-"`
	SourceID id.ID        `json:"source"`
	Amount   money.Amount `json:"amount"`
}

// TopUp fills the viewer's wallet from a bank account or card. It answers with
// the transfer as it is when the rail has answered, or has taken too long to.
// Only for users.
//
// Refusals: FUNDING_SOURCE_NOT_FOUND, FUNDING_SOURCE_KIND, CURRENCY_MISMATCH,
// AMOUNT_INVALID, RAIL_UNAVAILABLE, IDEMPOTENCY_KEY_INVALID,
// IDEMPOTENCY_MISMATCH. What the rail refuses is a transfer that FAILED.
func (s *Service) TopUp(ctx context.Context, v auth.Viewer, in TopUpInput) (Done, error) {
	if err := person(v); err != nil {
		return Done{}, err
	}
	key, err := ledger.NewKey(principal(v), "walletTopUp", in.Key, in)
	if err != nil {
		return Done{}, err
	}
	t, err := s.prepareTopUp(ctx, v, in)
	if err != nil {
		return s.refuse(ctx, key, err)
	}
	cmd := &topUp{book: s.Book, key: key, transfer: t, lease: s.lease()}
	return s.start(ctx, cmd, &cmd.after)
}

// prepareTopUp checks all that needs no lock, and makes the transfer.
func (s *Service) prepareTopUp(ctx context.Context, v auth.Viewer, in TopUpInput) (Transfer, error) {
	if in.Amount.Minor <= 0 || in.Amount.Minor > AmountMax {
		return Transfer{}, ErrAmount.In("amount", "amountMinor")
	}
	src, err := s.Source(ctx, v.UserID, in.SourceID)
	switch {
	case err != nil:
		return Transfer{}, err
	case !src.Kind.behindRail():
		return Transfer{}, ErrKind.In("sourceId")
	case src.Currency != in.Amount.Currency:
		return Transfer{}, ErrCurrency
	}
	if _, err := s.Rails.named(src.Mode, src.Rail); err != nil {
		return Transfer{}, err
	}
	wallet, err := s.sourceOf(ctx, v.UserID, Wallet, src.Currency)
	if errs.KindOf(err) == errs.NotFound {
		err = ErrNoWallet
	}
	return Transfer{
		ID: id.New(), Mode: src.Mode, UserID: v.UserID, SourceID: src.ID, Direction: TopUp, Account: wallet.Account, Amount: in.Amount, Rail: src.Rail,
	}, err
}

// ReturnInput says which top-up to give back, and how much of it.
type ReturnInput struct {
	Key     string        `json:"-"`
	TopUpID id.ID         `json:"topUp"`
	Amount  *money.Amount `json:"amount,omitempty"` // none: all that is left
}

// Return gives a top-up of the viewer's back to where it came from, whole or
// part. It answers as TopUp does. Only for users.
//
// Refusals: TOP_UP_NOT_FOUND, TOP_UP_NOT_RETURNABLE, AMOUNT_INVALID,
// CURRENCY_MISMATCH, INSUFFICIENT_FUNDS, RAIL_UNAVAILABLE,
// IDEMPOTENCY_KEY_INVALID, IDEMPOTENCY_MISMATCH.
func (s *Service) Return(ctx context.Context, v auth.Viewer, in ReturnInput) (Done, error) {
	if err := person(v); err != nil {
		return Done{}, err
	}
	key, err := ledger.NewKey(principal(v), "walletReturn", in.Key, in)
	if err != nil {
		return Done{}, err
	}
	t, err := s.prepareReturn(ctx, v, in)
	if err != nil {
		return s.refuse(ctx, key, err)
	}
	cmd := &giveBack{book: s.Book, key: key, topUp: t, amount: in.Amount, id: id.New(), lease: s.lease()}
	return s.start(ctx, cmd, &cmd.after)
}

// prepareReturn checks all that needs no lock, and gives the top-up.
func (s *Service) prepareReturn(ctx context.Context, v auth.Viewer, in ReturnInput) (Transfer, error) {
	t, err := s.readTransfer(ctx, in.TopUpID)
	switch {
	case err != nil:
		return t, err
	case t.UserID != v.UserID || t.Direction != TopUp:
		return t, ErrTopUp
	case in.Amount != nil && (in.Amount.Minor <= 0 || in.Amount.Minor > AmountMax):
		return t, ErrAmount.In("amount", "amountMinor")
	case in.Amount != nil && in.Amount.Currency != t.Amount.Currency:
		return t, ErrCurrency
	}
	_, err = s.Rails.named(t.Mode, t.Rail)
	return t, err
}

// refuse remembers a refusal under its key, or answers what the key remembers:
// what was once done is answered as it was then, even if it would be refused by
// now.
func (s *Service) refuse(ctx context.Context, key ledger.Key, why error) (Done, error) {
	if !errs.IsRefusal(why) {
		return Done{}, why
	}
	r := s.Executor.Do(ctx, &refusal{key, why})
	if r.Err == nil {
		return s.replay(ctx, r)
	}
	return Done{Replayed: r.Replayed}, r.Err
}

// start records a transfer and asks its rail.
func (s *Service) start(ctx context.Context, cmd ledger.Command, begun *Transfer) (Done, error) {
	r := s.Executor.Do(ctx, cmd)
	switch {
	case r.Err != nil:
		return Done{Replayed: r.Replayed}, r.Err
	case r.Replayed:
		return s.replay(ctx, r)
	}
	// The caller's going away ends neither the call to the rail nor what follows.
	t := s.ask(context.WithoutCancel(ctx), *begun, s.send)
	return Done{Transfer: &t}, nil
}

// replay answers a repetition with the transfer as it is now.
func (s *Service) replay(ctx context.Context, r ledger.Reply) (Done, error) {
	var m made
	if err := json.Unmarshal(r.Result, &m); err != nil {
		return Done{}, fmt.Errorf("read stored result: %w", err)
	}
	t, err := s.readTransfer(ctx, m.Transfer)
	if err != nil {
		return Done{}, err
	}
	return Done{Transfer: &t, Replayed: r.Replayed}, nil
}

// principal names whose idempotency keys a viewer's are.
func principal(v auth.Viewer) string { return "user:" + v.UserID.String() }
