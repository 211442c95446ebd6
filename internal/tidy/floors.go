package tidy

// The floors from the ground up. Numbers between two of them order the packages
// that share a floor and may still lean on one another.
const (
	values   = 100 // plain values: no database, no network
	rows     = 200 // ent's generated code
	plumbing = 300 // database, queue, keys, HTTP
	core     = 400 // what every feature leans on
	risk     = 500 // how safe is this?
	families = 600 // features
	edges    = 700 // GraphQL, HTTP for third parties, background work
	wiring   = 800 // the only place that sees all
	commands = 900
)

// Floor says where a package stands. Path is a folder of this module, and covers
// the folders directly beneath it, which it may import; with "/..." at the end
// it covers all that is beneath, and these may import one another.
type Floor struct {
	Path  string
	Level int
}

// Floors is the law. A package that no line covers is a fault.
var Floors = []Floor{
	{"internal/base/errs", values},
	{"internal/base/id", values},
	{"internal/base/mode", values},
	{"internal/base/text", values},
	{"internal/base/batch", values},
	{"internal/base/money", values + 1},
	{"internal/base/clock", values + 1},
	{"internal/base/page", values + 1},
	{"audio", values},
	{"schema", values},
	{"web/...", values},
	{"examples/...", values},
	{"test/...", values},
	{"docs", values},

	{"ent/...", rows},

	{"internal/base/config", plumbing},
	{"internal/base/jose", plumbing + 1},
	{"internal/base/seal", plumbing + 1},
	{"internal/base/outbound", plumbing + 1},
	{"internal/base/redisx", plumbing + 1},
	{"internal/base/store", plumbing + 2},
	{"internal/base/outbox", plumbing + 3},
	{"internal/base/keys", plumbing + 3},
	{"internal/base/pubsub", plumbing + 3},
	{"internal/base/limit", plumbing + 3},
	{"internal/base/auth", plumbing + 4},
	{"internal/base/audit", plumbing + 5},

	{"internal/core/ledger", core},
	{"internal/core/user", core + 1},
	{"internal/core/chat", core + 1},
	{"internal/core/merchant", core + 1},
	{"internal/core/wallet", core + 1},
	{"internal/core/webhook", core + 1},

	{"internal/buying/purchase", families},
	{"internal/platform/sandbox", families},

	{"graph/scalar", edges},
	{"graph/connection", edges},
	{"graph/model", edges + 1},
	{"graph/generated", edges + 2},
	{"graph", edges + 3},
	{"internal/rest", edges + 3},
	{"workers", edges + 3},

	{"internal/merchantsim", wiring},
	{"internal/driver", wiring},
	{"internal/app", wiring + 1},
	{"internal/bench", wiring + 2},
	{"internal/crash", wiring + 2},
	{"internal/demo", wiring + 2},

	{"internal/testkit", commands},
	{"internal/tidy", commands},
	{"cmd/souk", commands},
	{"cmd/conform", commands},
}

// Exception lets one package import one other against its floor.
type Exception struct {
	From, To string
	Because  string
}

// Exceptions is empty in a healthy house. A line that is not needed is a fault.
var Exceptions = []Exception{}

// Door says who alone may import a package that stands low enough for more.
type Door struct {
	Path   string   // as in Floor
	Only   []string // folders, as in Floor
	Files  string   // and, anywhere, files with such a name; empty: none
	Reason string
}

// Doors narrows what the floors allow. Tests pass through all of them.
var Doors = []Door{
	{
		Path: "ent/...", Files: "store*.go",
		Only:   []string{"ent/...", "internal/base/store", "internal/app", "internal/testkit", "cmd/souk"},
		Reason: "rows stay in stores; the rest works with domain types",
	},
	{
		Path: "graph/model", Only: []string{"graph/..."},
		Reason: "the API's types stay in graph",
	},
	{
		Path: "graph/generated", Only: []string{"graph/..."},
		Reason: "the API's types stay in graph",
	},
	{
		Path: "graph/scalar", Only: []string{"graph/..."},
		Reason: "the API's types stay in graph",
	},
	{
		Path: "internal/testkit", Only: []string{"internal/testkit/..."},
		Reason: "it is for tests alone",
	},
	{
		Path: "github.com/99designs/gqlgen/...", Only: []string{"graph/..."},
		Reason: "only graph knows GraphQL",
	},
	{
		Path: "github.com/vektah/gqlparser/...", Only: []string{"graph/..."},
		Reason: "only graph knows GraphQL",
	},
	{
		Path: "github.com/hibiken/asynq/...", Only: []string{"workers", "internal/app", "cmd/souk"},
		Reason: "only workers knows the queue",
	},
}

// domainsMayNot lists what no package from the ledger up to the families may
// import: third parties are reached through internal/base/outbound, and Redis
// through the plumbing that bears its absence.
var domainsMayNot = []string{"net/http/...", "github.com/redis/go-redis/..."}

// forbiddenNames say nothing of what is inside.
var forbiddenNames = []string{"pkg", "common", "util", "utils", "helper", "helpers", "models", "misc"}
