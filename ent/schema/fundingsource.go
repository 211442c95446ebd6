package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// FundingSource is what a user can pay with: a balance or credit line that the
// ledger holds, or a bank account or card behind a rail that fills the wallet.
type FundingSource struct{ ent.Schema }

// Fields of FundingSource.
func (FundingSource) Fields() []ent.Field {
	return []ent.Field{
		idField(), modeField(), refField("user_id"),
		field.Enum("kind").Values("WALLET", "CREDIT_LINE", "BANK_ACCOUNT", "CARD").Immutable(),
		field.String("label").MaxRuneLen(100),
		currencyField(),
		field.Int64("account_id").Optional().Nillable().Immutable().Comment("of a wallet or credit line"),
		field.String("rail").Optional().Immutable().MaxLen(40).Comment("of a bank account or card"),
		field.Bytes("rail_token").Optional().MaxLen(4096).Comment("sealed: what the rail knows the source by"),
		field.Enum("status").Values("ACTIVE", "REMOVED").Default("ACTIVE"),
		createdAt(),
	}
}

// Edges of FundingSource.
func (FundingSource) Edges() []ent.Edge {
	return []ent.Edge{edge.From("user", User.Type).Ref("funding_sources").Field("user_id").Unique().Required().Immutable()}
}

// Indexes of FundingSource.
func (FundingSource) Indexes() []ent.Index { return []ent.Index{index.Fields("user_id", "id")} }
