#!/usr/bin/env bash
# What deploy.sh does on the server itself, as root, from the folder that it sent (the “bundle”):
#
#   server/         these files
#   settings/       site.env, public.key, onion.key, torrc (each only if there is one)
#   release/        a signed release
#   requirements.txt, wheels/   our code; “source” instead leads to a checkout to build it from
#   offline         whether pip must ask nobody
#   history/        from a backup
#
#   server/run.sh [--dry-run] install|release|rollback|status|backup|upgrade|uninstall [--purge]
set -euo pipefail
# So that “… | put FILE” is remembered by this very shell.
shopt -s lastpipe
umask 022
export LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BUNDLE=$(dirname "$HERE")
ETC=/etc/cccr-web
CODE=/opt/cccr-web
DATA=/srv/cccr-web
LATER=()        # what is not as it should be, though all was done
NEW_RELEASE=    # the number of the one that came with the bundle
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
  [ "$(id -u)" = 0 ] || fail "This must run as root."
  # shellcheck source=/dev/null
  . /etc/os-release
  case ${ID:-}:${VERSION_ID:-} in
    debian:12 | debian:13) ;;
    *) fail "This machine is ${PRETTY_NAME:-unknown}; the site needs Debian 12 or 13." ;;
  esac
  [ -d /run/systemd/system ] || fail "This machine was not started by systemd."
}

read_settings() {
  local file=$BUNDLE/settings/site.env
  [ -f "$file" ] || file=$ETC/site.env
  if [ -f "$file" ]; then
    settings_read "$file"
  elif [ "$COMMAND_NAME" = install ] || [ "$COMMAND_NAME" = upgrade ]; then
    fail "There are no settings." "Copy deploy/site.env.example to deploy/site.env and fill it in."
  else
    fail "There is no site on this machine."
  fi
  [ -z "$DOMAIN" ] || SERVERS=(clearnet onion)
}

# Two runs at once would undo each other.
lock() {
  [ "$DRY_RUN" = no ] || return 0
  exec 9>/run/lock/cccr-web
  flock --nonblock 9 || fail "Another run of deploy.sh works on this machine." "Wait for its end."
}

install_all() {
  step "packages"
  packages_install
  code_install
  settings_install
  onion_key_install
  history_restore
  release_take
  if [ -z "$NEW_RELEASE" ] && [ -z "$(release_number)" ]; then
    fail "There is no release to serve." "Name the folder of a signed one as RELEASE in the settings."
  fi
  # Before the units start, they need something to serve; if they run, they are told.
  if [ -n "$NEW_RELEASE" ] && release_is_wanted "$NEW_RELEASE"; then release_switch "$NEW_RELEASE"; fi
  tor_install
  units_install
  nginx_install
  units_reload_manager
  firewall_install
  system_install
  step "start"
  firewall_start
  tor_start
  units_start
  nginx_start
  certificate_install
  release_tidy
  code_tidy
  nginx_warm
}

release_new() {
  release_take
  [ -n "$NEW_RELEASE" ] || fail "No release came with this command."
  release_switch "$NEW_RELEASE"
  [ "$DRY_RUN" = yes ] || rm -f "$DATA/left"
  after_switch
}

# New keys in nginx’s cache, and the new release’s policy for nginx’s own answers.
after_switch() {
  [ -e "$NGINX/nginx.conf" ] || return 0
  nginx_install
  nginx_start
  nginx_warm
  release_tidy
}

the_end() {
  local sentence
  if [ "$DRY_RUN" = yes ]; then
    say "Changes that would be made: $CHANGES. Nothing was changed."
  elif [ "$CHANGES" = 0 ]; then
    say "Nothing had to be changed."
  else
    say "Done. Changes made: $CHANGES."
  fi
  for sentence in "${LATER[@]}"; do say "$sentence"; done
  UNDO=()
  [ ${#LATER[@]} = 0 ]
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
    the_end
    ;;
  upgrade)
    step "Debian’s packages"
    if change "upgrade Debian’s packages"; then apt_get upgrade; fi
    install_all
    addresses
    the_end
    ;;
  release)
    release_new
    the_end
    ;;
  rollback)
    release_rollback
    after_switch
    the_end
    ;;
  status) status_show ;;
  backup) backup_export ;;
  uninstall) uninstall "$PURGE" ;;
  *) fail "There is no command “$COMMAND_NAME”." ;;
esac
