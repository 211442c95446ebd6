// Package schema describes Souk's tables, one file an entity.
//
// Owned rows carry a mode (live or a sandbox) that never changes. Times are UTC
// with whole microseconds and come from the clock seam, never from the database,
// so no field has a default time. Tables on the payment path have no foreign
// keys: the executor locks and checks the rows that they would point to.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/mode"
	"github.com/soukhq/souk/internal/base/money"
)

func idField() ent.Field {
	return field.UUID("id", id.Nil).Default(id.New).Immutable()
}

func refField(name string) ent.Field {
	return field.UUID(name, id.Nil).Immutable()
}

func modeField() ent.Field {
	return field.Int32("mode").GoType(mode.Live).Immutable().
		Comment("0 is live, n is sandbox n")
}

func createdAt() ent.Field { return field.Time("created_at").Immutable() }

func currencyField() ent.Field {
	return field.String("currency").GoType(money.Currency(0)).Immutable().
		SchemaType(map[string]string{dialect.Postgres: "varchar(3)", dialect.SQLite: "text"})
}

// givenID says that a numeric id is given by the application: ent would otherwise
// have the database count it up.
func givenID() schema.Annotation { return &entsql.Annotation{Incremental: new(false)} }

func checks(c map[string]string) schema.Annotation { return &entsql.Annotation{Checks: c} }
