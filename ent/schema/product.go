package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Product is what a merchant offers: its price now, and its stock if Souk counts it.
type Product struct{ ent.Schema }

// Fields of Product.
func (Product) Fields() []ent.Field {
	return []ent.Field{
		idField(), modeField(), refField("merchant_id"),
		field.String("sku").Immutable().MaxLen(100),
		field.String("name").MaxRuneLen(200),
		field.String("description").MaxRuneLen(2000).Default(""),
		field.Int64("price_minor"), currencyField(),
		field.Int64("stock_count").Optional().Nillable().Comment("none: Souk does not count it"),
		field.Enum("status").Values("OFFERED", "WITHDRAWN").Default("OFFERED"),
		createdAt(), field.Time("updated_at"),
	}
}

// Edges of Product.
func (Product) Edges() []ent.Edge {
	return []ent.Edge{edge.From("merchant", Merchant.Type).Ref("products").Field("merchant_id").Unique().Required().Immutable()}
}

// Indexes of Product.
func (Product) Indexes() []ent.Index {
	return []ent.Index{index.Fields("merchant_id", "sku").Unique(), index.Fields("merchant_id", "id")}
}

// Annotations of Product.
func (Product) Annotations() []schema.Annotation {
	return []schema.Annotation{checks(map[string]string{
		"products_price_positive": "price_minor > 0",
		"products_stock_counted":  "stock_count >= 0",
	})}
}
