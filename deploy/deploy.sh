#!/usr/bin/env bash
# From a fresh Debian 12 or 13 to the live site and its onion, and all that comes after.
#
#   deploy/deploy.sh [OPTIONS] [root@SERVER|--local] [COMMAND]
#
#   install            set everything up, or mend it; changes nothing that is as it should be
#                      (what it does without a COMMAND)
#   release DIR        switch to the signed release in DIR, without a dropped request
#   rollback           go back to the release before the one that is served
#   status             how it stands, in short, and what the doctor says
#   backup FILE        the onion’s identity, settings and release into FILE, encrypted
#   restore FILE       set up a server with what FILE holds: the same onion address
#   upgrade            Debian’s packages and our code anew, then as install
#   uninstall          take everything away, but keep the key and the release in /root;
#                      with --purge nothing of it
#   bundle FILE        write all that --offline needs into FILE
#
#   --dry-run               show every change as a difference, and change nothing
#   --settings FILE         the settings (otherwise deploy/site.env, if there is one)
#   --offline FILE          take our code from what “bundle” wrote: no package index is asked
#   --passphrase-file FILE  for backup and restore, instead of asking
#
# Without root@SERVER or --local, the server is the one that SERVER names in the settings.
# Everything is plain bash: what runs on the server is in deploy/server/.
set -euo pipefail

TOP=$(cd "$(dirname "$0")/.." && pwd)
DRY_RUN=no
for file in common settings wheels; do
  # shellcheck source=/dev/null
  . "$TOP/deploy/server/$file.sh"
done

usage() { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; }
wrong() {
  say "$1"
  say "deploy/deploy.sh --help tells how it is used."
  exit 2
}

