#!/usr/bin/env bash
# Create a virtual environment from the hash-pinned locks, unless it is already up to date.
#
#   [PYTHON=python3.13] deploy/venv.sh DIR [LOCK…]
#
# Installs into DIR what deploy/lock/ pins, then what each LOCK pins, then this checkout as an
# editable package. Nothing is installed without a hash.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
venv=$1
python=${PYTHON:-python3}
shift

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "python3 is missing or older than 3.11. On Debian 12 or later: apt-get install python3" >&2
  exit 1
fi

# The venv is up to date as long as nothing that went into it has changed.
stamp=$({ "$python" -VV; echo "$top $venv"; cat "$top/pyproject.toml" "$top"/deploy/lock/*.txt "$@"; } | sha256sum)
if [ "$(cat "$venv/stamp" 2>/dev/null)" = "$stamp" ]; then
  exit 0
fi

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" != 0 ]; then
    echo "python3-venv is not installed. As root: apt-get install python3-venv" >&2
    exit 1
  fi
  echo "installing python3-venv" >&2
  "$top/deploy/apt.sh" python3-venv
fi

# If the venv to be replaced is active, python3 is in it.
python=$("$python" -c 'import sys; print(sys._base_executable)')
echo "creating the virtual environment in $venv" >&2
rm -rf "$venv"
"$python" -m venv "$venv"
# pip keeps this machine's settings (proxies, mirrors). Only its progress output is turned off.
pip() { "$venv/bin/python" -m pip --disable-pip-version-check -qq "$@"; }
# A lock is complete. Without --no-deps, pip looks for the newest coverage[toml], which a package
# requires, although the lock has pinned coverage, and then rejects it for having no hash.
pip install --no-deps --require-hashes --only-binary :all: -r "$top/deploy/lock/build.txt"
# stem is published only as source, so it is built with the setuptools pinned above.
pip install --no-deps --require-hashes --use-pep517 --no-build-isolation -r "$top/deploy/lock/run.txt"
for lock in "$@"; do
  pip install --no-deps --require-hashes --only-binary :all: -r "$lock"
done
pip install --no-deps --no-build-isolation --editable "$top"
# Python reads .pth files in the locale's encoding, so a path outside ASCII is written as escapes.
"$venv/bin/python" -S -I - "$top" "$venv"/lib/python3*/site-packages/*cccr_web.pth <<'EOF'
import os, sys
with open(sys.argv[2], "w", encoding="ascii") as file:
    print(f"import os, sys; sys.path.append(os.fsdecode({os.fsencode(sys.argv[1])!r}))", file=file)
EOF
pip check >&2
echo "$stamp" >"$venv/stamp"
