package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Refund is value given back for an order, whole or part.
type Refund struct{ ent.Schema }

// Fields of Refund.
func (Refund) Fields() []ent.Field {
	return []ent.Field{
		idField(), modeField(), refField("order_id"), refField("transfer_id"),
		field.Int64("amount_minor").Immutable(), currencyField(),
		field.String("reason").Immutable().MaxRuneLen(200).Default(""),
		createdAt(),
	}
}

// Indexes of Refund.
func (Refund) Indexes() []ent.Index { return []ent.Index{index.Fields("order_id", "id")} }

// Annotations of Refund.
func (Refund) Annotations() []schema.Annotation {
	return []schema.Annotation{checks(map[string]string{"refunds_amount_positive": "amount_minor > 0"})}
}
