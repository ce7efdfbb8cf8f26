# shellcheck shell=bash
# What cannot be made again: the onion’s key, the settings, the release, what servers remember.

# A tar archive on stdout; the admin’s side encrypts it.
backup_export() {
  local folder=$WORK/backup server
  step "backup"
  [ -f "$ONION_KEY_FILE" ] || fail "There is no site on this machine to back up."
  mkdir -p "$folder/settings" "$folder/history"
  cp "$ETC/site.env" "$folder/settings/site.env"
  cp "$ETC/public.key" "$ONION_KEY_FILE" "$folder/settings"
  [ ! -f "$ETC/torrc" ] || cp "$ETC/torrc" "$folder/settings"
  if [ -e "$CURRENT" ]; then cp --recursive "$(readlink --canonicalize "$CURRENT")" "$folder/release"; fi
  for server in "${SERVERS[@]}"; do
    [ ! -f "/var/lib/cccr-web-$server/highest-sequence" ] ||
      cp "/var/lib/cccr-web-$server/highest-sequence" "$folder/history/$server"
  done
  tar --create --directory "$folder" .
  note "the onion’s key, settings, release $(release_number) and what the servers remember"
}

# What servers remembered where the backup was made: nothing older may be served here either.
history_restore() {
  local server state
  [ -d "$BUNDLE/history" ] || return 0
  for server in "${SERVERS[@]}"; do
    state=/var/lib/cccr-web-$server/highest-sequence
    if [ ! -f "$BUNDLE/history/$server" ] || [ -e "$state" ]; then continue; fi
    change "let the $server server remember which release was the newest" || continue
    # A folder of root’s: systemd gives it to the unit’s own user when it starts.
    mkdir -p "/var/lib/private/cccr-web-$server"
    chmod 700 /var/lib/private "/var/lib/private/cccr-web-$server"
    ln -sfn "private/cccr-web-$server" "/var/lib/cccr-web-$server"
    install -m 600 "$BUNDLE/history/$server" "$state"
  done
}
