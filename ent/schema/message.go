package schema

import (
	"encoding/json"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/soukhq/souk/internal/base/id"
)

// Message is what the chat app draws: text, and at times a typed card.
type Message struct{ ent.Schema }

// Fields of Message.
func (Message) Fields() []ent.Field {
	return []ent.Field{
		idField(), modeField(), refField("conversation_id"),
		field.Int64("seq").Immutable().Comment("1, 2, 3… in its conversation, without gaps"),
		field.UUID("sender_id", id.Nil).Optional().Nillable().Immutable().Comment("none: Souk itself"),
		field.UUID("only_for_id", id.Nil).Optional().Nillable().Immutable().Comment("the one member who may see it; none: all"),
		field.Text("text").MaxRuneLen(4000),
		field.Enum("card_type").Values("NONE", "PRODUCT", "RECEIPT").Default("NONE").Immutable(),
		field.JSON("card", json.RawMessage{}).Optional(),
		createdAt(),
	}
}

// Indexes of Message.
func (Message) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("conversation_id", "seq").Unique(),
		index.Fields("sender_id", "conversation_id", "seq"),
		index.Fields("only_for_id").Annotations(entsql.IndexWhere("only_for_id IS NOT NULL")),
	}
}
