# shellcheck shell=bash
# Show the services, the release and the addresses, then run “cccr-web doctor”.

status_show() {
  STEP= # the exit status is the doctor’s, so “finish” reports no failed step
  [ -e "$ETC/site.env" ] || fail "The site is not installed on this machine." "Install it with deploy.sh --local."
  if [ "$JSON" = yes ]; then
    status_json
    return
  fi
  [ -z "$INTERRUPTED" ] || say "An earlier run was interrupted. To complete it, run deploy.sh without a command."
  status_units
  printf '%-22s %s\n' "release" "$(release_number) (stored: $(releases_stored | paste --serial --delimiters=' '))"
  python3 -I "$HERE/signers.py" "$RELEASES" "$CURRENT"
  [ -z "$DOMAIN" ] || printf '%-22s %s\n' "clearnet" "https://${DOMAIN%% *}/"
  printf '%-22s %s\n' "onion" "http://$(onion_published)/"
  ! is_backend || printf '%-22s %s\n' "onionbalance" "no proof of work; two introduction points of each server; a change takes up to ten minutes"
  status_doctor
}

# Print the names of the services that this machine needs.
site_units() {
  ! has_site || echo nginx
  echo "tor@$INSTANCE"
  ! is_front || echo cccr-web-front
  has_site || return 0
  printf '%s\n' "${WEB_SERVERS[@]/#/cccr-web-}"
  is_backend || echo cccr-web-manager
  ! has_peers || echo cccr-web-peer
}

status_units() {
  local unit
  for unit in $(site_units); do
    printf '%-22s %s\n' "$unit" "$(status_of "$unit.service")"
  done
}

# Print the release of each server in one line, such as “clearnet 7, onion 7”.
status_serves() {
  local server number text=''
  for server in "${WEB_SERVERS[@]}"; do
    number=$(release_of "$server")
    text+=", $server ${number:-none}"
  done
  echo "${text#, }"
}

# One object: “release” and “stored” are numbers, “serves” has one for each server, “signed” a list
# of signers for each stored release, “signers” what each signed last, as signers.py says, “clearnet”
# and “onion” are addresses, “units” has a sentence for each, “checks” is what “doctor --json” prints.
# A front has no releases.
status_json() {
  local status=0
  doctor_options
  doctor_run --json >"$WORK/checks" || status=$?
  if has_site; then
    python3 -I "$HERE/signers.py" "$RELEASES" "$CURRENT" --json >"$WORK/signers"
  else
    echo '{"signed": {}, "signers": {}}' >"$WORK/signers"
  fi
  {
    if has_site; then
      echo "release $(release_number)"
      echo "stored $(releases_stored | paste --serial --delimiters=' ')"
      echo "serves $(status_serves)"
      echo "clearnet ${DOMAIN:+https://${DOMAIN%% *}/}"
    fi
    echo "onion http://$(onion_published)/"
    status_units
  } | python3 -I -c 'if True:
    import json, sys
    fields = dict((line.split(maxsplit=1) + [""])[:2] for line in map(str.strip, sys.stdin))
    take = lambda name: fields.pop(name, "")
    serves = dict(each.split() for each in take("serves").split(", ") if each)
    found = {
        "release": int(take("release") or 0) or None,
        "stored": [int(number) for number in take("stored").split()],
        "serves": {name: int(number) if number.isdigit() else None for name, number in serves.items()},
        "clearnet": take("clearnet") or None,
        "onion": take("onion"),
        **json.load(open(sys.argv[2])),
        "units": fields,
        "checks": json.load(open(sys.argv[1])),
    }
    print(json.dumps(found, indent=2, ensure_ascii=False))
  ' "$WORK/checks" "$WORK/signers"
  return $status
}

# deploy.sh goes on to the next server only if this one is as it should be. The onion may need a
# while until every directory has it.
status_check() {
  local try
  step "doctor"
  if has_peers; then manager_wait; fi
  doctor_options
  for try in 1 2 3; do
    if doctor_run >"$WORK/doctor"; then
      note "$(tail -n 1 "$WORK/doctor")"
      STEP=
      return
    fi
    [ "$try" = 3 ] || sleep "${CHECK_PAUSE:-20}"
  done
  grep --extended-regexp '^(WRONG|\?)' "$WORK/doctor" >&2 || tail -n 5 "$WORK/doctor" >&2
  STEP=
  fail "This server does not pass its checks, so the next one is not visited."
}

