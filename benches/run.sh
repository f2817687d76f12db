#!/usr/bin/env bash
# Runs the measures against the release build: all of them, or those that are named.
#
#   benches/run.sh              # draft, queue, scale, startup, webhook, workflow
#   benches/run.sh webhook
set -euo pipefail
cd "$(dirname "$0")/.."

benches/wrk.sh
peer=benches/peers/node-red
[ -d "$peer/node_modules" ] || npm ci --prefix "$peer" --no-audit --no-fund --loglevel=error

cargo build --release --locked -p codex32-cli
for measure in "${@:-draft queue scale startup webhook workflow}"; do
  # shellcheck disable=SC2086 # the default is several words
  for one in $measure; do
    cargo bench --locked --quiet -p codex32-benches --bench "$one"
  done
done
