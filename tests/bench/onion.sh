#!/usr/bin/env bash
# Measure a page over a private onion, compared with an empty response.
#
#   tests/bench/onion.sh [--circuits N] [--fetches N]
#
# As root, the private network runs in its own network namespace with the Internet's packet
# size. With the loopback's 64 KB, each write of tor is a small packet that waits 40 ms for the
# previous acknowledgement (Nagle's algorithm and delayed acknowledgements).
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top"
mkdir -p .cache
if ! PATH=$PATH:/usr/sbin command -v tor >/dev/null; then
  deploy/apt.sh tor
fi
if [ -z "${PYTHON:-}" ]; then
  PYTHON=$(deploy/venv.sh .cache/venv tests/lock.txt)/bin/python
fi
if [ "$(id -u)" -eq 0 ]; then
  # shellcheck disable=SC2016  # expanded by the inner shell
  exec unshare --net sh -c 'ip link set lo mtu 1500 up && exec "$@"' sh \
    "$PYTHON" tests/bench/onion.py "$@"
fi
echo "Not root: using the loopback’s large packets." >&2
exec "$PYTHON" tests/bench/onion.py "$@"
