#!/usr/bin/env bash
# Measure sites of more and more statements, and how fast pages are served, compared with other
# programs; print two Markdown tables, and draw tests/bench/scale.svg.
#
#   tests/bench/run.sh [--statements N,N,...]
#
# Needs wrk, nginx and hugo; as root on Debian it installs them.
set -euo pipefail

cd "$(dirname "$0")/../.."
# shellcheck source=tests/support/setup.sh
. tests/support/setup.sh
need wrk=wrk nginx=nginx-light hugo=hugo
[ -e /usr/lib/nginx/modules/ngx_http_headers_more_filter_module.so ] || deploy/apt.sh libnginx-mod-http-headers-more-filter
venv=$(deploy/venv.sh "$PWD/.cache/venv" tests/lock.txt)

bench=$PWD/.cache/bench
if ! cmp --silent tests/bench/requirements.txt "$bench/requirements.txt"; then
  rm -rf "$bench"
  python3 -m venv "$bench"
  "$bench/bin/pip" install --quiet --no-deps --require-hashes --requirement tests/bench/requirements.txt
  cp tests/bench/requirements.txt "$bench/requirements.txt"
fi
"$venv/bin/python" tests/bench/scale.py --competitors "$bench/bin/python" --plot tests/bench/scale.svg "$@"
exec "$venv/bin/python" tests/bench/serve.py --competitors "$bench/bin/python"
