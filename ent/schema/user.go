package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// User is a person of the chat app, named there by the subject of the tokens
// that the chat app's issuer signs.
type User struct{ ent.Schema }

// Fields of User.
func (User) Fields() []ent.Field {
	return []ent.Field{
		idField(), modeField(),
		field.String("issuer").Immutable().MaxLen(255),
		field.String("external_id").MaxLen(255).Comment("the token's subject; replaced when the person is erased"),
		field.String("display_name").MaxRuneLen(200),
		field.Enum("status").Values("ACTIVE", "BLOCKED", "REMOVED", "ERASED").Default("ACTIVE"),
		field.Time("tokens_valid_after").Optional().Nillable().Comment("tokens issued before are revoked"),
		createdAt(), field.Time("updated_at"),
	}
}

// Edges of User.
func (User) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("devices", Device.Type),
		edge.To("funding_sources", FundingSource.Type),
	}
}

// Indexes of User.
func (User) Indexes() []ent.Index {
	return []ent.Index{index.Fields("mode", "issuer", "external_id").Unique()}
}
