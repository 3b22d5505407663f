# make help lists the targets.

GO ?= go

.PHONY: help build demo test check fmt vet lint setup peers unit fuzz bench man clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/muster
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/muster ./cmd/muster

demo: build ## serve a small site on :3000 by several workers, to crash and block by hand; needs nothing but Go
	@bin/muster demo

test: setup check unit ## everything: fetch the peers, check, and run all tests, as CI does

check: fmt vet lint ## gofmt, go vet for Linux and macOS, golangci-lint

fmt:
	@files=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$files" ]; then echo "gofmt these files:"; echo "$$files"; exit 1; fi

vet:
	$(GO) vet ./...
	GOOS=darwin $(GO) vet ./...

lint: ## golangci-lint only
	@tools/lint.sh ./...

setup: ## fetch what the tests run beside muster
	@tools/setup-node.sh
	@tools/setup-pm2.sh
	@tools/setup-peers.sh

peers: ## install the servers of the tests with sudo (Debian, Ubuntu)
	@tools/setup-peers.sh sudo

unit: build ## the tests, with what is there
	MUSTER_BIN=$(CURDIR)/bin/muster $(GO) test -race -shuffle=on -count=1 -timeout 20m $$($(GO) list ./... | grep -v /internal/e2e)
	MUSTER_BIN=$(CURDIR)/bin/muster $(GO) test -race -shuffle=on -count=1 -timeout 25m ./internal/e2e # alone: it measures waiting times

fuzz: ## run every fuzz target for ten seconds
	@tools/fuzz.sh 10s

bench: build ## measure muster beside its peers (name=..., or all; without it, say what there is)
	MUSTER_BIN=$(CURDIR)/bin/muster $(GO) run ./bench $(name)

man: build ## bin/man: a manual page of each command
	@bin/muster docs man bin/man

clean: ## remove what was built and fetched
	rm -rf bin .cache
