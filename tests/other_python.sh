#!/usr/bin/env bash
# Print the path of Python 3.13, or of Python 3.11 if 3.13 is the one in PATH.
#
#   tests/other_python.sh CACHE
#
# Debian 12 has Python 3.11 and Debian 13 has 3.13, so a run on one of them tests both. If the
# other Python is not installed, that Debian's is unpacked below CACHE and not installed.
set -euo pipefail

cache=$(cd "$1" && pwd)
ours=$(python3 -c 'import sys; print(sys.version_info.minor)')
suite=trixie minor=13
[ "$ours" != 13 ] || suite=bookworm minor=11

for found in "python3.$minor" "$HOME"/.pyenv/versions/3."$minor".*/bin/python3; do
  if "$found" -c "import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, $minor))" 2>/dev/null; then
    command -v "$found"
    exit 0
  fi
done

root=$cache/python-$suite
exec 8>>"$root.lock"
flock 8
if [ ! -d "$root" ]; then
  for program in mmdebstrap patchelf; do
    command -v $program >/dev/null && continue
    if [ "$(id -u)" != 0 ]; then
      echo "Python 3.$minor is not installed, and $program, which unpacks it, is missing. Run: sudo apt-get install $program" >&2
      exit 1
    fi
    "$(dirname "$0")/../deploy/apt.sh" $program
  done
  echo "unpacking Python 3.$minor of Debian $suite" >&2
  rm -rf "$root.partial"
  # This mode only unpacks, so it needs neither root nor user namespaces.
  if ! mmdebstrap --mode=chrootless --variant=extract --include=python3-venv,libstdc++6 \
    "$suite" "$root.partial" >"$cache/mmdebstrap.log" 2>&1; then
    echo "Python 3.$minor of Debian $suite could not be unpacked. See $cache/mmdebstrap.log." >&2
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
