package app_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	gql "github.com/vektah/gqlparser/v2/ast"

	"github.com/soukhq/souk/graph"
)

// loadSchema reads the public contract.
func loadSchema(t *testing.T) *gql.Schema {
	t.Helper()
	paths, err := filepath.Glob("../../schema/*.graphql")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no schema: %v", err)
	}
	var sources []*gql.Source
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, &gql.Source{Name: path, Input: string(text)})
	}
	schema, err := gqlparser.LoadSchema(sources...)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// nodeTypes are the types that have an id of their own.
func nodeTypes(t *testing.T) (types []string) {
	t.Helper()
	for _, def := range loadSchema(t).Types {
		if slices.Contains(def.Interfaces, "Node") {
			types = append(types, def.Name)
		}
	}
	slices.Sort(types)
	return types
}

// Every object that has an id can be found by it, and nothing else.
func TestContract_Nodes(t *testing.T) {
	t.Parallel()
	registry := graph.NewResolver(graph.Services{}).Registry
	if got, want := slices.Sorted(maps.Keys(registry)), nodeTypes(t); !slices.Equal(got, want) {
		t.Errorf("the registry finds %v, the schema has %v", got, want)
	}
}

// domains says where the refusals of each enum come from: from the domain's own
// folder, and from those that it leans on, by code.
var domains = []struct {
	enum    string
	own     string              // folder
	borrows map[string][]string // codes by folder
	inward  []string            // own codes that are told to others than callers of the API
}{
	{enum: "ChatErrorCode", own: "core/chat", inward: []string{"CURSOR_EXPIRED"}}, // ends a subscription: no user error
	{enum: "IdentityErrorCode", own: "core/user"},
	{enum: "MerchantErrorCode", own: "core/merchant", inward: []string{"CARD_INVALID", "CARD_EXPIRED", "CARD_STALE", "MERCHANT_SUSPENDED"}}, // of those who take cards
	{enum: "OperationErrorCode", own: "platform/sandbox"},
	{
		enum: "PurchaseErrorCode", own: "buying/purchase",
		borrows: map[string][]string{
			"core/ledger":   {"INSUFFICIENT_FUNDS", "IDEMPOTENCY_KEY_INVALID", "IDEMPOTENCY_MISMATCH"},
			"core/merchant": {"CARD_INVALID", "CARD_EXPIRED", "CARD_STALE", "MERCHANT_SUSPENDED"},
		},
		inward: []string{"ANSWER_INVALID", "ANSWER_MISMATCH", "ORDER_ENDED", "USER_HAS_FUNDS"}, // of product servers, and of those who erase users
	},
	{
		enum: "WalletErrorCode", own: "core/wallet",
		borrows: map[string][]string{"core/ledger": {"INSUFFICIENT_FUNDS", "IDEMPOTENCY_KEY_INVALID", "IDEMPOTENCY_MISMATCH"}},
		inward:  []string{"USER_HAS_FUNDS"}, // of those who erase users
	},
	{enum: "WebhookErrorCode", own: "core/webhook"},
}

// The codes that the code can refuse with are those that the schema has, and the
// other way round.
func TestContract_ErrorCodes(t *testing.T) {
	t.Parallel()
	schema := loadSchema(t)
	enums := map[string]bool{}
	for _, def := range schema.Types {
		if strings.HasSuffix(def.Name, "ErrorCode") {
			enums[def.Name] = true
		}
	}
	for _, d := range domains {
		delete(enums, d.enum)
		codes := refusalsOf(t, d.own)
		for _, code := range d.inward {
			if !codes[code] {
				t.Errorf("%s has no code %s", d.own, code)
			}
			delete(codes, code)
		}
		for folder, borrowed := range d.borrows {
			lender := refusalsOf(t, folder)
			for _, code := range borrowed {
				if !lender[code] {
					t.Errorf("%s has no code %s to lend", folder, code)
				}
				codes[code] = true
			}
		}
		var shown []string
		for _, v := range schema.Types[d.enum].EnumValues {
			shown = append(shown, v.Name)
		}
		slices.Sort(shown)
		if got := slices.Sorted(maps.Keys(codes)); !slices.Equal(got, shown) {
			t.Errorf("%s: the code refuses with %v, the schema has %v", d.enum, got, shown)
		}
	}
	if len(enums) > 0 {
		t.Errorf("nobody refuses with %v", slices.Sorted(maps.Keys(enums)))
	}
}

// refusalsOf reads the codes of the refusals that a folder's code makes:
// errs.New(errs.Invalid, "CODE", …), and so with Conflict, Failed and NotFound.
func refusalsOf(t *testing.T, folder string) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", folder, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("nothing in %s: %v", folder, err)
	}
	codes := map[string]bool{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for node := range ast.Preorder(file) {
			if code := refusalIn(node); code != "" {
				codes[code] = true
			}
		}
	}
	return codes
}

// refusalIn is the code of the refusal that a node makes, if it makes one.
func refusalIn(node ast.Node) string {
	call, isCall := node.(*ast.CallExpr)
	if !isCall || len(call.Args) < 2 || !isErrs(call.Fun, "New") {
		return ""
	}
	if !isErrs(call.Args[0], "Invalid", "Conflict", "Failed", "NotFound") {
		return ""
	}
	literal, isLiteral := call.Args[1].(*ast.BasicLit)
	if !isLiteral {
		return "" // a code that is computed would be one that nobody can look up
	}
	code, _ := strconv.Unquote(literal.Value)
	return code
}

// isErrs tells whether an expression is one of these names of package errs.
func isErrs(e ast.Expr, names ...string) bool {
	selected, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	from, ok := selected.X.(*ast.Ident)
	return ok && from.Name == "errs" && slices.Contains(names, selected.Sel.Name)
}
