#!/usr/bin/env bash
# Create a virtual environment from the hash-pinned locks, unless there is one that is up to date.
#
#   [PYTHON=python3.13] deploy/venv.sh DIR [LOCK…]
#
# Installs what deploy/lock/ pins, then what each LOCK pins, then this checkout as an editable
# package. Nothing is installed without a hash. The environment is DIR-STAMP. Its path is printed,
# and DIR is a link to it. If what goes into it changes, another takes its place; commands that
# run keep the old one, which a later call removes.
set -euo pipefail
exec 3>&1 >&2

# Without symbolic links, so that all paths to this checkout lead to one environment.
top=$(cd "$(dirname "$0")/.." && pwd -P)
mkdir -p "$(dirname "$1")"
venv=$(cd "$(dirname "$1")" && pwd -P)/$(basename "$1")
shift

# If an environment is active, python3 is in it, so this asks for the Python that made it. The
# environment is up to date as long as nothing that went into it has changed.
facts='if True:
  import hashlib, os, sys
  if sys.version_info < (3, 11):
    sys.exit(1)
  base = sys._base_executable
  # Without links: an active environment calls its Python python3.11, and others call it python3.
  stamp = hashlib.sha256(os.fsencode("\n".join([sys.version, os.path.realpath(base), *sys.argv[1:3]])))
  for name in sys.argv[3:]:
    stamp.update(open(name, "rb").read())
  print(stamp.hexdigest()[:16], base)
'
if ! found=$("${PYTHON:-python3}" -I -c "$facts" "$top" "$venv" "$0" "$top/pyproject.toml" "$top"/deploy/lock/*.txt "$@" 2>/dev/null); then
  echo "python3 is missing or older than 3.11. On Debian 12 or later: apt-get install python3" >&2
  exit 1
fi

python=${found#* }
# Its scripts contain its path, so it is made under its final name.
made=$venv-${found%% *}

is_ready() { [ -e "$made/stamp" ] && [ "$venv" -ef "$made" ]; }

# macOS has neither flock(1) nor “mv -T”.
lock() { # DESCRIPTOR OPERATION, as of flock(2)
  "$python" -I -c "from fcntl import *; flock($1, $2)" 2>/dev/null
}
replace() { # PATH WITH
  "$python" -I -c 'import os, sys; os.replace(sys.argv[2], sys.argv[1])' "$@"
}

pip() { # pip keeps this machine's settings (proxies, mirrors). Only its progress output is turned off
  "$made/bin/python" -m pip --disable-pip-version-check -qq "$@"
}

make() { # [LOCK…]
  local lock
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" != 0 ]; then
      echo "python3-venv is not installed. As root: apt-get install python3-venv" >&2
      exit 1
    fi
    "$top/deploy/apt.sh" python3-venv
  fi
  echo "creating the virtual environment in $venv" >&2
  rm -rf "$made"
  "$python" -m venv "$made"
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
  # While a Python of this environment runs, it holds a lock on it. It may have been started through
  # the link, but imports from here when the link leads elsewhere.
  # The folder of a lock can be imported from too: tests/ holds the modules of its scripts.
  "$made/bin/python" -S -I - "$made" "$made"/lib/python3*/site-packages/*cccr_web.pth "$top" "$@" <<'EOF'
import os, sys
made, file, top, *locks = sys.argv[1:]
folders = [top, *(os.path.dirname(os.path.abspath(lock)) for lock in locks)]
made, *folders = map(os.fsencode, [made, *folders])
code = f"""
import fcntl, os, sys
sys.path[:] = [os.path.realpath(path) if "site-packages" in path else path for path in sys.path]
sys.path += map(os.fsdecode, {folders!r})
try:
    fcntl.flock(os.open({made!r}, os.O_RDONLY), fcntl.LOCK_SH | fcntl.LOCK_NB)
except OSError:
    pass
"""
with open(file, "w", encoding="ascii") as out:
    print(f"import os; exec({code!r})", file=out)
EOF
  pip check
  touch "$made/stamp"
}

if ! is_ready; then
  if [ -d "$venv" ] && [ ! -L "$venv" ] && [ ! -e "$venv/stamp" ]; then
    echo "$venv is a folder that this command did not make. Move it elsewhere." >&2
    exit 1
  fi
  if ! touch "$venv.lock" 2>/dev/null; then
    echo "$(dirname "$venv") cannot be written, and the virtual environment belongs there. Use a copy of this folder that belongs to you." >&2
    exit 1
  fi
  exec 8>>"$venv.lock"
  lock 8 'LOCK_EX|LOCK_NB' || { echo "waiting for another command that creates the virtual environment" >&2 && lock 8 LOCK_EX; }
  [ -e "$made/stamp" ] || make "$@"
  # See below.
  if [ -e "$venv/stamp" ]; then touch "$venv/stamp"; fi
  rm -rf "$venv.former"
  [ -L "$venv" ] || [ ! -d "$venv" ] || mv "$venv" "$venv.former" # earlier versions made no link
  ln -sfn "$(basename "$made")" "$venv.new"
  replace "$venv" "$venv.new"
  rm -rf "$venv.former"
  exec 8>&-
fi
# A command may be about to start Python, so what was used in the last minute stays.
touch "$made/stamp" 2>/dev/null || true
for old in "$venv"-*; do
  if [[ ${old#"$venv"-} =~ ^[0-9a-f]{16}$ ]] && [ ! "$old" -ef "$venv" ] &&
    [ -z "$(find "$old/stamp" -mmin -1 2>/dev/null)" ]; then
    (exec 8>>"$venv.lock" 9<"$old" && lock 8 'LOCK_EX|LOCK_NB' && lock 9 'LOCK_EX|LOCK_NB' && rm -f "$old/stamp" && rm -rf "$old") 2>/dev/null || true
  fi
done
echo "$made" >&3
