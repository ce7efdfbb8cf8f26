#!/usr/bin/env bash
# Flood an onion on a private Tor network; print what other readers still get.
#
#   tests/abuse/flood.sh [--seconds N] [--rounds N] [--line KB] [--flood NAME…] [--setup NAME…]
#
# Needs root. It runs in its own network namespace with the Internet's packet size: with the
# loopback's 64 KB, tor passes so much to the kernel at once that its preference for quiet
# circuits has no effect.
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top"
mkdir -p .cache
missing=()
for program in tor nginx nft; do
  PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || missing+=("$program")
done
if [ ${#missing[@]} -gt 0 ]; then
  deploy/apt.sh tor nginx-light nftables iproute2
fi
if [ -z "${PYTHON:-}" ]; then
  PYTHON=$(deploy/venv.sh .cache/venv tests/lock.txt)/bin/python
fi
# shellcheck disable=SC2016  # expanded by the inner shell
exec unshare --net sh -c 'ip link set lo mtu 1500 up && exec "$@"' sh \
  "$PYTHON" tests/abuse/flood.py "$@"
