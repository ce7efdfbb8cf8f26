# shellcheck shell=bash
# Our code: one virtual environment per version, and a symlink to the current one.

PYTHON_LINK=$CODE/current
COMMAND=$PYTHON_LINK/bin/cccr-web

code_install() { # [unused]: do not run it yet
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
    if ! change "install our code and its dependencies into $venv"; then
      mark_changed "$PYTHON_LINK"
      return 0
    fi
    make_folder "$CODE"
    need_space "$CODE" 200000
    UNDO+=("rm -rf '$venv'")
    touch "$venv.partial" # if this run is interrupted, the next one removes both
    # Create it at its final path: a virtual environment cannot be moved. It needs no pip.
    python3 -m venv --without-pip "$venv" || fail "python3 could not create a virtual environment in $venv." "Check that the disk has free space."
    # Only what the lock lists, verified by hash; nothing is compiled here.
    [ ! -e "$BUNDLE/offline" ] || offline=(--no-index)
    if ! PYTHONPATH=$(echo /usr/share/python-wheels/pip-*.whl) "$venv/bin/python" -m pip --disable-pip-version-check --quiet install "${offline[@]}" --no-deps \
      --require-hashes --only-binary :all: --find-links "$BUNDLE/wheels" --requirement "$BUNDLE/requirements.txt" >"$WORK/pip.log" 2>&1; then
      tail -n 20 "$WORK/pip.log" >&2
      fail "pip could not install our dependencies. See its output above." \
        "If this server cannot reach the package index, use --offline with a file from “deploy.sh bundle FILE”."
    fi
  fi
  rm -f "$venv.partial"
  [ "${1:-}" = unused ] || link "$venv" "$PYTHON_LINK"
}

# Keep the previous version as well; remove older ones.
code_prune() {
  local venv
  while IFS= read -r venv; do
    change "remove the old version $venv" || continue
    rm -rf --one-file-system "$venv"
  done < <(find "$CODE" -mindepth 1 -maxdepth 1 -type d ! -path "$(readlink "$PYTHON_LINK" || true)" -printf '%T@ %p\n' 2>/dev/null |
    sort --reverse --numeric-sort | tail -n +2 | cut -d ' ' -f 2-)
}
