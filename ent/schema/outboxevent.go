package schema

import (
	"encoding/json"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// OutboxEvent is something that happened and that others must still hear of. It
// is written with what happened, in the same transaction, and is the truth about
// background work: the queue may be flushed at any time.
type OutboxEvent struct{ ent.Schema }

// Fields of OutboxEvent.
func (OutboxEvent) Fields() []ent.Field {
	return []ent.Field{
		idField(), modeField(),
		field.String("topic").Immutable().MaxLen(60),
		refField("subject_id"),
		field.JSON("payload", json.RawMessage{}).Immutable(),
		field.Enum("state").Values("NEW", "SENT", "DONE", "DEAD").Default("NEW"),
		field.Int32("attempts").Default(0).Comment("how often its handling has failed"),
		field.Time("due_at").Comment("when the relay should (again) send it; machine time, not a sandbox's"),
		field.String("last_error").Optional().MaxLen(500),
		createdAt(),
		field.Time("done_at").Optional().Nillable(),
	}
}

// Indexes of OutboxEvent.
func (OutboxEvent) Indexes() []ent.Index {
	return []ent.Index{
		// OR, and not IN: PostgreSQL writes IN in another way each time it is told, and
		// SQLite uses the index only for a query that says the same.
		index.Fields("due_at").Annotations(entsql.IndexWhere("state = 'NEW' OR state = 'SENT'")),
		index.Fields("done_at").Annotations(entsql.IndexWhere("state = 'DONE'")),
	}
}
