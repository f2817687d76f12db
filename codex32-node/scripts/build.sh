#!/usr/bin/env bash
# Builds the addon beside the package's manifest.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/../target}
profile=debug
[ -n "${RELEASE:-}" ] && profile=release
cargo build --locked -p codex32-node ${RELEASE:+--release}
cp "$target/$profile/libcodex32_node.so" codex32.node
