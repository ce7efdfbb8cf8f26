# shellcheck shell=bash
# Releases: each in a folder of its own number, and a link to the one that is served.

RELEASES=$DATA/releases
CURRENT=$DATA/current
SERVERS=(onion) # and clearnet, where there is a domain: see run.sh

release_verify() { # FOLDER → its number on stdout, or fail
  local said
  said=$("$COMMAND" verify "$1" --public-key "$ETC/public.key" --deployable 2>&1) || fail "$said" "Nothing was switched."
  [[ $said =~ ^OK:\ release\ ([0-9]+) ]] || fail "The release was checked, but its number is not in: $said"
  echo "${BASH_REMATCH[1]}"
}

release_number() { # → the number of the one that is served, if there is one
  local target
  target=$(readlink "$CURRENT" 2>/dev/null) || return 0
  basename "$target"
}

# Put what came with the bundle under its number. It is checked before it gets its name.
release_take() {
  local partial=$RELEASES/.partial number
  [ -d "$BUNDLE/release" ] || return 0
  step "the release"
  if [ ! -x "$COMMAND" ]; then
    change "check the release and put it under $RELEASES" || true # a dry run on a fresh server
    NEW_RELEASE=$(sed -n 's/^ *"sequence": *\([0-9]*\),\{0,1\}$/\1/p' "$BUNDLE/release/RELEASE.json")
    return 0
  fi
  make_folder "$RELEASES"
  number=$(release_verify "$BUNDLE/release") || exit 1
  if [ ! -d "$RELEASES/$number" ]; then
    change "put release $number under $RELEASES" || { NEW_RELEASE=$number && return 0; }
    rm -rf --one-file-system "$partial"
    cp --recursive --no-preserve=mode,ownership "$BUNDLE/release" "$partial"
    chmod -R u=rwX,go=rX "$partial"
    release_verify "$partial" >/dev/null
    mv --no-target-directory "$partial" "$RELEASES/$number"
  elif ! cmp --quiet "$BUNDLE/release/SHA256SUMS" "$RELEASES/$number/SHA256SUMS"; then
    fail "There is another release $number on the server already." "Raise the sequence in translations/site.toml, build and sign again."
  fi
  NEW_RELEASE=$number
}

# For “install”, whose settings may still name the release of the first day.
release_is_wanted() { # NUMBER
  local left=0
  [ ! -f "$DATA/left" ] || left=$(cat "$DATA/left")
  if [ "$1" -lt "$(release_number || echo 0)" ] 2>/dev/null; then
    note "the settings name release $1; release $(release_number) is newer and stays"
  elif [ "$1" != "$(release_number)" ] && [ "$1" -le "$left" ]; then
    note "the settings name release $1, which “rollback” has left: only “release” brings it back"
  else
    return 0
  fi
  return 1
}

# Let the servers take release NUMBER; without a dropped request, or not at all.
release_switch() { # NUMBER
  local number=$1 before server said
  before=$(release_number)
  if [ "$before" = "$number" ]; then
    note "release $number is the one that is served"
    return 0
  fi
  link "$RELEASES/$number" "$CURRENT"
  [ "$DRY_RUN" = no ] || return 0
  # Part of the cache’s keys: what a reader makes nginx keep in the moment between the two is
  # found under no key that is used later, not even when this release comes back.
  remember "$DATA/switched"
  date +%s%N >"$DATA/switched"
  for server in "${SERVERS[@]}"; do
    systemctl --quiet is-active "cccr-web-$server.service" || continue
    said=$(release_says "$server")
    systemctl reload "cccr-web-$server.service"
    if ! release_await "$server" "$number" "$said"; then
      [ -z "$before" ] || link "$RELEASES/$before" "$CURRENT"
      systemctl reload "${SERVERS[@]/#/cccr-web-}" || true
      fail "The $server server does not take release $number; release ${before:-none} is served on." \
        "It says why: journalctl --unit=cccr-web-$server --lines=5"
    fi
  done
}

# What a server says to systemd of itself.
release_says() { systemctl show --property=StatusText --value "cccr-web-$1.service"; } # SERVER

release_await() { # SERVER NUMBER WHAT-IT-SAID-BEFORE
  local try now
  for try in $(seq 150); do
    now=$(release_says "$1")
    case $now in
      "Serving release $2 "*) return 0 ;;
      *Rejected:*) if [ "$now" != "$3" ] || [ "$try" -gt 50 ]; then break; fi ;;
    esac
    sleep 0.1
  done
  note "$now"
  return 1
}

# An older release, by one command. Servers refuse what is older than they have seen, so that
# nobody can slip one in; here root says that it is meant, and the journal keeps it.
release_rollback() {
  local now before number server
  step "rollback"
  now=$(release_number)
  before=
  while IFS= read -r number; do
    [ "$number" -ge "${now:-0}" ] || before=$number
  done < <(find "$RELEASES" -mindepth 1 -maxdepth 1 -name '[0-9]*' -printf '%f\n' | sort --numeric-sort)
  [ -n "$before" ] || fail "There is no release older than ${now:-none} on the server." "Build one with a higher sequence, and use “release”."
  release_verify "$RELEASES/$before" >/dev/null
  change "go back from release $now to release $before" || return 0
  for server in "${SERVERS[@]}"; do
    history_allow "$server" "$RELEASES/$before"
  done
  logger --tag cccr-web --priority auth.notice "root went back from release $now to release $before"
  # “install” must not bring back by itself what was left.
  echo "$now" >"$DATA/left"
  release_switch "$before"
}

history_allow() { # SERVER RELEASE
  local state=/var/lib/cccr-web-$1
  [ -d "$state" ] || return 0
  remember "$state/highest-sequence"
  "$COMMAND" history allow "$2" --public-key "$ETC/public.key" --state "$state" >&2 || fail "The $1 server’s memory was not changed."
}

# Some older ones stay for “rollback”.
release_tidy() {
  local number now
  now=$(release_number)
  while IFS= read -r number; do
    [ "$number" != "$now" ] || continue
    change "remove release $number, the ${KEEP_RELEASES:-5} newest stay" || continue
    rm -rf --one-file-system "${RELEASES:?}/$number"
  done < <(find "$RELEASES" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*' -printf '%f\n' 2>/dev/null |
    sort --reverse --numeric-sort | tail -n "+$((${KEEP_RELEASES:-5} + 1))")
}
