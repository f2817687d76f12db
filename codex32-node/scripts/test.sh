#!/usr/bin/env bash
# Tests the package from Node: node:test, and tsc over its types. `make test-node` has
# built what it needs.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/../target}
cp "$target/debug/libcodex32_node.so" codex32.node
export CODEX32_BIN="$target/debug/codex32"
npm ci --no-audit --no-fund --loglevel=error
npx tsc --noEmit --strict --target es2022 --module nodenext --moduleResolution nodenext --types node tests/typed.ts
node --test tests/
