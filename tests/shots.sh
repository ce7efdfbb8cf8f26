#!/usr/bin/env bash
# Take pictures of every page, to be looked at.
#
#   tests/shots.sh [FOLDER]      (shots/ of the checkout, which git ignores)
#
# Needs what tests/run.sh sets up: the virtual environment, chromium, pdftoppm.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
"$top/deploy/venv.sh" "$top/.cache/venv" "$top/tests/lock.txt"
export PYTHONPATH=$top:$top/tests
exec "$top/.cache/venv/bin/python" "$top/tests/browser/shots.py" "${1:-$top/shots}"
