#!/usr/bin/env bash
# Update the lock files from pyproject.toml: the newest versions, with their hashes.
# Run it with the oldest supported Python, so that no dependency is left out.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pip-tools

compile() { # OUT ARGUMENT…
  local out=$1
  shift
  CUSTOM_COMPILE_COMMAND="deploy/lock/update.sh" "$work/venv/bin/pip-compile" --quiet \
    --generate-hashes --allow-unsafe --strip-extras --upgrade \
    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
    --output-file "$out" "$@"
}

group() { # NAME → one requirement per line
  python3 -c 'import sys, tomllib
with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["dependency-groups"][sys.argv[1]], sep="\n")' "$1"
}

compile deploy/lock/run.txt pyproject.toml
group server | compile deploy/lock/server.txt --constraint deploy/lock/run.txt -
group build | compile deploy/lock/build.txt -
group test | compile tests/lock.txt --constraint deploy/lock/run.txt --constraint deploy/lock/build.txt -
