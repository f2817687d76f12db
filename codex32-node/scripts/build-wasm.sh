#!/bin/sh
# Builds the browser package into codex32-node/wasm (committed, since few machines have
# the toolchain). Run it after a change to the pure rooms of codex32-core.
#
# Uses rustup's wasm32 target where it is installed; otherwise Debian's packages:
#   apt-get install rustc-web cargo-web rust-web-src lld-19
set -eu

version=0.2.130
target=wasm32-unknown-unknown
root=$(cd "$(dirname "$0")/../.." && pwd)
tools="${XDG_CACHE_HOME:-$HOME/.cache}/codex32/wasm-bindgen-$version"
cd "$root"
build_dir="${CARGO_TARGET_DIR:-$root/target}/wasm"
export CARGO_TARGET_DIR="$build_dir"

if [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
  cargo build --profile wasm --target "$target" -p codex32-node
else
  linker=$(ls /usr/bin/wasm-ld-* 2>/dev/null | sort -V | tail -n 1)
  if [ -z "$linker" ] || [ ! -x /usr/bin/cargo ] || [ ! -d /usr/lib/rustlib/src/rust/library ]; then
    echo "no toolchain for $target: run \`rustup target add $target\`, or on Debian" >&2
    echo "\`apt-get install rustc-web cargo-web rust-web-src lld-19\`" >&2
    exit 1
  fi
  # RUSTC_BOOTSTRAP: a stable compiler builds its own standard library only when told so.
  RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc RUSTC_BOOTSTRAP=1 \
  CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$linker" \
    /usr/bin/cargo build -Zbuild-std=std,panic_abort --profile wasm --target "$target" -p codex32-node
fi

bindgen=$(command -v wasm-bindgen || true)
if [ -z "$bindgen" ] || [ "$("$bindgen" --version)" != "wasm-bindgen $version" ]; then
  bindgen="$tools/bin/wasm-bindgen"
  [ -x "$bindgen" ] || CARGO_TARGET_DIR="$build_dir/tools" cargo install wasm-bindgen-cli --version "$version" --root "$tools"
fi

out="$root/codex32-node/wasm"
rm -rf "$out"
mkdir -p "$out"
"$bindgen" --target web --out-name codex32 --out-dir "$out" --remove-name-section --remove-producers-section \
  "$build_dir/$target/wasm/codex32_node.wasm"

cat >"$out/package.json" <<JSON
{
  "name": "@codex32/wasm",
  "description": "Codex-32 in the browser: read, check, draft and schedule bots",
  "version": "$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)",
  "license": "MIT OR Apache-2.0",
  "type": "module",
  "main": "codex32.js",
  "types": "codex32.d.ts",
  "sideEffects": false,
  "files": ["codex32.js", "codex32.d.ts", "codex32_bg.wasm", "codex32_bg.wasm.d.ts"]
}
JSON
node codex32-node/scripts/wasm-stamp.mjs >"$out/STAMP"
ls -l "$out"
