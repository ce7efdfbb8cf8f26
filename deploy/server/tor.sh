# shellcheck shell=bash
# Debian’s tor, as an instance of our own: no SOCKS port, a control socket for the manager.

INSTANCE=cccr
TORRC_FILE=/etc/tor/instances/$INSTANCE/torrc
ONION_KEY_FILE=$ETC/onion.key

tor_install() {
  step "tor"
  if ! getent passwd "_tor-$INSTANCE" >/dev/null; then
    change "make tor’s instance $INSTANCE" || true
    [ "$DRY_RUN" = yes ] || tor-instance-create "$INSTANCE"
  fi
  # Lines for bridges and the like, from the admin.
  if [ -f "$BUNDLE/settings/torrc" ]; then put "$ETC/torrc" <"$BUNDLE/settings/torrc"; fi
  local more=$ETC/torrc
  [ "$DRY_RUN" = no ] || [ ! -f "$BUNDLE/settings/torrc" ] || more=$BUNDLE/settings/torrc
  {
    cat "$HERE/torrc"
    [ ! -f "$more" ] || cat "$more"
  } >"$WORK/torrc"
  tor_verify "$WORK/torrc"
  put "$TORRC_FILE" <"$WORK/torrc"
  # The one that Debian starts beside ours would open a SOCKS port.
  mask tor@default.service
  put /etc/systemd/system/tor@$INSTANCE.service.d/cccr-web.conf <"$HERE/units/tor.conf"
  enable "tor@$INSTANCE.service"
}

tor_verify() { # TORRC
  [ "$DRY_RUN" = no ] || command -v tor >/dev/null || return 0
  getent passwd "_tor-$INSTANCE" >/dev/null || return 0 # a dry run
  local said
  sed "s/@@NAME@@/$INSTANCE/g" /usr/share/tor/tor-service-defaults-torrc-instances >"$WORK/tor.defaults"
  said=$(tor --defaults-torrc "$WORK/tor.defaults" -f "$1" --verify-config --hush 2>&1) ||
    fail "tor refuses its configuration: $said" "See the file that TORRC names in the settings."
}

tor_start() {
  local unit=tor@$INSTANCE.service
  if ! systemctl --quiet is-active "$unit"; then
    start "$unit"
  elif changed "$TORRC_FILE" "/etc/systemd/system/tor@$INSTANCE.service.d/cccr-web.conf"; then
    # Its sandbox allows no new configuration while it runs.
    restart restart "$unit"
  fi
}

onion_key_install() {
  step "the onion’s key"
  if [ -f "$BUNDLE/settings/onion.key" ]; then
    if [ -f "$ONION_KEY_FILE" ] && ! cmp --quiet "$BUNDLE/settings/onion.key" "$ONION_KEY_FILE"; then
      fail "The server has another onion key than the settings name: $(onion_address)." \
        "Leave ONION_KEY empty to keep it; or take it away first, after a backup: the address is lost with it."
    fi
    put "$ONION_KEY_FILE" 400 root:root secret <"$BUNDLE/settings/onion.key"
  elif [ ! -f "$ONION_KEY_FILE" ]; then
    change "make a key for a new onion address in $ONION_KEY_FILE" || return 0
    UNDO+=("rm -f '$ONION_KEY_FILE'")
    "$COMMAND" onion key new "$ONION_KEY_FILE" >/dev/null
    chmod 400 "$ONION_KEY_FILE"
  fi
}

onion_address() {
  local key=$ONION_KEY_FILE address=
  [ -f "$key" ] || key=$BUNDLE/settings/onion.key
  if [ -f "$key" ]; then
    address=$(sed -n 's/^address \([a-z2-7]\{56\}\.onion\)$/\1/p' "$key")
    [ -n "$address" ] || address=$("$COMMAND" onion key show "$key")
  fi
  echo "${address:-address-of-the-new-key.onion}" # a dry run on a fresh server
}
