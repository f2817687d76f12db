#!/usr/bin/env bash
# Builds the package and tests it from Node: node:test, and tsc over its types.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/../target}
scripts/build.sh
cargo build --locked -p codex32-cli
export CODEX32_BIN="$target/debug/codex32"
npm ci --no-audit --no-fund --loglevel=error
npx tsc --noEmit --strict --target es2022 --module nodenext --moduleResolution nodenext --types node tests/typed.ts
node --test tests/
