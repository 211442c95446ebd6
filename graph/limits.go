package graph

import (
	"cmp"
	"math"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/soukhq/souk/internal/base/page"
)

// Limits bounds what one client may ask. A field at zero takes its default.
type Limits struct {
	BodyBytes  int64 // of a request or a WebSocket message; 1 MiB
	Tokens     int   // of a document, counted while it is parsed; 4,000
	Depth      int   // of fields within fields, fragments spread out; 15
	Aliases    int   // in a document; 50
	Selections int   // of a document, fragments spread out; 10,000
	Cost       int   // of an operation, see schema/common.graphql; 5,000

	Documents int           // parsed documents kept; 1,000
	Timeout   time.Duration // of a query or a mutation; 30 s

	Streams          int           // event streams and WebSockets open at once; 10,000
	SocketOperations int           // at once on one WebSocket; 100
	InitTimeout      time.Duration // for a WebSocket's connection_init; 5 s
	PingEvery        time.Duration // how often a quiet stream is proven alive; 20 s
	WriteTimeout     time.Duration // for one message to a slow reader; 10 s
}

func (l Limits) withDefaults() Limits {
	l.BodyBytes = cmp.Or(l.BodyBytes, 1<<20)
	l.Tokens = cmp.Or(l.Tokens, 4_000)
	l.Depth = cmp.Or(l.Depth, 15)
	l.Aliases = cmp.Or(l.Aliases, 50)
	l.Selections = cmp.Or(l.Selections, 10_000)
	l.Cost = cmp.Or(l.Cost, 5_000)
	l.Documents = cmp.Or(l.Documents, 1_000)
	l.Timeout = cmp.Or(l.Timeout, 30*time.Second)
	l.Streams = cmp.Or(l.Streams, 10_000)
	l.SocketOperations = cmp.Or(l.SocketOperations, 100)
	l.InitTimeout = cmp.Or(l.InitTimeout, 5*time.Second)
	l.PingEvery = cmp.Or(l.PingEvery, 20*time.Second)
	l.WriteTimeout = cmp.Or(l.WriteTimeout, 10*time.Second)
	return l
}

// shape is how big a selection is once its fragments are spread out.
type shape struct {
	depth, selections int
}

// shaper measures a document that is parsed but not yet validated: validation
// itself takes exponential time on fragments that spread each other twice, so
// it may only see documents of a bounded shape.
type shaper struct {
	doc       *ast.QueryDocument
	fragments map[string]shape
	aliases   int
}

// measure finds the depth and size of the biggest operation, and the aliases of
// the whole document.
func measure(doc *ast.QueryDocument) (s shape, aliases int) {
	m := shaper{doc: doc, fragments: map[string]shape{}}
	for _, f := range doc.Fragments {
		m.fragment(f.Name)
	}
	for _, op := range doc.Operations {
		s = s.max(m.selection(op.SelectionSet))
	}
	return s, m.aliases
}

func (s shape) max(o shape) shape {
	return shape{max(s.depth, o.depth), max(s.selections, o.selections)}
}

func (m *shaper) selection(set ast.SelectionSet) (s shape) {
	for _, sel := range set {
		var inner shape
		switch sel := sel.(type) {
		case *ast.Field:
			inner = m.field(sel)
		case *ast.InlineFragment:
			inner = m.selection(sel.SelectionSet)
		case *ast.FragmentSpread:
			inner = m.fragment(sel.Name)
		}
		s = shape{max(s.depth, inner.depth), add(s.selections, inner.selections)}
	}
	return s
}

func (m *shaper) field(f *ast.Field) shape {
	if f.Alias != f.Name {
		m.aliases++
	}
	s := m.selection(f.SelectionSet)
	s.selections = add(s.selections, 1)
	s.depth++
	if f.Name == "__schema" || f.Name == "__type" {
		s.depth = 1 // tools ask for types of types; validation bounds those
	}
	return s
}

