#!/usr/bin/env bash
# Deploy to a real Debian, booted with systemd in a container, and test everything that follows.
#
#   tests/deploy/run.sh [bookworm|trixie|all] [ARGUMENTS FOR PYTEST…]
#
# Run it as root; the default is all. Each Debian boots in separate network namespaces, with a
# private Tor network and a certificate authority. Nothing reaches another network. tests/run.sh runs
# it on bookworm.
set -euo pipefail

cd "$(dirname "$0")/../.."
what=${1:-all}
shift || true
case $what in
  all) suites=(bookworm trixie) ;;
  bookworm | trixie) suites=("$what") ;;
  *) echo "There is no suite “$what”. Choose bookworm, trixie or all." >&2 && exit 2 ;;
esac
if [ "$(id -u)" != 0 ]; then
  echo "Only root can boot a container. Run this as root." >&2
  exit 1
fi
if ! unshare --net --mount --pid --fork true 2>/dev/null; then
  echo "This machine does not allow root to create namespaces. Run this outside a container, or in a privileged one (docker run --privileged)." >&2
  exit 1
fi

# shellcheck source=tests/support/setup.sh
. tests/support/setup.sh
need apt-ftparchive=apt-utils gpg=gnupg mmdebstrap=mmdebstrap pebble=pebble ssh=openssh-client \
  systemd-nspawn=systemd-container testssl=testssl.sh tor=tor
venv=$(deploy/venv.sh "$PWD/.cache/venv" tests/lock.txt)

# On SIGTERM the tests stop their servers. bash alone would leave them running.
tests=''
ended=no
end() {
  ended=yes
  [ -n "$tests" ] || exit 143
  kill -TERM "$tests" 2>/dev/null || true
}
trap end INT TERM HUP

for suite in "${suites[@]}"; do
  echo "== $suite" >&2
  left_out=()
  [ "$suite" = bookworm ] || left_out=(--ignore tests/deploy/test_upgrade.py) # upgrades Debian 12
  DEPLOY_SUITE=$suite "$venv/bin/python" -m pytest tests/deploy "${left_out[@]}" "$@" &
  tests=$! status=0
  wait "$tests" || status=$?
  while kill -0 "$tests" 2>/dev/null; do wait "$tests" || true; done # a signal has ended the first
  [ "$ended" = no ] || exit 143
  [ "$status" = 0 ] || exit "$status"
done
