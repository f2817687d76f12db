#!/usr/bin/env bash
# Builds the extension into the package's folder and installs the package, editable,
# into the virtual environment below the target directory.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/../target}
cargo build --locked -p codex32-py ${RELEASE:+--release}
cp "$target/$( [ -n "${RELEASE:-}" ] && echo release || echo debug )/lib_codex32.so" python/codex32/_codex32.abi3.so
echo "$PWD/python" >"$("$target/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/codex32.pth"
