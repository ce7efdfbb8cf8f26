#!/usr/bin/env bash
# Check code and texts without a network. The only list of these checks: tests/run.sh and
# .pre-commit-config.yaml run it.
#
#   tests/lint.sh [ruff|format|mypy|shellcheck|texts]…      (all of them)
set -euo pipefail

cd "$(dirname "$0")/.."
PATH=$PWD/.cache/venv/bin:$PATH

# The tools come from tests/lock.txt; only shellcheck is Debian's.
for program in ruff mypy shellcheck cccr-web; do
  if ! command -v "$program" >/dev/null; then
    echo "$program is missing. Run tests/run.sh once: it installs what the checks need." >&2
    exit 1
  fi
done

check() { # NAME
  case $1 in
    ruff) ruff check --quiet . ;;
    format) ruff format --quiet --check . ;;
    mypy) mypy ;;
    shellcheck)
      shellcheck --external-sources .ci/run deploy/cccr-web deploy/*.sh deploy/lock/*.sh deploy/server/*.sh \
        tests/*.sh tests/*/*.sh
      ;;
    texts) cccr-web check ;;
    *)
      echo "There is no check “$1”: ruff, format, mypy, shellcheck or texts." >&2
      exit 2
      ;;
  esac
}

[ $# -gt 0 ] || set -- ruff format mypy shellcheck texts
failed=()
for name in "$@"; do
  check "$name" >&2 || failed+=("$name")
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "Failed: ${failed[*]}." >&2
  exit 1
fi
