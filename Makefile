# The only entry points: up, test, lint, bench, generate. Each does its own set-up.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

export CARGO_TERM_COLOR ?= auto
# Unoptimised code has wide frames; a test thread gets the stack of the engine's own threads.
export RUST_MIN_STACK := 16777216
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
VENV := $(TARGET)/venv
DATA ?= $(CURDIR)/data

.PHONY: help up test lint generate bench setup dashboard test-rust test-python test-node test-browser test-api clean

help:
	@echo "make up        build, start on embedded SQLite, print the address to open"
	@echo "make test      set up and run every test"
	@echo "make lint      formatting, clippy, licences"
	@echo "make generate  rewrite the generated files"
	@echo "make bench     the measures of docs/performance.md"

up: dashboard
	cargo build --release --locked -p codex32-cli
	exec $(TARGET)/release/codex32 up --data $(DATA)

test: lint test-rust test-python test-node test-api test-browser
	@echo "all tests passed"

setup:
	@./.ci/setup

dashboard: codex32-server/dashboard/dist/index.html

codex32-server/dashboard/dist/index.html: $(shell find codex32-server/dashboard/src codex32-server/dashboard/index.html codex32-server/dashboard/package-lock.json codex32-node/wasm -type f 2>/dev/null)
	@cd codex32-server/dashboard && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build

lint: setup dashboard
	cargo fmt --all --check
	cargo clippy --locked --workspace --exclude codex32-py --exclude codex32-node --all-targets -- -D warnings
	cargo clippy --locked -p codex32-py -p codex32-node --lib -- -D warnings
	cargo deny --log-level error check licenses bans sources

test-rust: setup dashboard
	cargo test --locked --workspace --exclude codex32-py --exclude codex32-node
	cargo check --locked -p codex32-core --no-default-features
	cargo run --locked -q -p codex32-cli -- generate --into . --check

test-python: setup
	@./codex32-py/scripts/test.sh

test-node: setup
	@./codex32-node/scripts/test.sh

test-api: setup dashboard
	@./codex32-server/scripts/test-api.sh

test-browser: setup dashboard
	@./codex32-server/scripts/test-browser.sh

generate: setup
	cargo run --locked -q -p codex32-cli -- generate --into .
	cargo fmt --all

bench: setup dashboard
	@./benches/run.sh

clean:
	cargo clean
