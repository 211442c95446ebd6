package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Gate is asked before an operation runs, with the operation's cost: a request
// whose document is refused costs 1. It answers with an *errs.Error of kind
// RateLimited, whose RetryIn says how long to wait, or with nil. The context
// carries the viewer and ClientAddr.
type Gate func(ctx context.Context, cost int) error

// Operation is what is told of a request to those who watch: its kind is empty,
// and its cost 1, when it was refused before it ran.
type Operation struct {
	Name string
	Kind ast.Operation
	Cost int
}

// Watch is told of every request, for traces and metrics. Resolvers run with the
// context that it returns; end is called with the code of the first error, or
// with an empty one. A subscription ends when its stream does.
type Watch func(ctx context.Context, op Operation) (_ context.Context, end func(code string))

// engine makes operations out of requests, and runs them. It does what gqlgen's
// executor does, with limits, strict variables and a plan of the cost kept
// beside each parsed document.
type engine struct {
	presenter

	schema     graphql.ExecutableSchema
	documents  *documents
	persisted  *persisted
	gate       Gate
	watch      Watch
	limits     Limits
	introspect bool
}

func newEngine(schema graphql.ExecutableSchema, cfg *Config) *engine {
	return &engine{
		presenter:  presenter{cfg.Log},
		schema:     schema,
		documents:  newDocuments(schema.Schema(), cfg.Limits),
		persisted:  newPersisted(cfg),
		gate:       cfg.Gate,
		watch:      cfg.Watch,
		limits:     cfg.Limits,
		introspect: cfg.Introspection,
	}
}

// operation is one that may run.
type operation struct {
	*graphql.OperationContext
	cost int
}

// is tells the kind of an operation.
func (op *operation) is(kind ast.Operation) bool { return op.Operation.Operation == kind }

// prepare does all that can be refused before an operation runs, and asks the
// gate last. Errors are ready to be shown.
func (e *engine) prepare(ctx context.Context, req *request) (*operation, gqlerror.List) {
	op, faults := e.operation(ctx, req)
	cost := 1
	if faults == nil {
		cost = op.cost
	}
	if e.gate != nil {
		if err := e.gate(ctx, cost); err != nil {
			faults = gqlerror.List{e.present(ctx, err)}
		}
	}
	if faults == nil {
		e.persisted.keep(ctx, req)
	}
	if faults != nil && e.watch != nil {
		_, end := e.watch(ctx, Operation{Name: req.operationName, Cost: 1})
		end(firstCode(faults))
	}
	return op, faults
}

// operation reads a request.
func (e *engine) operation(ctx context.Context, req *request) (*operation, gqlerror.List) {
	text, err := e.persisted.find(ctx, req)
	if err != nil {
		return nil, gqlerror.List{e.present(ctx, err)}
	}
	doc, faults := e.documents.get(text)
	if faults != nil {
		return nil, faults
	}
	def := doc.ast.Operations.ForName(req.operationName)
	switch {
	case def == nil && req.operationName == "":
		return nil, gqlerror.List{fault(codeValidation, "The document holds several operations: operationName says which one to run.")}
	case def == nil:
		return nil, gqlerror.List{fault(codeValidation, "The document holds no operation of that name.")}
	case doc.introspect && !e.introspect:
		return nil, gqlerror.List{fault(codeValidation, "Introspection is off.")}
	}
	vars, bad := coerce(e.schema.Schema(), def, req.variables)
	if bad != nil {
		return nil, gqlerror.List{bad}
	}
	cost := max(1, doc.plans[def].cost(vars))
	if cost > e.limits.Cost {
		return nil, gqlerror.List{tooBig("The operation costs too much: ask for smaller pages or fewer fields.", cost, e.limits.Cost)}
	}
	return &operation{cost: cost, OperationContext: &graphql.OperationContext{
		RawQuery:               text,
		Variables:              vars,
		OperationName:          req.operationName,
		Doc:                    doc.ast,
		Operation:              def,
		Extensions:             req.extensions,
		Headers:                req.headers,
		DisableIntrospection:   !e.introspect,
		RecoverFunc:            recovered,
		ResolverMiddleware:     plainField,
		RootResolverMiddleware: plainRoot,
		Stats:                  graphql.Stats{OperationStart: graphql.Now()},
	}}, nil
}

// gqlgen wants middlewares around fields; there are none.
func plainField(ctx context.Context, next graphql.Resolver) (any, error)         { return next(ctx) }
func plainRoot(ctx context.Context, next graphql.RootResolver) graphql.Marshaler { return next(ctx) }

// run executes a query or a mutation.
func (e *engine) run(ctx context.Context, op *operation) *graphql.Response {
	ctx, end := e.begin(ctx, op)
	ctx, cancel := context.WithTimeout(ctx, e.limits.Timeout)
	defer cancel()
	ctx = graphql.WithResponseContext(ctx, e.present, recovered)
	resp := e.schema.Exec(ctx)(ctx)
	resp.Errors = append(resp.Errors, graphql.GetErrors(ctx)...)
	end(firstCode(resp.Errors))
	return resp
}

// begin tells the watcher, and gives the context that gqlgen's code runs with.
func (e *engine) begin(ctx context.Context, op *operation) (context.Context, func(code string)) {
	end := func(string) {}
	if e.watch != nil {
		ctx, end = e.watch(ctx, Operation{Name: op.Operation.Name, Kind: op.Operation.Operation, Cost: op.cost})
	}
	return graphql.WithOperationContext(ctx, op.OperationContext), end
}

// stream runs any operation and yields its responses until there are no more,
// the context ends, or yield is told to stop. A response without data, not even
// null, says that a subscription could not begin or could not go on.
func (e *engine) stream(ctx context.Context, op *operation, yield func(*graphql.Response) bool) {
	if !op.is(ast.Subscription) {
		yield(e.run(ctx, op))
		return
	}
	ctx, end := e.begin(ctx, op)
	code := ""
	defer func() { end(code) }()
	starting := graphql.WithResponseContext(ctx, e.present, recovered)
	next := e.schema.Exec(starting)
	if faults := graphql.GetErrors(starting); faults != nil {
		code = firstCode(faults)
		yield(refused(faults...))
		return
	}
	for ctx.Err() == nil {
		each := graphql.WithResponseContext(ctx, e.present, recovered)
		resp := next(each)
		if resp == nil {
			break
		}
		resp.Errors = append(resp.Errors, graphql.GetErrors(each)...)
		if !yield(resp) {
			return
		}
	}
	if err := scopeOf(ctx).failure(); err != nil && ctx.Err() == nil {
		shown := e.present(ctx, err)
		code = firstCode(gqlerror.List{shown})
		yield(refused(shown))
	}
}

// firstCode is the code of the first error, if there is one.
func firstCode(list gqlerror.List) string {
	if len(list) == 0 {
		return ""
	}
	code, _ := list[0].Extensions["code"].(string)
	return code
}
