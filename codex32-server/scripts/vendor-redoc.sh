#!/usr/bin/env bash
# Renews assets/redoc from the published package; the checksum of the file is pinned here.
set -euo pipefail
cd "$(dirname "$0")/../assets/redoc"
version=2.5.1
sum=2d8d13e94b5a21011cc6f8260d87ca475d0f6f2faed16dd12e7394dfa3bb05b8
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "redoc@$version" >/dev/null && tar xzf "redoc-$version.tgz")
echo "$sum  $work/package/bundles/redoc.standalone.js" | sha256sum --check --quiet
cp "$work/package/bundles/redoc.standalone.js" "$work/package/bundles/redoc.standalone.js.LICENSE.txt" "$work/package/LICENSE" .
