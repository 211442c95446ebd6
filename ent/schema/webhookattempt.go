package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// WebhookAttempt is one try at a delivery, kept as its log.
type WebhookAttempt struct{ ent.Schema }

// Fields of WebhookAttempt.
func (WebhookAttempt) Fields() []ent.Field {
	return []ent.Field{
		idField(), refField("delivery_id"),
		field.Int32("status").Optional().Nillable().Immutable().Comment("HTTP status; none: no answer"),
		field.String("error").Optional().MaxLen(300).Immutable(),
		field.Int64("duration_ms").Immutable(),
		createdAt(),
	}
}

// Edges of WebhookAttempt.
func (WebhookAttempt) Edges() []ent.Edge {
	return []ent.Edge{edge.From("delivery", WebhookDelivery.Type).Ref("attempts").Field("delivery_id").Unique().Required().Immutable()}
}

// Indexes of WebhookAttempt.
func (WebhookAttempt) Indexes() []ent.Index { return []ent.Index{index.Fields("delivery_id", "id")} }
