# shellcheck shell=bash
# Releases: one folder per sequence number, and a symlink to the current one.

RELEASES=$DATA/releases
CURRENT=$DATA/current
ROLLED_BACK=$DATA/rolled-back # holds the number of the release that “rollback” left
WEB_SERVERS=(onion) # run.sh adds clearnet if there is a domain
STATES=/var/lib # holds a state folder for each server
# In each state folder; cccr_web/release/rollback_guard.py writes them.
HIGHEST_SEQUENCE=highest-sequence
HIGHEST_POLICY="policy"
RELOAD_LIMIT=600 # seconds, after which a server counts as hung (cccr_web/serve/reloader.py)

# Print a field of what “verify” reports of a release, or fail with its reason on stderr.
release_fact() { # FOLDER NAME [OPTION]
  local facts pin
  pin=$(pin_file "$BUNDLE/settings" "$ETC") || settings_no_public_key # in a dry run a new one is not installed yet
  facts=$("$COMMAND" verify "$1" "$(pin_option "$pin")" "$pin" --json ${3:+"$3"}) || return 1
  json_field "$2" <<<"$facts"
}

# Print a release’s sequence number, or fail if it may not be deployed.
release_verify() { # FOLDER
  release_fact "$1" sequence --deployable ||
    fail "The release was rejected. See the reason above." "The server still serves its current release."
}

json_field() { # NAME, of the JSON object on stdin; a list’s items are printed in one line
  python3 -I -c 'if True:
    import json, sys
    value = json.load(sys.stdin)[sys.argv[1]]
    print(*value) if isinstance(value, list) else print(value)
  ' "$1"
}

# Print the numbers of the stored releases, the oldest first.
releases_stored() {
  find "$RELEASES" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*' -printf '%f\n' 2>/dev/null | sort --numeric-sort
}

# Print the current release’s number, if there is one.
release_number() {
  local target
  target=$(readlink "$CURRENT" 2>/dev/null) || return 0
  basename "$target"
}

# Print the release that a server serves, or will serve when it starts.
release_of() { # SERVER
  local number=
  ! server_runs "$1" || number=$(server_status "$1" release)
  echo "${number:-$(release_number)}"
}

server_runs() { systemctl --quiet is-active "cccr-web-$1.service"; } # SERVER

# Store the bundle’s release under its number. It is verified first.
release_store() {
  local number stored why=''
  [ -d "$BUNDLE/release" ] || return 0
  step "release"
  if [ ! -x "$COMMAND" ]; then
    change "verify the release, store it in $RELEASES and serve it" || true # a dry run on a fresh server
    return 0
  fi
  make_folder "$RELEASES"
  number=$(release_verify "$BUNDLE/release") || exit 1
  stored=$RELEASES/$number
  if [ -d "$stored" ]; then
    # After a power failure, files may be empty, and so may the list.
    if [ -s "$stored/SHA256SUMS" ] && ! cmp --quiet "$BUNDLE/release/SHA256SUMS" "$stored/SHA256SUMS"; then
      fail "The server already has a different release $number." "Raise the sequence in translations/site.toml, then build and sign again."
    fi
    why=" again, because the stored one was rejected"
  fi
  if [ -z "$why" ] || ! release_fact "$stored" sequence >/dev/null; then
    if change "store release $number in $RELEASES$why"; then release_copy "$stored"; fi
  fi
  NEW_RELEASE=$number
}

# Copy the bundle’s release to STORED, in place of a rejected one. “remove_leftovers” removes the
# other two folders.
release_copy() { # STORED
  local stored=$1 partial=$RELEASES/.partial replaced=$RELEASES/.replaced
  rm -rf --one-file-system "$partial"
  need_space "$RELEASES" "$(du -sk "$BUNDLE/release" | cut -f 1)"
  cp --recursive --no-preserve=mode,ownership "$BUNDLE/release" "$partial"
  chmod -R u=rwX,go=rX "$partial"
  release_verify "$partial" >/dev/null
  sync --file-system "$partial" # a power failure must not leave empty files under the final name
  if [ -d "$stored" ]; then
    # It may be intact and signed with the former public key, which a failure restores.
    UNDO+=("rm -rf '$stored' && mv --no-target-directory '$replaced' '$stored'")
    mv --no-target-directory "$stored" "$replaced"
  fi
  mv --no-target-directory "$partial" "$stored"
}

