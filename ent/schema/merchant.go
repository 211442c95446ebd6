package schema

import (
	"encoding/json"

	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
)

// Merchant sells, and runs a product server.
type Merchant struct{ ent.Schema }

// Fields of Merchant.
func (Merchant) Fields() []ent.Field {
	return []ent.Field{
		idField(), modeField(),
		field.String("name").MaxRuneLen(200),
		field.Enum("status").Values("ACTIVE", "SUSPENDED").Default("ACTIVE"),
		field.String("endpoint_url").MaxLen(2048).Comment("product server: where orders are sent for confirmation"),
		field.String("jwks_url").Optional().MaxLen(2048).Comment("where its keys are published; empty: jwks is all"),
		field.JSON("jwks", json.RawMessage{}).Optional().Comment("its public keys (RFC 7517 §5)"),
		field.Time("jwks_fetched_at").Optional().Nillable(),
		createdAt(), field.Time("updated_at"),
	}
}

// Edges of Merchant.
func (Merchant) Edges() []ent.Edge {
	return []ent.Edge{edge.To("products", Product.Type)}
}
