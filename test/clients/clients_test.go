// Package clients_test uses Souk as its frontends do: with the GraphQL clients
// that they are built with, and with a browser. The clients are npm packages;
// package.json says which. Their tests are the *.test.mjs files beside this one.
package clients_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/soukhq/souk/test/npm"
)

// TestClients runs each file of tests beside a Souk of its own.
func TestClients(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("installs npm packages")
	}
	files, err := filepath.Glob("*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no tests: %v", err)
	}
	browser := findBrowser(t)
	dir := npm.Folder(t, "*.mjs", "relay/*.js")
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			told, err := json.Marshal(open(t))
			if err != nil {
				t.Fatal(err)
			}
			out, err := npm.Run(t.Context(), dir, []string{"SOUK_TEST_WORLD=" + string(told), "SOUK_TEST_BROWSER=" + browser},
				"node", "--test", "--test-reporter=spec", "--test-timeout=240000", file)
			if err != nil || !allPassed(out) {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}

var (
	somePassed  = regexp.MustCompile(`(?m)^ℹ pass [1-9]`)
	someSkipped = regexp.MustCompile(`(?m)^ℹ (skipped|todo|cancelled) [1-9]`)
)

// allPassed tells whether tests ran, and none was left out: node is content with
// a file that tests nothing.
func allPassed(out string) bool {
	return somePassed.MatchString(out) && !someSkipped.MatchString(out)
}

// findBrowser gives the path of Chromium.
func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("Chromium is not on this machine: run `make test`, or scripts/ensure chromium")
	return ""
}

// sdl gives the schema as one text.
func sdl(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("../../schema/*.graphql")
	if err != nil || len(files) == 0 {
		t.Fatalf("there is no schema: %v", err)
	}
	var all []byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	return string(all)
}
