# shellcheck shell=bash
# Another machine, which watches every address of the site from outside and notifies people.

WATCH_ETC=/etc/cccr-watch
WATCH_TIMERS=(cccr-watch.timer cccr-watch-notify.timer)

watch_install() {
  [ ! -e "$ETC/site.env" ] || fail "The site itself is on this machine. A watcher must be on another."
  [ -n "$WATCH" ] || fail "There is nothing to watch." "Set WATCH in the settings to every address of the site."
  [ -n "$NOTIFY" ] || fail "No one is set to be notified." "Set NOTIFY in the settings."
  step "packages"
  packages_install ca-certificates python3-venv tor
  code_install
  step "settings"
  make_folder "$WATCH_ETC" 755
  notify_put "$WATCH_ETC/notify.env"
  pin_install "$WATCH_ETC"
  step "systemd units"
  watch_write "$WORK/watch"
  units_put "$WORK/watch"
  units_daemon_reload
  step "start"
  enable tor.service "${WATCH_TIMERS[@]}"
  start tor.service "${WATCH_TIMERS[@]}"
  [ "$DRY_RUN" = yes ] || notify_test_of cccr-watch-notify
}

watch_write() { # FOLDER
  # shellcheck disable=SC2034 # “render” reads them by name
  local folder=$1 pin PIN ARGUMENTS='--name "the watcher"' STATE=cccr-watch-notify SETTINGS_FILE=$WATCH_ETC/notify.env \
    REPORT=/run/cccr-watch/watch.json
  pin=$(pin_installed "$WATCH_ETC")
  PIN="$(pin_option "$pin") $pin"
  mkdir -p "$folder/cccr-watch-notify.service.d"
  render units/cccr-watch.service PIN WATCH >"$folder/cccr-watch.service"
  cp "$HERE/units/cccr-watch.timer" "$folder"
  render units/cccr-notify.service ARGUMENTS STATE SETTINGS_FILE REPORT >"$folder/cccr-watch-notify.service"
  cp "$HERE/units/cccr-notify.timer" "$folder/cccr-watch-notify.timer"
  cp "$HERE/units/hardening.conf" "$folder/cccr-watch-notify.service.d"
  cp "$HERE/units/notify-network.conf" "$folder/cccr-watch-notify.service.d/network.conf"
}
