package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// FeedEntry says that something new is there for a user. Entries are numbered
// without gaps for each user, so that a subscription which resumes after a
// number misses nothing.
type FeedEntry struct{ ent.Schema }

// Fields of FeedEntry.
func (FeedEntry) Fields() []ent.Field {
	return []ent.Field{
		idField(), refField("user_id"),
		field.Int64("seq").Immutable(),
		field.Enum("kind").Values("MESSAGE", "ORDER").Immutable(),
		refField("subject_id"),
		field.Int32("version").Immutable().Default(0).Comment("which change of the subject; a change is announced once"),
		createdAt(),
	}
}

// Indexes of FeedEntry.
func (FeedEntry) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id", "seq").Unique(),
		index.Fields("user_id", "subject_id", "version").Unique(),
		index.Fields("created_at"),
	}
}
