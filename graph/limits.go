package graph

import (
	"cmp"
	"errors"
	"math"
	"slices"
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
	Aliases    int   // of a document, fragments spread out; 100
	Selections int   // of a document, fragments spread out; 10,000
	Repeats    int   // pairs of fields under one name at one place; 50,000
	Cost       int   // of an operation, see schema/common.graphql; 5,000

	Documents int           // parsed documents kept; 1,000
	Timeout   time.Duration // of a query or a mutation; 30 s

	Streams          int           // event streams and WebSockets open at once; 10,000
	SocketOperations int           // at once on one WebSocket; 100
	Subscriptions    int           // of one viewer at once, in this process; 100
	InitTimeout      time.Duration // for a WebSocket's connection_init; 5 s
	PingEvery        time.Duration // how often a quiet stream is proven alive; 20 s
	WriteTimeout     time.Duration // for one message to a slow reader; 10 s
}

func (l Limits) validate() error {
	if min(l.BodyBytes, int64(l.Tokens), int64(l.Depth), int64(l.Aliases), int64(l.Selections), int64(l.Repeats), int64(l.Cost),
		int64(l.Documents), int64(l.Timeout), int64(l.Streams), int64(l.SocketOperations), int64(l.Subscriptions),
		int64(l.InitTimeout), int64(l.PingEvery), int64(l.WriteTimeout)) < 0 {
		return errors.New("a limit of GraphQL is negative")
	}
	return nil
}

func (l Limits) withDefaults() Limits {
	l.BodyBytes = cmp.Or(l.BodyBytes, 1<<20)
	l.Tokens = cmp.Or(l.Tokens, 4_000)
	l.Depth = cmp.Or(l.Depth, 15)
	l.Aliases = cmp.Or(l.Aliases, 100)
	l.Selections = cmp.Or(l.Selections, 10_000)
	l.Repeats = cmp.Or(l.Repeats, 50_000)
	l.Cost = cmp.Or(l.Cost, 5_000)
	l.Documents = cmp.Or(l.Documents, 1_000)
	l.Timeout = cmp.Or(l.Timeout, 30*time.Second)
	l.Streams = cmp.Or(l.Streams, 10_000)
	l.SocketOperations = cmp.Or(l.SocketOperations, 100)
	l.Subscriptions = cmp.Or(l.Subscriptions, 100)
	l.InitTimeout = cmp.Or(l.InitTimeout, 5*time.Second)
	l.PingEvery = cmp.Or(l.PingEvery, 20*time.Second)
	l.WriteTimeout = cmp.Or(l.WriteTimeout, 10*time.Second)
	return l
}

// shape is how big a document is.
type shape struct {
	depth, aliases, selections, repeats int
	cycle                               string // a fragment that spreads itself; nothing else is measured then
}

// over tells whether a shape is beyond a limit.
func (s shape) over(l Limits) bool {
	return s.depth > l.Depth || s.aliases > l.Aliases || s.selections > l.Selections || s.repeats > l.Repeats
}

// shaper measures a document that is parsed but not yet validated: validation
// takes exponential time on fragments that spread each other twice, and compares
// all fields under one name with one another, so it may only see documents of a
// bounded shape.
type shaper struct {
	shape
	limits    Limits
	fragments map[string]*ast.FragmentDefinition
}

// measure finds the shape of a document. Once beyond a limit it goes no further.
func measure(doc *ast.QueryDocument, l Limits) shape {
	m := shaper{limits: l, fragments: make(map[string]*ast.FragmentDefinition, len(doc.Fragments))}
	for _, f := range doc.Fragments {
		m.fragments[f.Name] = f
	}
	seen := make(map[string]bool, len(doc.Fragments))
	for _, f := range doc.Fragments {
		if m.cyclic(f.Name, seen) {
			m.cycle = f.Name
			return m.shape
		}
	}
	for _, op := range doc.Operations {
		m.place([]ast.SelectionSet{op.SelectionSet}, 1)
	}
	for _, f := range doc.Fragments { // one that no operation uses is validated too
		m.place([]ast.SelectionSet{f.SelectionSet}, 1)
	}
	return m.shape
}

// cyclic tells whether a fragment leads back to one that is being looked at.
// seen holds true for those, and false for those that are done.
func (m *shaper) cyclic(name string, seen map[string]bool) bool {
	f := m.fragments[name]
	if open, known := seen[name]; known || f == nil {
		return open
	}
	seen[name] = true
	found := m.leadsBack(f.SelectionSet, seen)
	seen[name] = false
	return found
}

func (m *shaper) leadsBack(set ast.SelectionSet, seen map[string]bool) bool {
	return slices.ContainsFunc(set, func(sel ast.Selection) bool {
		switch sel := sel.(type) {
		case *ast.Field:
			return m.leadsBack(sel.SelectionSet, seen)
		case *ast.InlineFragment:
			return m.leadsBack(sel.SelectionSet, seen)
		case *ast.FragmentSpread:
			return m.cyclic(sel.Name, seen)
		}
		return false
	})
}

// place measures what is selected at one place of the response, perhaps by
// several fields that stand there under one name.
func (m *shaper) place(sets []ast.SelectionSet, depth int) {
	below := map[string][]ast.SelectionSet{}
	for _, set := range sets {
		m.spread(set, depth, below)
	}
	for name, fields := range below {
		if m.over(m.limits) {
			return
		}
		m.repeats = add(m.repeats, mul(len(fields), len(fields)-1)/2)
		deeper := depth + 1
		if name == "__schema" || name == "__type" {
			deeper = -m.limits.Selections // tools ask for types of types; validation bounds those
		}
		m.place(fields, deeper)
	}
}

// spread collects the fields of a selection, and of the fragments in it, under
// their names.
func (m *shaper) spread(set ast.SelectionSet, depth int, below map[string][]ast.SelectionSet) {
	for _, sel := range set {
		if m.selections++; m.over(m.limits) {
			return
		}
		switch sel := sel.(type) {
		case *ast.Field:
			m.depth = max(m.depth, depth)
			if sel.Alias != sel.Name {
				m.aliases++
			}
			below[sel.Alias] = append(below[sel.Alias], sel.SelectionSet)
		case *ast.InlineFragment:
			m.spread(sel.SelectionSet, depth, below)
		case *ast.FragmentSpread:
			if f := m.fragments[sel.Name]; f != nil {
				m.spread(f.SelectionSet, depth, below)
			}
		}
	}
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
