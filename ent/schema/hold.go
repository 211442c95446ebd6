package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Hold sets part of a balance aside until it is captured, voided or expired. It
// ends once.
type Hold struct{ ent.Schema }

// Fields of Hold.
func (Hold) Fields() []ent.Field {
	return []ent.Field{
		idField(),
		field.Int64("account_id").Immutable(),
		field.Int64("amount_minor").Immutable(),
		field.Int64("captured_minor").Default(0),
		field.Enum("state").Values("HELD", "CAPTURED", "VOIDED", "EXPIRED").Default("HELD"),
		refField("subject_id"),
		field.Time("expires_at").Immutable(),
		createdAt(),
		field.Time("ended_at").Optional().Nillable(),
	}
}

// Indexes of Hold.
func (Hold) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("account_id").Annotations(entsql.IndexWhere("state = 'HELD'")),
	}
}

// Annotations of Hold.
func (Hold) Annotations() []schema.Annotation {
	return []schema.Annotation{checks(map[string]string{
		"holds_amount_positive": "amount_minor > 0",
		"holds_captured_within": "captured_minor >= 0 AND captured_minor <= amount_minor",
	})}
}
