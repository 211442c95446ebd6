package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/soukhq/souk/internal/base/id"
)

// Transfer moves value from one account to another: a debit and a credit of the
// same amount in one row, which therefore sums to zero whatever else happens.
// Rows are never changed or removed; a mistake is reversed by another transfer.
type Transfer struct{ ent.Schema }

// Fields of Transfer.
func (Transfer) Fields() []ent.Field {
	return []ent.Field{
		idField(),
		field.Int64("debit_account_id").Immutable(),
		field.Int64("credit_account_id").Immutable(),
		field.Int64("amount_minor").Immutable(),
		field.String("kind").Immutable().MaxLen(40).Comment("PURCHASE, REFUND, TOP_UP…"),
		field.UUID("subject_id", id.Nil).Immutable().Comment("what it was for: an order, a top-up…"),
		field.UUID("reverses_id", id.Nil).Optional().Nillable().Immutable(),
		createdAt(),
	}
}

// Indexes of Transfer: an account's statement, newest last.
func (Transfer) Indexes() []ent.Index {
	return []ent.Index{index.Fields("debit_account_id", "id"), index.Fields("credit_account_id", "id")}
}

// Annotations of Transfer.
func (Transfer) Annotations() []schema.Annotation {
	return []schema.Annotation{checks(map[string]string{
		"transfers_amount_positive":       "amount_minor > 0",
		"transfers_two_accounts":          "debit_account_id <> credit_account_id",
		"transfers_one_mode_one_currency": "((debit_account_id & 1073741823) = (credit_account_id & 1073741823))",
	})}
}
