package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// WebhookDelivery is one event for one endpoint.
type WebhookDelivery struct{ ent.Schema }

// Fields of WebhookDelivery.
func (WebhookDelivery) Fields() []ent.Field {
	return []ent.Field{
		idField(), modeField(), refField("endpoint_id"),
		refField("event_id"),
		field.String("event_type").Immutable().MaxLen(60),
		field.Bytes("payload").Immutable().MaxLen(65536).Comment("the bytes that are signed and sent"),
		field.Enum("state").Values("PENDING", "DELIVERED", "FAILED").Default("PENDING"),
		field.Int32("attempt_count").Default(0),
		field.Time("next_attempt_at").Optional().Nillable(),
		field.Int32("last_status").Optional().Nillable(),
		field.String("last_error").Optional().MaxLen(300),
		createdAt(), field.Time("updated_at"),
	}
}

// Edges of WebhookDelivery.
func (WebhookDelivery) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("endpoint", WebhookEndpoint.Type).Ref("deliveries").Field("endpoint_id").Unique().Required().Immutable(),
		edge.To("attempts", WebhookAttempt.Type),
	}
}

// Indexes of WebhookDelivery.
func (WebhookDelivery) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("endpoint_id", "event_id").Unique(),
		index.Fields("endpoint_id", "id"),
		index.Fields("next_attempt_at").Annotations(entsql.IndexWhere("state = 'PENDING'")),
	}
}
