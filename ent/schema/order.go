package schema

import (
	"encoding/json"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/soukhq/souk/internal/base/id"
)

// Order is one purchase, from the buyer's tap to its last refund.
type Order struct{ ent.Schema }

// Fields of Order.
func (Order) Fields() []ent.Field {
	return []ent.Field{
		idField(), modeField(),
		refField("buyer_id"), refField("merchant_id"), refField("product_id"),
		field.UUID("conversation_id", id.Nil).Optional().Nillable().Immutable(),
		field.String("sku").Immutable().MaxLen(100),
		field.String("name").Immutable().MaxRuneLen(200),
		field.Int64("quantity").Immutable(),
		field.Int64("unit_minor").Immutable(),
		field.Int64("total_minor").Immutable(),
		field.Int64("refunded_minor").Default(0),
		currencyField(),
		field.Enum("state").Values("AUTHORISED", "PAID", "DECLINED", "CANCELLED", "EXPIRED", "PARTIALLY_REFUNDED", "REFUNDED"),
		field.Bool("stock_counted").Immutable().Comment("units were taken from the product's stock"),
		field.Int64("account_id").Immutable().Comment("who pays"),
		field.Int64("merchant_account_id").Immutable().Comment("who is paid"),
		field.UUID("hold_id", id.Nil).Optional().Nillable().Immutable(),
		field.UUID("transfer_id", id.Nil).Optional().Nillable().Comment("the transfer that paid it"),
		field.String("reference").Optional().MaxRuneLen(100).Comment("the merchant's own name for it"),
		field.String("decline_reason").Optional().MaxRuneLen(200),
		field.Time("confirm_by").Optional().Nillable().Immutable().Comment("the merchant must have confirmed by then"),
		field.Time("forward_at").Optional().Nillable().Comment("when to (again) ask the merchant; none: not to be asked"),
		field.Int32("forward_count").Default(0),
		field.Int32("version").Default(1).Comment("rises by one with each change"),
		field.JSON("timeline", json.RawMessage{}).Comment("what happened, oldest first"),
		createdAt(), field.Time("updated_at"),
	}
}

// Indexes of Order.
func (Order) Indexes() []ent.Index {
	open := entsql.IndexWhere("state = 'AUTHORISED'")
	return []ent.Index{
		index.Fields("buyer_id", "id"),
		index.Fields("merchant_id", "id"),
		index.Fields("confirm_by").Annotations(open),
		index.Fields("forward_at").Annotations(open),
	}
}

// Annotations of Order.
func (Order) Annotations() []schema.Annotation {
	return []schema.Annotation{checks(map[string]string{
		"orders_total":    "total_minor > 0 AND quantity > 0",
		"orders_refunded": "refunded_minor >= 0 AND refunded_minor <= total_minor",
	})}
}
