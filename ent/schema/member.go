package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/index"
)

// Member is a user's place in a conversation.
type Member struct{ ent.Schema }

// Fields of Member.
func (Member) Fields() []ent.Field {
	return []ent.Field{idField(), refField("conversation_id"), refField("user_id"), createdAt()}
}

// Edges of Member.
func (Member) Edges() []ent.Edge {
	return []ent.Edge{edge.From("conversation", Conversation.Type).Ref("members").Field("conversation_id").Unique().Required().Immutable()}
}

// Indexes of Member.
func (Member) Indexes() []ent.Index {
	return []ent.Index{index.Fields("conversation_id", "user_id").Unique(), index.Fields("user_id")}
}
