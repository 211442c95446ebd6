package graph

import (
	"context"

	"github.com/soukhq/souk/graph/model"
	"github.com/soukhq/souk/internal/base/money"
	"github.com/soukhq/souk/internal/core/ledger"
	"github.com/soukhq/souk/internal/core/wallet"
)

func walletErrors(err error) ([]model.WalletUserError, error) {
	return userErrors(err, func(r refusal[model.WalletErrorCode]) model.WalletUserError { return model.WalletUserError(r) })
}

// balance is one of the figures of a source's account; nothing where another
// keeps the books.
func (r *Resolver) balance(ctx context.Context, s *wallet.Source, figure func(ledger.Account) int64) (*money.Amount, error) {
	if s.Account == 0 {
		return nil, nil
	}
	a, err := r.balances.Load(ctx, s.Account)
	if err != nil {
		return nil, err
	}
	return &money.Amount{Minor: figure(a), Currency: s.Currency}, nil
}
