#!/usr/bin/env bash
# Deploy to a real Debian, booted with systemd as a container, and live through its days.
#
#   tests/deploy/run.sh [bookworm|trixie|all] [ARGUMENTS FOR PYTEST…]      (as root; all of both)
#
# Each boots in network namespaces of its own, with a private Tor network and a certificate
# authority beside it; nothing reaches any other network. tests/run.sh runs it on bookworm.
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top"
what=${1:-all}
shift || true
case $what in
  all) suites=(bookworm trixie) ;;
  bookworm | trixie) suites=("$what") ;;
  *) echo "There is no Debian “$what” here: bookworm, trixie or all." >&2 && exit 2 ;;
esac
if [ "$(id -u)" != 0 ]; then
  echo "Only root can boot a machine in a container: run this as root." >&2
  exit 1
fi

# program → Debian package that brings it
declare -A needed=(
  [apt-ftparchive]=apt-utils
  [gpg]=gnupg
  [mmdebstrap]=mmdebstrap
  [pebble]=pebble
  [ssh]=openssh-client
  [systemd-nspawn]=systemd-container
  [testssl]=testssl.sh
  [tor]=tor
)
missing=()
for program in "${!needed[@]}"; do
  PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || missing+=("${needed[$program]}")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing ${missing[*]}" >&2
  deploy/apt.sh "${missing[@]}"
fi

deploy/venv.sh "$top/.cache/venv" tests/lock.txt
for suite in "${suites[@]}"; do
  echo "== $suite" >&2
  DEPLOY_SUITE=$suite "$top/.cache/venv/bin/python" -m pytest tests/deploy "$@"
done
