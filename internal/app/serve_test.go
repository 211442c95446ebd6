package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soukhq/souk/internal/testkit"
)

// Each process of the embedded default has a Redis of its own inside, so that two
// in one folder would not hear of each other.
func TestServe_OneToADataFolder(t *testing.T) {
	t.Parallel()
	c := usual(false)
	c.Data.Dir = t.TempDir()
	first, second := openApp(t, c, &complaints{}), openApp(t, c, &complaints{})
	pid := filepath.Join(c.Data.Dir, "pid")
	first.Config.PidFile = pid // written once the folder is its own
	work(t, first)
	testkit.Eventually(t, t.Context(), func() error {
		_, err := os.Stat(pid)
		return err
	})
	if err := second.Work(t.Context()); err == nil || !strings.Contains(err.Error(), "another souk runs in") {
		t.Errorf("the second ended with %v", err)
	}
}
