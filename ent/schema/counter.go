package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
)

// Counter gives numbers that must be unique across processes and small, such as
// an account's.
type Counter struct{ ent.Schema }

// Fields of Counter.
func (Counter) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().MaxLen(40),
		field.Int64("value").Default(0),
	}
}
