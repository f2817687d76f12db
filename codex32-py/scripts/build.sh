#!/usr/bin/env bash
# Builds the extension and installs the package; RELEASE=1 for the optimised one.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --locked -p codex32-py ${RELEASE:+--release}
scripts/install.sh "$([ -n "${RELEASE:-}" ] && echo release || echo debug)"
