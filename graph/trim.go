//go:build ignore

// Trim takes a table out of the generated code that gqlgen would fill anew, by
// reflection, for every operation: one entry for each input type of the schema.
// It serves graphql.UnmarshalInputFromContext, which Souk does not call.
package main

import (
	"log"
	"os"
	"regexp"
)

func main() {
	const file = "generated/root_.generated.go"
	code, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	table := regexp.MustCompile(`graphql\.BuildUnmarshalerMap\([^)]*\)`)
	if !table.Match(code) {
		log.Fatal(file, " holds no table of input types: has gqlgen changed?")
	}
	code = table.ReplaceAll(code, []byte("graphql.BuildUnmarshalerMap()"))
	if err := os.WriteFile(file, code, 0o644); err != nil {
		log.Fatal(err)
	}
}
