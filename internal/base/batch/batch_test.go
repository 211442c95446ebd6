package batch

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/soukhq/souk/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// Those who come while a batch is read are read together afterwards, and one who
// goes away takes nobody along, even if it was the first.
func TestReader(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sizes []int
	reading, release := make(chan struct{}, 10), make(chan struct{})
	b := New(func(_ context.Context, keys []int) (map[int]int, error) {
		reading <- struct{}{}
		<-release
		mu.Lock()
		defer mu.Unlock()
		sizes = append(sizes, len(keys))
		found := map[int]int{}
		for _, k := range keys {
			if k >= 0 {
				found[k] = 2 * k
			}
		}
		return found, nil
	})
	var all sync.WaitGroup
	ask := func(ctx context.Context, key int, wants error) {
		all.Go(func() {
			v, ok, err := b.Load(ctx, key)
			if !errors.Is(err, wants) || err == nil && (ok != (key >= 0) || ok && v != 2*key) {
				t.Errorf("Load(%d) = %d, %v, %v", key, v, ok, err)
			}
		})
	}
	leaving, leave := context.WithCancel(t.Context())
	ask(leaving, 1, context.Canceled)
	<-reading
	leave()
	for key := range 20 {
		ask(t.Context(), key, nil)
	}
	ask(t.Context(), -1, nil)
	testkit.Eventually(t, t.Context(), func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.gather == nil || len(b.gather.keys) != 21 {
			return errors.New("not all wait yet")
		}
		return nil
	})
	close(release)
	all.Wait()
	if len(sizes) != 2 || sizes[0] != 1 || sizes[1] != 21 {
		t.Errorf("the batches held %v keys, want 1 and 21", sizes)
	}
}
