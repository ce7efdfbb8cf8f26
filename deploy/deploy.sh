#!/usr/bin/env bash
# Deploy the site and its onion to a Debian 12 or 13 server, and maintain it.
#
#   deploy/deploy.sh [OPTIONS] [root@SERVER|--local] [COMMAND]
#
#   install            set up or repair the server; change only what differs (the default)
#   release DIR        switch to the signed release in DIR without dropping a request
#   rollback           go back to the release before the current one
#   status             show the services, the release and the result of “cccr-web doctor”
#   backup FILE        write the onion key, settings and release to FILE, encrypted
#   restore FILE       set up a server from a backup, with the same onion address
#   upgrade            upgrade Debian’s packages and our code, then install
#   uninstall          remove everything except the key and the release, which move to /root;
#                      with --purge, remove those too
#   bundle FILE        write everything that --offline needs to FILE
#
#   --dry-run               show every change as a diff, and change nothing
#   --settings FILE         the settings (default: deploy/site.env, if it exists)
#   --offline FILE          install our code from a bundle, without a package index
#   --passphrase-file FILE  for backup and restore; without it, gpg asks
#
# Without root@SERVER or --local, SERVER in the settings names the server.
# Everything is plain bash. The code that runs on the server is in deploy/server/.
set -euo pipefail

TOP=$(cd "$(dirname "$0")/.." && pwd)
DRY_RUN=no
for file in common settings wheels; do
  # shellcheck source=/dev/null
  . "$TOP/deploy/server/$file.sh"
done

usage() { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; }
usage_error() {
  say "$1"
  say "See deploy/deploy.sh --help."
  exit 2
}

