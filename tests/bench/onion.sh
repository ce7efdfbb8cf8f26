#!/usr/bin/env bash
# Measure a page over a private onion beside an onion that answers with nothing.
#
#   tests/bench/onion.sh [--circuits N] [--fetches N]
#
# As root the private network lives in a network namespace of its own, whose packets are as
# large as the Internet's: with loopback's 64 KB each write of tor's is a small packet, and
# waits 40 ms for the receipt of the one before (Nagle's algorithm and delayed receipts).
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top"
mkdir -p .cache
if ! PATH=$PATH:/usr/sbin command -v tor >/dev/null; then
  deploy/apt.sh tor
fi
if [ -z "${PYTHON:-}" ]; then
  deploy/venv.sh .cache/venv tests/lock.txt
  PYTHON=$top/.cache/venv/bin/python
fi
if [ "$(id -u)" -eq 0 ]; then
  # shellcheck disable=SC2016  # the inner shell's
  exec unshare --net sh -c 'ip link set lo mtu 1500 up && exec "$@"' sh \
    "$PYTHON" tests/bench/onion.py "$@"
fi
echo "Not root: measured with loopback’s own large packets." >&2
exec "$PYTHON" tests/bench/onion.py "$@"
