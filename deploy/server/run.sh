#!/usr/bin/env bash
# The server’s part of deploy.sh. It runs as root from the folder that deploy.sh sent (the bundle):
#
#   server/         these files
#   settings/       site.env, public.key or policy.txt, onion.key, torrc (each optional)
#   kept.backup     the encrypted backup that “uninstall” leaves on the server
#   release/        a signed release
#   SHA256SUMS.latest   what “latest” puts next to the release that is served
#   requirements.txt, wheels/   our code, or “source”, a link to a checkout to build it from
#   offline         exists if pip must not use the network
#   highest-sequence/, policy/   rollback state from a backup; “history” in one of version 0.2.0 or older
#
#   server/run.sh [--dry-run] [--drop-domain] [--replace-onion] [--purge] [--check] [--json] install|prepare|release|latest|rollback|status|serves|peer|backend|front|front-prepare|front-upgrade|front-status|promote|notify-test|watch-install|backup|keep|upgrade|uninstall
set -euo pipefail
# Run the last command of “… | put FILE” in this shell, so that its changes are recorded.
shopt -s lastpipe
umask 022
export LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BUNDLE=$(dirname "$HERE")
ETC=/etc/cccr-web
CODE=/opt/cccr-web
DATA=/srv/cccr-web
WARNINGS=()     # problems that did not stop the run
NEW_RELEASE=    # the number of the bundle’s release
COMMAND_NAME=
DROP_DOMAIN=no
REPLACE_ONION=no
PURGE=no
LOCAL=${LOCAL:-no} # whether deploy.sh runs on the server itself
CHECK=no        # whether this server must pass its checks at the end
JSON=no
SWITCHED=no     # whether this run has let a server switch to another release

for file in common interrupted settings packages wheels code release tor peers nginx certificate units firewall balance ssh system notify watch backup status uninstall; do
  # shellcheck source=/dev/null
  . "$HERE/$file.sh"
done

for argument in "$@"; do
  case $argument in
    --dry-run) DRY_RUN=yes ;;
    --drop-domain) DROP_DOMAIN=yes ;;
    --replace-onion) REPLACE_ONION=yes ;;
    --purge) PURGE=yes ;;
    --check) CHECK=yes ;;
    --json) JSON=yes ;;
    --dead) ;; # for deploy.sh only
    *) COMMAND_NAME=$argument ;;
  esac
done

WORK=$(mktemp -d)
trap finish EXIT
trap 'exit 130' INT TERM HUP

check_machine() {
  [ "$(id -u)" = 0 ] || fail "This command must run as root."
  # shellcheck source=/dev/null
  . /etc/os-release
  case ${ID:-}:${VERSION_ID:-} in
    debian:12 | debian:13) ;;
    *) fail "This machine runs ${PRETTY_NAME:-an unknown system}. The site needs Debian 12 or 13." ;;
  esac
  [ -d /run/systemd/system ] || fail "This machine does not run systemd."
}

read_settings() {
  local file=$BUNDLE/settings/site.env
  [ -f "$file" ] || file=$ETC/site.env
  [ -f "$file" ] || file=$FRONT_FOLDER/site.env
  if [ -f "$file" ]; then
    settings_read "$file"
  elif [ "$COMMAND_NAME" = install ] || [ "$COMMAND_NAME" = upgrade ]; then
    fail "There are no settings." "Copy deploy/site.env.example to deploy/site.env and fill it in."
  else
    fail "The site is not installed on this machine."
  fi
  [ -z "$DOMAIN" ] || WEB_SERVERS=(clearnet onion)
}

# Exit 3, so that deploy.sh asks, if the settings no longer name a domain that readers use.
check_domain() {
  local name before=''
  [ ! -f "$ETC/site.env" ] || before=$(settings_read "$ETC/site.env" && echo "$DOMAIN")
  if [ "$DROP_DOMAIN" = yes ] || [ "$DRY_RUN" = yes ]; then return 0; fi
  for name in $before; do
    [[ " $DOMAIN " != *" $name "* ]] || continue
    say "DOMAIN in the settings no longer names $name, so https://$name/ would stop answering."
    STEP= && exit 3
  done
}

