#!/usr/bin/env bash
# Measure how fast pages are served, compared with other servers; print a Markdown table.
#
#   tests/bench/run.sh [--seconds N] [--rounds N] [--chart FILE.png]
#
# Needs wrk and nginx; as root on Debian it installs them.
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top"
cache=$top/.cache
mkdir -p "$cache"

missing=()
command -v wrk >/dev/null || missing+=(wrk)
PATH=$PATH:/usr/sbin command -v nginx >/dev/null || missing+=(nginx-light)
[ -e /usr/lib/nginx/modules/ngx_http_headers_more_filter_module.so ] || missing+=(libnginx-mod-http-headers-more-filter)
if [ ${#missing[@]} -gt 0 ]; then
  deploy/apt.sh "${missing[@]}"
fi

venv=$(deploy/venv.sh "$cache/venv" tests/lock.txt)
if ! cmp --silent tests/bench/requirements.txt "$cache/bench/requirements.txt"; then
  rm -rf "$cache/bench"
  python3 -m venv "$cache/bench"
  "$cache/bench/bin/pip" install --quiet --no-deps --require-hashes --requirement tests/bench/requirements.txt
  cp tests/bench/requirements.txt "$cache/bench/requirements.txt"
fi
exec "$venv/bin/python" tests/bench/serve.py --rivals "$cache/bench/bin/python" "$@"