TARGET='' COMMAND=install ARGUMENT='' OPTIONS=() SETTINGS_FILE='' OFFLINE='' PURGE=()
# gpg asks in this terminal, so no pinentry program is needed.
PASSPHRASE=(--pinentry-mode loopback)
read_command_line() {
  local positional=() argument
  while [ $# -gt 0 ]; do
    argument=$1
    shift
    case $argument in
      -h | --help) usage && exit 0 ;;
      --local) TARGET=--local ;;
      --dry-run) DRY_RUN=yes OPTIONS=(--dry-run) ;;
      --purge) PURGE=(--purge) ;;
      --settings | --offline | --passphrase-file)
        [ $# -gt 0 ] || usage_error "$argument needs a file."
        [ -r "$1" ] || usage_error "$argument: cannot read $1."
        case $argument in
          --settings) SETTINGS_FILE=$1 ;;
          --offline) OFFLINE=$1 ;;
          *) PASSPHRASE=(--batch --pinentry-mode loopback --passphrase-file "$1") ;;
        esac
        shift
        ;;
      -*) usage_error "There is no option $argument." ;;
      *@*) TARGET=$argument ;;
      *) positional+=("$argument") ;;
    esac
  done
  [ ${#positional[@]} = 0 ] || COMMAND=${positional[0]}
  ARGUMENT=${positional[1]:-}
  case $COMMAND in
    install | rollback | status | upgrade | uninstall) [ ${#positional[@]} -le 1 ] || usage_error "$COMMAND takes no argument, but got “$ARGUMENT”." ;;
    release | backup | restore | bundle) [ ${#positional[@]} = 2 ] || usage_error "$COMMAND needs exactly one file or folder." ;;
    *) usage_error "There is no command “$COMMAND”." ;;
  esac
  [ "$COMMAND" != release ] || [ -d "$ARGUMENT" ] || usage_error "There is no folder $ARGUMENT."
  [ "$COMMAND" != restore ] || [ -r "$ARGUMENT" ] || usage_error "There is no file $ARGUMENT."
}

read_settings() {
  local file=$SETTINGS_FILE
  [ -n "$file" ] || [ ! -f "$TOP/deploy/site.env" ] || file=$TOP/deploy/site.env
  settings_clear
  if [ -n "$file" ]; then
    settings_read "$file"
    SETTINGS_FILE=$file
    # Paths are relative to the folder of the settings.
    local name folder
    folder=$(cd "$(dirname "$file")" && pwd)
    for name in RELEASE PUBLIC_KEY ONION_KEY TORRC; do
      case ${!name} in '' | /* | RW*) ;; *) printf -v "$name" %s "$folder/${!name}" ;; esac
      [ -z "${!name}" ] || [[ ${!name} == RW* ]] || [ -r "${!name}" ] || fail "$name: cannot read ${!name}." "Correct it in $file."
    done
  fi
  [ -n "$TARGET" ] || TARGET=$SERVER
  [ -n "$TARGET" ] || [ "$COMMAND" = bundle ] ||
    usage_error "No server is named. Give root@SERVER or --local, or set SERVER=root@… in the settings."
}

# These functions fill the folder that is sent to the server.
bundle_scripts() {
  mkdir -p "$BUNDLE/settings"
  cp --recursive "$TOP/deploy/server" "$BUNDLE/server"
}

bundle_settings() {
  [ -z "$SETTINGS_FILE" ] || cp "$SETTINGS_FILE" "$BUNDLE/settings/site.env"
  if [[ $PUBLIC_KEY == RW* ]]; then
    printf 'untrusted comment: the organisation’s key\n%s\n' "$PUBLIC_KEY" >"$BUNDLE/settings/public.key"
  elif [ -n "$PUBLIC_KEY" ]; then
    cp "$PUBLIC_KEY" "$BUNDLE/settings/public.key"
  fi
  [ -z "$ONION_KEY" ] || cp "$ONION_KEY" "$BUNDLE/settings/onion.key"
  [ -z "$TORRC" ] || cp "$TORRC" "$BUNDLE/settings/torrc"
}

bundle_release() { # FOLDER
  [ -n "$1" ] || return 0
  verify_release "$1"
  cp --recursive "$1" "$BUNDLE/release"
}

bundle_code() {
  if [ -n "$OFFLINE" ]; then
    tar --extract --file "$OFFLINE" --directory "$BUNDLE" || fail "$OFFLINE was not written by “bundle”."
    touch "$BUNDLE/offline"
  elif [ "$TARGET" = --local ]; then
    ln -s "$TOP" "$BUNDLE/source" # built later, once the packages that the build needs are installed
  else
    wheels_build "$TOP" "$BUNDLE"
  fi
}

# Verify a release before it leaves this machine. The server verifies it again.
verify_release() { # FOLDER
  local command=$TOP/deploy/cccr-web
  [ "$TARGET" != --local ] || command=/opt/cccr-web/current/bin/cccr-web
  [ -x "$command" ] || return 0 # the first --local run: our code is not installed yet
  local key=$PUBLIC_KEY
  [ -n "$key" ] || [ "$TARGET" != --local ] || key=/etc/cccr-web/public.key
  [ -n "$key" ] || fail "There is no public key to verify the release with." "Set PUBLIC_KEY in the settings to its file."
  "$command" verify "$1" --public-key "$key" --deployable >&2 || exit 1
}

# Run server/run.sh on the target.
on_server() { # ARGUMENT…
  if [ "$TARGET" = --local ]; then
    bash "$BUNDLE/server/run.sh" "${OPTIONS[@]}" "$@"
    return
  fi
  # One connection carries everything. The folder on the server is readable by root only and is
  # removed at the end.
  # shellcheck disable=SC2016 # the server’s shell expands it
  tar --create --gzip --directory "$BUNDLE" . | ssh "$TARGET" \
    'set -eu; umask 077; d=$(mktemp -d); trap '\''rm -rf "$d"'\'' EXIT; tar --extract --gzip --directory "$d"; bash "$d/server/run.sh" '"${OPTIONS[*]} $*"
}

backup() { # FILE
  local file=$1
  command -v gpg >/dev/null || fail "gpg is not installed on this machine." "As root: apt-get install gpg gpg-agent"
  [ ! -e "$file" ] || fail "$file already exists, and a backup is never overwritten." "Choose another name."
  (umask 077 && on_server backup >"$WORK/backup.tar")
  gpg --quiet "${PASSPHRASE[@]}" --symmetric --cipher-algo AES256 --s2k-digest-algo SHA512 --s2k-count 65011712 \
    --no-symkey-cache --output "$file.partial" "$WORK/backup.tar" || fail "gpg could not encrypt the backup." "Nothing was written."
  mv "$file.partial" "$file"
  say "Wrote $file. Keep it and its passphrase in different places, and neither on the server."
}

restore() { # FILE
  mkdir "$WORK/restored"
  (umask 077 && gpg --quiet "${PASSPHRASE[@]}" --decrypt --no-symkey-cache "$1" >"$WORK/backup.tar") ||
    fail "$1 cannot be decrypted." "Check that it is a backup and that the passphrase is correct."
  tar --extract --file "$WORK/backup.tar" --directory "$WORK/restored"
  [ -f "$WORK/restored/settings/onion.key" ] || fail "$1 contains no onion key, so “backup” did not write it."
  cp --recursive "$WORK/restored/." "$BUNDLE"
  # Settings given now override those in the backup.
  [ -z "$SETTINGS_FILE" ] || cp "$SETTINGS_FILE" "$BUNDLE/settings/site.env"
  bundle_code
  on_server install
}

bundle() { # FILE
  local out=$WORK/whole
  wheels_build "$TOP" "$out"
  wheels_fetch "$out"
  tar --create --file "$1.partial" --directory "$out" .
  mv "$1.partial" "$1"
  say "Wrote $1. Use it with: deploy/deploy.sh --offline $1"
}

read_command_line "$@"
WORK=$(mktemp -d)
trap 'rm -rf --one-file-system "$WORK"' EXIT
BUNDLE=$WORK/bundle
read_settings
bundle_scripts
case $COMMAND in
  install | upgrade)
    bundle_settings
    bundle_release "$RELEASE"
    bundle_code
    on_server "$COMMAND"
    ;;
  release)
    bundle_release "$ARGUMENT"
    on_server release
    ;;
  rollback | status) on_server "$COMMAND" ;;
  uninstall) on_server uninstall "${PURGE[@]}" ;;
  backup) backup "$ARGUMENT" ;;
  restore) restore "$ARGUMENT" ;;
  bundle) bundle "$ARGUMENT" ;;
esac
