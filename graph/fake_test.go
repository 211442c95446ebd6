package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/soukhq/souk/internal/base/auth"
	"github.com/soukhq/souk/internal/base/errs"
)

// fakeSDL is a schema with everything that the transports and limits meet.
const fakeSDL = `
directive @cost(weight: Int!) on FIELD_DEFINITION
directive @listSize(assumedSize: Int, slicingArguments: [String!]) on FIELD_DEFINITION
scalar Int64
scalar CurrencyCode
scalar DateTime
scalar URL
scalar Upload
enum Colour { RED GREEN }
input MoneyInput { amountMinor: Int64!, currency: CurrencyCode! }
input Point { x: Int!, y: Int! = 7, colour: Colour, money: MoneyInput, list: [Int64!], inner: Point }
input Choice @oneOf { a: String, b: Int }
interface Node { id: ID! }
type Thing implements Node { id: ID!, name: String, owner: Person, price: Int @cost(weight: 3) }
type Person implements Node { id: ID!, name: String, friends(first: Int, last: Int): PersonConnection!, best: Person, tags: [Tag!]! @listSize(assumedSize: 8) }
type Tag { name: String }
type PageInfo { hasNextPage: Boolean! }
type ThingEdge { node: Thing, cursor: String! }
type ThingConnection { edges: [ThingEdge], nodes: [Thing], pageInfo: PageInfo!, totalCount: Int }
type PersonEdge { node: Person }
type PersonConnection { edges: [PersonEdge], pageInfo: PageInfo! }
type Query {
  hello: String!
  slow: String
  echo(s: String, n: Int, f: Float, b: Boolean, big: Int64, at: DateTime, p: Point, ps: [Point!], id: ID, c: Colour, cur: CurrencyCode, choice: Choice): String
  size(file: Upload): Int
  things(first: Int, last: Int, after: String): ThingConnection!
  node(id: ID!): Node
  nodes(ids: [ID!]!): [Node]! @listSize(slicingArguments: ["ids"])
  person: Person
  fail(how: String!): String
}
type Mutation { add(n: Int): Int, heavy: Int @cost(weight: 400) }
type Subscription { ticks(n: Int!): Int!, forever: Int!, refuse: Int!, lag: Int! }
`

// fakeSchema executes root fields by hand: a field's value is what its function
// returns, as JSON, whatever is selected below it.
type fakeSchema struct {
	schema  *ast.Schema
	fields  map[string]func(ctx context.Context, args map[string]any) (any, error)
	streams map[string]func(ctx context.Context, args map[string]any) (<-chan any, error)
}

func (f *fakeSchema) Schema() *ast.Schema { return f.schema }

func (f *fakeSchema) Complexity(context.Context, string, string, int, map[string]any) (int, bool) {
	return 0, false
}

func (f *fakeSchema) Exec(ctx context.Context) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	roots := graphql.CollectFields(op, op.Operation.SelectionSet, nil)
	if op.Operation.Operation == ast.Subscription {
		return f.subscribe(ctx, roots[0], op.Variables)
	}
	return once(func(ctx context.Context) *graphql.Response {
		var data strings.Builder
		data.WriteByte('{')
		for i, root := range roots {
			if i > 0 {
				data.WriteByte(',')
			}
			fmt.Fprintf(&data, "%q:%s", root.Alias, f.resolve(ctx, root, op.Variables))
		}
		data.WriteByte('}')
		return &graphql.Response{Data: []byte(data.String())}
	})
}

func (f *fakeSchema) resolve(ctx context.Context, field graphql.CollectedField, vars map[string]any) (data []byte) {
	ctx = graphql.WithFieldContext(ctx, &graphql.FieldContext{Field: field})
	defer func() {
		if value := recover(); value != nil {
			graphql.AddError(ctx, graphql.Recover(ctx, value))
			data = []byte("null")
		}
	}()
	value, err := any("Query"), error(nil)
	if fn := f.fields[field.Name]; fn != nil {
		value, err = fn(ctx, field.ArgumentMap(vars))
	}
	if err != nil {
		graphql.AddError(ctx, err)
		return []byte("null")
	}
	data, _ = json.Marshal(value)
	return data
}

func (f *fakeSchema) subscribe(ctx context.Context, field graphql.CollectedField, vars map[string]any) graphql.ResponseHandler {
	events, err := f.streams[field.Name](ctx, field.ArgumentMap(vars))
	if err != nil {
		graphql.AddError(ctx, err)
		return nil
	}
	return func(ctx context.Context) *graphql.Response {
		select {
		case v, ok := <-events:
			if !ok {
				return nil
			}
			return &graphql.Response{Data: fmt.Appendf(nil, `{"%s":%v}`, field.Alias, v)}
		case <-ctx.Done():
			return nil
		}
	}
}

// errSecret is a fault whose text nobody may see.
var errSecret = errors.New("password=hunter2")

