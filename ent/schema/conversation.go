package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Conversation is where users talk, as the chat app names it.
type Conversation struct{ ent.Schema }

// Fields of Conversation.
func (Conversation) Fields() []ent.Field {
	return []ent.Field{
		idField(), modeField(),
		field.String("issuer").Immutable().MaxLen(255),
		field.String("external_id").Immutable().MaxLen(255),
		field.String("title").MaxRuneLen(200),
		field.Int64("last_seq").Default(0).Comment("number of the newest message; its row is locked to give the next"),
		field.Time("removed_at").Optional().Nillable(),
		createdAt(),
	}
}

// Edges of Conversation.
func (Conversation) Edges() []ent.Edge {
	return []ent.Edge{edge.To("members", Member.Type)}
}

// Indexes of Conversation.
func (Conversation) Indexes() []ent.Index {
	return []ent.Index{index.Fields("mode", "issuer", "external_id").Unique()}
}
