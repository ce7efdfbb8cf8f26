#!/usr/bin/env bash
# Attack servers of this checkout on loopback, and print the results.
#
#   tests/abuse/run.sh [--requests N] [--seconds N]
#
# --requests: number of fuzzed requests (default 1,000,000). --seconds: duration of the load
# with random kills (default 600). Needs slowhttptest and faketime; as root on Debian it
# installs them.
set -euo pipefail

requests=1000000
seconds=600
while [ $# -gt 0 ]; do
  case $1 in
    --requests) requests=$2 ;;
    --seconds) seconds=$2 ;;
    *) echo "unknown option: $1" >&2; exit 2 ;;
  esac
  shift 2
done

cd "$(dirname "$0")/../.."
# shellcheck source=tests/support/setup.sh
. tests/support/setup.sh
need slowhttptest=slowhttptest faketime=faketime
find_python

work=$(mktemp -d)
server=
end() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap end EXIT

"$PYTHON" -m cccr_web build --out "$work/release" 2>/dev/null
"$PYTHON" -m cccr_web serve --release "$work/release" --clearnet 127.0.0.1:0 \
  >"$work/address" 2>"$work/log" &
server=$!
for _ in $(seq 100); do
  [ -s "$work/address" ] && break
  sleep 0.1
done
url=$(sed -n 's/^clearnet //p' "$work/address")
port=${url##*:}
port=${port%/}

echo "== fuzzer"
"$PYTHON" tests/abuse/fuzz.py "$port" --requests "$requests"

# Slow heads, slow bodies, many ranges (an old bug of Apache) and slow reading: 1,000 connections
# each for 20 s, while slowhttptest checks every second whether the server still answers.
for mode in -H -B -R "-X -k 3 -w 512 -y 1024 -z 5"; do
  echo "== slowhttptest $mode"
  target=${url}en/index.html
  case $mode in -X*) target=${url}cccr-web.zip ;; esac
  # shellcheck disable=SC2086  # the mode is several arguments
  slowhttptest $mode -c 1000 -r 500 -i 5 -l 20 -p 3 -u "$target" 2>&1 |
    sed 's/\x1b\[[0-9;]*m//g' | grep -E "^(closed|connected|error|service available|Exit)" | tail -n 5
done

echo "== the same server still runs; its memory and its log"
kill -0 "$server"
grep VmHWM "/proc/$server/status"
grep -v "No --public-key" "$work/log" && exit 1

echo "== faults"
"$PYTHON" tests/abuse/faults.py "$work/release" --seconds "$seconds"
