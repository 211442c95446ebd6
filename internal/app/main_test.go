package app_test

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/soukhq/souk/internal/testkit"
)

// These tests use Souk as its clients do: through its port. One Souk of each
// engine serves them all, and each test keeps to a sandbox of its own, with its
// own users, merchants and clock.
func TestMain(m *testing.M) {
	flag.Parse()
	if !isSet("test.parallel") {
		// Most of a test is waiting for Souk, not computing.
		_ = flag.Set("test.parallel", "12")
	}
	testkit.Main(shared{m})
}

func isSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

// shared runs the tests and puts away what they shared.
type shared struct{ *testing.M }

// Run gives the exit code.
func (s shared) Run() int {
	code := s.M.Run()
	for _, w := range worlds {
		if w.stop() != nil && code == 0 {
			code = 1
		}
	}
	return code
}

// lasting is a test whose end is that of all tests: what is made for it is
// shared. It fails as the test that made it.
type lasting struct {
	testing.TB
	mu    sync.Mutex
	undo  []func()
	fault error
}

func (l *lasting) Cleanup(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.undo = append(l.undo, f)
}

func (l *lasting) TempDir() string {
	dir, err := os.MkdirTemp("", "souk-api-")
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Errorf is for what fails at the end, when there is no test to fail any more.
func (l *lasting) Errorf(format string, args ...any) {
	l.fault = fmt.Errorf(format, args...)
	fmt.Fprintln(os.Stderr, l.fault)
}

// end undoes everything, last first.
func (l *lasting) end() error {
	for i := len(l.undo) - 1; i >= 0; i-- {
		l.undo[i]()
	}
	return l.fault
}
