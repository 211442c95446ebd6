package graph

import (
	"context"

	"github.com/soukhq/souk/graph/model"
	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/core/merchant"
)

func merchantErrors(err error) ([]model.MerchantUserError, error) {
	return userErrors(err, func(r refusal[model.MerchantErrorCode]) model.MerchantUserError { return model.MerchantUserError(r) })
}

// inside is what concerns the merchant alone; nothing for anybody else.
func inside(ctx context.Context, m *merchant.Merchant, text string) *string {
	if text == "" || !merchant.SeesInside(auth.FromContext(ctx), m.ID) {
		return nil
	}
	return &text
}
