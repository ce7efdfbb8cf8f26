# shellcheck shell=bash
# Several servers with one onion: one publishes it. Over an onion of its own, each reads the others’
# promotion notes (cccr_web/standby.py).

PEERS=$ETC/peers
PEER_KEY=$ETC/peer.key
PROMOTION=$ETC/promotion
STANDBY=/run/cccr-web-manager/standby

has_peers() { [ -f "$PEERS" ]; }

# Only the admin’s settings name the servers. Without them, what is on this server stays.
peers_install() {
  local names name own address kind=first
  [ -f "$BUNDLE/settings/server" ] || return 0
  own=$(cat "$BUNDLE/settings/server")
  read -ra names <<<"$SERVERS"
  if [ ${#names[@]} -lt 2 ] || is_backend; then
    remove "$PEERS"
    remove "$PEER_KEY"
    remove "$PROMOTION"
    return 0
  fi
  step "peers"
  if ! "$COMMAND" onion key derive --help >/dev/null 2>&1; then
    change "write $PEERS" || true # a dry run: our code is missing or older
    return 0
  fi
  rm -f "$WORK/peer.key"
  for name in "${names[@]}"; do
    if [ "$name" = "$own" ]; then address=$(peer_address "$name" --out "$WORK/peer.key"); else address=$(peer_address "$name"); fi
    [ -z "$kind" ] || echo "first $address"
    kind=
    if [ "$name" = "$own" ]; then echo "own $address"; else echo "other $address"; fi
  done >"$WORK/peers"
  [ -f "$WORK/peer.key" ] || fail "SERVERS in the settings does not name this server, which you call $own."
  { echo "# Written by deploy.sh: the onions of the servers, for their questions to each other."; cat "$WORK/peers"; } | put "$PEERS"
  # A note that names none of them is of a former onion key, or of a server that was taken out.
  if [ -f "$PROMOTION" ] && ! grep --quiet " $(promotion_field Publisher "$PROMOTION")\$" "$WORK/peers"; then remove "$PROMOTION"; fi
  if [ -f "$PEER_KEY" ] && [ "$(key_address "$PEER_KEY")" = "$(peer_own)" ]; then return 0; fi
  put "$PEER_KEY" 400 root:root secret <"$WORK/peer.key"
}

peer_address() { # NAME [--out FILE]
  install --mode 400 "$(onion_key_found)" "$WORK/derive"
  "$COMMAND" onion key derive "$WORK/derive" "$@"
}

# Print the address of this server’s own onion.
peer_own() { awk '$1 == "own" { print $2 }' "$PEERS"; }

promotion_field() { # NAME FILE
  sed -n "s/^$1: //p" "$2" 2>/dev/null || true
}

# Follow the admin’s new note: end publishing and stand by, or publish.
peers_promote() {
  local new=$BUNDLE/promotion try text='' wanted=Standby
  has_peers || fail "This server is one of several only after deploy.sh has installed it with SERVERS in the settings."
  step "promotion"
  [ "$(promotion_field Number "$new")" -ge "0$(promotion_field Number "$PROMOTION")" ] ||
    fail "This server has a newer note already." "Check the clock of your machine."
  put "$PROMOTION" <"$new"
  ! changed "$PROMOTION" || unit_action restart cccr-web-manager.service
  [ "$DRY_RUN" = no ] || return 0
  UNDO=() # the note must stay: another server may act on it
  [ "$(promotion_field Publisher "$new")" != "$(peer_own)" ] || wanted=Published
  for try in $(seq 300); do
    text=$(systemctl show --property=StatusText --value cccr-web-manager.service)
    if [[ $text == "$wanted:"* ]]; then
      note "$text"
      return 0
    fi
    [ "$try" != 30 ] || note "waiting up to 5 minutes for the onion manager: $text"
    sleep 1
  done
  fail "The onion manager has not followed: $text" "See: journalctl --unit=cccr-web-manager --lines=20"
}
