#!/usr/bin/env bash
# Builds the package and tests it from Python: pytest, and mypy over its types.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/../target}
scripts/build.sh
cargo build --locked -p codex32-cli
export CODEX32_BIN="$target/debug/codex32"
"$target/venv/bin/python" -m pytest
"$target/venv/bin/python" -m mypy --strict tests/typed.py
