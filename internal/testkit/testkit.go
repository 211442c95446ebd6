package testkit

import (
	"context"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Patience is how long Eventually waits at most: far longer than anything on a
// busy machine needs, since only a failing test pays for it.
const Patience = 30 * time.Second

// Eventually waits until cond returns nil, and fails the test with its last
// error when ctx ends or Patience runs out. Prefer a signal where there is one.
func Eventually(t testing.TB, ctx context.Context, cond func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := cond()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain (%v): %v", ctx.Err(), err)
		case <-time.After(pause):
		}
	}
}

// Main runs a package's tests and fails when they leave goroutines behind:
//
//	func TestMain(m *testing.M) { testkit.Main(m) }
//
// Tests that share something wrap m, to put it away before the count.
func Main(m goleak.TestingM, allowed ...goleak.Option) {
	goleak.VerifyTestMain(m, allowed...)
}

// needEnv gives a variable that scripts/with-services sets.
func needEnv(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: run `make test`, or this test under scripts/with-services", name)
	}
	return value
}
