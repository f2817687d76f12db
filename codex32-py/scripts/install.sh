#!/usr/bin/env bash
# Puts the extension that cargo has built into the package's folder, and the package,
# editable, into the virtual environment below the target directory.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/../target}
profile=${1:-debug}
cp "$target/$profile/lib_codex32.so" python/codex32/_codex32.abi3.so
echo "$PWD/python" >"$("$target/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/codex32.pth"
