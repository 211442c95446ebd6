package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

var (
	shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	soukInline = regexp.MustCompile("`((?:bin/)?souk [a-z][^`]*)`")
	soukCall   = regexp.MustCompile(`(?m)(?:^|[\s(])bin/souk ([^|&)\n#]*)`)
	word       = regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`)
)

// TestDocumentation_Commands parses every command line of souk's that the
// documentation shows.
func TestDocumentation_Commands(t *testing.T) {
	t.Parallel()
	count := 0
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../examples/*/*.md"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range commandLines(string(text)) {
				count++
				parseCommand(t, path, line)
			}
		}
	}
	if count < 30 {
		t.Errorf("only %d commands were found", count)
	}
}

// commandLines finds what stands behind the program's name in a page.
func commandLines(page string) []string {
	var lines []string
	for _, block := range shellBlock.FindAllStringSubmatch(page, -1) {
		for _, m := range soukCall.FindAllStringSubmatch(block[1], -1) {
			lines = append(lines, m[1])
		}
	}
	for _, m := range soukInline.FindAllStringSubmatch(page, -1) {
		lines = append(lines, strings.TrimPrefix(strings.TrimPrefix(m[1], "bin/"), "souk "))
	}
	return lines
}

func parseCommand(t *testing.T, path, line string) {
	t.Helper()
	var args []string
	for _, w := range word.FindAllString(line, -1) {
		args = append(args, strings.Trim(w, `'"`))
	}
	if strings.HasSuffix(line, "…") || len(args) == 0 {
		return // a placeholder in running text
	}
	var c cli
	parser, err := kong.New(&c, kong.Exit(func(int) {}), kong.Writers(&strings.Builder{}, &strings.Builder{}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	// A command that has commands below may be named alone in running text.
	if err != nil && !strings.HasPrefix(err.Error(), "expected one of") {
		t.Errorf("%s: souk %s: %v", path, line, err)
	}
}
