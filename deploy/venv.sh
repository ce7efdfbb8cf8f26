#!/usr/bin/env bash
# Make a virtual environment from the hash-pinned locks, or leave it if it is as it should be.
#
#   deploy/venv.sh DIR [LOCK…]
#
# DIR gets what deploy/lock/ pins, then what each further LOCK pins, then cccr-web itself,
# as it stands in this checkout. Nothing is installed without a hash.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
venv=$1
shift

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "python3 is missing or older than 3.11. On Debian 12 or later: apt-get install python3" >&2
  exit 1
fi

# The venv is good as long as nothing that went into it has changed.
stamp=$({ python3 -VV; echo "$top $venv"; cat "$top/pyproject.toml" "$top"/deploy/lock/*.txt "$@"; } | sha256sum)
if [ "$(cat "$venv/stamp" 2>/dev/null)" = "$stamp" ]; then
  exit 0
fi

if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" != 0 ]; then
    echo "python3-venv is missing: have it installed (as root: apt-get install python3-venv)." >&2
    exit 1
  fi
  echo "installing python3-venv" >&2
  "$top/deploy/apt.sh" python3-venv
fi

echo "making the virtual environment in $venv" >&2
rm -rf "$venv"
python3 -m venv "$venv"
# pip's own settings on this machine (proxies, mirrors) stay; only its chatter is turned off.
pip() { "$venv/bin/python" -m pip --disable-pip-version-check -qq "$@"; }
pip install --require-hashes --only-binary :all: -r "$top/deploy/lock/build.txt"
# stem is published as source only: it is built with the setuptools pinned above.
pip install --require-hashes --use-pep517 --no-build-isolation -r "$top/deploy/lock/run.txt"
for lock in "$@"; do
  pip install --require-hashes --only-binary :all: -r "$lock"
done
pip install --no-deps --no-build-isolation --editable "$top"
echo "$stamp" >"$venv/stamp"
