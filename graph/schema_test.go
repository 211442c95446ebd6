package graph

import (
	"os"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/soukhq/souk/graph/generated"
)

func servedSchema() *ast.Schema {
	return generated.NewExecutableSchema(generated.Config{}).Schema()
}

// ownTypes are the schema's types but those that GraphQL itself brings.
func ownTypes() (list []*ast.Definition) {
	for _, def := range servedSchema().Types {
		if !def.BuiltIn {
			list = append(list, def)
		}
	}
	return list
}

func TestSchema_Described(t *testing.T) {
	t.Parallel()
	check := func(what, description string) {
		if strings.TrimSpace(description) == "" {
			t.Errorf("%s has no description", what)
		}
	}
	for _, def := range ownTypes() {
		check(def.Name, def.Description)
		for _, f := range def.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			check(def.Name+"."+f.Name, f.Description)
			for _, a := range f.Arguments {
				check(def.Name+"."+f.Name+"("+a.Name+":)", a.Description)
			}
		}
		for _, v := range def.EnumValues {
			check(def.Name+"."+v.Name, v.Description)
		}
	}
	for _, d := range servedSchema().Directives {
		if d.Position == nil || d.Position.Src.BuiltIn {
			continue
		}
		check("@"+d.Name, d.Description)
		for _, a := range d.Arguments {
			check("@"+d.Name+"("+a.Name+":)", a.Description)
		}
	}
}

// TestSchema_ListsAreBounded holds each list of objects to say how long it may
// be, or its cost would not be counted: it is part of a connection, a mutation's
// userErrors, or carries @listSize.
func TestSchema_ListsAreBounded(t *testing.T) {
	t.Parallel()
	types := servedSchema().Types
	for _, def := range ownTypes() {
		if def.Kind != ast.Object && def.Kind != ast.Interface || strings.HasSuffix(def.Name, "Connection") {
			continue
		}
		for _, f := range def.Fields {
			if f.Type.Elem == nil || !types[f.Type.Name()].IsCompositeType() || strings.HasPrefix(f.Name, "__") {
				continue
			}
			if f.Name != "userErrors" && f.Directives.ForName("listSize") == nil {
				t.Errorf("%s.%s is a list of objects without @listSize", def.Name, f.Name)
			}
		}
	}
}

// TestSchema_Connections holds connections to take a page's four arguments.
func TestSchema_Connections(t *testing.T) {
	t.Parallel()
	for _, def := range ownTypes() {
		for _, f := range def.Fields {
			if !strings.HasSuffix(f.Type.Name(), "Connection") {
				continue
			}
			for arg, typ := range map[string]string{"first": "Int", "last": "Int", "after": "String", "before": "String"} {
				if a := f.Arguments.ForName(arg); a == nil || a.Type.String() != typ {
					t.Errorf("%s.%s does not take %s: %s", def.Name, f.Name, arg, typ)
				}
			}
		}
	}
}

// TestGenerated_Trimmed notices code that gqlgen wrote and trim.go did not see.
func TestGenerated_Trimmed(t *testing.T) {
	t.Parallel()
	code, err := os.ReadFile("generated/root_.generated.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(code), "BuildUnmarshalerMap()") {
		t.Error("the generated code is not trimmed: run go generate ./graph instead of gqlgen by itself")
	}
}
