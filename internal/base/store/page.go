package store

import (
	entsql "entgo.io/ent/dialect/sql"

	"github.com/soukhq/souk/internal/base/id"
	"github.com/soukhq/souk/internal/base/page"
)

// Literal is a predicate of a fixed SQL text, such as "state = 'HELD'". It is for
// the condition of a partial index: a database cannot know that the index serves
// when the value comes as a parameter.
func Literal(sql string) func(*entsql.Selector) {
	return func(s *entsql.Selector) { s.Where(entsql.ExprP(sql)) }
}

// Position reads the id that a cursor's position is, for lists in the order of
// ids; Nil when there is no cursor.
func Position(pos []byte) id.ID {
	var u id.ID
	if len(pos) == len(u) {
		copy(u[:], pos)
	}
	return u
}

// Newest orders a list whose newest item comes first, in the direction in which
// a slice is read.
func Newest(sl page.Slice) entsql.OrderTermOption {
	if sl.Backward {
		return entsql.OrderAsc()
	}
	return entsql.OrderDesc()
}
