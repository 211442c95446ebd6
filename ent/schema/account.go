package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Account is where value rests in the ledger. Its id carries its mode and its
// currency in the low 30 bits, so that a plain CHECK on a transfer's two ids
// keeps both from being crossed.
type Account struct{ ent.Schema }

// Fields of Account. What the payment executor reads comes in one narrow row.
func (Account) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").Immutable().Annotations(givenID()).Comment("number << 30 | mode << 10 | ISO 4217 numeric currency"),
		modeField(), currencyField(),
		field.Enum("owner_kind").Values("USER", "MERCHANT", "PLATFORM").Immutable(),
		refField("owner_id"),
		field.String("kind").Immutable().MaxLen(40).Comment("WALLET, CREDIT, PAYABLE, CLEARING…"),
		field.Int64("balance_minor").Default(0).Comment("credits less debits"),
		field.Int64("held_minor").Default(0).Comment("sum of the holds that are HELD"),
		field.Int64("floor_minor").Default(0).Comment("how low balance less holds may go; below zero for credit"),
		field.Bool("closed").Default(false).Comment("its owner is gone, and nothing moves any more"),
		createdAt(),
	}
}

// Indexes of Account.
func (Account) Indexes() []ent.Index {
	return []ent.Index{index.Fields("owner_id", "kind", "currency", "mode").Unique()}
}

// Annotations of Account: the guards that stand even if the code in front fails.
func (Account) Annotations() []schema.Annotation {
	return []schema.Annotation{checks(map[string]string{
		"accounts_floor_kept":    "balance_minor - held_minor >= floor_minor",
		"accounts_held_counted":  "held_minor >= 0",
		"accounts_id_names_mode": "((id >> 10) & 1048575) = mode",
	})}
}
