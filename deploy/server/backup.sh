# shellcheck shell=bash
# Back up and restore what cannot be recreated: the onion key, settings, release and rollback state.

# Write a tar archive to stdout. The admin’s machine encrypts it.
backup_export() {
  local folder=$WORK/backup server key file
  step "backup"
  key=$(onion_key_found)
  [ -n "$key" ] || fail "The site is not installed on this machine, so there is nothing to back up."
  mkdir -p "$folder/settings" "$folder/$HIGHEST_SEQUENCE"
  [ "$key" = "$ONION_KEY_FILE" ] || note "$ONION_KEY_FILE is missing: the backup has the running manager’s copy"
  cp "$key" "$folder/settings/onion.key"
  for file in site.env public.key; do
    if [ -f "$ETC/$file" ]; then cp "$ETC/$file" "$folder/settings"; else note "$ETC/$file is missing, so the backup lacks it"; fi
  done
  [ ! -f "$NOTIFY_FILE" ] || cp "$NOTIFY_FILE" "$folder/settings/notify.env"
  [ ! -f "$ETC/torrc" ] || cp "$ETC/torrc" "$folder/settings"
  if [ -e "$CURRENT" ]; then cp --recursive "$(readlink --canonicalize "$CURRENT")" "$folder/release"; fi
  for server in "${SERVERS[@]}"; do
    [ ! -f "$STATES/cccr-web-$server/$HIGHEST_SEQUENCE" ] ||
      cp "$STATES/cccr-web-$server/$HIGHEST_SEQUENCE" "$folder/$HIGHEST_SEQUENCE/$server"
  done
  tar --create --directory "$folder" .
  note "the onion key, settings, release $(release_number) and rollback state"
}

# Restore the highest sequence that each server has served, so that it rejects older releases.
backup_restore_guard() {
  local server state folder=$BUNDLE/$HIGHEST_SEQUENCE
  [ -d "$folder" ] || folder=$BUNDLE/history # from a backup of version 0.2.0 or older
  [ -d "$folder" ] || return 0
  for server in "${SERVERS[@]}"; do
    state=$STATES/cccr-web-$server/$HIGHEST_SEQUENCE
    if [ ! -f "$folder/$server" ] || [ -e "$state" ]; then continue; fi
    change "restore the highest sequence that the $server server has served" || continue
    # The folder belongs to root until the unit starts; systemd then changes its owner.
    mkdir -p "$STATES/private/cccr-web-$server"
    chmod 700 "$STATES/private" "$STATES/private/cccr-web-$server"
    ln -sfn "private/cccr-web-$server" "$STATES/cccr-web-$server"
    install -m 600 "$folder/$server" "$state"
  done
}
