package schema

import (
	"encoding/json"

	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// SigningKey is a key of Souk's own, for signatures or for what others encrypt
// to it. Its private half is sealed.
type SigningKey struct{ ent.Schema }

// Fields of SigningKey.
func (SigningKey) Fields() []ent.Field {
	return []ent.Field{
		idField(),
		field.String("kid").Immutable().Unique().MaxLen(64),
		field.Enum("purpose").Values("TOKEN", "ORDER", "ENCRYPTION", "PSEUDONYM").Immutable(),
		field.JSON("public", json.RawMessage{}).Immutable(),
		field.Bytes("private").MaxLen(8192),
		createdAt(),
		field.Time("use_from").Comment("published at once, used to sign from here on, so that others have fetched it"),
		field.Time("retire_at").Optional().Nillable().Comment("published no longer, accepted no longer"),
	}
}

// Indexes of SigningKey.
func (SigningKey) Indexes() []ent.Index { return []ent.Index{index.Fields("purpose", "created_at")} }
