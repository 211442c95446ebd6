package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// TrustedDocument is a GraphQL document that a client's build registered.
type TrustedDocument struct{ ent.Schema }

// Fields of TrustedDocument.
func (TrustedDocument) Fields() []ent.Field {
	return []ent.Field{
		idField(),
		field.String("client").Immutable().MaxLen(100),
		field.String("document_id").Immutable().MaxLen(128).Comment("what the client sends; its SHA-256 in hex unless the client chose another"),
		field.Text("document").Immutable(),
		createdAt(),
	}
}

// Indexes of TrustedDocument.
func (TrustedDocument) Indexes() []ent.Index {
	return []ent.Index{index.Fields("client", "document_id").Unique()}
}
