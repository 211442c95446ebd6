package wallet

import (
	"context"
	"fmt"
	"time"

	"github.com/soukhq/souk/internal/base/errs"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/core/ledger"
)

// errHasFunds is told by those who erase users, under a code of theirs.
var errHasFunds = errs.New(errs.Failed, "USER_HAS_FUNDS", "This user still has money, owes some, or has some on its way.")

// Section names this domain's part of a user's personal data.
func (s *Service) Section() string { return "wallet" }

// Blocks refuses while the user has a balance, a hold, a debt, or a transfer
// whose rail has not answered for good or may still take it back. Otherwise it
// closes the user's accounts: no payment, top-up or refund comes in between.
func (s *Service) Blocks(ctx context.Context, userID id.ID) error {
	empty, err := s.Ledger.Close(ctx, ledger.OwnerUser, userID)
	if err != nil {
		return err
	}
	open, err := s.hasOpenTransfer(ctx, userID)
	if err != nil {
		return err
	}
	if open || !empty {
		return errHasFunds
	}
	return nil
}

// Erase takes labels and tokens away, and with them every bank account and card.
func (s *Service) Erase(ctx context.Context, userID id.ID) error { return s.eraseSources(ctx, userID) }

type exported struct {
	Sources   []exportedSource   `json:"fundingSources"`
	Transfers []exportedTransfer `json:"fundingTransfers"`
	Accounts  []exportedAccount  `json:"accounts"`
}

type exportedSource struct {
	ID        string    `json:"id"`
	Kind      Kind      `json:"kind"`
	Label     string    `json:"label"`
	Currency  string    `json:"currency"`
	Rail      string    `json:"rail,omitempty"`
	Removed   bool      `json:"removed"`
	CreatedAt time.Time `json:"createdAt"`
}

type exportedTransfer struct {
	ID            string    `json:"id"`
	Direction     Direction `json:"direction"`
	SourceID      string    `json:"fundingSourceId"`
	AmountMinor   int64     `json:"amountMinor"`
	ReturnedMinor int64     `json:"returnedMinor,omitempty"`
	Currency      string    `json:"currency"`
	State         State     `json:"state"`
	Reference     string    `json:"reference,omitempty"`
	FailureCode   string    `json:"failureCode,omitempty"`
	CreatedAt     time.Time `json:"createdAt"`
}

type exportedAccount struct {
	Kind         string             `json:"kind"`
	Currency     string             `json:"currency"`
	BalanceMinor int64              `json:"balanceMinor"`
	HeldMinor    int64              `json:"heldMinor"`
	Movements    []exportedMovement `json:"movements"`
	// Truncated says that there are more movements than are shown, older ones.
	Truncated bool `json:"truncated,omitempty"`
}

type exportedMovement struct {
	Kind        string    `json:"kind"`
	AmountMinor int64     `json:"amountMinor"`
	At          time.Time `json:"at"`
}

// exportMax bounds the rows of each list in an export.
const exportMax = 10_000

// Export gives the user's sources (without what rails know them by), transfers,
// and accounts with their movements.
func (s *Service) Export(ctx context.Context, userID id.ID) (any, error) {
	sources, err := s.exportSources(ctx, userID)
	if err != nil {
		return nil, fmt.Errorf("export funding sources: %w", err)
	}
	transfers, err := s.exportTransfers(ctx, userID)
	if err != nil {
		return nil, fmt.Errorf("export funding transfers: %w", err)
	}
	accounts, err := s.Ledger.OwnedBy(ctx, ledger.OwnerUser, userID)
	if err != nil {
		return nil, err
	}
	out := exported{Sources: sources, Transfers: transfers, Accounts: make([]exportedAccount, len(accounts))}
	for i, a := range accounts {
		if out.Accounts[i], err = s.exportAccount(ctx, a); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Service) exportAccount(ctx context.Context, a ledger.Account) (exportedAccount, error) {
	out := exportedAccount{
		Kind: a.Kind, Currency: a.Currency().String(), BalanceMinor: a.Balance, HeldMinor: a.Held, Movements: []exportedMovement{},
	}
	sl := page.Slice{Limit: page.Max}
	for len(out.Movements) < exportMax {
		p, err := s.Ledger.Statement(ctx, a.ID, sl)
		if err != nil {
			return out, err
		}
		for _, l := range p.Items {
			out.Movements = append(out.Movements, exportedMovement{l.Kind, l.Change, l.At})
		}
		if !p.HasNext {
			return out, nil
		}
		sl.After = ledger.LinePosition(p.Items[len(p.Items)-1])
	}
	out.Truncated = true
	return out, nil
}
