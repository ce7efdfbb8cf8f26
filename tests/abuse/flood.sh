#!/usr/bin/env bash
# Flood an onion on a private Tor network; print what a second reader still gets.
#
#   tests/abuse/flood.sh [--seconds N] [--rounds N] [--line KB] [--flood NAME…] [--setup NAME…]
#
# As root, in a network namespace of its own whose packets are as large as the Internet's:
# with loopback's 64 KB tor hands the kernel so much at once that its own order of circuits,
# the quiet ones first, counts for nothing.
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
  deploy/venv.sh .cache/venv tests/lock.txt
  PYTHON=$top/.cache/venv/bin/python
fi
# shellcheck disable=SC2016  # the inner shell's
exec unshare --net sh -c 'ip link set lo mtu 1500 up && exec "$@"' sh \
  "$PYTHON" tests/abuse/flood.py "$@"
