# shellcheck shell=bash
# Our systemd units: two servers with their sockets, and the onion manager.

UNITS=/etc/systemd/system
DROP_INS=cccr-web-.service.d # for every service with this prefix

units_install() {
  step "systemd units"
  local unit
  units_write "$WORK/units"
  units_put "$WORK/units"
  # The domain was removed from the settings, or the other servers were.
  [ -n "$DOMAIN" ] || remove_units cccr-web-clearnet.socket cccr-web-clearnet.service
  has_peers || remove_units cccr-web-peer.service
  ! is_backend || remove_units cccr-web-manager.service
  units_daemon_reload
  for unit in "${WEB_SERVERS[@]}"; do
    enable "cccr-web-$unit.socket" "cccr-web-$unit.service"
  done
  is_backend || enable cccr-web-manager.service
  ! has_peers || enable cccr-web-peer.service
}

units_write() { # FOLDER
  # shellcheck disable=SC2034 # “render” reads them by name
  local folder=$1 server version pin ONION BACKOFF='' STANDBY_OPTIONS='' LARGEST MEMORY PIN
  ONION=$(onion_address)
  pin=$(pin_installed "$ETC")
  PIN=CCCR_PUBLIC_KEY=$pin
  [[ $pin != */policy.txt ]] || PIN=CCCR_POLICY=$pin
  LARGEST=$(largest_release)
  MEMORY=$((3 * LARGEST + 62))M # two releases during a reload, with their compressed pages
  mkdir -p "$folder/$DROP_INS"
  version=$(systemctl show --property=Version --value) # such as 252.39-1~deb12u1
  if [ "${version%%[!0-9]*}" -ge 254 ]; then
    BACKOFF=$'# Wait longer after each failed start.\nRestartSteps=8\nRestartMaxDelaySec=10s'
  fi
  cp "$HERE/units/hardening.conf" "$folder/$DROP_INS"
  render units/restart.conf BACKOFF MEMORY >"$folder/$DROP_INS/restart.conf"
  for server in "${WEB_SERVERS[@]}"; do
    cp "$HERE/units/cccr-web-$server.socket" "$folder"
    render "units/cccr-web-$server.service" DOMAIN ONION HSTS_PRELOAD LARGEST PIN >"$folder/cccr-web-$server.service"
  done
  if has_peers; then
    STANDBY_OPTIONS=" --peers $PEERS --promotion $PROMOTION $(pin_option "$pin") $pin --socks unix:$NOTIFY_SOCKS --standby $STANDBY"
    render units/cccr-web-peer.service INSTANCE >"$folder/cccr-web-peer.service"
  fi
  is_backend || render units/cccr-web-manager.service INSTANCE STANDBY_OPTIONS >"$folder/cccr-web-manager.service"
}

# Let systemd check the units in FOLDER with their drop-ins, and install them.
units_put() { # FOLDER
  local folder=$1 output file
  if [ -x "$COMMAND" ]; then # otherwise a dry run: the units’ programs are not installed yet
    output=$(SYSTEMD_UNIT_PATH="$folder:" find "$folder" -maxdepth 1 -type f -exec systemd-analyze verify --recursive-errors=no {} + 2>&1) ||
      fail "systemd rejects our units: $output"
  fi
  (cd "$folder" && find . -type f -printf '%P\n') | sort >"$folder.list"
  while IFS= read -r file; do put "$UNITS/$file" <"$folder/$file"; done <"$folder.list"
}

units_daemon_reload() {
  if [ "$DRY_RUN" = no ] && changed_below "$UNITS"; then systemctl daemon-reload; fi
}

units_start() {
  local server unit
  for server in "${WEB_SERVERS[@]}"; do
    start "cccr-web-$server.socket"
    unit=cccr-web-$server.service
    if ! systemctl --quiet is-active "$unit"; then
      start "$unit"
    elif changed "$PYTHON_LINK" "$UNITS/$unit" || pin_changed || changed_below "$UNITS/$DROP_INS"; then
      unit_action restart "$unit" # meanwhile requests wait in the socket
    fi
  done
  ! is_backend || return 0 # tor does it
  unit=cccr-web-manager.service
  if ! systemctl --quiet is-active "$unit"; then
    start "$unit"
  elif changed "$PYTHON_LINK" "$UNITS/$unit" "$ONION_KEY_FILE" "$PEERS" "$PROMOTION" || changed_below "$UNITS/$DROP_INS"; then
    unit_action restart "$unit"
  fi
  has_peers || return 0
  unit=cccr-web-peer.service
  if ! systemctl --quiet is-active "$unit"; then
    start "$unit"
  elif changed "$PYTHON_LINK" "$UNITS/$unit" "$PEER_KEY" || changed_below "$UNITS/$DROP_INS"; then
    unit_action restart "$unit"
  fi
}
