# shellcheck shell=bash
# How it stands, in short; then what the doctor says.

status_show() {
  local unit
  [ -e "$ETC/site.env" ] || fail "There is no site on this machine." "deploy.sh --local sets it up."
  for unit in nginx "tor@$INSTANCE" "${SERVERS[@]/#/cccr-web-}" cccr-web-manager; do
    printf '%-22s %s\n' "$unit" "$(status_of "$unit.service")"
  done
  printf '%-22s %s\n' "release" "$(release_number); on the disk: $(find "$RELEASES" -mindepth 1 -maxdepth 1 -name '[0-9]*' -printf '%f\n' | sort --numeric-sort | paste --serial --delimiters=' ')"
  [ -z "$DOMAIN" ] || printf '%-22s %s\n' "clearnet" "https://${DOMAIN%% *}/"
  printf '%-22s %s\n' "onion" "http://$(onion_address)/"
  status_doctor
}

status_of() { # UNIT
  local state text since
  state=$(systemctl is-active "$1" || true)
  text=$(systemctl show --property=StatusText --value "$1")
  since=$(systemctl show --property=ActiveEnterTimestamp --value "$1")
  echo "$state${since:+ since $since}${text:+: $text}"
}

# The doctor’s judgement is the command’s.
status_doctor() {
  :
}
