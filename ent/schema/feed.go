package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
)

// Feed is the head of a user's feed; its id is the user's.
type Feed struct{ ent.Schema }

// Fields of Feed.
func (Feed) Fields() []ent.Field {
	return []ent.Field{
		idField(),
		field.Int64("last_seq").Default(0),
		field.Int64("pruned_seq").Default(0).Comment("entries up to here are gone"),
	}
}
