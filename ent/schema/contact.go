package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Contact says that one user counts another among their friends. It has one
// direction: the chat app provisions both.
type Contact struct{ ent.Schema }

// Fields of Contact.
func (Contact) Fields() []ent.Field {
	return []ent.Field{
		idField(), modeField(), refField("user_id"), refField("contact_id"),
		field.Bool("blocked").Default(false),
		createdAt(),
	}
}

// Indexes of Contact.
func (Contact) Indexes() []ent.Index {
	return []ent.Index{index.Fields("user_id", "contact_id").Unique(), index.Fields("contact_id")}
}
