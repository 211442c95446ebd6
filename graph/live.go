package graph

import (
	"context"
	"iter"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/page"
	"github.com/soukhq/souk/internal/core/chat"
)

// live carries a sequence of a service into the channel that gqlgen reads, each
// item as the API shows it; an item that show leaves out is passed over. The
// channel ends with the sequence; if that fails, the client is told why, unless
// its credentials have ended, which the transport tells.
func live[T, V any](ctx context.Context, seq iter.Seq2[T, error], show func(T) (V, bool, error)) <-chan V {
	out := make(chan V)
	go func() {
		defer close(out)
		for item, err := range seq {
			var (
				v  V
				ok bool
			)
			if err == nil {
				v, ok, err = show(item)
			}
			if err != nil {
				if !auth.Recheck(ctx) {
					failStream(ctx, err)
				}
				return
			}
			if !ok {
				continue
			}
			select {
			case out <- v:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// seqOf reads the number that a cursor of a numbered list holds; nil for none.
func seqOf(cursors *page.Signer, list string, cursor *string) (*int64, error) {
	if cursor == nil {
		return nil, nil
	}
	pos, err := cursors.Position(list, *cursor)
	if err != nil {
		return nil, err
	}
	n := chat.SeqAt(pos)
	return &n, nil
}
