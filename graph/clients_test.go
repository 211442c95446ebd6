package graph

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestAudit runs graphql-http's audits, all levels of them, against the real
// schema. It needs node and npm, which CI has.
func TestAudit(t *testing.T) {
	if testing.Short() {
		t.Skip("installs npm packages")
	}
	if _, err := exec.LookPath("npm"); err != nil && os.Getenv("CI") == "" {
		t.Skip("npm is not installed")
	}
	t.Parallel()
	h, err := NewHandler(Config{
		Resolver:      &Resolver{},
		Introspection: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()

	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc", "audit.mjs"} {
		data, err := os.ReadFile("../test/clients/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/"+name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, "npm", "ci")
	t.Logf("%s", run(t, dir, "node", "audit.mjs", server.URL+"/graphql"))
}

func run(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}
