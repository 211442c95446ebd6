package graph

import (
	"github.com/soukhq/souk/graph/model"
	"github.com/soukhq/souk/internal/buying/purchase"
)

func fromAPIPurchase(in model.PurchaseCreateInput) purchase.CreateInput {
	out := purchase.CreateInput{
		Key: in.IdempotencyKey, Card: in.Card, Quantity: int64(in.Quantity), SourceID: ref("FundingSource", in.FundingSourceID),
	}
	if in.ConversationID != nil {
		c := ref("Conversation", *in.ConversationID)
		out.Conversation = &c
	}
	return out
}

func purchaseErrors(err error) ([]model.PurchaseUserError, error) {
	return userErrors(err, func(r refusal[model.PurchaseErrorCode]) model.PurchaseUserError { return model.PurchaseUserError(r) })
}

// value is what an optional text says; nothing says nothing.
func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
