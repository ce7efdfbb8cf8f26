# shellcheck shell=bash
# The wheels: build ours and stem’s, download the others.

BUNDLED_PYTHONS=(3.11 3.13) # Debian 12 and 13
BUNDLED_MACHINES=(x86_64 aarch64)
WHEEL_SOURCES=(cccr_web templates translations pyproject.toml README.md LICENSE) # of our own wheel
SHA256=(sha256sum)
command -v sha256sum >/dev/null || SHA256=(shasum -a 256) # on macOS

# Build into OUT/wheels, and write OUT/requirements.txt with the SHA-256 of each. Wheels built
# earlier from the same source are reused.
wheels_build() { # SOURCE OUT
  local source=$1 out=$2 cache state
  state=$(wheels_state "$source")
  cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/cccr-web
  mkdir -p "$out"
  if [ ! -d "$cache/$state" ]; then
    change "build our wheel and stem’s" || true # in this user’s cache, so a dry run may do it too
    wheels_make "$source" "$WORK/build"
    mkdir -p "$cache"
    find "$cache" -mindepth 1 -maxdepth 1 -mtime +7 -exec rm -rf {} +
    mv "$WORK/build" "$cache/$state.$$"
    # Fails if another run has put the same wheels there meanwhile; “mv” would put ours into them.
    python3 -I -c 'import os, sys; os.rename(sys.argv[1], sys.argv[2])' "$cache/$state.$$" "$cache/$state" 2>/dev/null ||
      rm -rf "$cache/$state.$$"
  fi
  cp -R "$cache/$state/." "$out"
}

# Print a hash of everything that the wheels are made from. The documents inside the folders are not
# in our wheel (pyproject.toml).
wheels_state() { # SOURCE
  (cd "$1" && {
    python3 -VV
    find "${WHEEL_SOURCES[@]}" deploy/lock/{build,server}.txt -type f ! -name '*.pyc' ! -path '*/README.md' -print0 |
      LC_ALL=C sort -z | xargs -0 "${SHA256[@]}"
  }) | "${SHA256[@]}" | cut -c 1-16
}

wheels_make() { # SOURCE OUT
  local source=$1 out=$2
  mkdir -p "$out/wheels"
  wheels_venv
  # The same source must give the same bytes, so that a second run changes nothing.
  export SOURCE_DATE_EPOCH=315532800
  {
    wheels_pip install --no-deps --require-hashes --only-binary :all: --requirement "$source/deploy/lock/build.txt" &&
      # stem is published only as source.
      wheels_of "$source/deploy/lock/server.txt" stem >"$WORK/stem.txt" &&
      wheels_pip wheel --require-hashes --no-deps --no-build-isolation --use-pep517 --wheel-dir "$out/wheels" --requirement "$WORK/stem.txt" &&
      mkdir "$WORK/source" && # pip writes into the folder that it builds in
      (cd "$source" && cp -R "${WHEEL_SOURCES[@]}" "$WORK/source") &&
      wheels_pip wheel --no-deps --no-build-isolation --wheel-dir "$out/wheels" "$WORK/source"
  } >"$WORK/pip.log" 2>&1 || {
    tail -n 20 "$WORK/pip.log" >&2
    fail "pip could not build the wheels. See its output above." "Check that this machine can reach the package index."
  }
  {
    wheels_without "$source/deploy/lock/server.txt" stem
    local wheel name version
    for wheel in "$out"/wheels/*.whl; do
      IFS=- read -r name version _ <<<"$(basename "$wheel")"
      printf '%s==%s --hash=sha256:%s\n' "${name//_/-}" "$version" "$("${SHA256[@]}" "$wheel" | cut -d ' ' -f 1)"
    done
  } >"$out/requirements.txt"
}

# Make the virtual environment of wheels_pip.
wheels_venv() {
  python3 -m venv "$WORK/tools" 2>/dev/null || fail "python3-venv is not installed on this machine." "As root: apt-get install python3-venv"
}

wheels_pip() { "$WORK/tools/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }

# A lock’s lines for one package, or all other lines.
wheels_of() { awk -v name="$2" '/^[a-z]/ { on = index($0, name "==") == 1 } on' "$1"; }
wheels_without() { awk -v name="$2" '/^[a-z]/ { on = index($0, name "==") != 1 } on' "$1"; }

# Download the other wheels too, for servers that cannot reach a package index.
wheels_fetch() { # OUT
  local out=$1 python machine
  wheels_venv
  for python in "${BUNDLED_PYTHONS[@]}"; do
    for machine in "${BUNDLED_MACHINES[@]}"; do
      wheels_pip download --require-hashes --no-deps --only-binary :all: \
        --python-version "$python" --platform "manylinux_2_34_$machine" --platform "manylinux_2_28_$machine" --platform "manylinux_2_17_$machine" \
        --platform "manylinux2014_$machine" --find-links "$out/wheels" --dest "$out/wheels" \
        --requirement "$out/requirements.txt" >"$WORK/pip.log" 2>&1 || {
        tail -n 20 "$WORK/pip.log" >&2
        fail "pip could not download every wheel for Python $python on $machine." "See its output above."
      }
    done
  done
}
