package schema

import (
	"encoding/json"

	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/soukhq/souk/internal/base/id"
)

// AuditEntry says who did what to whom, where a person or a server acted with
// more than a user's rights.
type AuditEntry struct{ ent.Schema }

// Fields of AuditEntry.
func (AuditEntry) Fields() []ent.Field {
	return []ent.Field{
		idField(), modeField(),
		field.String("actor").Immutable().MaxLen(300).Comment("what it is, and the subject of its token"),
		field.String("issuer").Immutable().MaxLen(255).Default("").Comment("who signed that token"),
		field.String("action").Immutable().MaxLen(60),
		field.UUID("subject_id", id.Nil).Immutable(),
		field.JSON("detail", json.RawMessage{}).Optional().Immutable(),
		createdAt(),
	}
}

// Indexes of AuditEntry.
func (AuditEntry) Indexes() []ent.Index {
	return []ent.Index{index.Fields("subject_id", "id"), index.Fields("created_at")}
}
