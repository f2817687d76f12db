#!/usr/bin/env bash
# Runs the measures.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo bench --locked -p codex32-benches
