#!/usr/bin/env bash
# Install Debian packages as root without starting their services.
#
#   deploy/apt.sh PACKAGE…
set -euo pipefail

export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d # Debian's way to say which services a package may start
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
log=$(mktemp)
if ! { apt-get update && apt-get install --yes --no-install-recommends "$@"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "apt-get could not install: $*. Its last words stand above." >&2
  exit 1
fi
rm -f "$log"
