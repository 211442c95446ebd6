package store

import (
	"context"

	"github.com/soukhq/souk/internal/base/id"
)

// walkBatch is how many rows Walk locks in one transaction.
const walkBatch = 100

// Walk visits all rows of a table, in the order of their ids and some in each
// transaction, so that it holds nobody up for long. next locks up to limit rows
// whose ids follow one; visit tells a row's id, and whether it changed it. Walk
// tells how many were changed, also when it fails half-way.
func Walk[T any](
	ctx context.Context, db *DB, next func(ctx context.Context, after id.ID, limit int) ([]T, error), visit func(context.Context, T) (id.ID, bool, error),
) (changed int, err error) {
	for last, more := id.Nil, true; more; {
		var n int
		reached := last
		err := db.InTx(ctx, func(ctx context.Context) error {
			n = 0 // it may run again
			rows, err := next(ctx, last, walkBatch)
			if err != nil {
				return err
			}
			more = len(rows) == walkBatch
			for _, row := range rows {
				at, did, err := visit(ctx, row)
				if err != nil {
					return err
				}
				if reached = at; did {
					n++
				}
			}
			return nil
		})
		if err != nil {
			return changed, err
		}
		last, changed = reached, changed+n
	}
	return changed, nil
}
