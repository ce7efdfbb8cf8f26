#!/usr/bin/env bash
# Flood an onion on a private Tor network; print what other readers still get.
#
#   tests/abuse/flood.sh [--seconds N] [--rounds N] [--line KB] [--flood NAME…] [--setup NAME…]
#
# Needs root. It runs in its own network namespace with the Internet's packet size: with the
# loopback's 64 KB, tor passes so much to the kernel at once that its preference for quiet
# circuits has no effect.
set -euo pipefail

cd "$(dirname "$0")/../.."
# shellcheck source=tests/support/setup.sh
. tests/support/setup.sh
need tor=tor nginx=nginx-light nft=nftables ip=iproute2
find_python
exec_in_own_network "$PYTHON" tests/abuse/flood.py "$@"
