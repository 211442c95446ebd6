package graph

import (
	"errors"
	"strconv"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/soukhq/souk/graph/scalar"
)

// document is a text that was parsed, measured and validated, with the plan of
// what each of its operations costs. It is never changed.
type document struct {
	ast        *ast.QueryDocument
	plans      map[*ast.OperationDefinition]*plan
	introspect bool // asks for __schema or __type
}

// documents keeps what was made of the texts that came last.
type documents struct {
	schema *ast.Schema
	limits Limits
	cache  *lru.Cache[string, *document]
}

// maxKept is the longest text that is kept: a client that pads its documents
// must not fill the memory with them.
const maxKept = 64 << 10

// maxErrors is how many faults of one document are told, and maxMessage how much
// of each: both repeat what the client sent.
const (
	maxErrors  = 20
	maxMessage = 300
)

func newDocuments(schema *ast.Schema, l Limits) *documents {
	cache, err := lru.New[string, *document](l.Documents)
	if err != nil {
		panic(err) // only a size below one is refused
	}
	return &documents{schema: schema, limits: l, cache: cache}
}

// get finds or makes the document of a text.
func (d *documents) get(text string) (*document, gqlerror.List) {
	if doc, ok := d.cache.Get(text); ok {
		return doc, nil
	}
	doc, errs := d.make(text)
	if errs != nil {
		return nil, errs
	}
	if len(text) <= maxKept {
		d.cache.Add(text, doc)
	}
	return doc, nil
}

func (d *documents) make(text string) (*document, gqlerror.List) {
	parsed, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, d.limits.Tokens)
	if err != nil {
		if strings.Contains(err.Error(), "exceeded token limit") {
			return nil, gqlerror.List{tooBig("The document has too many tokens.", d.limits.Tokens+1, d.limits.Tokens)}
		}
		fault, ok := errors.AsType[*gqlerror.Error](err)
		if !ok {
			fault = gqlerror.Wrap(err)
		}
		return nil, invalid(gqlerror.List{fault})
	}
	if strings.Contains(text, `\u0000`) {
		return nil, gqlerror.List{fault(codeValidation, "A text holds no NUL.")} // as in variables
	}
	if len(parsed.Operations) == 0 {
		return nil, gqlerror.List{fault(codeValidation, "The document holds no operation.")}
	}
	if err := d.measure(parsed); err != nil {
		return nil, gqlerror.List{err}
	}
	if errs := validator.ValidateWithRules(d.schema, parsed, validationRules()); len(errs) > 0 {
		return nil, invalid(errs)
	}
	for _, op := range parsed.Operations {
		if op.Operation == ast.Subscription && !followsOne(op.SelectionSet) {
			return nil, gqlerror.List{fault(codeValidation, "A subscription follows one field, which is neither skipped nor included.")}
		}
	}
	return d.plan(parsed), nil
}

// followsOne tells whether a subscription selects one field, whatever its
// variables say (GraphQL specification, §5.2.4.1): gqlparser counts names, and
// takes two aliases of one field.
func followsOne(set ast.SelectionSet) bool {
	if len(set) != 1 {
		return false
	}
	var within ast.SelectionSet
	var directives ast.DirectiveList
	switch sel := set[0].(type) {
	case *ast.Field:
		return len(sel.Directives) == 0
	case *ast.InlineFragment:
		within, directives = sel.SelectionSet, sel.Directives
	case *ast.FragmentSpread:
		within, directives = sel.Definition.SelectionSet, sel.Directives
	}
	return len(directives) == 0 && followsOne(within)
}

// measure refuses a document whose shape is beyond the limits.
func (d *documents) measure(parsed *ast.QueryDocument) *gqlerror.Error {
	s := measure(parsed, d.limits)
	switch {
	case s.cycle != "":
		return fault(codeValidation, "The fragment "+s.cycle+" spreads itself.")
	case s.depth > d.limits.Depth:
		return tooBig("The document nests its fields too deeply.", s.depth, d.limits.Depth)
	case s.aliases > d.limits.Aliases:
		return tooBig("The document has too many aliases.", s.aliases, d.limits.Aliases)
	case s.selections > d.limits.Selections:
		return tooBig("The document selects too many fields.", d.limits.Selections+1, d.limits.Selections)
	case s.repeats > d.limits.Repeats:
		return tooBig("The document selects the same fields too often.", s.repeats, d.limits.Repeats)
	}
	return nil
}

