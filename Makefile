# Everything that a developer runs. `make` lists it.
SHELL := bash

# Nothing but Go is needed to build; what tests need besides, scripts/ installs.
export CGO_ENABLED = 0

PKG    ?= ./...
GOTEST ?= go test
SOUK   := bin/souk

# A compiler spends a quarter of its time on collecting its own garbage. With
# more memory, within a limit, it need not.
GOBUILD := GOGC=800 GOMEMLIMIT=2GiB go build

# Tools are built once, from modules of their own under tools/, and kept beside
# Go's build cache. A new version has a new name and so is built.
tools         := $(shell go env GOCACHE)/souk-tools
GOLANGCI_LINT := $(tools)/golangci-lint-v2.15.0
GOTESTSUM     := $(tools)/gotestsum-v1.13.0

.PHONY: help
help: ## list these targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.PHONY: build
build: ## build bin/souk
	$(GOBUILD) -o $(SOUK) ./cmd/souk

.PHONY: generate
generate: ## write the generated code anew: ent, gqlgen
	go generate ./ent ./graph

.PHONY: migration
migration: ## write migrations from ent/schema: make migration name=add_order_note
	@[ -n "$(name)" ] || { echo 'usage: make migration name=what_it_does' >&2; exit 2; }
	scripts/with-services go run ./ent/migrate/diff $(name)

.PHONY: migration-check
migration-check: ## fail if the migrations do not lead to ent/schema
	scripts/with-services go run ./ent/migrate/diff -check

.PHONY: test
test: ## run all tests with the race detector on PostgreSQL, Redis and SQLite: make test PKG=./internal/...
	scripts/ensure gcc node npm chromium
	CGO_ENABLED=1 scripts/with-services $(GOTEST) -race -shuffle=on -timeout=20m -p=2 $(PKG)

.PHONY: test-fast
test-fast: ## the same without the race detector
	scripts/ensure node npm chromium
	scripts/with-services $(GOTEST) -shuffle=on -timeout=20m -p=2 $(PKG)

.PHONY: lint
lint: $(GOLANGCI_LINT) ## look for faults that compile
	$(GOLANGCI_LINT) run --timeout=15m $(PKG)

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## lay out all Go code
	$(GOLANGCI_LINT) fmt

.PHONY: fmt-check
fmt-check: ## fail if Go code is not laid out
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not laid out, run make fmt:"; echo "$$unformatted"; exit 1; }

.PHONY: tidy
tidy: ## hold the arrows between packages and the laws of layout
	go test -count=1 ./internal/tidy

.PHONY: ci
ci: ## what runs before a change lands
	.ci/run

.PHONY: demo
demo: build ## a purchase from end to end; leaves the server running
	$(SOUK) demo

.PHONY: demo-check
demo-check: build ## the same; checks the balances and ends
	$(SOUK) demo --check

.PHONY: crash
crash: build ## kill the server, PostgreSQL and Redis under load, then look for what was lost
	scripts/with-services --durable $(SOUK) crash $(ARGS)

.PHONY: bench
bench: build ## payments a second beside pgbench on the same machine
	scripts/with-services --durable $(SOUK) bench purchase $(ARGS)

.PHONY: conform
conform: ## build bin/conform, which runs protocol test vectors
	$(GOBUILD) -o bin/conform ./cmd/conform

.PHONY: clean
clean: ## remove what was built
	rm -rf bin

.PHONY: gotestsum
gotestsum: $(GOTESTSUM)
	@echo $(GOTESTSUM)

$(GOLANGCI_LINT):
	@echo 'building golangci-lint, once; this takes a minute or two'
	$(GOBUILD) -C tools/lint -trimpath -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(GOTESTSUM):
	$(GOBUILD) -C tools/gotestsum -trimpath -o $@ gotest.tools/gotestsum
