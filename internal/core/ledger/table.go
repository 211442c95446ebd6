package ledger

import (
	"slices"

	"github.com/soukhq/souk/internal/base/store"
)

// Table is the part of a database table that a batch works on: rows that were
// locked and read, changed, or added. It remembers what a command did since the
// last mark, so that a refusal takes it all back.
type Table[K comparable, R any] struct {
	compare func(a, b K) int
	wanted  map[K]struct{}
	rows    map[K]*entry[R]
	added   []R
	journal []undo[K, R]
	marked  int
}

type entry[R any] struct {
	row     R
	changed bool
}

type undo[K comparable, R any] struct {
	key    K
	before entry[R]
}

// NewTable makes an empty table whose keys are locked in the order of compare.
func NewTable[K comparable, R any](compare func(a, b K) int) *Table[K, R] {
	return &Table[K, R]{compare: compare, wanted: map[K]struct{}{}, rows: map[K]*entry[R]{}}
}

// Want asks for a row to be locked and read before the batch decides.
func (t *Table[K, R]) Want(k K) { t.wanted[k] = struct{}{} }

// Wanted gives the keys to lock, in order.
func (t *Table[K, R]) Wanted() []K {
	keys := make([]K, 0, len(t.wanted))
	for k := range t.wanted {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, t.compare)
	return keys
}

// Lock queues the locking read of the wanted rows.
func (t *Table[K, R]) Lock(p *store.Pipe, q *store.Query, scan func(store.Rows) (K, R, error)) {
	p.Select(q, t.Wanted(), func(rows store.Rows) error {
		k, row, err := scan(rows)
		if err == nil {
			t.rows[k] = &entry[R]{row: row}
		}
		return err
	})
}

// Get gives a locked row.
func (t *Table[K, R]) Get(k K) (R, bool) {
	e, ok := t.rows[k]
	if !ok {
		var none R
		return none, false
	}
	return e.row, true
}

// Set changes a locked row.
func (t *Table[K, R]) Set(k K, row R) {
	e := t.rows[k]
	t.journal = append(t.journal, undo[K, R]{k, *e})
	e.row, e.changed = row, true
}

// Add adds a row that is new to the database. Its key must be new, too: a later
// command of the same batch does not see the row, as nobody can name it before the
// batch is committed.
func (t *Table[K, R]) Add(row R) { t.added = append(t.added, row) }

// Added gives the new rows, in the order in which they were added.
func (t *Table[K, R]) Added() []R { return t.added }

// Since gives the rows that were added since the mark.
func (t *Table[K, R]) Since() []R { return t.added[t.marked:] }

// Changed gives the changed rows, in the order of their keys.
func (t *Table[K, R]) Changed() []R {
	var keys []K
	for k, e := range t.rows {
		if e.changed {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, t.compare)
	rows := make([]R, len(keys))
	for i, k := range keys {
		rows[i] = t.rows[k].row
	}
	return rows
}

// Mark begins a command: what follows can be taken back.
func (t *Table[K, R]) Mark() {
	t.journal = t.journal[:0]
	t.marked = len(t.added)
}

// Rollback takes back all since the mark.
func (t *Table[K, R]) Rollback() {
	for i := len(t.journal) - 1; i >= 0; i-- {
		u := t.journal[i]
		*t.rows[u.key] = u.before
	}
	t.journal = t.journal[:0]
	t.added = t.added[:t.marked]
}

// Reset empties the table for another batch.
func (t *Table[K, R]) Reset() {
	clear(t.wanted)
	clear(t.rows)
	clear(t.added)
	t.added, t.journal, t.marked = t.added[:0], t.journal[:0], 0
}