// fragment measures each fragment once. One that spreads itself counts as
// nothing there: validation refuses it afterwards.
func (m *shaper) fragment(name string) shape {
	if s, known := m.fragments[name]; known {
		return s
	}
	m.fragments[name] = shape{}
	if f := m.doc.Fragments.ForName(name); f != nil {
		m.fragments[name] = m.selection(f.SelectionSet)
	}
	return m.fragments[name]
}

// Costs of fields that no directive weighs.
const (
	costObject   = 1
	costRoot     = 10  // a mutation or a subscription
	costSchema   = 200 // __schema: its answer is large
	costTypeInfo = 20  // __type
)

// plan is the cost of a selection: what is fixed, and what hangs on variables.
// It is made once per document, so that an operation whose page sizes are
// literals costs nothing to weigh again.
type plan struct {
	fixed int
	parts []part
}

// part is a selection that counts several times, or only sometimes.
type part struct {
	when  []condition
	times size
	plan  *plan
}

// condition is a @skip or @include that hangs on a variable.
type condition struct {
	variable string
	want     bool
}

// size is how many items a list may hold: a fixed number, or the greatest of
// the variables that bound it.
type size struct {
	fixed     int
	variables []string
}

// cost weighs the plan for the variables of one request.
func (p *plan) cost(vars map[string]any) int {
	total := p.fixed
	for i := range p.parts {
		q := &p.parts[i]
		if q.applies(vars) {
			total = add(total, mul(q.times.of(vars), q.plan.cost(vars)))
		}
	}
	return total
}

func (p *part) applies(vars map[string]any) bool {
	for _, c := range p.when {
		if on, ok := vars[c.variable].(bool); ok && on != c.want {
			return false
		}
	}
	return true
}

func (s size) of(vars map[string]any) int {
	n := s.fixed
	for _, name := range s.variables {
		n = max(n, items(vars[name]))
	}
	return n
}

// items reads a bound on a list: an integer by its value, a list by its length.
// A page beyond the largest is refused by its resolver, so it counts as little
// more than the largest.
func items(v any) int {
	switch v := v.(type) {
	case int64:
		return int(min(max(v, 0), page.Max+1))
	case []any:
		return min(len(v), page.Max+1)
	}
	return 0
}

// planner makes plans. The document is valid, and its fragments form no cycle.
type planner struct {
	schema    *ast.Schema
	fragments map[string]*plan
}

func (b *planner) operation(op *ast.OperationDefinition) *plan {
	p := &plan{}
	b.selection(p, op.SelectionSet)
	return p
}

// selection adds a selection to p.
func (b *planner) selection(p *plan, set ast.SelectionSet) {
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			if when, never := conditions(sel.Directives); !never {
				b.field(p, sel, when)
			}
		case *ast.InlineFragment:
			if when, never := conditions(sel.Directives); !never {
				inner := &plan{}
				b.selection(inner, sel.SelectionSet)
				p.add(when, size{fixed: 1}, inner)
			}
		case *ast.FragmentSpread:
			if when, never := conditions(sel.Directives); !never {
				p.add(when, size{fixed: 1}, b.fragment(sel.Definition))
			}
		}
	}
}

func (b *planner) field(p *plan, f *ast.Field, when []condition) {
	own := b.weight(f)
	if f.Name == "__schema" || f.Name == "__type" {
		p.add(when, size{fixed: 1}, &plan{fixed: own})
		return
	}
	inner := &plan{}
	b.selection(inner, f.SelectionSet)
	times, isConnection := listSize(f)
	if !isConnection {
		inner.fixed = add(inner.fixed, own)
		own = 0
	}
	whole := &plan{fixed: own}
	whole.add(nil, times, inner)
	p.add(when, size{fixed: 1}, whole)
}

func (b *planner) fragment(f *ast.FragmentDefinition) *plan {
	if p, made := b.fragments[f.Name]; made {
		return p
	}
	p := &plan{}
	b.selection(p, f.SelectionSet)
	b.fragments[f.Name] = p
	return p
}