# Succeed if “install” should switch to this release: the settings may name an old one.
release_is_wanted() { # NUMBER
  local file left=0
  for file in "$DATA/left" "$ROLLED_BACK"; do # the first is of version 0.2.0
    [ ! -f "$file" ] || left=$(cat "$file")
  done
  if [ "$1" -lt "$(release_number || echo 0)" ] 2>/dev/null; then
    note "the settings name release $1, but release $(release_number) is newer and stays"
  elif [ "$1" != "$(release_number)" ] && [ "$1" -le "$left" ]; then
    note "the settings name release $1, which was rolled back: use “release” to serve it again"
  else
    return 0
  fi
  return 1
}

# Switch the servers to release NUMBER without dropping a request, or leave them unchanged.
release_switch() { # NUMBER
  local number=$1 before server late=()
  before=$(release_number)
  for server in "${WEB_SERVERS[@]}"; do
    [ "$(release_of "$server")" = "$number" ] || late+=("$server")
  done
  if [ "$before" != "$number" ]; then
    link "$RELEASES/$number" "$CURRENT"
  elif [ ${#late[@]} != 0 ]; then # an earlier run was interrupted
    change "switch to release $number, which is current but not served: ${late[*]}" || true
  else
    note "release $number is already served"
    return 0
  fi
  [ "$DRY_RUN" = no ] || return 0
  # This time is part of nginx’s cache keys. Responses cached between the two reloads are never used
  # again, even if this release returns later; nor, if the switch is undone, those of this release.
  UNDO+=("date +%s%N >'$DATA/switched'")
  SWITCHED=yes
  date +%s%N >"$DATA/switched"
  for server in "${late[@]}"; do
    # Otherwise a server that has served the new release would reject the old one.
    save_for_undo "$STATES/cccr-web-$server/$HIGHEST_SEQUENCE"
    save_for_undo "$STATES/cccr-web-$server/$HIGHEST_POLICY"
    systemctl --quiet is-active "cccr-web-$server.service" || continue
    # A server reads what is pinned only when it starts: units_start restarts it.
    ! pin_changed || continue
    release_reload "$server" "$number" "${before:-none}"
    restart_on_undo "cccr-web-$server.service"
  done
}

# Let a server load the current release. Returns once it serves it; fails only if it never will.
release_reload() { # SERVER NUMBER BEFORE
  local unit=cccr-web-$1.service reloads process result=0
  # A reload that ends later must not undo what “finish” does.
  UNDO+=("release_stop_reload '$unit'")
  process=$(systemctl show --property=MainPID --value "$unit")
  reloads=$(server_status "$1" reloads)
  if [ -n "$reloads" ]; then
    systemctl --no-block reload "$unit"
  else # a server of an older version does not report its reloads
    unit_action restart "$unit"
    process=
  fi
  release_wait "$1" "$2" "$reloads" "$process" || result=$?
  case $result in
    2) fail "The $1 server stopped while it loaded release $2." "See: journalctl --unit=$unit --lines=20" ;;
    3) fail "The $1 server has not finished loading release $2 after $RELOAD_LIMIT s." "See: journalctl --unit=$unit --lines=20" ;;
  esac
  unset 'UNDO[-1]' # the reload has ended
  [ "$result" = 0 ] ||
    fail "The $1 server rejected release $2 and still serves release $3." "See: journalctl --unit=$unit --lines=5"
}

# systemd starts it again at once, before it can have loaded anything; “finish” restarts it once more.
release_stop_reload() { # UNIT
  restart_on_undo "$1"
  systemctl kill --signal=KILL "$1" || true # it is not running
}

# A server that cannot read the current release serves its last good one.
release_check_servers() {
  local server
  [ "$DRY_RUN" = no ] || return 0
  for server in "${WEB_SERVERS[@]}"; do
    if ! server_runs "$server"; then
      WARNINGS+=("The $server server is not running. See: journalctl --unit=cccr-web-$server --lines=20" "Then run deploy.sh without a command, which starts it.")
    elif [ "$(release_of "$server")" != "$(release_number)" ]; then
      WARNINGS+=("The $server server serves release $(release_of "$server"), not $(release_number). See: journalctl --unit=cccr-web-$server --lines=5")
    fi
  done
}

# After an undone switch, say what each server serves. Returns whether that is the current release.
release_report() {
  local server number status=0
  for server in "${WEB_SERVERS[@]}"; do
    systemctl cat "cccr-web-$server.service" >/dev/null 2>&1 || continue
    if ! server_runs "$server"; then
      note "the $server server is not running"
      continue
    fi
    number=$(release_of "$server")
    note "the $server server serves release ${number:-none}"
    [ "$number" = "$(release_number)" ] || status=1
  done
  return $status
}