# The manager first asks the other servers, and the directories, whether one of them publishes. If one has
# just stopped, that takes minutes.
manager_wait() {
  local end=$((SECONDS + 360)) text
  while [ "$SECONDS" -lt "$end" ]; do
    text=$(systemctl show --property=StatusText --value cccr-web-manager.service)
    [[ $text != Published:* ]] || return 0
    ! grep --quiet --no-messages '^planned' "$STANDBY" || return 0
    sleep 2
  done
}

status_of() { # UNIT
  local state text since
  state=$(systemctl is-active "$1" || true)
  text=$(systemctl show --property=StatusText --value "$1")
  since=$(systemctl show --property=ActiveEnterTimestamp --value "$1")
  echo "$state${since:+ since $since}${text:+: $text}"
}

# The doctor’s exit status is ours.
status_doctor() {
  doctor_options
  echo
  doctor_run
}

doctor_run() { # [--json]
  local as_tor=()
  # The firewall lets this group's tor leave.
  if getent group "_tor-$INSTANCE" >/dev/null; then as_tor=(setpriv --regid "_tor-$INSTANCE" --keep-groups); fi
  "${as_tor[@]}" "$COMMAND" doctor "$@" "${DOCTOR_OPTIONS[@]}"
}

# Set DOCTOR_OPTIONS. No option holds a space: one unit’s command line has them, too.
doctor_options() {
  local unit pin
  DOCTOR_OPTIONS=()
  if has_site; then
    pin=$(pin_installed "$ETC")
    DOCTOR_OPTIONS=(--release "$CURRENT" "$(pin_option "$pin")" "$pin")
  fi
  DOCTOR_OPTIONS+=(--onion-address "$(onion_published)")
  ! has_site || doctor_options_of_site
  ! is_front || DOCTOR_OPTIONS+=(--front --private "$FRONT_FOLDER/onion.key")
  DOCTOR_OPTIONS+=(--control "unix:/run/tor-instances/$INSTANCE/control" --private "/run/tor-instances/$INSTANCE/control=0660")
  for unit in $(site_units); do DOCTOR_OPTIONS+=(--unit "$unit.service"); done
  [ "$SSH_KEYS_ONLY" != yes ] || DOCTOR_OPTIONS+=(--ssh-keys-only)
  [ ! -e "$BASELINE" ] || DOCTOR_OPTIONS+=(--baseline "$BASELINE")
}

doctor_options_of_site() {
  local server name
  if is_backend; then
    DOCTOR_OPTIONS+=(--onion-socket unix:/run/cccr-nginx/onion.sock)
    [ ! -e "$BACKEND/hostname" ] || DOCTOR_OPTIONS+=(--backend "$(backend_address)")
  else
    DOCTOR_OPTIONS+=(--onion-key "$ONION_KEY_FILE")
  fi
  DOCTOR_OPTIONS+=(--private /run/cccr-nginx=root:0750)
  for server in "${WEB_SERVERS[@]}"; do
    DOCTOR_OPTIONS+=(--state "/var/lib/cccr-web-$server" --private "/run/cccr-web/$server.sock=root:0660"
      --private "/var/lib/private/cccr-web-$server=0700")
  done
  ! has_peers || DOCTOR_OPTIONS+=(--standby "$STANDBY" --onion-socket unix:/run/cccr-nginx/onion.sock)
  [ -z "$DOMAIN" ] || DOCTOR_OPTIONS+=(--domain "${DOMAIN%% *}")
  if [ -n "$DOMAIN" ] && [ -n "$ADDRESSES" ]; then
    for name in $DOMAIN; do DOCTOR_OPTIONS+=(--dns-name "$name"); done
    for name in $ADDRESSES; do DOCTOR_OPTIONS+=(--address "$name"); done
  fi
  if [ -e "$CERTIFICATE" ]; then DOCTOR_OPTIONS+=(--private "$CERTIFICATE/privkey.pem=root:0600"); fi
  if [ -f "$ETC/torrc" ]; then DOCTOR_OPTIONS+=(--torrc "$ETC/torrc"); fi
}