// add puts a part into p, or only its number when no variable can change it.
func (p *plan) add(when []condition, times size, inner *plan) {
	if len(when) == 0 && len(times.variables) == 0 {
		if times.fixed == 1 {
			p.fixed = add(p.fixed, inner.fixed)
			p.parts = append(p.parts, inner.parts...)
			return
		}
		if len(inner.parts) == 0 {
			p.fixed = add(p.fixed, mul(times.fixed, inner.fixed))
			return
		}
	}
	p.parts = append(p.parts, part{when: when, times: times, plan: inner})
}

// weight is what a field costs by itself.
func (b *planner) weight(f *ast.Field) int {
	switch f.Name {
	case "__schema":
		return costSchema
	case "__type":
		return costTypeInfo
	}
	if d := f.Definition.Directives.ForName("cost"); d != nil {
		return intArgument(d.Arguments.ForName("weight"))
	}
	switch f.ObjectDefinition {
	case b.schema.Mutation, b.schema.Subscription:
		return costRoot
	}
	typ := b.schema.Types[f.Definition.Type.Name()]
	switch {
	case !typ.IsCompositeType(), typ.Name == "PageInfo", strings.HasSuffix(typ.Name, "Edge"):
		return 0
	}
	return costObject
}

// listSize is how often what is below a field may occur. The items of a
// connection do; the connection itself is one object.
func listSize(f *ast.Field) (s size, isConnection bool) {
	if strings.HasSuffix(f.Definition.Type.Name(), "Connection") && f.Definition.Type.Elem == nil {
		s.bound(f, "first")
		s.bound(f, "last")
		return s, true
	}
	s.fixed = 1
	d := f.Definition.Directives.ForName("listSize")
	if d == nil {
		return s, false
	}
	if n := intArgument(d.Arguments.ForName("assumedSize")); n > 0 {
		s.fixed = n
	}
	if names := d.Arguments.ForName("slicingArguments"); names != nil {
		for _, name := range names.Value.Children {
			s.bound(f, name.Value.Raw)
		}
	}
	return s, false
}

// bound lets an argument of a field bound its list.
func (s *size) bound(f *ast.Field, argument string) {
	value := argumentValue(f, argument)
	switch {
	case value == nil:
	case value.Kind == ast.Variable:
		s.variables = append(s.variables, value.Raw)
	case value.Kind == ast.ListValue:
		s.fixed = max(s.fixed, min(len(value.Children), page.Max+1))
	default:
		if v, err := value.Value(nil); err == nil {
			s.fixed = max(s.fixed, items(v))
		}
	}
}

// argumentValue is the value that a field's argument has, given or by default.
func argumentValue(f *ast.Field, name string) *ast.Value {
	if a := f.Arguments.ForName(name); a != nil {
		return a.Value
	}
	if d := f.Definition.Arguments.ForName(name); d != nil {
		return d.DefaultValue
	}
	return nil
}

// conditions reads @skip and @include; never says that a literal leaves the
// selection out.
func conditions(ds ast.DirectiveList) (when []condition, never bool) {
	for _, d := range ds {
		if d.Name != "skip" && d.Name != "include" {
			continue
		}
		want := d.Name == "include"
		switch v := d.Arguments.ForName("if").Value; v.Kind {
		case ast.Variable:
			when = append(when, condition{v.Raw, want})
		case ast.BooleanValue:
			never = never || (v.Raw == "true") != want
		}
	}
	return when, never
}

func intArgument(a *ast.Argument) int {
	if a == nil {
		return 0
	}
	v, _ := a.Value.Value(nil)
	n, _ := v.(int64)
	return int(n)
}

// add and mul stop at the largest number instead of wrapping round.
func add(a, b int) int {
	if a > math.MaxInt32-b {
		return math.MaxInt32
	}
	return a + b
}

func mul(a, b int) int {
	if b != 0 && a > math.MaxInt32/b {
		return math.MaxInt32
	}
	return a * b
}
