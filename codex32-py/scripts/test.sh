#!/usr/bin/env bash
# Tests the package from Python: pytest, and mypy over its types. `make test-python` has
# built what it needs.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/../target}
scripts/install.sh
export CODEX32_BIN="$target/debug/codex32"
"$target/venv/bin/python" -m pytest
"$target/venv/bin/python" -m mypy --strict tests/typed.py
