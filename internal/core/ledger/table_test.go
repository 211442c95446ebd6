package ledger

import (
	"cmp"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// tableModel is a table in which nothing is clever: every mark copies all.
type tableModel struct {
	rows, read map[int]string
	touched    map[int]bool // ever set and not taken back
	added      []string
}

func (m tableModel) copy() tableModel {
	return tableModel{maps.Clone(m.rows), m.read, maps.Clone(m.touched), slices.Clone(m.added)}
}

func (m tableModel) changed() []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m.touched)) {
		out = append(out, m.rows[k])
	}
	return out
}

func TestTable_Rollback(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		table := NewTable[int, string](cmp.Compare[int])
		var now, marked tableModel
		reset := func() {
			table.Reset()
			rows := map[int]string{}
			for _, k := range rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 1, 6, rapid.ID).Draw(t, "rows") {
				row := rapid.StringN(0, 3, -1).Draw(t, "row")
				rows[k] = row
				table.rows[k] = &entry[string]{row: row} // as Lock reads it
			}
			now = tableModel{rows: rows, read: maps.Clone(rows), touched: map[int]bool{}}
			table.Mark()
			marked = now.copy()
		}
		reset()
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				for k := range 10 {
					got, ok := table.Get(k)
					if want, there := now.rows[k]; got != want || ok != there {
						t.Fatalf("row %d is %q, %v; want %q, %v", k, got, ok, want, there)
					}
				}
				if got := table.Changed(); !slices.Equal(got, now.changed()) {
					t.Fatalf("changed: %q, want %q", got, now.changed())
				}
				if got := table.Added(); !slices.Equal(got, now.added) {
					t.Fatalf("added: %q, want %q", got, now.added)
				}
				if got := table.Since(); !slices.Equal(got, now.added[len(marked.added):]) {
					t.Fatalf("added since the mark: %q, want %q", got, now.added[len(marked.added):])
				}
			},
			"set": func(t *rapid.T) {
				k := rapid.SampledFrom(slices.Sorted(maps.Keys(now.rows))).Draw(t, "key")
				row := rapid.StringN(0, 3, -1).Draw(t, "row")
				table.Set(k, row)
				now.rows[k], now.touched[k] = row, true
			},
			"add": func(t *rapid.T) {
				row := rapid.StringN(0, 3, -1).Draw(t, "row")
				table.Add(row)
				now.added = append(now.added, row)
			},
			"mark":     func(*rapid.T) { table.Mark(); marked = now.copy() },
			"rollback": func(*rapid.T) { table.Rollback(); now = marked.copy() },
			"reset":    func(*rapid.T) { reset() },
		})
	})
}

func TestTable_Wanted_InOrderAndOnce(t *testing.T) {
	t.Parallel()
	table := NewTable[int, string](cmp.Compare[int])
	for _, k := range []int{7, 3, 7, -2, 3, 9} {
		table.Want(k)
	}
	if got := table.Wanted(); !slices.Equal(got, []int{-2, 3, 7, 9}) {
		t.Errorf("wanted %v", got)
	}
	table.Reset()
	if got := table.Wanted(); len(got) != 0 {
		t.Errorf("after the reset %v is wanted", got)
	}
}
