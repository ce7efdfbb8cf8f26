#!/usr/bin/env bash
# Set up and run every test.
#
#   tests/run.sh [ARGUMENTS FOR PYTEST…]
#
# As root on Debian it installs what is missing; otherwise it says what to install.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
cache=$top/.cache
mkdir -p "$cache"

# program → Debian package that brings it
declare -A needed=(
  [epubcheck]=epubcheck
  [git]=git
  [gpg]=gnupg
  [minisign]=minisign
  [mmdebstrap]=mmdebstrap
  [shellcheck]=shellcheck
  [ssh-keygen]=openssh-client
  [tor]=tor
)
missing=()
for program in "${!needed[@]}"; do
  PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || missing+=("${needed[$program]}")
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "For the tests, have these installed (as root: apt-get install ${missing[*]})." >&2
    exit 1
  fi
  echo "installing ${missing[*]}" >&2
  deploy/apt.sh "${missing[@]}"
fi

deploy/venv.sh "$cache/venv" tests/lock.txt
export PATH=$cache/venv/bin:$PATH
OTHER_PYTHON=$(tests/other_python.sh "$cache")
export OTHER_PYTHON

echo "lint and types" >&2
ruff check --quiet .
ruff format --quiet --check .
mypy
shellcheck --external-sources .ci/run deploy/cccr-web deploy/*.sh deploy/lock/*.sh tests/*.sh tests/*/*.sh
cccr-web check

exec python -m pytest "$@"
