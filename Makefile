# The only entry points: up, test, lint, bench, generate. Each does its own set-up.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# A run in CI builds once: what would speed up a second build only takes room.
ifdef CI
export CARGO_INCREMENTAL := 0
endif
export CARGO_TERM_COLOR ?= auto
# Unoptimised code has wide frames; a test thread gets the stack of the engine's own threads.
export RUST_MIN_STACK := 16777216
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
VENV := $(TARGET)/venv
DATA ?= $(CURDIR)/data

.PHONY: help up test soak lint generate bench bench-peers setup dashboard build-tests test-rust test-python test-node test-browser test-api clean

help:
	@echo "make up        build, start on embedded SQLite, print the address to open"
	@echo "make test      set up and run every test"
	@echo "make soak      the crash tests for longer: 100 kills of each set-up, 5000 simulated clusters"
	@echo "make lint      formatting, clippy, licences"
	@echo "make generate  rewrite the generated files"
	@echo "make bench     the measures of docs/performance.md"
	@echo "make bench-peers  the same jobs done by what others use; PEERS=\"dbos n8n\" for some"

up: dashboard
	cargo build --release --locked -p codex32-cli
	exec $(TARGET)/release/codex32 up --data $(DATA)

test: lint test-rust test-python test-node test-api test-browser
	@echo "all tests passed"

# The tests of what a crash does, longer than `make test` runs them.
soak: build-tests
	CODEX32_SEEDS=$${CODEX32_SEEDS:-5000} cargo test --locked -p codex32-core --lib -- simulation --nocapture
	CODEX32_KILLS=$${CODEX32_KILLS:-100} cargo test --locked --workspace --test crash -- --nocapture

setup:
	@./.ci/setup

dashboard: codex32-server/dashboard/dist/index.html

codex32-server/dashboard/dist/index.html: $(shell find codex32-server/dashboard/src codex32-server/dashboard/index.html codex32-server/dashboard/package-lock.json codex32-node/wasm -type f 2>/dev/null)
	@cd codex32-server/dashboard && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build

lint: setup dashboard
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	PATH="$(VENV)/bin:$$PATH" cargo deny --log-level error check licenses bans sources

# Everything that the tests run, in one build, so that each dependency is compiled with
# one set of features: the command, the extensions of Python and Node, the test programs.
build-tests: setup dashboard
	cargo build --locked --workspace --all-targets

test-rust: build-tests
	cargo test --locked --workspace --no-fail-fast
	cargo check --locked -p codex32-core --no-default-features
	$(TARGET)/debug/codex32 generate --into . --check

test-python: build-tests
	@./codex32-py/scripts/test.sh

test-node: build-tests
	@./codex32-node/scripts/test.sh

test-api: build-tests
	@./codex32-server/scripts/test-api.sh

test-browser: build-tests
	@./codex32-server/scripts/test-browser.sh

generate: build-tests
	$(TARGET)/debug/codex32 generate --into .
	cargo fmt --all

bench: setup dashboard
	@./benches/run.sh

bench-peers: setup dashboard
	@./benches/peers/compare.py $(PEERS)

clean:
	cargo clean
