package graph

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/soukhq/souk/internal/base/config"
)

var documented = regexp.MustCompile("(?ms)^```graphql\n(.*?)^```$")

// TestLimits_Documented holds every document that the documentation shows against
// the limits of cost and depth that stand if an operator sets no others.
func TestLimits_Documented(t *testing.T) {
	t.Parallel()
	g := config.Default(true).GraphQL
	limits := Limits{Cost: g.MaxCost, Depth: g.MaxDepth}.withDefaults()
	docs, count := newDocuments(servedSchema(), limits), 0
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../examples/*/*.md"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range documented.FindAllSubmatch(text, -1) {
				count++
				doc, errs := docs.make(string(m[1]))
				if errs != nil {
					t.Errorf("%s: %v\n%s", path, errs, m[1])
					continue
				}
				for _, p := range doc.plans {
					if cost := p.cost(nil); cost > limits.Cost {
						t.Errorf("%s: costs %d, and the limit is %d:\n%s", path, cost, limits.Cost, m[1])
					}
				}
			}
		}
	}
	if count < 15 {
		t.Errorf("only %d documents were found", count)
	}
}
