#!/usr/bin/env bash
# Take screenshots of every page, to look at.
#
#   tests/shots.sh [FOLDER]
#
# The default folder is shots/, which git ignores. Needs what tests/run.sh installs: the virtual
# environment, chromium and pdftoppm.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
venv=$("$top/deploy/venv.sh" "$top/.cache/venv" "$top/tests/lock.txt")
exec "$venv/bin/python" "$top/tests/browser/shots.py" "${1:-$top/shots}"