func newFakeSchema() *fakeSchema {
	f := &fakeSchema{schema: withoutDefer(gqlparser.MustLoadSchema(&ast.Source{Name: "fake", Input: fakeSDL}))}
	echo := func(_ context.Context, args map[string]any) (any, error) {
		b, err := json.Marshal(args)
		return string(b), err
	}
	f.fields = map[string]func(context.Context, map[string]any) (any, error){
		"hello": func(context.Context, map[string]any) (any, error) { return "world", nil },
		"slow": func(ctx context.Context, _ map[string]any) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"echo": echo,
		"size": func(_ context.Context, args map[string]any) (any, error) {
			file, _ := args["file"].(graphql.Upload)
			return file.Size, nil
		},
		"things": func(context.Context, map[string]any) (any, error) { return map[string]any{}, nil },
		"add":    func(_ context.Context, args map[string]any) (any, error) { return args["n"], nil },
		"fail":   fail,
	}
	f.streams = map[string]func(context.Context, map[string]any) (<-chan any, error){
		"ticks": func(ctx context.Context, args map[string]any) (<-chan any, error) {
			events := make(chan any)
			go func() {
				defer close(events)
				for i := range args["n"].(int64) {
					select {
					case events <- i:
					case <-ctx.Done():
						return
					}
				}
			}()
			return events, nil
		},
		"forever": func(context.Context, map[string]any) (<-chan any, error) {
			events := make(chan any, 1)
			events <- 1
			return events, nil
		},
		"lag": func(ctx context.Context, _ map[string]any) (<-chan any, error) {
			events := make(chan any)
			go func() {
				events <- 1
				failStream(ctx, errs.New(errs.Unavailable, "LAGGED", "You read too slowly. Go on from the last cursor."))
				close(events)
			}()
			return events, nil
		},
		"refuse": func(context.Context, map[string]any) (<-chan any, error) {
			return nil, errs.New(errs.Failed, "CURSOR_EXPIRED", "Too old.")
		},
	}
	return f
}

func fail(_ context.Context, args map[string]any) (any, error) {
	switch args["how"] {
	case "panic":
		panic("password=hunter2")
	case "internal":
		return nil, errs.New(errs.Internal, "BROKEN", "secret text").Because(errSecret)
	case "unknown":
		return nil, errSecret
	case "cursor":
		return nil, errs.New(errs.Invalid, "CURSOR_INVALID", "Not a cursor.", "after")
	case "forbidden":
		return nil, errs.ErrForbidden
	case "anonymous":
		return nil, errs.ErrUnauthenticated
	case "full":
		return nil, errs.New(errs.Unavailable, "QUEUE_FULL", "Busy.").With(errs.RetrySameKey).Because(errSecret)
	}
	return nil, nil
}

// testBundle is a server on the fake schema, with what it logged.
type testBundle struct {
	t       *testing.T
	handler *Handler
	schema  *fakeSchema
	server  *httptest.Server
	log     *lockedBuffer
	url     string
}

func setup(t *testing.T, change func(*Config)) *testBundle {
	t.Helper()
	b := &testBundle{t: t, log: &lockedBuffer{}, schema: newFakeSchema()}
	cfg := Config{
		Log:           slog.New(slog.NewTextHandler(b.log, nil)),
		Introspection: true,
		Limits:        Limits{Timeout: 5 * time.Second},
	}
	if change != nil {
		change(&cfg)
	}
	h, err := newHandler(b.schema, cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.handler = h
	b.server = httptest.NewServer(h)
	b.url = b.server.URL + h.cfg.Path
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil {
			t.Error("live connections do not end:", err)
		}
		b.server.Close()
	})
	return b
}

// reply is what came back by HTTP.
type reply struct {
	status int
	header http.Header
	body   string
	Data   map[string]any `json:"data"`
	Errors gqlerror.List  `json:"errors"`
}

// code is that of the first error.
func (r *reply) code() string {
	if len(r.Errors) == 0 {
		return ""
	}
	code, _ := r.Errors[0].Extensions["code"].(string)
	return code
}

func (b *testBundle) do(method, url, body string, headers ...string) *reply {
	b.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // follows no redirects
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	r := &reply{status: resp.StatusCode, header: resp.Header, body: string(data)}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(data, r); err != nil {
			b.t.Fatalf("%v in %s", err, data)
		}
	}
	return r
}

// post sends a JSON body and asks for application/graphql-response+json.
func (b *testBundle) post(body string, headers ...string) *reply {
	b.t.Helper()
	return b.do("POST", b.url, body, append([]string{"Content-Type", typeJSON, "Accept", typeGraphQL}, headers...)...)
}

// query sends a document with variables.
func (b *testBundle) query(query string, variables any, headers ...string) *reply {
	b.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		b.t.Fatal(err)
	}
	return b.post(string(body), headers...)
}

// once makes a response handler of a function that answers once.
func once(answer graphql.ResponseHandler) graphql.ResponseHandler {
	done := false
	return func(ctx context.Context) *graphql.Response {
		if done {
			return nil
		}
		done = true
		return answer(ctx)
	}
}

// lockedBuffer is a log that several goroutines may write.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// fakeVerifier knows callers by the names that they give as tokens. The tokens
// "bad", "down" and "guest" are refused.
type fakeVerifier struct {
	// revoke ends what ctx guards; it is called with the caller's name.
	watch func(name string, end context.CancelCauseFunc)
}

func (f fakeVerifier) VerifyRequest(ctx context.Context, r *http.Request) (auth.Viewer, error) {
	return f.VerifyInit(ctx, r.Header.Get("Authorization"), "", "")
}

func (f fakeVerifier) VerifyInit(_ context.Context, token, _, _ string) (auth.Viewer, error) {
	switch name := strings.TrimPrefix(token, "Bearer "); name {
	case "":
		return auth.Viewer{}, nil
	case "bad":
		return auth.Viewer{}, errs.ErrUnauthenticated.Because(errSecret)
	case "guest":
		return auth.Viewer{}, errs.ErrForbidden
	case "down":
		return auth.Viewer{}, errs.ErrUnavailable.Because(errSecret)
	default:
		return auth.Viewer{Kind: auth.User, Subject: name, Mode: 1}, nil
	}
}

func (f fakeVerifier) Watch(ctx context.Context, v auth.Viewer) (context.Context, context.CancelFunc, error) {
	if v.Kind == auth.Anonymous {
		return nil, nil, errs.ErrUnauthenticated
	}
	ctx, end := context.WithCancelCause(ctx)
	if f.watch != nil {
		f.watch(v.Subject, end)
	}
	return ctx, func() { end(nil) }, nil
}
