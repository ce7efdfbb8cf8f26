# shellcheck shell=bash
# An hourly check of this server, and messages about what it finds, if NOTIFY names a receiver.

NOTIFY_FILE=$ETC/notify.env # NOTIFY and PING, which hold passwords
NOTIFY_SOCKS=/run/tor-instances/$INSTANCE/socks
BASELINE=$ETC/baseline.json
NOTIFY_TIMERS=(cccr-doctor.timer cccr-notify.timer)

# Without settings from the admin’s machine, those of the server or of the backup stay.
notify_settings() {
  local kept=$BUNDLE/settings/notify.env
  if [ -f "$BUNDLE/settings/site.env" ] && { [ -n "$NOTIFY" ] || [ ! -f "$kept" ]; }; then
    if [ -n "$NOTIFY" ]; then notify_put "$NOTIFY_FILE"; else remove "$NOTIFY_FILE"; fi
  elif [ -f "$kept" ]; then
    put "$NOTIFY_FILE" 600 root:root secret <"$kept"
  fi
}

notify_put() { # FILE
  {
    echo "# Written by deploy.sh."
    printf 'NOTIFY=%s\nPING=%s\n' "$NOTIFY" "$PING"
  } | put "$1" 600 root:root secret
}

notify_is_on() { [ -f "$NOTIFY_FILE" ] || { [ "$DRY_RUN" = yes ] && [ -n "$NOTIFY" ]; }; }

# Nothing may leave a server that has only an onion, except through tor.
notify_needs_tor() { [ -z "$DOMAIN" ] && notify_is_on; }

# At the end, when everything is as it should be from now on.
notify_install() {
  step "notifications"
  if ! notify_is_on; then
    remove_units "${NOTIFY_TIMERS[@]}"
    return 0
  fi
  notify_write "$WORK/notify"
  units_put "$WORK/notify"
  if [ -z "$DOMAIN" ]; then remove "$UNITS/cccr-notify.service.d/network.conf"; else remove "$UNITS/cccr-notify.service.d/tor.conf"; fi
  units_daemon_reload
  enable "${NOTIFY_TIMERS[@]}"
}

notify_write() { # FOLDER
  # shellcheck disable=SC2034 # “render” reads them by name
  local folder=$1 OPTIONS MEMORY NAME SOCKS='' ARGUMENTS STATE=cccr-notify SETTINGS_FILE=$NOTIFY_FILE
  doctor_options
  OPTIONS=${DOCTOR_OPTIONS[*]}
  [[ $OPTIONS == *" --baseline "* ]] || OPTIONS+=" --baseline $BASELINE" # recorded at the end of this run
  NAME=${DOMAIN%% *}
  [ -n "$NAME" ] || NAME=$(onion_address)
  ! notify_needs_tor || SOCKS="--socks unix:$NOTIFY_SOCKS "
  has_site || NAME='"the front"'
  ARGUMENTS=--name\ $NAME\ ${SOCKS% }
  mkdir -p "$folder/cccr-notify.service.d"
  MEMORY=$((3 * $(largest_release) + 550))M
  render units/cccr-doctor.service OPTIONS INSTANCE MEMORY >"$folder/cccr-doctor.service"
  cp "$HERE/units/cccr-doctor.timer" "$HERE/units/cccr-notify.timer" "$folder"
  # shellcheck disable=SC2034
  local REPORT=/run/cccr-doctor/doctor.json
  render units/cccr-notify.service ARGUMENTS STATE SETTINGS_FILE REPORT >"$folder/cccr-notify.service"
  cp "$HERE/units/hardening.conf" "$folder/cccr-notify.service.d"
  if notify_needs_tor; then
    render units/notify-tor.conf INSTANCE >"$folder/cccr-notify.service.d/tor.conf"
  else
    cp "$HERE/units/notify-network.conf" "$folder/cccr-notify.service.d/network.conf"
  fi
}

notify_start() {
  notify_baseline
  notify_is_on || return 0
  start "${NOTIFY_TIMERS[@]}"
}

# Record what “doctor” compares this server with.
notify_baseline() {
  [ -x "$COMMAND" ] || return 0 # a dry run
  "$COMMAND" baseline --out "$WORK/baseline.json" "$CODE" "$RESTART" "$APPARMOR" "$TORRC_FILE" "$FIREWALL" "$UNITS"/cccr-* \
    "$UNITS"/nftables.service.d/cccr-web.conf "$NGINX_DROPINS" "$TOR_DROPINS" "$NGINX"/[!r]*.conf "$FRONT_FOLDER/config.yaml" ||
    fail "The baseline of this server could not be recorded. See the reason above."
  put "$BASELINE" <"$WORK/baseline.json"
}

# Whether this run changed more of nginx’s configuration than which release it serves.
notify_nginx_changed() {
  local path
  for path in "${!CHANGED[@]}"; do
    case $path in "$NGINX"/release.conf) ;; "$NGINX"/*) return 0 ;; esac
  done
  return 1
}

# The unit itself sends it, so that it leaves as every message does.
notify_test() {
  STEP=
  [ -f "$NOTIFY_FILE" ] || fail "Notifications are not set up on this server." "Set NOTIFY in the settings, and run deploy.sh without a command."
  notify_test_of cccr-notify
}

notify_test_of() { # UNIT
  local unit=$1 test=$1-test.service failed=no
  # “/run” forgets it at the next start of the machine.
  mkdir -p "/run/systemd/system/$test.d"
  cp "$UNITS/$unit.service" "/run/systemd/system/$test"
  cp "$UNITS/$unit.service.d"/*.conf "$HERE/units/notify-test.conf" "/run/systemd/system/$test.d"
  systemctl daemon-reload
  systemctl start "$test" || failed=yes
  journalctl --unit="$test" --output=cat --since=-5min "_SYSTEMD_INVOCATION_ID=$(systemctl show --property=InvocationID --value "$test")" >&2 || true
  rm -rf "/run/systemd/system/$test" "/run/systemd/system/$test.d"
  systemctl daemon-reload
  [ "$failed" = no ] || fail "Not every target accepted the message." "Correct NOTIFY in the settings, and run deploy.sh without a command."
}
