// Package schema_test puts the GraphQL schema before the tools that its clients
// use: linters, Relay's compiler, code generation, and a look for changes that
// break them. The tools are npm packages; package.json says which.
package schema_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soukhq/souk/graph"
)

// schemaFolder holds the schema; SOUK_TEST_SCHEMA names another.
const schemaFolder = "../../schema"

var release = flag.Bool("release", false, "make the schema the released one, unless that breaks clients")

// A check looks at a folder of SDL, beside the SDL that was released before.
type check struct {
	name    string
	command func(sdl, released string) []string
}

var (
	lint = check{"graphql-schema-linter", func(sdl, _ string) []string {
		return []string{"node_modules/.bin/graphql-schema-linter", sdl + "/*.graphql"}
	}}
	style       = check{"graphql-eslint", func(sdl, _ string) []string { return []string{"node", "style.mjs", sdl} }}
	conventions = check{"conventions", func(sdl, _ string) []string { return []string{"node", "conventions.mjs", sdl} }}
	relay       = check{"relay-compiler", func(sdl, _ string) []string { return []string{"node", "relay.mjs", sdl} }}
	types       = check{"graphql-codegen", func(sdl, _ string) []string { return []string{"node", "types.mjs", sdl} }}
	breaking    = check{"graphql-inspector", func(sdl, released string) []string { return []string{"node", "breaking.mjs", sdl, released} }}

	checks = []check{lint, style, conventions, relay, types, breaking}
)

