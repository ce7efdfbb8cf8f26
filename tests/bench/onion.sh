#!/usr/bin/env bash
# Measure a page over a private onion, compared with an empty response.
#
#   tests/bench/onion.sh [--circuits N] [--fetches N]
#
# As root, the private network runs in its own network namespace with the Internet's packet
# size. With the loopback's 64 KB, each write of tor is a small packet that waits 40 ms for the
# previous acknowledgement (Nagle's algorithm and delayed acknowledgements).
set -euo pipefail

cd "$(dirname "$0")/../.."
# shellcheck source=tests/support/setup.sh
. tests/support/setup.sh
need tor=tor
find_python
if [ "$(id -u)" -eq 0 ]; then
  exec_in_own_network "$PYTHON" tests/bench/onion.py "$@"
fi
echo "Not root: using the loopback’s large packets." >&2
exec "$PYTHON" tests/bench/onion.py "$@"
