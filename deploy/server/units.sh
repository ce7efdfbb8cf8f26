# shellcheck shell=bash
# Our systemd units: two servers with their sockets, and the onion manager.

UNITS=/etc/systemd/system
HARDENING=$UNITS/cccr-web-.service.d/hardening.conf # for every unit with this prefix

units_install() {
  step "systemd units"
  local unit
  units_write "$WORK/units"
  units_verify "$WORK/units"
  put "$HARDENING" <"$WORK/units/hardening.conf"
  for unit in "$WORK"/units/cccr-web-*; do
    put "$UNITS/${unit##*/}" <"$unit"
  done
  # The domain was removed from the settings.
  [ -n "$DOMAIN" ] || remove_units cccr-web-clearnet.socket cccr-web-clearnet.service
  units_daemon_reload
  for unit in "${SERVERS[@]}"; do
    enable "cccr-web-$unit.socket" "cccr-web-$unit.service"
  done
  enable cccr-web-manager.service
}

units_write() { # FOLDER
  # shellcheck disable=SC2034 # “render” reads them by name
  local folder=$1 server version ONION BACKOFF='' LARGEST MEMORY
  ONION=$(onion_address)
  LARGEST=$(largest_release)
  MEMORY=$((3 * LARGEST + 62))M # two releases during a reload, with their compressed pages
  mkdir -p "$folder"
  version=$(systemctl show --property=Version --value) # such as 252.39-1~deb12u1
  if [ "${version%%[!0-9]*}" -ge 254 ]; then
    BACKOFF=$'# Wait longer after each failed start.\nRestartSteps=8\nRestartMaxDelaySec=10s'
  fi
  render units/hardening.conf BACKOFF MEMORY >"$folder/hardening.conf"
  for server in "${SERVERS[@]}"; do
    cp "$HERE/units/cccr-web-$server.socket" "$folder"
    render "units/cccr-web-$server.service" DOMAIN ONION HSTS_PRELOAD LARGEST >"$folder/cccr-web-$server.service"
  done
  render units/cccr-web-manager.service INSTANCE >"$folder/cccr-web-manager.service"
}

units_verify() { # FOLDER
  [ -x "$COMMAND" ] || return 0 # a dry run: the units’ programs are not installed yet
  local output
  mkdir -p "$1/cccr-web-.service.d"
  cp "$1/hardening.conf" "$1/cccr-web-.service.d"
  output=$(SYSTEMD_UNIT_PATH="$1:" systemd-analyze verify --recursive-errors=no "$1"/cccr-web-*.socket "$1"/cccr-web-*.service 2>&1) ||
    fail "systemd rejects our units: $output"
  rm -r "$1/cccr-web-.service.d"
}

units_daemon_reload() {
  if [ "$DRY_RUN" = no ] && changed_below "$UNITS"; then systemctl daemon-reload; fi
}

units_start() {
  local server unit
  for server in "${SERVERS[@]}"; do
    start "cccr-web-$server.socket"
    unit=cccr-web-$server.service
    if ! systemctl --quiet is-active "$unit"; then
      start "$unit"
    elif changed "$PYTHON_LINK" "$HARDENING" "$UNITS/$unit" "$ETC/public.key"; then
      unit_action restart "$unit" # meanwhile requests wait in the socket
    fi
  done
  unit=cccr-web-manager.service
  if ! systemctl --quiet is-active "$unit"; then
    start "$unit"
  elif changed "$PYTHON_LINK" "$HARDENING" "$UNITS/$unit" "$ONION_KEY_FILE"; then
    unit_action restart "$unit"
  fi
}
