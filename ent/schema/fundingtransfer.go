package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/soukhq/souk/internal/base/id"
)

// FundingTransfer is value on its way between a wallet and a source behind a
// rail: a top-up comes in, a return goes back.
type FundingTransfer struct{ ent.Schema }

// Fields of FundingTransfer.
func (FundingTransfer) Fields() []ent.Field {
	return []ent.Field{
		idField(), modeField(), refField("user_id"), refField("source_id"),
		field.Enum("direction").Values("TOP_UP", "RETURN").Immutable(),
		field.Int64("account_id").Immutable().Comment("the wallet"),
		field.Int64("amount_minor").Immutable(), currencyField(),
		field.Enum("state").Values("PENDING", "SUCCEEDED", "FAILED", "RETURNED").Default("PENDING"),
		field.String("rail").Immutable().MaxLen(40),
		field.String("rail_reference").Optional().MaxLen(100),
		field.String("failure_code").Optional().MaxLen(60),
		field.UUID("hold_id", id.Nil).Optional().Nillable().Immutable().Comment("of a return: what is set aside until the rail has answered"),
		field.UUID("top_up_id", id.Nil).Optional().Nillable().Immutable().Comment("of a return: the top-up that it gives back"),
		field.UUID("transfer_id", id.Nil).Optional().Nillable().Comment("the ledger's transfer, once it has succeeded"),
		field.Int64("returned_minor").Default(0).Comment("of a top-up: how much was given back or is about to be"),
		field.Time("check_at").Optional().Nillable().Comment("when to ask the rail (again); none: ended"),
		field.Int32("check_count").Default(0),
		createdAt(), field.Time("updated_at"),
	}
}

// Indexes of FundingTransfer.
func (FundingTransfer) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id", "id"),
		index.Fields("rail", "rail_reference"),
		index.Fields("check_at").Annotations(entsql.IndexWhere("check_at IS NOT NULL")),
	}
}

// Annotations of FundingTransfer.
func (FundingTransfer) Annotations() []schema.Annotation {
	return []schema.Annotation{checks(map[string]string{
		"funding_amount_positive": "amount_minor > 0",
		"funding_returned_within": "returned_minor >= 0 AND returned_minor <= amount_minor",
	})}
}
