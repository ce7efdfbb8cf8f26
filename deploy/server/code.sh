# shellcheck shell=bash
# Our own code: a virtual environment for each version, and a link to the one that runs.

PYTHON_LINK=$CODE/current
COMMAND=$PYTHON_LINK/bin/cccr-web

code_install() {
  step "our code"
  if [ ! -f "$BUNDLE/requirements.txt" ]; then
    if [ "$DRY_RUN" = yes ] && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
      change "build our wheel and install it into $CODE" || return 0
    fi
    wheels_build "$BUNDLE/source" "$BUNDLE"
  fi
  local version venv offline=()
  version=$({ python3 -VV 2>/dev/null || true; cat "$BUNDLE/requirements.txt"; } | sha256sum | cut -c 1-16)
  venv=$CODE/$version
  if [ ! -d "$venv" ]; then
    if ! change "install our code and what it needs into $venv"; then
      mark_changed "$PYTHON_LINK"
      return 0
    fi
    make_folder "$CODE"
    UNDO+=("rm -rf '$venv'")
    # A path made now and never moved: a virtual environment knows its own place.
    python3 -m venv "$venv" || fail "python3 cannot make a virtual environment in $venv." "See that the disk has room."
    # Only what the lock names, each with its hash; nothing is compiled here.
    [ ! -e "$BUNDLE/offline" ] || offline=(--no-index)
    if ! "$venv/bin/python" -m pip --disable-pip-version-check --quiet install "${offline[@]}" --no-deps \
      --require-hashes --only-binary :all: --find-links "$BUNDLE/wheels" --requirement "$BUNDLE/requirements.txt" >"$WORK/pip.log" 2>&1; then
      tail -n 20 "$WORK/pip.log" >&2
      fail "pip could not install what our code needs; its last words stand above." \
        "Without a way to the package index, use --offline with what “deploy.sh bundle FILE” made."
    fi
  fi
  link "$venv" "$PYTHON_LINK"
}

# The version before this one stays, for the way back; older ones go.
code_tidy() {
  local venv
  while IFS= read -r venv; do
    change "remove $venv, of an older version" || continue
    rm -rf --one-file-system "$venv"
  done < <(find "$CODE" -mindepth 1 -maxdepth 1 -type d ! -path "$(readlink "$PYTHON_LINK" || true)" -printf '%T@ %p\n' 2>/dev/null |
    sort --reverse --numeric-sort | tail -n +2 | cut -d ' ' -f 2-)
}
