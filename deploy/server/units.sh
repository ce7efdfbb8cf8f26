# shellcheck shell=bash
# Our units: two servers, the onion’s manager, and the sockets that systemd holds for them.

UNITS=/etc/systemd/system
HARDENING=$UNITS/cccr-web-.service.d/hardening.conf # for every unit of this beginning

units_install() {
  step "our units"
  local unit
  units_write "$WORK/units"
  units_verify "$WORK/units"
  put "$HARDENING" <"$WORK/units/hardening.conf"
  for unit in "$WORK"/units/cccr-web-*; do
    put "$UNITS/${unit##*/}" <"$unit"
  done
  [ -n "$DOMAIN" ] || units_without_clearnet
  units_reload_manager
  for unit in "${SERVERS[@]}"; do
    enable "cccr-web-$unit.socket" "cccr-web-$unit.service"
  done
  enable cccr-web-manager.service
}

# The domain was taken out of the settings.
units_without_clearnet() {
  local unit
  for unit in cccr-web-clearnet.socket cccr-web-clearnet.service; do
    [ -e "$UNITS/$unit" ] || continue
    if change "stop and disable $unit"; then
      UNDO+=("systemctl --quiet enable --now '$unit'")
      systemctl --quiet disable --now "$unit" 2>/dev/null
    fi
    drop "$UNITS/$unit"
  done
}

units_write() { # FOLDER
  # shellcheck disable=SC2034 # “render” takes them by their names
  local folder=$1 server ONION BACKOFF=''
  ONION=$(onion_address)
  mkdir -p "$folder"
  if [ "$(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')" -ge 254 ]; then
    BACKOFF=$'# Slower and slower, if it dies again and again.\nRestartSteps=8\nRestartMaxDelaySec=10s'
  fi
  render units/hardening.conf BACKOFF >"$folder/hardening.conf"
  for server in "${SERVERS[@]}"; do
    cp "$HERE/units/cccr-web-$server.socket" "$folder"
    render "units/cccr-web-$server.service" DOMAIN ONION >"$folder/cccr-web-$server.service"
  done
  cp "$HERE/units/cccr-web-manager.service" "$folder"
}

units_verify() { # FOLDER
  [ -x "$COMMAND" ] || return 0 # a dry run: the programs that the units name are not there yet
  local said
  mkdir -p "$1/cccr-web-.service.d"
  cp "$1/hardening.conf" "$1/cccr-web-.service.d"
  said=$(SYSTEMD_UNIT_PATH="$1:" systemd-analyze verify --recursive-errors=no "$1"/cccr-web-*.socket "$1"/cccr-web-*.service 2>&1) ||
    fail "systemd refuses our units: $said"
  rm -r "$1/cccr-web-.service.d"
}

units_reload_manager() {
  local path
  for path in "${!CHANGED[@]}"; do
    case $path in
      "$UNITS"/*)
        [ "$DRY_RUN" = yes ] || systemctl daemon-reload
        return 0
        ;;
    esac
  done
}

units_start() {
  local server unit
  for server in "${SERVERS[@]}"; do
    start "cccr-web-$server.socket"
    unit=cccr-web-$server.service
    if ! systemctl --quiet is-active "$unit"; then
      start "$unit"
    elif changed "$PYTHON_LINK" "$HARDENING" "$UNITS/$unit" "$ETC/public.key"; then
      restart restart "$unit" # requests wait in the socket meanwhile
    fi
  done
  unit=cccr-web-manager.service
  if ! systemctl --quiet is-active "$unit"; then
    start "$unit"
  elif changed "$PYTHON_LINK" "$HARDENING" "$UNITS/$unit" "$ONION_KEY_FILE"; then
    restart restart "$unit"
  fi
}
