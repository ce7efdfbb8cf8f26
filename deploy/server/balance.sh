# shellcheck shell=bash
# Onionbalance: every server answers for the onion, and the front, which alone has its key, publishes it.
# Each server has an onion of its own; from there the front takes the introduction points.

BALANCED=$ETC/balanced # on each server: the address of the onion
BACKEND=/var/lib/tor-instances/$INSTANCE/backend
FRONT_FOLDER=$ETC/front # on the front: the key, and what Onionbalance reads
FRONT_WAIT=600   # seconds: Onionbalance asks for new descriptors every ten minutes
FRONT_PAUSE=60

# What deploy.sh sent counts before what is on the server.
is_backend() { [ -f "$BUNDLE/settings/balanced" ] || { [ -f "$BALANCED" ] && [ ! -f "$BUNDLE/settings/onion.key" ]; }; }

is_front() { [ -f "$FRONT_FOLDER/config.yaml" ]; }

# A front may be a machine of its own.
has_site() { [[ $COMMAND_NAME != front* ]] || [ -e "$ETC/site.env" ]; }

balanced_onion() {
  local file=$BUNDLE/settings/balanced
  [ -f "$file" ] || file=$BALANCED
  cat "$file"
}

# The onion of this server alone, which tor makes.
backend_address() { cat "$BACKEND/hostname" 2>/dev/null || true; }

# The onion's key leaves a server that had it. Only the admin and the front need it.
backend_settings() {
  local onion known=''
  onion=$(balanced_onion)
  if [ -f "$BALANCED" ]; then known=$(cat "$BALANCED"); elif [ -f "$ONION_KEY_FILE" ]; then known=$(key_address "$ONION_KEY_FILE"); fi
  [ "$REPLACE_ONION" = yes ] || [ -z "$known" ] || [ "$known" = "$onion" ] || onion_fail_different "$known"
  echo "$onion" | put "$BALANCED"
  remove "$ONION_KEY_FILE"
}

# The folder of this server's own onion.
backend_folder() {
  local owner=_tor-$INSTANCE:_tor-$INSTANCE
  if ! is_backend; then
    remove "$BACKEND"
    return 0
  fi
  make_folder "$BACKEND" 2700 "$owner" # as Debian's folder above it
  echo "MasterOnionAddress $(balanced_onion)" | put "$BACKEND/ob_config" 600 "$owner"
}

# ADD_ONION, which the manager uses otherwise, has no option for Onionbalance.
backend_torrc() {
  cat <<TORRC

HiddenServiceDir $BACKEND
HiddenServicePort 80 unix:/run/cccr-nginx/onion.sock
HiddenServiceMaxStreams 16
HiddenServiceMaxStreamsCloseCircuit 1
HiddenServiceOnionbalanceInstance 1
TORRC
}

front_install() {
  local ONION
  has_site || DOMAIN='' # nothing is served here
  ssh_install
  step "packages"
  if [ "$COMMAND_NAME" = front-upgrade ] && change "upgrade Debian’s packages"; then apt_get upgrade; fi
  packages_install "${PACKAGES_FOR_A_FRONT[@]}"
  code_install
  step "front"
  make_folder "$ETC" 755
  ONION=$(key_address "$BUNDLE/settings/front.key")
  key_for_tor "$BUNDLE/settings/front.key" | put "$FRONT_FOLDER/onion.key" 400 root:root secret
  front_config | put "$FRONT_FOLDER/config.yaml"
  echo "$ONION" | put "$FRONT_FOLDER/onion"
  has_site || settings_kept | put "$FRONT_FOLDER/site.env"
  notify_settings
  tor_install
  step "systemd units"
  mkdir -p "$WORK/front/$DROP_INS"
  render units/cccr-web-front.service INSTANCE ONION >"$WORK/front/cccr-web-front.service"
  cp "$HERE/units/hardening.conf" "$WORK/front/$DROP_INS"
  units_put "$WORK/front"
  units_daemon_reload
  enable cccr-web-front.service
  firewall_install
  system_install
  step "start"
  firewall_start
  tor_start
  if ! systemctl --quiet is-active cccr-web-front.service; then
    start cccr-web-front.service
  elif changed "$UNITS/cccr-web-front.service" || changed_below "$FRONT_FOLDER"; then
    unit_action restart cccr-web-front.service
  fi
  code_prune
  notify_install
  notify_start
  [ "$DRY_RUN" = yes ] || front_wait
}

front_config() {
  local address name
  printf '# Written by deploy.sh.\nservices:\n- key: onion.key\n  instances:\n'
  while read -r address name; do printf '  - {address: %s, name: "%s"}\n' "$address" "$name"; done <"$BUNDLE/settings/backends"
}

front_wait() {
  local until=$((SECONDS + FRONT_WAIT)) said=no
  # Every question before the answer is there makes tor wait longer until it asks again.
  until front_has 'Uploading first descriptor' && front_published; do
    if [ "$SECONDS" -ge "$until" ]; then
      WARNINGS+=("The front has not published the onion. See: journalctl --unit=cccr-web-front --lines=20")
      return 0
    fi
    [ $said = yes ] || note "waiting up to $((FRONT_WAIT / 60)) minutes until the onion is published"
    said=yes
    sleep 5
    # The directories may have a newer number from a server that published the onion before.
    # Onionbalance would try again only after an hour.
    if front_has 'Descriptor upload failed for frontend'; then
      sleep "$FRONT_PAUSE"
      unit_action restart cccr-web-front.service
    fi
  done
  note "$(tail -n 1 "$WORK/published")"
}

front_has() { # TEXT
  local invocation
  invocation=$(systemctl show --property=InvocationID --value cccr-web-front)
  [[ $(journalctl --unit=cccr-web-front --output=cat "_SYSTEMD_INVOCATION_ID=$invocation") == *"$1"* ]]
}

# Ask as a reader's tor does. What a server published before has proof of work.
front_published() {
  "$COMMAND" onion status --fetch "$(front_onion)" --control "unix:/run/tor-instances/$INSTANCE/control" >"$WORK/published" 2>&1 &&
    grep --quiet 'without proof of work' "$WORK/published"
}

# The address is in what the front loaded.
front_onion() { cat "$FRONT_FOLDER/onion"; }

front_status() {
  STEP=
  is_front || fail "This machine is no front." "Install it with deploy.sh and ONION_MODE=balance in the settings."
  if [ "$JSON" = yes ]; then
    status_json
    return
  fi
  status_units
  printf '%-22s %s\n' "onion" "http://$(front_onion)/"
  status_doctor
}

# What FRONT names is the only machine that has the onion’s key.
front_end() {
  is_front && [ -f "$BUNDLE/settings/server" ] && [ "$(cat "$BUNDLE/settings/server")" != "$FRONT" ] || return 0
  remove_units cccr-web-front.service
  remove "$FRONT_FOLDER"
}

# Whether this run ended Onionbalance here. While others answer, no server publishes the onion alone.
balance_left() { changed "$BALANCED" && has_peers; }

# Print a key in the format of tor’s hs_ed25519_secret_key.
key_for_tor() { # FILE
  grep --quiet '^key ED25519-V3:' "$1" || { cat "$1" && return; }
  printf '== ed25519v1-secret: type0 ==\0\0\0'
  sed -n 's/^key ED25519-V3://p' "$1" | base64 --decode
}
