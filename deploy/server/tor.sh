# shellcheck shell=bash
# tor, as a separate instance of Debian’s service: no SOCKS port, a control socket for the manager.

INSTANCE=cccr
TORRC_FILE=/etc/tor/instances/$INSTANCE/torrc
TOR_DROPINS=/etc/systemd/system/tor@$INSTANCE.service.d
APPARMOR=/etc/apparmor.d/cccr_tor
ONION_KEY_FILE=$ETC/onion.key
RUNNING_KEY=/run/credentials/cccr-web-manager.service/onion.key
KEPT=/root # where “uninstall” leaves a backup

tor_install() {
  step "tor"
  if ! getent passwd "_tor-$INSTANCE" >/dev/null; then
    change "create the tor instance $INSTANCE" || true
    [ "$DRY_RUN" = yes ] || tor-instance-create "$INSTANCE"
  fi
  local SOCKS=0
  if notify_needs_tor || has_peers; then SOCKS="unix:$NOTIFY_SOCKS GroupWritable RelaxDirModeCheck ExtendedErrors"; fi
  # The admin’s additional lines, and bridges as they were received.
  if [ -f "$BUNDLE/settings/torrc" ]; then put "$ETC/torrc" <"$BUNDLE/settings/torrc"; fi
  local more=$ETC/torrc
  [ "$DRY_RUN" = no ] || [ ! -f "$BUNDLE/settings/torrc" ] || more=$BUNDLE/settings/torrc
  : >"$WORK/torrc.more"
  [ ! -f "$more" ] || tor_more_lines "$more" >"$WORK/torrc.more"
  local SANDBOX=1
  ! grep --quiet --ignore-case '^[[:space:]]*ClientTransportPlugin[[:space:]]' "$WORK/torrc.more" || SANDBOX=0
  {
    render torrc INSTANCE SOCKS SANDBOX
    ! is_backend || backend_torrc
    cat "$WORK/torrc.more"
  } >"$WORK/torrc"
  tor_transports "$WORK/torrc"
  backend_folder
  tor_verify "$WORK/torrc"
  put "$TORRC_FILE" <"$WORK/torrc"
  tor_confine "$WORK/torrc"
  # Debian’s default instance would open a SOCKS port.
  mask tor@default.service
  put "$TOR_DROPINS/cccr-web.conf" <"$HERE/units/tor.conf"
  put "$TOR_DROPINS/exposure.conf" <"$HERE/units/tor-exposure.conf"
  enable "tor@$INSTANCE.service"
}

tor_more_lines() { # FILE
  if [ "$DRY_RUN" = no ]; then
    "$COMMAND" onion torrc "$1" || fail "Correct the file that TORRC names in the settings."
  else
    "$COMMAND" onion torrc "$1" 2>/dev/null || cat "$1" # our code may be missing or older
  fi
}

# Install the programs of the bridges’ transports.
tor_transports() { # TORRC
  local program wanted=()
  for program in "${PACKAGES_FOR_BRIDGES[@]}"; do
    if grep --quiet " exec /usr/bin/$program\$" "$1"; then wanted+=("$program"); fi
  done
  packages_install "${wanted[@]}"
}

# AppArmor, which Debian's kernels have. Without it systemd starts tor all the same.
tor_confine() { # TORRC
  local PROGRAMS output
  # Debian's programs are in its rules. The admin's own are as free as tor.
  PROGRAMS=$(sed -n 's/^[[:space:]]*ClientTransportPlugin[[:space:]].*[[:space:]]exec[[:space:]]\{1,\}\([^[:space:]]*\).*/  "\1" Pix,/Ip' "$1" |
    grep --invert-match --extended-regexp '"/usr/bin/(obfs4proxy|obfsproxy|lyrebird|snowflake-client)"' | sort --unique) || true
  render apparmor INSTANCE PROGRAMS >"$WORK/cccr_tor"
  if command -v apparmor_parser >/dev/null && [ -e /etc/apparmor.d/abstractions/tor ]; then # not in a dry run
    output=$(apparmor_parser --skip-kernel-load --skip-cache "$WORK/cccr_tor" 2>&1) ||
      fail "AppArmor rejects the profile of tor: $output" "Check the file that TORRC names in the settings."
  fi
  put "$APPARMOR" <"$WORK/cccr_tor"
  if changed "$APPARMOR" && [ "$DRY_RUN" = no ] && has_apparmor; then apparmor_parser --replace "$APPARMOR"; fi
}

has_apparmor() { [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ]; }

tor_verify() { # TORRC
  [ "$DRY_RUN" = no ] || command -v tor >/dev/null || return 0
  getent passwd "_tor-$INSTANCE" >/dev/null || return 0 # a dry run
  local output
  sed "s/@@NAME@@/$INSTANCE/g" /usr/share/tor/tor-service-defaults-torrc-instances >"$WORK/tor.defaults"
  output=$(tor --defaults-torrc "$WORK/tor.defaults" -f "$1" --verify-config --hush 2>&1) ||
    fail "tor rejects its configuration: $output" "Check the file that TORRC names in the settings."
}

