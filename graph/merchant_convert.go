package graph

import (
	"context"

	"github.com/soukhq/souk/graph/model"
	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/core/ledger"
	"github.com/soukhq/souk/internal/core/merchant"
)

func merchantErrors(err error) ([]model.MerchantUserError, error) {
	return userErrors(err, func(r refusal[model.MerchantErrorCode]) model.MerchantUserError { return model.MerchantUserError(r) })
}

// merchantAccounts reads the accounts of merchants that the viewer may see.
func merchantAccounts(l *ledger.Service) func(context.Context, auth.Viewer, []id.ID) (map[id.ID]ledger.Account, error) {
	return func(ctx context.Context, v auth.Viewer, keys []id.ID) (map[id.ID]ledger.Account, error) {
		ids := make([]ledger.AccountID, len(keys))
		for i, k := range keys {
			ids[i] = ledger.AccountOfKey(k)
		}
		found, err := l.Accounts(ctx, ids)
		out := make(map[id.ID]ledger.Account, len(found))
		for _, a := range found {
			if a.Owner == ledger.OwnerMerchant && a.Mode() == v.Mode && merchant.SeesInside(v, a.OwnerID) {
				out[ledger.AccountKey(a.ID)] = a
			}
		}
		return out, err
	}
}

// payables reads the accounts of merchants whose inside the caller has checked
// that the viewer sees.
func payables(l *ledger.Service) func(context.Context, []id.ID) (map[id.ID][]ledger.Account, error) {
	return func(ctx context.Context, merchants []id.ID) (map[id.ID][]ledger.Account, error) {
		all, err := l.OwnedBy(ctx, ledger.OwnerMerchant, merchants...)
		out := make(map[id.ID][]ledger.Account, len(merchants))
		for _, m := range merchants {
			out[m] = []ledger.Account{}
		}
		for _, a := range all {
			out[a.OwnerID] = append(out[a.OwnerID], a)
		}
		return out, err
	}
}

// inside is what concerns the merchant alone; nothing for anybody else.
func inside(ctx context.Context, m *merchant.Merchant, text string) *string {
	if text == "" || !merchant.SeesInside(auth.FromContext(ctx), m.ID) {
		return nil
	}
	return &text
}
