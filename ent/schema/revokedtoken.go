package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// RevokedToken is a token that ended before its time; the row may go once the
// token has expired by itself.
type RevokedToken struct{ ent.Schema }

// Fields of RevokedToken.
func (RevokedToken) Fields() []ent.Field {
	return []ent.Field{
		idField(), modeField(),
		field.Time("expires_at").Immutable(),
		createdAt(),
	}
}

// Indexes of RevokedToken.
func (RevokedToken) Indexes() []ent.Index {
	return []ent.Index{index.Fields("expires_at")}
}
