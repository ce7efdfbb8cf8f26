# shellcheck shell=bash
# Back up and restore what cannot be recreated: the onion key, settings, release and rollback state.

# Write a tar archive to stdout. The admin’s machine encrypts it.
backup_export() {
  local folder=$WORK/backup server key pin file name
  step "backup"
  ! is_backend || fail "This server has nothing to back up: the onion’s key is on your machine and on FRONT." "Keep copies of the files that ONION_KEY and RELEASE name."
  key=$(onion_key_found)
  [ -n "$key" ] || fail "The site is not installed on this machine, so there is nothing to back up."
  onion_key_check_running
  mkdir -p "$folder"/{settings,"$HIGHEST_SEQUENCE","$HIGHEST_POLICY"}
  [ "$key" = "$ONION_KEY_FILE" ] || note "$ONION_KEY_FILE is missing: the backup has the running manager’s copy"
  cp "$key" "$folder/settings/onion.key"
  pin=$(pin_file "$ETC") || pin=$ETC/public.key
  for file in "$ETC/site.env" "$pin"; do
    if [ -f "$file" ]; then cp "$file" "$folder/settings"; else note "$file is missing, so the backup lacks it"; fi
  done
  [ ! -f "$NOTIFY_FILE" ] || cp "$NOTIFY_FILE" "$folder/settings/notify.env"
  [ ! -f "$ETC/torrc" ] || cp "$ETC/torrc" "$folder/settings"
  if [ -e "$CURRENT" ]; then cp --recursive "$(readlink --canonicalize "$CURRENT")" "$folder/release"; fi
  for server in "${WEB_SERVERS[@]}"; do
    for name in "$HIGHEST_SEQUENCE" "$HIGHEST_POLICY"; do
      [ ! -f "$STATES/cccr-web-$server/$name" ] || cp "$STATES/cccr-web-$server/$name" "$folder/$name/$server"
    done
  done
  tar --create --directory "$folder" .
  note "the onion key, settings, release $(release_number) and rollback state"
}

# Restore the highest sequence and the highest policy that each server has served, so that it rejects
# older ones.
backup_restore_guard() {
  local server name folder state
  for server in "${WEB_SERVERS[@]}"; do
    for name in "$HIGHEST_SEQUENCE" "$HIGHEST_POLICY"; do
      folder=$BUNDLE/$name
      # In a backup of version 0.2.0 or older.
      [ -d "$folder" ] || [ "$name" != "$HIGHEST_SEQUENCE" ] || folder=$BUNDLE/history
      state=$STATES/cccr-web-$server/$name
      if [ ! -f "$folder/$server" ] || [ -e "$state" ]; then continue; fi
      change "restore the ${name//-/ } of the $server server" || continue
      # The folder belongs to root until the unit starts; systemd then changes its owner.
      mkdir -p "$STATES/private/cccr-web-$server"
      chmod 700 "$STATES/private" "$STATES/private/cccr-web-$server"
      ln -sfn "private/cccr-web-$server" "$STATES/cccr-web-$server"
      install -m 600 "$folder/$server" "$state"
      chown --reference "$STATES/private/cccr-web-$server" "$state"
    done
  done
}