# Servers would not start with a new public key that did not sign their release, nor with a new policy.
release_check_key() {
  local pin what="public key" how="is not signed with the new key"
  if [ "$DRY_RUN" = yes ] || ! pin_changed; then return 0; fi
  pin=$(pin_file "$ETC")
  [[ $pin != */policy.txt ]] || { what=policy && how="does not have the signatures that it needs"; }
  "$COMMAND" verify "$(readlink --canonicalize "$CURRENT")" "$(pin_option "$pin")" "$pin" >/dev/null ||
    fail "The $what was changed, but release $(release_number) $how." \
      "Set RELEASE in the settings to a release that is."
}

# Print who has signed a stored release under a policy, and nothing for one signed with the only key.
release_signers() { # NUMBER
  { find "$RELEASES/$1" -maxdepth 1 -name 'SHA256SUMS.*.*sig' -printf '%f\n' 2>/dev/null || true; } |
    cut -d . -f 2 | sort | paste --serial --delimiters=' '
}

# Print one field of a server’s systemd status.
server_status() { # SERVER FIELD
  systemctl show --property=StatusText --value "cccr-web-$1.service" | status_field "$2"
}

status_field() { # FIELD, of a text on stdin that ends with (release=7 reloads=2 result=accepted)
  local text
  text=$(cat)
  [[ $text =~ [\(\ ]$1=([a-z0-9]+)[^\(]*\)$ ]] || return 0
  echo "${BASH_REMATCH[1]}"
}

# Wait until a server serves a release. Returns 1 if it has rejected it, 2 if it stopped, 3 if it
# has done neither in time. PROCESS is empty if it has just been restarted.
release_wait() { # SERVER NUMBER RELOADS-BEFORE PROCESS
  local unit=cccr-web-$1.service try text
  for try in $(seq $((RELOAD_LIMIT * 5))); do
    text=$(systemctl show --property=StatusText --value "$unit")
    if [ "$(status_field release <<<"$text")" = "$2" ]; then return 0; fi
    # If the reload that ended was accepted, it was requested earlier. Version 0.2.0 has no result.
    if [ -z "$4" ] || [[ $(status_field reloads <<<"$text") != "$3" && $(status_field result <<<"$text") != accepted ]]; then
      note "$text"
      return 1
    fi
    if [ "$(systemctl show --property=MainPID --value "$unit")" != "$4" ]; then return 2; fi
    [ "$try" != 50 ] || note "waiting for the $1 server to load release $2, up to $RELOAD_LIMIT s"
    sleep 0.2
  done
  return 3
}

# Go back to an older release. Servers reject a lower sequence, so that nobody can replay an old
# release. Here root allows it explicitly, and the journal records it.
release_rollback() {
  local now before='' number server
  step "rollback"
  # If an earlier rollback was interrupted, servers still serve a newer release than the current one.
  now=$({ release_number && for server in "${WEB_SERVERS[@]}"; do release_of "$server"; done; } | sort --numeric-sort | tail -n 1)
  while IFS= read -r number; do
    [ "$number" -ge "${now:-0}" ] || before=$number
  done < <(releases_stored)
  [ -n "$before" ] || fail "The server has no release older than ${now:-none}." "Build one with a higher sequence and deploy it with “release”."
  release_verify "$RELEASES/$before" >/dev/null
  change "go back from release $now to release $before" || return 0
  for server in "${WEB_SERVERS[@]}"; do
    release_allow_rollback "$server" "$RELEASES/$before"
  done
  logger --tag cccr-web --priority auth.notice "root went back from release $now to release $before"
  # “install” must not return to the release that was rolled back.
  save_for_undo "$ROLLED_BACK"
  echo "$now" >"$ROLLED_BACK"
  release_switch "$before"
}

release_allow_rollback() { # SERVER RELEASE
  local state=$STATES/cccr-web-$1 pin
  [ -d "$state" ] || return 0
  pin=$(pin_file "$ETC")
  save_for_undo "$state/$HIGHEST_SEQUENCE"
  "$COMMAND" history allow "$2" "$(pin_option "$pin")" "$pin" --state "$state" >&2 || fail "The $1 server’s rollback guard was not changed. See the reason above."
}

# Keep some older releases for “rollback”.
release_prune() {
  local number now
  now=$(release_number)
  while IFS= read -r number; do
    [ "$number" != "$now" ] || continue
    change "remove release $number and keep the newest ${KEEP_RELEASES:-5}" || continue
    rm -rf --one-file-system "${RELEASES:?}/$number"
  done < <(releases_stored | head -n "-${KEEP_RELEASES:-5}")
}
