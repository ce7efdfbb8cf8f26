# shellcheck shell=bash
# Show the services, the release and the addresses, then run “cccr-web doctor”.

status_show() {
  local unit
  STEP= # the exit status is the doctor’s, so “finish” reports no failed step
  [ -e "$ETC/site.env" ] || fail "The site is not installed on this machine." "Install it with deploy.sh --local."
  [ -z "$INTERRUPTED" ] || say "An earlier run was interrupted. To complete it, run deploy.sh without a command."
  for unit in $(site_units); do
    printf '%-22s %s\n' "$unit" "$(status_of "$unit.service")"
  done
  printf '%-22s %s\n' "release" "$(release_number) (stored: $(releases_stored | paste --serial --delimiters=' '))"
  [ -z "$DOMAIN" ] || printf '%-22s %s\n' "clearnet" "https://${DOMAIN%% *}/"
  printf '%-22s %s\n' "onion" "http://$(onion_published)/"
  status_doctor
}

# Print the names of the services that the site needs.
site_units() { printf '%s\n' nginx "tor@$INSTANCE" "${SERVERS[@]/#/cccr-web-}" cccr-web-manager; }

status_of() { # UNIT
  local state text since
  state=$(systemctl is-active "$1" || true)
  text=$(systemctl show --property=StatusText --value "$1")
  since=$(systemctl show --property=ActiveEnterTimestamp --value "$1")
  echo "$state${since:+ since $since}${text:+: $text}"
}

# The doctor’s exit status is ours.
status_doctor() {
  doctor_options
  echo
  "$COMMAND" doctor "${DOCTOR_OPTIONS[@]}"
}

# Set DOCTOR_OPTIONS. No option holds a space: one unit’s command line has them, too.
doctor_options() {
  local server unit
  DOCTOR_OPTIONS=(--release "$CURRENT" --public-key "$ETC/public.key"
    --onion-address "$(onion_published)" --onion-key "$ONION_KEY_FILE" --control "unix:/run/tor-instances/$INSTANCE/control"
    --private /run/cccr-nginx=root:0750 --private "/run/tor-instances/$INSTANCE/control=0660")
  for server in "${SERVERS[@]}"; do
    DOCTOR_OPTIONS+=(--state "/var/lib/cccr-web-$server" --private "/run/cccr-web/$server.sock=root:0660"
      --private "/var/lib/private/cccr-web-$server=0700")
  done
  for unit in $(site_units); do DOCTOR_OPTIONS+=(--unit "$unit.service"); done
  [ ! -e "$BASELINE" ] || DOCTOR_OPTIONS+=(--baseline "$BASELINE")
  [ -z "$DOMAIN" ] || DOCTOR_OPTIONS+=(--domain "${DOMAIN%% *}")
  if [ -e "$CERTIFICATE" ]; then DOCTOR_OPTIONS+=(--private "$CERTIFICATE/privkey.pem=root:0600"); fi
  if [ -f "$ETC/torrc" ]; then DOCTOR_OPTIONS+=(--torrc "$ETC/torrc"); fi
}
