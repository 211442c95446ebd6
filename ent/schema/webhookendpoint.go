package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// WebhookEndpoint is where a third party wants to hear of events.
type WebhookEndpoint struct{ ent.Schema }

// Fields of WebhookEndpoint.
func (WebhookEndpoint) Fields() []ent.Field {
	return []ent.Field{
		idField(), modeField(), refField("owner_id"),
		field.String("url").MaxLen(2048),
		field.JSON("event_types", []string{}).Comment("empty: all"),
		field.Bytes("secret").MaxLen(1024).Comment("sealed"),
		field.Bytes("previous_secret").Optional().MaxLen(1024).Comment("sealed; signs beside the new one until previous_until"),
		field.Time("previous_until").Optional().Nillable(),
		field.Enum("status").Values("ENABLED", "DISABLED").Default("ENABLED"),
		field.String("disabled_reason").Optional().MaxLen(200),
		createdAt(), field.Time("updated_at"),
	}
}

// Edges of WebhookEndpoint.
func (WebhookEndpoint) Edges() []ent.Edge {
	return []ent.Edge{edge.To("deliveries", WebhookDelivery.Type)}
}

// Indexes of WebhookEndpoint.
func (WebhookEndpoint) Indexes() []ent.Index { return []ent.Index{index.Fields("owner_id", "id")} }
