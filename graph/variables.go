package graph

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/soukhq/souk/graph/scalar"
)

// coerce reads the variables of an operation as their types say (GraphQL
// specification, §6.1.2), strictly: a number is no String, a string no Int, an
// enum value keeps its case. gqlgen's own reading is looser, and knows custom
// scalars only once a resolver runs.
func coerce(schema *ast.Schema, op *ast.OperationDefinition, given map[string]any) (map[string]any, *gqlerror.Error) {
	if len(op.VariableDefinitions) == 0 {
		return map[string]any{}, nil
	}
	out := make(map[string]any, len(op.VariableDefinitions))
	for _, def := range op.VariableDefinitions {
		v, present := given[def.Variable]
		if !present {
			switch {
			case def.DefaultValue != nil:
				out[def.Variable], _ = def.DefaultValue.Value(nil) // a literal that was validated
			case def.Type.NonNull:
				return nil, fault(codeValidation, fmt.Sprintf("Variable $%s is missing: %s is required.", def.Variable, def.Type))
			}
			continue
		}
		value, err := coerceValue(schema, def.Type, v)
		if err != nil {
			return nil, fault(codeValidation, fmt.Sprintf("Variable $%s%s", def.Variable, err))
		}
		out[def.Variable] = value
	}
	return out, nil
}

// badValue is a value that its type does not take, and the way to it.
type badValue struct {
	path string // ".input.amount", "[2]"
	why  string
}

func (e *badValue) Error() string { return e.path + ": " + e.why + "." }

// below prefixes the way to a value as its containers are left.
func below(step string, err *badValue) *badValue {
	if err != nil {
		err.path = step + err.path
	}
	return err
}

func coerceValue(schema *ast.Schema, t *ast.Type, v any) (any, *badValue) {
	switch {
	case v == nil && t.NonNull:
		return nil, &badValue{why: "null is no " + t.String()}
	case v == nil:
		return nil, nil
	case t.Elem != nil:
		return coerceList(schema, t.Elem, v)
	}
	def := schema.Types[t.NamedType]
	switch def.Kind {
	case ast.Enum:
		if s, ok := v.(string); ok && def.EnumValues.ForName(s) != nil {
			return s, nil
		}
		return nil, &badValue{why: "the value is not one of the enum " + def.Name}
	case ast.InputObject:
		return coerceObject(schema, def, v)
	default:
		return coerceScalar(def.Name, v)
	}
}

func coerceList(schema *ast.Schema, elem *ast.Type, v any) (any, *badValue) {
	list, ok := v.([]any)
	if !ok {
		one, err := coerceValue(schema, elem, v)
		return []any{one}, err
	}
	for i := range list {
		value, err := coerceValue(schema, elem, list[i])
		if err != nil {
			return nil, below("["+strconv.Itoa(i)+"]", err)
		}
		list[i] = value
	}
	return list, nil
}

func coerceObject(schema *ast.Schema, def *ast.Definition, v any) (any, *badValue) {
	object, ok := v.(map[string]any)
	if !ok {
		return nil, &badValue{why: "a " + def.Name + " is an object"}
	}
	known := 0
	for _, field := range def.Fields {
		value, present := object[field.Name]
		if !present {
			if field.Type.NonNull && field.DefaultValue == nil {
				return nil, &badValue{"." + field.Name, field.Type.String() + " is required"}
			}
			continue
		}
		known++
		value, err := coerceValue(schema, field.Type, value)
		if err != nil {
			return nil, below("."+field.Name, err)
		}
		object[field.Name] = value
	}
	if known != len(object) {
		return nil, unknownField(def, object)
	}
	if def.Directives.ForName("oneOf") != nil && !exactlyOne(object) {
		return nil, &badValue{why: "a " + def.Name + " takes exactly one field, and not null"}
	}
	return object, nil
}

func unknownField(def *ast.Definition, object map[string]any) *badValue {
	for name := range object {
		if def.Fields.ForName(name) == nil {
			return &badValue{why: "a " + def.Name + " has no field " + strconv.Quote(name)}
		}
	}
	return nil
}

func exactlyOne(object map[string]any) bool {
	for _, v := range object {
		return len(object) == 1 && v != nil
	}
	return false
}

func coerceScalar(name string, v any) (any, *badValue) {
	number, isNumber := v.(json.Number)
	text, isText := v.(string)
	if strings.ContainsRune(text, 0) {
		return nil, &badValue{why: "a text holds no NUL"} // PostgreSQL takes none
	}
	switch name {
	case "String":
		if isText {
			return text, nil
		}
	case "ID":
		if isText {
			return text, nil
		}
		if isNumber && !strings.ContainsAny(number.String(), ".eE") {
			return number.String(), nil
		}
	case "Boolean":
		if b, ok := v.(bool); ok {
			return b, nil
		}
	case "Int":
		if n, err := strconv.ParseInt(number.String(), 10, 32); isNumber && err == nil {
			return n, nil
		}
		return nil, &badValue{why: errInt.Error()}
	case "Float":
		if f, err := number.Float64(); isNumber && err == nil && !math.IsInf(f, 0) {
			return f, nil
		}
	default:
		if _, err := scalar.Check(name, v); err != nil {
			return nil, &badValue{why: err.Error()}
		}
		return v, nil
	}
	return nil, &badValue{why: "the value is not of type " + name}
}