WHERE='' COMMAND=install ARGUMENT='' OPTIONS=() SETTINGS_FILE='' OFFLINE='' PURGE=()
# gpg asks in this terminal by itself; no other program is needed for it.
PASSPHRASE=(--pinentry-mode loopback)
read_command_line() {
  local words=() word
  while [ $# -gt 0 ]; do
    word=$1
    shift
    case $word in
      -h | --help) usage && exit 0 ;;
      --local) WHERE=--local ;;
      --dry-run) DRY_RUN=yes OPTIONS=(--dry-run) ;;
      --purge) PURGE=(--purge) ;;
      --settings | --offline | --passphrase-file)
        [ $# -gt 0 ] || wrong "$word needs a file."
        [ -r "$1" ] || wrong "$word: $1 cannot be read."
        case $word in
          --settings) SETTINGS_FILE=$1 ;;
          --offline) OFFLINE=$1 ;;
          *) PASSPHRASE=(--batch --pinentry-mode loopback --passphrase-file "$1") ;;
        esac
        shift
        ;;
      -*) wrong "There is no option $word." ;;
      *@*) WHERE=$word ;;
      *) words+=("$word") ;;
    esac
  done
  [ ${#words[@]} = 0 ] || COMMAND=${words[0]}
  ARGUMENT=${words[1]:-}
  case $COMMAND in
    install | rollback | status | upgrade | uninstall) [ ${#words[@]} -le 1 ] || wrong "$COMMAND takes no “$ARGUMENT”." ;;
    release | backup | restore | bundle) [ ${#words[@]} = 2 ] || wrong "$COMMAND needs one file or folder." ;;
    *) wrong "There is no command “$COMMAND”." ;;
  esac
  [ "$COMMAND" != release ] || [ -d "$ARGUMENT" ] || wrong "There is no folder $ARGUMENT."
  [ "$COMMAND" != restore ] || [ -r "$ARGUMENT" ] || wrong "There is no file $ARGUMENT."
}

read_settings() {
  local file=$SETTINGS_FILE
  [ -n "$file" ] || [ ! -f "$TOP/deploy/site.env" ] || file=$TOP/deploy/site.env
  settings_clear
  if [ -n "$file" ]; then
    settings_read "$file"
    SETTINGS_FILE=$file
    # Paths count from where the settings are.
    local name folder
    folder=$(cd "$(dirname "$file")" && pwd)
    for name in RELEASE PUBLIC_KEY ONION_KEY TORRC; do
      case ${!name} in '' | /* | RW*) ;; *) printf -v "$name" %s "$folder/${!name}" ;; esac
      [ -z "${!name}" ] || [[ ${!name} == RW* ]] || [ -r "${!name}" ] || fail "$name: ${!name} cannot be read." "Correct it in $file."
    done
  fi
  [ -n "$WHERE" ] || WHERE=$SERVER
  [ -n "$WHERE" ] || [ "$COMMAND" = bundle ] ||
    wrong "On which server? Give root@SERVER or --local, or write SERVER=root@… into the settings."
}

# What the server gets.
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
  verify_here "$1"
  cp --recursive "$1" "$BUNDLE/release"
}

bundle_code() {
  if [ -n "$OFFLINE" ]; then
    tar --extract --file "$OFFLINE" --directory "$BUNDLE" || fail "$OFFLINE is not what “bundle” wrote."
    touch "$BUNDLE/offline"
  elif [ "$WHERE" = --local ]; then
    ln -s "$TOP" "$BUNDLE/source" # built after the packages that this needs are there
  else
    wheels_build "$TOP" "$BUNDLE"
  fi
}

# Nothing leaves this machine that is not in order; the server checks it once more.
verify_here() { # FOLDER
  local command=$TOP/deploy/cccr-web
  [ "$WHERE" != --local ] || command=/opt/cccr-web/current/bin/cccr-web
  [ -x "$command" ] || return 0 # a first --local: the same machine checks it in a moment
  local key=$PUBLIC_KEY
  [ -n "$key" ] || [ "$WHERE" != --local ] || key=/etc/cccr-web/public.key
  [ -n "$key" ] || fail "There is no public key to check the release by." "Name its file as PUBLIC_KEY in the settings."
  "$command" verify "$1" --public-key "$key" --deployable >&2 || exit 1
}

# Run the same script there or here.
on_server() { # ARGUMENT…
  if [ "$WHERE" = --local ]; then
    bash "$BUNDLE/server/run.sh" "${OPTIONS[@]}" "$@"
    return
  fi
  # Everything in one connection, by a folder that only root can read and that goes at the end.
  # shellcheck disable=SC2016 # the server’s shell expands it
  tar --create --gzip --directory "$BUNDLE" . | ssh "$WHERE" \
    'set -eu; umask 077; d=$(mktemp -d); trap '\''rm -rf "$d"'\'' EXIT; tar --extract --gzip --directory "$d"; bash "$d/server/run.sh" '"${OPTIONS[*]} $*"
}

backup() { # FILE
  local file=$1
  command -v gpg >/dev/null || fail "gpg is missing on this machine." "As root: apt-get install gpg gpg-agent"
  [ ! -e "$file" ] || fail "There is already a $file; a backup is never overwritten." "Give it another name."
  (umask 077 && on_server backup >"$WORK/backup.tar")
  gpg --quiet "${PASSPHRASE[@]}" --symmetric --cipher-algo AES256 --s2k-digest-algo SHA512 --s2k-count 65011712 \
    --no-symkey-cache --output "$file.partial" "$WORK/backup.tar" || fail "gpg did not encrypt the backup." "Nothing was written."
  mv "$file.partial" "$file"
  say "Written: $file. Keep it, and its passphrase, apart from the server."
}

restore() { # FILE
  mkdir "$WORK/restored"
  (umask 077 && gpg --quiet "${PASSPHRASE[@]}" --decrypt --no-symkey-cache "$1" >"$WORK/backup.tar") ||
    fail "$1 cannot be decrypted." "See that it is a backup and the passphrase is right."
  tar --extract --file "$WORK/backup.tar" --directory "$WORK/restored"
  [ -f "$WORK/restored/settings/onion.key" ] || fail "$1 holds no onion key: it is no backup of this kind."
  cp --recursive "$WORK/restored/." "$BUNDLE"
  # A file of settings given here goes before the one in the backup: another contact, say.
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
  say "Written: $1, for deploy/deploy.sh --offline $1"
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
