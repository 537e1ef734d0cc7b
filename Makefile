# ODCM. `make` lists what it can do.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export GOFLAGS ?= -mod=readonly
export GOTOOLCHAIN ?= local

.PHONY: help run test test-unit check bench generate deps

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## start the whole product on embedded defaults; prints its URL and first login
	go run ./cmd/odcm dev

test: deps ## run every test, with PostgreSQL and a headless browser
	go test -timeout 600s ./...

test-unit: ## run the tests that need nothing installed
	go test -short -timeout 120s ./...

check: deps ## what must hold before a change lands: format, vet, lint, generated code, race detector, fuzz seeds
	test/check

bench: ## measure against controls in the same run; writes docs/benchmarks.md
	go run ./test/bench

generate: ## make the generated files again (templ, protobuf, OpenAPI, CLI reference, goldens)
	go tool templ generate
	go generate ./...
	go test ./cmd/odcm ./kit/web/design ./manager/space/spacehttp ./test -run "Golden|TestREST|TestPages" -update

deps: ## install what the tests need (Debian packages), or say what is missing
	test/deps
