#!/usr/bin/env bash
# Install Debian packages without starting their services (as root).
#
#   deploy/apt.sh PACKAGE…
set -euo pipefail

export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d # Debian asks it whether a package may start its service
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
log=$(mktemp)
if ! { apt-get update && apt-get install --yes --no-install-recommends "$@"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "apt-get could not install $*. See its output above." >&2
  exit 1
fi
rm -f "$log"
