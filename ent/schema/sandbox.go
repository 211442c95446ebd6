package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
)

// Sandbox is a place to try things with play money, with a clock of its own.
type Sandbox struct{ ent.Schema }

// Fields of Sandbox.
func (Sandbox) Fields() []ent.Field {
	return []ent.Field{
		field.Int32("id").Positive().Immutable().Annotations(givenID()).Comment("the mode of its rows"),
		field.String("name").MaxLen(100),
		field.Int64("ahead_us").Default(0).Comment("how far its clock runs ahead of the machine's, in microseconds"),
		createdAt(),
	}
}
