#!/usr/bin/env bash
# Rewrite package-lock.json from package.json, with versions and hashes but without addresses.
set -euo pipefail
cd "$(dirname "$0")"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A package of Lighthouse's asks for the “latest” of another, which no lock without addresses
# can hold. It gets the version that Lighthouse itself asks for. Debian 12's npm cannot read
# such an override, so it ends here.
package=third-party-web
version=0.27.0
node -e '
  const [, from, to, name, version] = process.argv;
  const wanted = {...JSON.parse(require("fs").readFileSync(from)), overrides: {[name]: version}};
  require("fs").writeFileSync(to, JSON.stringify(wanted));
' package.json "$work/package.json" "$package" "$version"
npm install --prefix "$work" --package-lock-only --omit-lockfile-registry-resolved \
  --ignore-scripts --no-audit --no-fund --loglevel=error
sed "s/\"$package\": \"latest\"/\"$package\": \"$version\"/" "$work/package-lock.json" >package-lock.json