tor_start() {
  local unit=tor@$INSTANCE.service
  if ! systemctl --quiet is-active "$unit"; then
    start "$unit"
  elif changed "$TORRC_FILE" "$APPARMOR" "$BACKEND" || changed_below "$TOR_DROPINS" || changed_below "$BACKEND"; then
    # tor’s sandbox does not allow loading a new configuration.
    unit_action restart "$unit"
  fi
}

onion_key_install() {
  step "onion key"
  if is_backend; then
    backend_settings
    return 0
  fi
  remove "$BALANCED"
  onion_key_check_running
  if [ -f "$BUNDLE/settings/onion.key" ]; then
    if [ "$REPLACE_ONION" = no ] && [ -f "$ONION_KEY_FILE" ] && ! cmp --quiet "$BUNDLE/settings/onion.key" "$ONION_KEY_FILE"; then
      onion_fail_different "$(onion_address)"
    fi
    put "$ONION_KEY_FILE" 400 root:root secret <"$BUNDLE/settings/onion.key"
  elif [ ! -f "$ONION_KEY_FILE" ]; then
    onion_key_check_old
    change "create a new onion key in $ONION_KEY_FILE" || return 0
    UNDO+=("rm -f '$ONION_KEY_FILE'")
    "$COMMAND" onion key new "$ONION_KEY_FILE" >/dev/null
    chmod 400 "$ONION_KEY_FILE"
  fi
}

onion_fail_different() { # ADDRESS
  fail "The server’s onion key differs from ONION_KEY in the settings. The server’s address is $1." \
    "To keep that address, use its key. To replace it, make a backup and add --replace-onion: without its key the address is lost."
}

# Print which file has the server’s onion key, if one does. The running manager’s copy outlives a
# file that was removed.
onion_key_found() {
  local file
  for file in "$ONION_KEY_FILE" "$RUNNING_KEY"; do
    [ ! -f "$file" ] || { echo "$file" && return; }
  done
}

# A new key means a new address, which no reader knows.
onion_key_check_old() {
  local kept release onions
  if [ -f "$RUNNING_KEY" ]; then
    fail "$ONION_KEY_FILE is missing, but the running manager still has the key." "To keep the address: cp $RUNNING_KEY $ONION_KEY_FILE"
  fi
  for kept in "$KEPT"/cccr-web-kept-*; do
    [ ! -e "$kept" ] || fail "The onion key of an earlier installation is in $kept." \
      "To keep its address, copy the file and use “restore”. For a new address, move the file away."
  done
  for release in "$CURRENT" "$BUNDLE/release"; do
    [ -d "$release" ] || continue
    [ "$DRY_RUN" = no ] || [ -x "$COMMAND" ] || continue # on a fresh server
    onions=$(release_fact "$release" onions) ||
      fail "There is no onion key, and $release was rejected, so which onions it names is unknown. See the reason above." \
        "Set ONION_KEY in the settings, restore a backup, or replace the release."
    [ -z "$onions" ] || fail "The release names the onion $onions, but there is no key for it." \
      "Set ONION_KEY in the settings, or restore a backup. For a new address, make its key with “deploy/cccr-web onion key new”."
  done
}

# If the key file was changed since the manager started, readers know another address than its own.
onion_key_check_running() {
  local file running
  [ -f "$ONION_KEY_FILE" ] && [ -f "$RUNNING_KEY" ] || return 0
  ! changed "$ONION_KEY_FILE" || return 0 # an interrupted run did it, so the manager is restarted
  file=$(key_address "$ONION_KEY_FILE")
  running=$(key_address "$RUNNING_KEY")
  [ "$file" = "$running" ] || fail "$ONION_KEY_FILE has the key of $file, but the running manager publishes $running." \
    "To keep $running: cp $RUNNING_KEY $ONION_KEY_FILE. To change to $file: back up the other key, then systemctl restart cccr-web-manager"
}

# The address of the key file, which the manager publishes from its next start on.
onion_address() {
  local key=$ONION_KEY_FILE address=
  if is_backend; then
    balanced_onion
    return
  elif is_front; then
    front_onion
    return
  fi
  [ -f "$key" ] || key=$BUNDLE/settings/onion.key
  if [ -f "$key" ]; then address=$(key_address "$key"); fi
  echo "${address:-address-of-the-new-key.onion}" # a dry run on a fresh server
}

# The address that the running manager publishes, whatever its key file holds by now.
onion_published() {
  if [ -f "$RUNNING_KEY" ] && ! is_backend; then key_address "$RUNNING_KEY"; else onion_address; fi
}

# “backup” and “status” need it, even if our code is missing or damaged.
key_address() { # FILE
  local address
  address=$(awk '$1 == "address" { print $2 }' "$1")
  if [ -z "$address" ]; then # tor’s own format
    # “onion key show” rejects a key with wrong permissions, and “status” must report those.
    install --mode 400 "$1" "$WORK/key"
    address=$("$COMMAND" onion key show "$WORK/key")
  fi
  echo "$address"
}
