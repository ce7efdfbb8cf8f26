#!/usr/bin/env bash
# Print the path of a python3 of another minor version than the one in PATH.
#
#   tests/other_python.sh CACHE
#
# A release must come out the same on two versions of Python. One that is installed is
# taken; else Debian's other release lends its own, unpacked below CACHE and not installed.
set -euo pipefail

cache=$1
ours=$(python3 -c 'import sys; print(sys.version_info.minor)')

for minor in 11 12 13 14; do
  [ "$minor" = "$ours" ] && continue
  for found in "python3.$minor" "$HOME"/.pyenv/versions/3."$minor".*/bin/python3; do
    if "$found" -c "import sys; sys.exit(sys.version_info[:2] != (3, $minor))" 2>/dev/null; then
      command -v "$found"
      exit 0
    fi
  done
done

suite=trixie minor=13
[ "$ours" = 13 ] && suite=bookworm minor=11
root=$cache/$suite
if [ ! -x "$cache/python3.$minor" ]; then
  echo "unpacking the python3 of Debian $suite" >&2
  rm -rf "$root"
  mkdir -p "$cache"
  mmdebstrap --quiet --variant=extract --include=python3,libstdc++6 "$suite" "$root" >&2
  # Started through its own loader, with its own libraries and its own standard library.
  # The loader is in /lib in Debian 12, in /usr/lib in 13.
  loader=$(find "$root" -name ld-linux-x86-64.so.2 -type f | sed -n 1p)
  cat >"$cache/python3.$minor" <<EOF
#!/bin/sh
exec env PYTHONHOME="$root/usr" "$loader" \\
  --library-path "$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu" \\
  "$root/usr/bin/python3.$minor" "\$@"
EOF
  chmod +x "$cache/python3.$minor"
fi
echo "$cache/python3.$minor"
