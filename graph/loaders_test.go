package graph

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
)

// counter fetches the squares of numbers, and remembers the batches.
type counter struct {
	mu      sync.Mutex
	batches [][]int
	err     error
}

func (c *counter) fetch(_ context.Context, keys []int) (map[int]int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.batches = append(c.batches, slices.Clone(keys))
	found := map[int]int{}
	for _, k := range keys {
		if k == 13 {
			panic("unlucky")
		}
		if k >= 0 {
			found[k] = k * k
		}
	}
	return found, c.err
}

func loadAll(ctx context.Context, l *Loader[int, int], keys ...int) (map[int]int, error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	got, failed := map[int]int{}, error(nil)
	for _, k := range keys {
		all.Go(func() {
			v, err := l.Load(ctx, k)
			mu.Lock()
			defer mu.Unlock()
			got[k] = v
			failed = errors.Join(failed, err)
		})
	}
	all.Wait()
	return got, failed
}

func TestLoader_Batches(t *testing.T) {
	t.Parallel()
	c := &counter{}
	l := NewLoader(c.fetch)
	ctx := withScope(t.Context(), &scope{})
	got, err := loadAll(ctx, l, 1, 2, 3, 3, 2, 1, -1)
	if err != nil || !maps.Equal(got, map[int]int{1: 1, 2: 4, 3: 9, -1: 0}) {
		t.Error(got, err)
	}
	for _, b := range c.batches { // one, unless the machine is busy
		slices.Sort(b)
		if len(slices.Compact(slices.Clone(b))) != len(b) {
			t.Error("a key is asked for twice:", b)
		}
	}
	if len(c.batches) > 3 {
		t.Error("batches:", c.batches)
	}
	if v, _ := l.Load(ctx, 3); v != 9 || len(c.batches) < 2 {
		t.Error("a later load is not asked for again:", v, c.batches)
	}
}

func TestLoader_Apart(t *testing.T) {
	t.Parallel()
	c := &counter{}
	l := NewLoader(c.fetch)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			ctx := withScope(t.Context(), &scope{})
			if v, err := l.Load(ctx, i); v != i*i || err != nil {
				t.Error(v, err)
			}
		})
	}
	all.Wait()
	if len(c.batches) != 8 {
		t.Error("operations share a batch:", c.batches)
	}
	if v, err := l.Load(t.Context(), 5); v != 25 || err != nil {
		t.Error("outside an operation:", v, err)
	}
}

func TestLoader_Full(t *testing.T) {
	t.Parallel()
	c := &counter{}
	l := NewLoader(c.fetch)
	keys := make([]int, 2*maxBatch)
	for i := range keys {
		keys[i] = i + 100
	}
	got, err := loadAll(withScope(t.Context(), &scope{}), l, keys...)
	if err != nil || len(got) != len(keys) || got[110] != 12100 {
		t.Error(len(got), err)
	}
	for _, b := range c.batches {
		if len(b) > maxBatch {
			t.Error("a batch of", len(b))
		}
	}
}

func TestLoader_Fails(t *testing.T) {
	t.Parallel()
	c := &counter{err: errSecret}
	l := NewLoader(c.fetch)
	ctx := withScope(t.Context(), &scope{})
	if _, err := loadAll(ctx, l, 1, 2); !errors.Is(err, errSecret) {
		t.Error(err)
	}
	if _, err := l.Load(ctx, 13); err == nil || fmt.Sprint(err) != "panic: unlucky" {
		t.Error(err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := NewLoader(func(ctx context.Context, _ []int) (map[int]int, error) { <-ctx.Done(); return nil, nil }).Load(gone, 1); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
