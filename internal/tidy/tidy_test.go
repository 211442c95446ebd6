package tidy

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// law is what this module is held to.
func law() Law { return Law{Floors: Floors, Exceptions: Exceptions, Doors: Doors} }

func TestThisModule(t *testing.T) {
	t.Parallel()
	tree, err := Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Files) < 10 {
		t.Fatalf("only %d files were read", len(tree.Files))
	}
	for _, check := range Checks {
		t.Run(check.Name, func(t *testing.T) {
			t.Parallel()
			for _, fault := range check.Run(tree, law()) {
				t.Error(fault)
			}
		})
	}
}

// sample is a tree as a test writes it: text by path. A text without a package
// clause is a list of imports.
type sample map[string]string

func (s sample) load(t *testing.T) Tree {
	t.Helper()
	files := fstest.MapFS{"go.mod": {Data: []byte("module example.org/souk\n\ngo 1.26\n")}}
	for name, text := range s {
		if strings.HasSuffix(name, ".go") && !strings.Contains(text, "package ") {
			var b strings.Builder
			b.WriteString("package x\n")
			for _, path := range strings.Fields(text) {
				b.WriteString("import _ \"" + strings.Replace(path, "~", "example.org/souk", 1) + "\"\n")
			}
			text = b.String()
		}
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	tree, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// breaches shows each check samples with the faults that it must find in them,
// by the beginning of what it says; none where the sample is in order.
var breaches = map[string][]struct {
	name   string
	sample sample
	says   []string
	law    func(*Law)
}{
	"every package has a floor": {
		{name: "new package", sample: sample{"internal/buying/newthing/a.go": "errors", "internal/buying/newthing/b.go": "errors"},
			says: []string{"internal/buying/newthing/a.go:1: internal/buying/newthing has no floor"}},
		{name: "two levels deep", sample: sample{"internal/buying/purchase/a/b/x.go": "errors"},
			says: []string{"internal/buying/purchase/a/b/x.go:1: internal/buying/purchase/a/b has no floor"}},
		{name: "one level deep", sample: sample{"internal/buying/purchase/a/x.go": "errors", "ent/a/b/c.go": "errors"}},
		{name: "not of this module", sample: sample{"tools/go.mod": "module tools", "tools/x.go": "errors",
			"testdata/x.go": "errors", ".hidden/x.go": "errors", "internal/app/node_modules/x.go": "errors"}},
	},
	"imports point to floors below": {
		{name: "up", sample: sample{"internal/base/store/store.go": "context\n~/internal/core/ledger"},
			says: []string{"internal/base/store/store.go:3: internal/base/store (floor 302) may not import internal/core/ledger (floor 400)"}},
		{name: "peers", sample: sample{"internal/core/user/user.go": "~/internal/core/chat"},
			says: []string{"internal/core/user/user.go:2: internal/core/user (floor 401) may not import internal/core/chat"}},
		{name: "edges", sample: sample{"graph/x.go": "~/workers", "workers/x.go": "~/graph"},
			says: []string{"graph/x.go:2: graph", "workers/x.go:2: workers"}},
		{name: "into a peer's inside", sample: sample{"internal/core/chat/x.go": "~/internal/core/user/import"},
			says: []string{"internal/core/chat/x.go:2:"}},
		{name: "out of one's inside", sample: sample{"internal/core/user/import/x.go": "~/internal/core/user"},
			says: []string{"internal/core/user/import/x.go:2:"}},
		{name: "commands", sample: sample{"internal/app/app.go": "~/cmd/souk"}, says: []string{"internal/app/app.go:2:"}},
		{name: "down", sample: sample{
			"cmd/souk/main.go": "~/internal/app", "internal/app/app.go": "~/graph ~/workers", "graph/x.go": "~/internal/buying/purchase ~/graph/generated",
			"internal/buying/purchase/x.go": "~/internal/core/user ~/internal/buying/purchase/card", "internal/core/user/x.go": "~/internal/core/ledger",
			"internal/core/ledger/x.go": "~/internal/base/outbox", "internal/base/outbox/x.go": "~/internal/base/store", "internal/base/store/x.go": "~/ent",
			"ent/x.go": "~/internal/base/money ~/ent/user", "ent/user/x.go": "~/ent/predicate"}},
		{name: "tests", sample: sample{"internal/base/store/store_test.go": "~/internal/core/ledger"}},
		{name: "exception", sample: sample{"internal/core/user/user.go": "~/internal/core/chat"},
			law: func(l *Law) {
				l.Exceptions = []Exception{{"internal/core/user", "internal/core/chat", "a reason"}}
			}},
	},
	"exceptions are needed and have a reason": {
		{name: "no reason", sample: sample{"internal/core/user/user.go": "~/internal/core/chat"},
			says: []string{"internal/core/user:1: the exception for internal/core/chat gives no reason"},
			law:  func(l *Law) { l.Exceptions = []Exception{{"internal/core/user", "internal/core/chat", ""}} }},
		{name: "not needed", sample: sample{"internal/core/user/user.go": "~/internal/core/ledger"},
			says: []string{"internal/core/user:1: the exception for internal/core/ledger is not needed"},
			law:  func(l *Law) { l.Exceptions = []Exception{{"internal/core/user", "internal/core/ledger", "why"}} }},
	},
	"doors are closed to others": {
		{name: "rows outside a store", sample: sample{"internal/core/user/service.go": "~/ent", "graph/x.go": "~/ent/user", "workers/mystore.go": "~/ent"},
			says: []string{"graph/x.go:2: may not import ent/user", "internal/core/user/service.go:2: may not import ent", "workers/mystore.go:2:"}},
		{name: "rows in stores", sample: sample{"internal/core/user/store.go": "~/ent ~/ent/user", "internal/core/user/store_contact.go": "~/ent",
			"internal/base/store/migrate.go": "~/ent/migrate", "internal/app/app.go": "~/ent", "internal/core/user/user_test.go": "~/ent", "ent/x.go": "~/ent/user"}},
		{name: "API types", sample: sample{"workers/x.go": "~/graph/model", "internal/app/x.go": "~/graph/generated", "cmd/souk/x.go": "~/graph/scalar", "graph/x.go": "~/graph/model"},
			says: []string{"cmd/souk/x.go:2:", "internal/app/x.go:2:", "workers/x.go:2: may not import graph/model"}},
		{name: "test kit", sample: sample{"cmd/souk/x.go": "~/internal/testkit", "cmd/souk/x_test.go": "~/internal/testkit"},
			says: []string{"cmd/souk/x.go:2: may not import internal/testkit: it is for tests alone"}},
		{name: "GraphQL and queue", sample: sample{
			"internal/core/user/x.go": "github.com/99designs/gqlgen/graphql github.com/hibiken/asynq", "internal/base/outbox/x.go": "github.com/hibiken/asynq",
			"workers/x.go": "github.com/vektah/gqlparser/v2/ast github.com/hibiken/asynq", "graph/x.go": "github.com/99designs/gqlgen/graphql"},
			says: []string{"internal/base/outbox/x.go:2:", "internal/core/user/x.go:2:", "internal/core/user/x.go:3:", "workers/x.go:2:"}},
	},
	"domains know nothing of the world outside": {
		{name: "HTTP and Redis", sample: sample{"internal/core/webhook/x.go": "net/http", "internal/buying/purchase/shop.go": "net/http/httputil github.com/redis/go-redis/v9"},
			says: []string{"internal/buying/purchase/shop.go:2:", "internal/buying/purchase/shop.go:3:", "internal/core/webhook/x.go:2: a domain may not import net/http"}},
		{name: "plumbing and edges", sample: sample{"internal/base/outbound/x.go": "net/http", "graph/server.go": "net/http", "internal/core/webhook/x_test.go": "net/http", "internal/core/webhook/x.go": "net/url"}},
	},
	"transactions begin in the store": {
		{name: "elsewhere", sample: sample{
			"internal/core/user/store.go": "package user\nfunc f() {\n\tclient.Tx(ctx)\n}",
			"workers/x.go":                "package workers\nfunc f() { return func() { db.BeginTx(ctx, nil) } }"},
			says: []string{"internal/core/user/store.go:3: begins a transaction by itself", "workers/x.go:2:"}},
		{name: "in order", sample: sample{
			"internal/base/store/x.go":    "package store\nfunc f() { client.Tx(ctx) }",
			"internal/core/user/store.go": "package user\n// client.Tx(ctx)\nvar Tx = \"client.Tx(ctx)\"\nfunc f() { Tx() }"}},
	},
	"transactions are run by services": {
		{name: "elsewhere", sample: sample{
			"internal/core/user/store.go": "package user\nfunc f() { db.InTx(ctx, nil) }",
			"graph/x.resolvers.go":        "package graph\nfunc f() { r.s.db.InTx(ctx, nil) }"},
			says: []string{"graph/x.resolvers.go:2:", "internal/core/user/store.go:2: runs a transaction outside a service*.go"}},
		{name: "in order", sample: sample{
			"internal/core/user/service.go":        "package user\nfunc f() { s.db.InTx(ctx, nil) }",
			"internal/core/user/service_import.go": "package user\nfunc f() { s.db.InTx(ctx, nil) }",
			"internal/core/user/x_test.go":         "package user\nfunc f() { s.db.InTx(ctx, nil) }",
			"internal/base/store/store.go":         "package store\nfunc (db *DB) InTx() { db.InTx(ctx, nil) }",
			"internal/core/user/user.go":           "package user\ntype db interface { InTx() }"}},
	},
	"nothing is left to do": {
		{name: "notes", sample: sample{
			"cmd/souk/a.go":      "package main\n// TODO: more\nfunc f() {\n\t/* a\n\tFIXME */\n}",
			"cmd/souk/a_test.go": "package main\nvar x = 1 // XXX"},
			says: []string{"cmd/souk/a.go:2: TODO", "cmd/souk/a.go:4: FIXME", "cmd/souk/a_test.go:2: XXX"}},
		{name: "stub", sample: sample{"graph/a.go": "package graph\nfunc f() {\n\tpanic(fmt.Errorf(\"not implemented: A - a\"))\n}"},
			says: []string{"graph/a.go:3: gqlgen's stub"}},
		{name: "in order", sample: sample{
			"cmd/souk/a.go": "package main\n// TODOS and xxx\nvar x = \"TODO\"\nfunc f() { panic(\"broken\") }",
			"ent/a.go":      "// Code generated by ent, DO NOT EDIT.\n\npackage ent\n// TODO"}},
	},
	"names say what is inside": {
		{name: "folders", sample: sample{"internal/app/util/x.go": "package things", "pkg/x/x.go": "package x", "internal/app/x.go": "package helpers", "internal/app/x_test.go": "package utils_test"},
			says: []string{"internal/app/util/x.go:1: util", "internal/app/x.go:1: helpers", "internal/app/x_test.go:1: utils_test", "pkg/x/x.go:1: pkg"}},
		{name: "in order", sample: sample{"graph/model/x.go": "package model", "internal/app/commonly.go": "package app"}},
	},
}

func TestChecks(t *testing.T) {
	t.Parallel()
	for _, check := range Checks {
		finds := false
		for _, breach := range breaches[check.Name] {
			finds = finds || len(breach.says) > 0
			t.Run(check.Name+"/"+breach.name, func(t *testing.T) {
				t.Parallel()
				held := law()
				if breach.law != nil {
					breach.law(&held)
				}
				faults := check.Run(breach.sample.load(t), held)
				if len(faults) != len(breach.says) {
					t.Fatalf("found %v\nwant  %q", faults, breach.says)
				}
				for i, fault := range faults {
					if !strings.HasPrefix(fault.String(), breach.says[i]) {
						t.Errorf("found %s\nwant  %s", fault, breach.says[i])
					}
				}
			})
		}
		if !finds {
			t.Errorf("nothing shows that %q finds a fault", check.Name)
		}
	}
}

func TestFloors_AreThereOnce(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, floor := range Floors {
		if seen[floor.Path] {
			t.Errorf("%s has two floors", floor.Path)
		}
		seen[floor.Path] = true
	}
}