install_all() {
  check_domain
  nginx_check_others
  ssh_install
  step "packages"
  packages_install "${PACKAGES[@]}" ${DOMAIN:+"${PACKAGES_FOR_A_DOMAIN[@]}"}
  code_install
  settings_install
  notify_settings
  onion_key_install
  peers_install
  front_end
  backup_restore_guard
  release_store
  if [ ! -d "$BUNDLE/release" ] && [ -z "$(release_number)" ]; then
    fail "There is no release to serve." "Set RELEASE in the settings to the folder of a signed release."
  fi
  # Running servers reload here, unless the key changed. New ones need a release before they start.
  if [ -z "$NEW_RELEASE" ] || ! release_is_wanted "$NEW_RELEASE"; then NEW_RELEASE=$(release_number); fi
  [ -z "$NEW_RELEASE" ] || release_switch "$NEW_RELEASE"
  release_check_key
  tor_install
  units_install
  nginx_install
  units_daemon_reload
  firewall_install
  system_install
  step "start"
  firewall_start
  tor_start
  units_start
  nginx_start
  release_check_servers
  remove /run/cccr-front # where nginx listened for tor until version 0.2.0
  certificate_install
  release_prune
  code_prune
  nginx_warm
  notify_install
  notify_start
}

# What takes long, and changes nothing that runs.
prepare() { # PACKAGE…
  packages_install "$@"
  code_install unused
  UNDO=() STEP=
}

release_new() {
  release_store
  [ -n "$NEW_RELEASE" ] || fail "The bundle contains no release."
  release_switch "$NEW_RELEASE"
  [ "$DRY_RUN" = yes ] || rm -f "$ROLLED_BACK" "$DATA/left"
  after_switch
}

# nginx needs new cache keys.
after_switch() {
  release_check_servers
  [ -e "$NGINX/nginx.conf" ] || return 0
  step "nginx"
  nginx_start
  nginx_warm
  release_prune
  if notify_nginx_changed; then notify_baseline; fi
}

# From here on nothing fails or is undone.
summarize() {
  UNDO=() STEP=
  interrupted_done
  if [ "$DRY_RUN" = yes ]; then
    say "Changes that would be made: $CHANGES. Nothing was changed."
  elif [ ${#WARNINGS[@]} != 0 ]; then
    say "The site is not complete yet. Changes made: $CHANGES."
    printf '%s\n' "${WARNINGS[@]}" >&2
  elif [ "$CHANGES" = 0 ]; then
    say "Nothing needed to be changed."
  else
    say "Done. Changes made: $CHANGES."
  fi
  [ ${#WARNINGS[@]} = 0 ] || exit "$CERTIFICATE_STATUS"
  if [ "$CHECK" = yes ] && [ "$DRY_RUN" = no ] && balance_left; then
    say "The other servers still answer for the onion, so this one is visited once more."
    exit 4
  fi
  if [ "$CHECK" = yes ] && [ "$DRY_RUN" = no ]; then status_check; fi
}

addresses() {
  [ -z "$DOMAIN" ] || [ ! -e "$NGINX/tls.conf" ] || echo "clearnet https://${DOMAIN%% *}/"
  echo "onion http://$(onion_address)/"
}

[[ " serves peer backend " != *" $COMMAND_NAME "* ]] || STEP=
check_machine
if [[ " uninstall keep " != *" $COMMAND_NAME "* ]] || [ -e "$ETC/site.env" ]; then read_settings; fi
lock
case $COMMAND_NAME in
  install)
    install_all
    addresses
    summarize
    ;;
  prepare) prepare "${PACKAGES[@]}" ${DOMAIN:+"${PACKAGES_FOR_A_DOMAIN[@]}"} ;;
  front-prepare) prepare "${PACKAGES_FOR_A_FRONT[@]}" ;;
  upgrade)
    step "Debian’s packages"
    if change "upgrade Debian’s packages"; then apt_get upgrade; fi
    install_all
    addresses
    summarize
    ;;
  release)
    release_new
    summarize
    ;;
  latest)
    release_latest
    after_switch
    summarize
    ;;
  rollback)
    release_rollback
    after_switch
    summarize
    ;;
  status) status_show ;;
  serves) status_serves ;;
  peer)
    has_peers || fail "It is not installed as one of several servers."
    peer_own
    ;;
  backend)
    is_backend || fail "It is not installed with ONION_MODE=balance."
    backend_address
    ;;
  front | front-upgrade)
    front_install
    summarize
    ;;
  front-status) front_status ;;
  promote)
    peers_promote
    summarize
    ;;
  notify-test) notify_test ;;
  watch-install)
    watch_install
    summarize
    ;;
  backup) backup_export ;;
  keep) [ -z "$(onion_key_found)" ] || backup_export ;;
  uninstall) uninstall "$PURGE" ;;
  *) fail "There is no command “$COMMAND_NAME”." ;;
esac
