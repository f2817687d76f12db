#!/usr/bin/env bash
# Drives the dashboard in a real browser through the whole main job. `make test-browser`
# has built what it needs.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/../target}
export CODEX32_BIN="$target/debug/codex32"
export CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)}
cd dashboard
[ -d node_modules ] || npm ci --no-audit --no-fund --loglevel=error
node --test test/
