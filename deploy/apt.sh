#!/usr/bin/env bash
# Install Debian packages without starting their services (as root).
#
#   deploy/apt.sh PACKAGE…
set -euo pipefail

for file in common packages; do
  # shellcheck source=/dev/null
  . "$(dirname "$0")/server/$file.sh"
done

WORK=$(mktemp -d)
trap 'allow_starting_services; rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM HUP
packages_install "$@"
