#!/usr/bin/env bash
# The server’s part of deploy.sh. It runs as root from the folder that deploy.sh sent (the bundle):
#
#   server/         these files
#   settings/       site.env, public.key, onion.key, torrc (each optional)
#   release/        a signed release
#   requirements.txt, wheels/   our code, or “source”, a link to a checkout to build it from
#   offline         exists if pip must not use the network
#   history/        rollback state from a backup
#
#   server/run.sh [--dry-run] install|release|rollback|status|backup|upgrade|uninstall [--purge]
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
PURGE=no

for file in common settings packages wheels code release tor nginx certificate units firewall system backup status uninstall; do
  # shellcheck source=/dev/null
  . "$HERE/$file.sh"
done

case ${1:-} in --dry-run) DRY_RUN=yes && shift ;; esac
COMMAND_NAME=${1:-}
[ "${2:-}" != --purge ] || PURGE=yes

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
  if [ -f "$file" ]; then
    settings_read "$file"
  elif [ "$COMMAND_NAME" = install ] || [ "$COMMAND_NAME" = upgrade ]; then
    fail "There are no settings." "Copy deploy/site.env.example to deploy/site.env and fill it in."
  else
    fail "The site is not installed on this machine."
  fi
  [ -z "$DOMAIN" ] || SERVERS=(clearnet onion)
}

# Two simultaneous runs would undo each other’s changes.
lock() {
  [ "$DRY_RUN" = no ] || return 0
  exec 9>/run/lock/cccr-web
  flock --nonblock 9 || fail "deploy.sh is already running on this machine." "Wait until it has finished."
}

install_all() {
  step "packages"
  packages_install
  code_install
  settings_install
  onion_key_install
  history_restore
  release_store
  if [ ! -d "$BUNDLE/release" ] && [ -z "$(release_number)" ]; then
    fail "There is no release to serve." "Set RELEASE in the settings to the folder of a signed release."
  fi
  # Running servers reload here, unless the key changed. New ones need a release before they start.
  if [ -n "$NEW_RELEASE" ] && release_is_wanted "$NEW_RELEASE"; then release_switch "$NEW_RELEASE"; fi
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
  remove /run/cccr-front # where nginx listened for tor until version 0.2.0
  certificate_install
  release_prune
  code_prune
  nginx_warm
}

release_new() {
  release_store
  [ -n "$NEW_RELEASE" ] || fail "The bundle contains no release."
  release_switch "$NEW_RELEASE"
  [ "$DRY_RUN" = yes ] || rm -f "$DATA/left"
  after_switch
}

# nginx needs new cache keys, and the new release’s headers for its own responses.
after_switch() {
  [ -e "$NGINX/nginx.conf" ] || return 0
  nginx_install
  nginx_start
  nginx_warm
  release_prune
}

summarize() {
  local warning
  if [ "$DRY_RUN" = yes ]; then
    say "Changes that would be made: $CHANGES. Nothing was changed."
  elif [ "$CHANGES" = 0 ]; then
    say "Nothing needed to be changed."
  else
    say "Done. Changes made: $CHANGES."
  fi
  for warning in "${WARNINGS[@]}"; do say "$warning"; done
  UNDO=() STEP=
  [ ${#WARNINGS[@]} = 0 ]
}

addresses() {
  [ -z "$DOMAIN" ] || [ ! -e "$NGINX/tls.conf" ] || echo "clearnet https://${DOMAIN%% *}/"
  echo "onion http://$(onion_address)/"
}

check_machine
if [ "$COMMAND_NAME" != uninstall ] || [ -e "$ETC/site.env" ]; then read_settings; fi
lock
case $COMMAND_NAME in
  install)
    install_all
    addresses
    summarize
    ;;
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
  rollback)
    release_rollback
    after_switch
    summarize
    ;;
  status) status_show ;;
  backup) backup_export ;;
  uninstall) uninstall "$PURGE" ;;
  *) fail "There is no command “$COMMAND_NAME”." ;;
esac
