#!/usr/bin/env bash
# Install the npm packages that package-lock.json pins, unless they are up to date.
#
#   tests/browser/npm.sh
#
# They are installed in .cache/node/. Their install scripts are not run.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=$here/../../.cache/node
mkdir -p "$folder"

exec 8>>"$folder/lock"
flock 8
stamp=$(cat "$here/package.json" "$here/package-lock.json" | sha256sum)
if [ "$(cat "$folder/stamp" 2>/dev/null)" = "$stamp" ]; then
  exit 0
fi

echo "installing npm packages in .cache/node" >&2
rm -rf "$folder/stamp" "$folder/node_modules"
cp "$here/package.json" "$here/package-lock.json" "$folder/"
cd "$folder"
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
echo "$stamp" >stamp
