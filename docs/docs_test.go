// Package docs_test keeps the documentation honest.
package docs_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/soukhq/souk/internal/base/config"
)

// pages reads every page, by its path from the root of the module.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*/*.md"} {
		paths, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			found[strings.TrimPrefix(filepath.ToSlash(path), "../")] = string(text)
		}
	}
	if len(found) < 9 {
		t.Fatalf("only %d pages were found", len(found))
	}
	return found
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	fence   = regexp.MustCompile("(?ms)^```.*?^```$")
	unlike  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors gives the names by which a page's headings can be linked, as GitHub
// makes them.
func anchors(page string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		all = append(all, strings.ReplaceAll(unlike.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return all
}

func TestLinks(t *testing.T) {
	t.Parallel()
	all := pages(t)
	for name, page := range all {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			to := name
			if target != "" {
				to = filepath.ToSlash(filepath.Join(filepath.Dir(name), target))
			}
			if _, err := os.Stat(filepath.Join("..", to)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", name, m[1])
			}
			if anchor != "" && !slices.Contains(anchors(all[to]), anchor) {
				t.Errorf("%s: %s has no heading for the link %s", name, to, m[1])
			}
		}
	}
}

func schema(t *testing.T) *ast.Schema {
	t.Helper()
	paths, err := filepath.Glob("../schema/*.graphql")
	if err != nil || len(paths) == 0 {
		t.Fatal("no schema", err)
	}
	var sources []*ast.Source
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, &ast.Source{Name: path, Input: string(text)})
	}
	s, err := gqlparser.LoadSchema(sources...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	documentBlock = regexp.MustCompile("(?ms)^```graphql\n(.*?)^```$")
	// Within commands and programs a document is in quotes.
	documentText = regexp.MustCompile(`['"]((?:query|mutation|subscription)\b[^'"]*\{[^'"]*)['"]`)
)

func TestDocuments(t *testing.T) {
	t.Parallel()
	s, count := schema(t), 0
	for name, page := range pages(t) {
		for _, pattern := range []*regexp.Regexp{documentBlock, documentText} {
			for _, m := range pattern.FindAllStringSubmatch(page, -1) {
				count++
				if _, errs := gqlparser.LoadQueryWithRules(s, m[1], rules.NewDefaultRules()); errs != nil {
					t.Errorf("%s: %v\n%s", name, errs, m[1])
				}
			}
		}
	}
	if count < 30 {
		t.Errorf("only %d documents were found", count)
	}
}

// TestErrorCodes holds the list of codes against the schema.
func TestErrorCodes(t *testing.T) {
	t.Parallel()
	page := pages(t)["docs/api.md"]
	for _, def := range schema(t).Types {
		if def.Kind != ast.Enum || !strings.HasSuffix(def.Name, "ErrorCode") {
			continue
		}
		var codes []string
		for _, v := range def.EnumValues {
			codes = append(codes, "`"+v.Name+"`")
		}
		if row := "| " + strings.Join(codes, ", ") + " |"; !strings.Contains(page, "[`"+def.Name+"`]") || !strings.Contains(page, row) {
			t.Errorf("docs/api.md should have, for %s: %s", def.Name, row)
		}
	}
}

// setting is a line of the table of settings.
var setting = regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| (.*?) ?\\|")

// TestSettings holds the table of settings against the configuration: its keys
// and its defaults, here and in production.
func TestSettings(t *testing.T) {
	t.Parallel()
	documented := map[string]string{}
	_, page, _ := strings.Cut(pages(t)["docs/operators.md"], "\n## Configuration\n")
	page, _, _ = strings.Cut(page, "\n## ")
	for _, m := range setting.FindAllStringSubmatch(page, -1) {
		documented[m[1]] = strings.TrimSpace(m[2])
	}
	for _, key := range config.Keys() {
		want := shown(config.Default(false), key)
		if production := shown(config.Default(true), key); production != want {
			want += ", in production " + production
		}
		got, found := documented[key]
		switch {
		case !found:
			t.Errorf("docs/operators.md lacks the setting %s", key)
		case got != want:
			t.Errorf("docs/operators.md gives %s the default %s, not %s", key, got, want)
		}
		delete(documented, key)
	}
	for key := range maps.Keys(documented) {
		t.Errorf("docs/operators.md has %s, which is no setting", key)
	}
}

// shown writes the default of a key as the table has it.
func shown(c config.Config, key string) string {
	v := reflect.ValueOf(c)
	for part := range strings.SplitSeq(key, ".") {
		v = v.FieldByIndex(fieldOf(v.Type(), part))
	}
	text := fmt.Sprint(v.Interface())
	if d, ok := v.Interface().(time.Duration); ok {
		text = regexp.MustCompile(`([hm])0[ms](0s)?$`).ReplaceAllString(d.String(), "$1")
	}
	if text == "" || v.Kind() == reflect.Slice && v.Len() == 0 {
		return ""
	}
	return "`" + text + "`"
}

func fieldOf(typ reflect.Type, key string) []int {
	for f := range typ.Fields() {
		if f.Tag.Get("yaml") == key {
			return f.Index
		}
	}
	panic("config.Keys names " + key + ", which no field has")
}

// trusted is an entry of a list of trusted documents.
var trusted = regexp.MustCompile(`"([0-9a-f]{64})": "([^"]+)"`)

// TestTrustedDocuments holds ids that are hashes against their texts.
func TestTrustedDocuments(t *testing.T) {
	t.Parallel()
	count := 0
	for name, page := range pages(t) {
		for _, m := range trusted.FindAllStringSubmatch(page, -1) {
			count++
			if sum := sha256.Sum256([]byte(m[2])); hex.EncodeToString(sum[:]) != m[1] {
				t.Errorf("%s: the hash of %q is %x", name, m[2], sum)
			}
		}
	}
	if count == 0 {
		t.Error("no trusted document was found")
	}
}
