package schema

import (
	"encoding/json"

	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Device is a user's phone, with the public key that it proves itself by.
type Device struct{ ent.Schema }

// Fields of Device.
func (Device) Fields() []ent.Field {
	return []ent.Field{
		idField(), modeField(), refField("user_id"),
		field.String("name").MaxRuneLen(200),
		field.JSON("public_key", json.RawMessage{}).Comment("JWK (RFC 7517)"),
		field.String("thumbprint").Immutable().MaxLen(64).Comment("RFC 7638, SHA-256, base64url"),
		field.Time("revoked_at").Optional().Nillable(),
		createdAt(),
	}
}

// Edges of Device.
func (Device) Edges() []ent.Edge {
	return []ent.Edge{edge.From("user", User.Type).Ref("devices").Field("user_id").Unique().Required().Immutable()}
}

// Indexes of Device.
func (Device) Indexes() []ent.Index {
	return []ent.Index{index.Fields("user_id", "thumbprint").Unique()}
}
