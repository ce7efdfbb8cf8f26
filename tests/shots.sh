#!/usr/bin/env bash
# Take screenshots of every page, to look at, or renew the stored ones.
#
#   tests/shots.sh [FOLDER]
#   tests/shots.sh --store    what the tests compare pages with, and the README's picture
#
# The default folder is shots/, which git ignores. Needs what tests/run.sh installs: the virtual
# environment, chromium, pdftoppm and the fonts in tests/support/browser/fonts.conf.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
venv=$("$top/deploy/venv.sh" "$top/.cache/venv" "$top/tests/lock.txt")
exec "$venv/bin/python" "$top/tests/browser/shots.py" "${1:-$top/shots}"
