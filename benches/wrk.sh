#!/usr/bin/env bash
# Brings what the load comes from, where it is missing.
set -euo pipefail
command -v wrk >/dev/null && exit
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo -n)
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends wrk >/dev/null
