package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
)

// IdempotencyKey remembers what a command that moves value was answered, so that
// its repetition is answered the same and done once.
type IdempotencyKey struct{ ent.Schema }

// Fields of IdempotencyKey.
func (IdempotencyKey) Fields() []ent.Field {
	return []ent.Field{
		idField(),
		field.Bytes("request_hash").Immutable().MaxLen(32).Comment("of the normalised input, to tell a repetition from another request"),
		field.Bytes("result").Immutable().MaxLen(4096),
		createdAt(),
	}
}
