#!/usr/bin/env bash
# Print the path of a python3 of another minor version than the one in PATH.
#
#   tests/other_python.sh CACHE
#
# Debian 12 has Python 3.11 and Debian 13 has 3.13: the other one of these is preferred. If
# none is installed, the other Debian's is unpacked below CACHE and not installed.
set -euo pipefail

cache=$(cd "$1" && pwd)
ours=$(python3 -c 'import sys; print(sys.version_info.minor)')

for minor in 13 11 12 14; do
  [ "$minor" = "$ours" ] && continue
  for found in "python3.$minor" "$HOME"/.pyenv/versions/3."$minor".*/bin/python3; do
    if "$found" -c "import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, $minor))" 2>/dev/null; then
      command -v "$found"
      exit 0
    fi
  done
done

suite=trixie minor=13
[ "$ours" = 13 ] && suite=bookworm minor=11
root=$cache/python-$suite
if [ ! -d "$root" ]; then
  for program in mmdebstrap patchelf; do
    command -v $program >/dev/null && continue
    if [ "$(id -u)" != 0 ]; then
      echo "To get another Python, $program is missing. Run: sudo apt-get install $program" >&2
      exit 1
    fi
    "$(dirname "$0")/../deploy/apt.sh" $program
  done
  echo "unpacking the python3 of Debian $suite" >&2
  rm -rf "$root.partial"
  # This mode only unpacks, so it needs neither root nor user namespaces.
  if ! mmdebstrap --mode=chrootless --variant=extract --include=python3-venv,libstdc++6 \
    "$suite" "$root.partial" >"$cache/mmdebstrap.log" 2>&1; then
    echo "The Python of Debian $suite could not be unpacked. See $cache/mmdebstrap.log." >&2
    exit 1
  fi
  # It starts with its own loader and libraries, and finds its own pip.
  loader=$(cd "$root.partial" && find . -name 'ld-linux-*.so.*' -type f | sed -n 1p)
  patchelf --set-interpreter "$root/$loader" --force-rpath \
    --set-rpath "$root/$(dirname "$loader"):$root/usr/lib/$(basename "$(dirname "$loader")")" \
    "$root.partial/usr/bin/python3.$minor"
  sed -i "s#'/usr/share/python-wheels#'$root/usr/share/python-wheels#" \
    "$root.partial/usr/lib/python3.$minor"/_sysconfigdata*.py
  mv "$root.partial" "$root"
fi
echo "$root/usr/bin/python3.$minor"
