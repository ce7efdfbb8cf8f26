# shellcheck shell=bash
# Back up and restore what cannot be recreated: the onion key, settings, release and rollback state.

# Write a tar archive to stdout. The admin’s machine encrypts it.
backup_export() {
  local folder=$WORK/backup server
  step "backup"
  [ -f "$ONION_KEY_FILE" ] || fail "The site is not installed on this machine, so there is nothing to back up."
  mkdir -p "$folder/settings" "$folder/history"
  cp "$ETC/site.env" "$folder/settings/site.env"
  cp "$ETC/public.key" "$ONION_KEY_FILE" "$folder/settings"
  [ ! -f "$ETC/torrc" ] || cp "$ETC/torrc" "$folder/settings"
  if [ -e "$CURRENT" ]; then cp --recursive "$(readlink --canonicalize "$CURRENT")" "$folder/release"; fi
  for server in "${SERVERS[@]}"; do
    [ ! -f "/var/lib/cccr-web-$server/$HIGHEST_SEQUENCE" ] ||
      cp "/var/lib/cccr-web-$server/$HIGHEST_SEQUENCE" "$folder/history/$server"
  done
  tar --create --directory "$folder" .
  note "the onion key, settings, release $(release_number) and rollback state"
}

# Restore the highest sequence that each server has served, so that it rejects older releases.
history_restore() {
  local server state
  [ -d "$BUNDLE/history" ] || return 0
  for server in "${SERVERS[@]}"; do
    state=/var/lib/cccr-web-$server/$HIGHEST_SEQUENCE
    if [ ! -f "$BUNDLE/history/$server" ] || [ -e "$state" ]; then continue; fi
    change "restore the highest sequence that the $server server has served" || continue
    # The folder belongs to root until the unit starts; systemd then changes its owner.
    mkdir -p "/var/lib/private/cccr-web-$server"
    chmod 700 /var/lib/private "/var/lib/private/cccr-web-$server"
    ln -sfn "private/cccr-web-$server" "/var/lib/cccr-web-$server"
    install -m 600 "$BUNDLE/history/$server" "$state"
  done
}