func (d *documents) plan(parsed *ast.QueryDocument) *document {
	doc := &document{ast: parsed, plans: make(map[*ast.OperationDefinition]*plan, len(parsed.Operations))}
	b := planner{schema: d.schema, fragments: map[string]*plan{}}
	for _, op := range parsed.Operations {
		doc.plans[op] = b.operation(op)
		doc.introspect = doc.introspect || introspects(op.SelectionSet)
	}
	return doc
}

// introspects tells whether a root selection asks for the schema.
func introspects(set ast.SelectionSet) bool {
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			if sel.Name == "__schema" || sel.Name == "__type" {
				return true
			}
		case *ast.InlineFragment:
			if introspects(sel.SelectionSet) {
				return true
			}
		case *ast.FragmentSpread:
			if introspects(sel.Definition.SelectionSet) {
				return true
			}
		}
	}
	return false
}

// tooBig is the error of a document or an operation beyond a limit.
func tooBig(message string, cost, limit int) *gqlerror.Error {
	err := fault(codeCostLimit, message)
	err.Extensions["cost"] = cost
	err.Extensions["limit"] = limit
	return err
}

// invalid puts what the parser or the validator says into the API's terms.
func invalid(list gqlerror.List) gqlerror.List {
	if len(list) > maxErrors {
		list = list[:maxErrors]
	}
	for _, e := range list {
		if len(e.Message) > maxMessage {
			e.Message = strings.ToValidUTF8(e.Message[:maxMessage], "") + "…"
		}
		e.Extensions = map[string]any{"code": codeValidation}
	}
	return list
}

// validationRules are those of the GraphQL specification, §5, without guesses
// at what was meant (they would tell the names of a schema that is not shown),
// and with a check of literals, which gqlparser leaves to the resolvers.
func validationRules() *rules.Rules {
	r := rules.NewDefaultRules()
	for _, quiet := range []core.Rule{
		rules.FieldsOnCorrectTypeRuleWithoutSuggestions,
		rules.KnownArgumentNamesRuleWithoutSuggestions,
		rules.KnownTypeNamesRuleWithoutSuggestions,
		rules.ScalarLeafsRuleWithoutSuggestions,
		rules.ValuesOfCorrectTypeRuleWithoutSuggestions,
	} {
		r.RemoveRule(strings.TrimSuffix(quiet.Name, "WithoutSuggestions"))
		r.AddRule(quiet.Name, quiet.RuleFunc)
	}
	r.AddRule("ScalarLiterals", scalarLiterals)
	return r
}

// scalarLiterals holds literals to the scalars' ranges, so that no resolver is
// reached, and nothing panics, for a number that does not fit.
func scalarLiterals(observers *core.Events, addError core.AddErrFunc) {
	observers.OnValue(func(_ *core.Walker, v *ast.Value) {
		if v.Definition == nil || v.Definition.Kind != ast.Scalar || v.ExpectedType == nil ||
			v.Kind == ast.Variable || v.Kind == ast.NullValue ||
			(v.Kind == ast.ListValue && v.ExpectedType.Elem != nil) {
			return
		}
		if err := checkLiteral(v); err != nil {
			addError(core.Message("%s", err.Error()), core.At(v.Position))
		}
	})
}

var (
	errRange = errors.New("the number is out of range")
	errInt   = errors.New("an Int is a whole number of 32 bits")
)

func checkLiteral(v *ast.Value) error {
	raw, err := v.Value(nil)
	if err != nil {
		return errRange
	}
	if v.Definition.Name == "Int" && v.Kind == ast.IntValue {
		if _, err := strconv.ParseInt(v.Raw, 10, 32); err != nil {
			return errInt
		}
	}
	_, err = scalar.Check(v.Definition.Name, raw)
	return err
}