func TestSchema(t *testing.T) {
	t.Parallel()
	dir := setup(t)
	sdl, released := schema(t), absolute(t, "released.graphql")
	if *release {
		if out, err := run(dir, "node", "breaking.mjs", "--release", sdl, released); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for _, check := range checks {
		t.Run(check.name, func(t *testing.T) {
			t.Parallel()
			out, err := run(dir, check.command(sdl, released)...)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}

// Every Node and every connection of the SDL is compiled, by a count that does
// not trust the generator.
func TestSchema_RelayIsComplete(t *testing.T) {
	t.Parallel()
	dir := setup(t)
	sdl := schema(t)
	text := read(t, sdl)
	nodes := len(regexp.MustCompile(`(?m)^type \w+ implements [^{]*\bNode\b`).FindAllString(text, -1))
	connections := len(regexp.MustCompile(`\w+Connection!?(?: @|\n)`).FindAllString(text, -1))
	out, err := run(dir, relay.command(sdl, "")...)
	if want := fmt.Sprintf("%d nodes, %d connections,", nodes, connections); err != nil || !strings.Contains(out, want) {
		t.Errorf("want %s got %v\n%s", want, err, out)
	}
}

// Each check finds what it is there for.
func TestChecks(t *testing.T) {
	t.Parallel()
	dir := setup(t)
	sound := absolute(t, "testdata/sound.graphql")
	tests := []struct {
		name     string
		check    check
		old, new string // what is replaced in the sound schema
		says     string // of the fault; empty: there is none
	}{
		{"sound", lint, "", "", ""},
		{"a field without description", lint, "  \"The caller's carpets.\"\n", "", "Viewer.carpets` is missing a description"},
		{"an argument without description", lint, "    \"How many from the end.\"\n", "", "`last` argument of `carpets` is missing a description"},
		{"an enum value without description", lint, "  \"It is gone.\"\n", "", "CarpetState.SOLD` is missing a description"},
		{"a type that nothing uses", lint, "\"Whether a carpet is sold.\"\n", "\"Nothing's.\"\ntype Nothing {\n  \"An id.\"\n  id: ID!\n}\n\n\"Whether a carpet is sold.\"\n", "`Nothing` is defined in the schema but not used"},
		{"a connection without pageInfo", lint, "  \"Where the page stands.\"\n  pageInfo: PageInfo!\n", "", "pageInfo"},

		{"sound", style, "", "", ""},
		{"an enum value in small letters", style, "  SOLD\n", "  sold\n", "should be in UPPER_CASE format"},
		{"a field named after its type", style, "  name: String!\n", "  carpetName: String!\n", "no-typename-prefix"},
		{"a directive without description", style, "\"An object with", "directive @dusty on OBJECT\n\n\"An object with", "require-description"},
		{"a page in one direction", style, "    \"How many from the end.\"\n    last: Int\n    \"Only those before this cursor.\"\n    before: String\n", "", "relay-arguments"},

		{"sound", conventions, "", "", ""},
		{"a mutation's loose argument", conventions, "input: CarpetBuyInput!", "carpet: CarpetBuyInput!", "carpetBuy takes no single input"},
		{"a payload that cannot be refused", conventions, "carpet: Carpet\n", "carpet: Carpet!\n", "CarpetBuyPayload.carpet cannot be null"},
		{"an optional idempotency key", conventions, "idempotencyKey: String!", "idempotencyKey: String", "idempotencyKey is no String!"},
		{"money as a fraction", conventions, "price: Money!", "price: Float!", "Carpet.price is a Float"},
		{"a list with holes", conventions, "nodes: [Carpet!]!", "nodes: [Carpet]!", "CarpetConnection.nodes may hold null"},
		{"a subscription that cannot resume", conventions, "after: String\n  ): CarpetEdge!", "since: String\n  ): CarpetEdge!", "takes no after: String"},
		{"an error outside the interface", conventions, "type CarpetUserError implements UserError", "type CarpetUserError", "CarpetUserError does not implement UserError"},
		{"a deprecation without end", conventions, "Use name. Stays until 2020-01-31.", "Use name.", "Carpet.title is deprecated without the date"},

		{"sound", relay, "", "", ""},
		{"no node to refetch with", relay, "  node(\n    \"The object's id.\"\n    id: ID!\n  ): Node\n", "", "node"},
		{"a page without end", relay, "  \"The cursor of the page's last item.\"\n  endCursor: String\n", "", "endCursor"},
		{"an edge without cursor", relay, "  \"The carpet's place in the list.\"\n  cursor: String!\n", "", "cursor"},
		{"a page in what cannot be refetched", relay, "type CarpetBuyPayload {\n", "type CarpetBuyPayload {\n  \"More.\"\n  more(first: Int, after: String, last: Int, before: String): CarpetConnection\n", "CarpetBuyPayload.more cannot be paged"},

		{"sound", types, "", "", ""},
		{"names that are one in TypeScript", types, "\"Whether a carpet is sold.\"\n", "\"Another carpet.\"\ntype carpet {\n  \"Its length.\"\n  length: Int\n}\n\n\"Whether a carpet is sold.\"\n", "Duplicate identifier 'Carpet'"},
		{"a scalar that clients know nothing of", types, "scalar DateTime", "scalar Moment\n\n\"Another.\"\nscalar DateTime", "Moment"},

		{"sound", breaking, "", "", ""},
		{"a field is removed", breaking, "  \"Its name.\"\n  name: String!\n", "", "Carpet.name"},
		{"a deprecated field is removed in time", breaking, "  title: String @deprecated(reason: \"Use name. Stays until 2020-01-31.\")\n", "  wool: String\n", ""},
		{"a field may be null", breaking, "  name: String!\n", "  name: String\n", "Carpet.name"},
		{"an input is needed", breaking, "  carpetId: ID!\n", "  carpetId: ID!\n  \"How many.\"\n  count: Int!\n", "CarpetBuyInput.count"},
		{"an enum value is removed", breaking, "  \"It is gone.\"\n  SOLD\n", "", "CarpetState.SOLD"},
		{"a field is added", breaking, "  name: String!\n", "  name: String!\n  \"Its length.\"\n  length: Int\n", ""},
	}
	for _, test := range tests {
		t.Run(test.check.name+"/"+test.name, func(t *testing.T) {
			t.Parallel()
			out, err := run(dir, test.check.command(broken(t, sound, test.old, test.new), sound)...)
			switch {
			case test.says == "" && err != nil:
				t.Errorf("%v\n%s", err, out)
			case test.says != "" && (err == nil || !strings.Contains(out, test.says)):
				t.Errorf("%v; want a fault that says %q\n%s", err, test.says, out)
			}
		})
	}
}

// What the server says of itself is what the SDL says.
func TestServed(t *testing.T) {
	t.Parallel()
	dir := setup(t)
	handler, err := graph.NewHandler(graph.Config{Resolver: &graph.Resolver{}, Introspection: true})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()

	sdl := absolute(t, schemaFolder)
	if out, err := run(dir, "node", "served.mjs", server.URL+"/graphql", "", sdl); err != nil {
		t.Errorf("%v\n%s", err, out)
	}

	other := filepath.Join(t.TempDir(), "other.graphql")
	text := strings.Replace(read(t, sdl), `"What can be read."`, `"What can be seen."`, 1)
	if err := os.WriteFile(other, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run(dir, "node", "served.mjs", server.URL+"/graphql", "", filepath.Dir(other))
	if err == nil || !strings.Contains(out, "What can be seen.") {
		t.Errorf("%v; want a fault: another description is served\n%s", err, out)
	}
}

// schema gives the folder of the schema to look at.
func schema(t *testing.T) string {
	t.Helper()
	return absolute(t, cmp.Or(os.Getenv("SOUK_TEST_SCHEMA"), schemaFolder))
}

func absolute(t *testing.T, name string) string {
	t.Helper()
	name, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// read gives the SDL in a folder as one text.
func read(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.graphql")
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no SDL: %v", folder, err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// broken writes a schema, with one text replaced by another, into a new folder.
func broken(t *testing.T, file, old, replacement string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if old != "" && strings.Count(string(text), old) != 1 {
		t.Fatalf("the sound schema has %d times: %s", strings.Count(string(text), old), old)
	}
	dir := t.TempDir()
	text = []byte(strings.Replace(string(text), old, replacement, 1))
	if err := os.WriteFile(filepath.Join(dir, "schema.graphql"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// setup gives a folder with the checks and the npm packages that they use. It
// is apart from the module: some npm packages hold Go files.
func setup(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("installs npm packages")
	}
	if _, err := exec.LookPath("npm"); err != nil && os.Getenv("CI") == "" {
		t.Skip("npm is not installed")
	}
	packages, err := install()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files, err := filepath.Glob("*.mjs")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(files, "package.json") {
		if err := copyFile(name, dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(packages, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// install gives the npm packages that package-lock.json names. They are kept in
// the user's cache, so that only the first run after a change waits for them.
var install = sync.OnceValues(func() (string, error) {
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256(lock)
	dir := filepath.Join(cache, "souk", "test-schema-"+hex.EncodeToString(digest[:6]))
	packages := filepath.Join(dir, "node_modules")
	if _, err := os.Stat(packages); err == nil {
		return packages, nil
	}
	return packages, installInto(dir)
})

// installInto makes the folder at once, so that no run ever sees half of it.
func installInto(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	half, err := os.MkdirTemp(filepath.Dir(dir), "half-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(half) }()
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
		if err := copyFile(name, half); err != nil {
			return err
		}
	}
	if out, err := run(half, "npm", "ci", "--prefer-offline", "--ignore-scripts"); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	if err := os.Rename(half, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

func copyFile(name, dir string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), data, 0o600)
}

// run runs a command in a folder and gives all that it printed.
func run(dir string, command ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}
