#!/usr/bin/env bash
# Deploy the site and its onion to a Debian 12 or 13 server, and maintain it.
#
#   deploy/deploy.sh [OPTIONS] [root@SERVER|--local] [COMMAND]
#
#   install            set up or repair the server; change only what differs (the default)
#   release DIR        switch to the signed release in DIR without dropping a request
#   latest DIR         sign that the release in DIR is still the newest, and serve that with it
#   rollback           go back to the release before the current one
#   status             show the services, the release and the result of “cccr-web doctor”
#   promote            let root@SERVER publish the onion, in place of another of SERVERS
#   notify-test        send a test message to everyone in NOTIFY
#   watch-install      let another machine watch the site and notify people
#   backup FILE        write the onion key, settings and release to FILE, encrypted
#   restore FILE       set up a server from a backup, with the same onion address
#   upgrade            upgrade Debian’s packages and our code, then install
#   uninstall          remove everything; leave a backup in /root, unless --purge is given
#   bundle FILE        write everything that --offline needs to FILE
#
#   --dry-run               show every change as a diff, and change nothing
#   --settings FILE         the settings (default: deploy/site.env, if it exists)
#   --offline FILE          install our code from a bundle, without a package index
#   --passphrase-file FILE  for backup, restore, uninstall, promote and latest; or you are asked
#   --drop-domain           take down a domain that DOMAIN no longer names, without asking
#   --replace-onion         for install and upgrade: give up the onion’s address for that of ONION_KEY
#   --json                  for status: a list with one object for each server
#   --key FILE              for promote and latest: the organisation’s secret key, or one signer’s
#   --dead                  for promote: accept that a server which does not answer is gone
#
# Without root@SERVER or --local, SERVER in the settings names the server, or SERVERS several: they are
# visited one after another, and the first failure stops the run. A file with @ in its name needs a
# slash: ./NAME. Everything is plain bash, for macOS too: bash 3.2, and the options that BSD’s
# programs have. The code that runs on the server is in deploy/server/.
set -euo pipefail

TOP=$(cd "$(dirname "$0")/.." && pwd)
DRY_RUN=no
for file in common settings wheels; do
  # shellcheck source=/dev/null
  . "$TOP/deploy/server/$file.sh"
done

TARGETS=() # the servers to visit
TARGET='' COMMAND=install ARGUMENT='' SETTINGS_FILE='' OFFLINE='' KEY=''
SWITCHES='' # what server/run.sh gets before the command
PARTIAL=''  # the file that is being written
VISITS_FRONT=no # whether this command also visits FRONT
VISITING=no # yes while several servers are visited, again when some are visited once more
later=()    # the servers to visit once more
PREPARING=() # “SERVER PID” of each process that prepares a server
BATCH=''    # the options of ssh in these
PIN=()      # the option of cccr-web that says whose signatures a release needs
PASSPHRASE_FILE=''
# gpg asks in this terminal, so no pinentry program is needed.
PASSPHRASE=(--pinentry-mode loopback)
read_command_line() {
  local positional=() given='' argument uses
  while [ $# -gt 0 ]; do
    argument=$1
    shift
    case $argument in
      -h | --help) usage && exit 0 ;;
      --dry-run | --drop-domain | --replace-onion | --purge | --json | --dead)
        given="$given $argument"
        SWITCHES="$SWITCHES $argument"
        ;;
      --settings | --offline | --passphrase-file | --key)
        [ $# -gt 0 ] || usage_error "$argument needs a file."
        [ -r "$1" ] || usage_error "$argument: cannot read $1."
        given="$given $argument"
        case $argument in
          --settings) SETTINGS_FILE=$1 ;;
          --offline) OFFLINE=$1 ;;
          --key) KEY=$1 ;;
          *) PASSPHRASE_FILE=$1 ;;
        esac
        shift
        ;;
      --local) target "$argument" ;;
      -*) usage_error "There is no option “${argument}”." ;;
      ssh://* | *@*) if [[ $argument == */* && $argument != ssh://* ]] || [ -e "$argument" ]; then positional+=("$argument"); else target "$argument"; fi ;;
      *) positional+=("$argument") ;;
    esac
  done
  [ ${#positional[@]} = 0 ] || COMMAND=${positional[0]}
  ARGUMENT=${positional[1]:-}
  case $COMMAND in
    install | rollback | status | promote | notify-test | watch-install | upgrade | uninstall) [ ${#positional[@]} -le 1 ] || usage_error "$COMMAND takes no argument, but got “${ARGUMENT}”." ;;
    release | latest | backup | restore | bundle) [ ${#positional[@]} = 2 ] || usage_error "$COMMAND needs exactly one file or folder." ;;
    *) usage_error "There is no command “${COMMAND}”." ;;
  esac
  case $COMMAND in
    install | upgrade) uses='--settings --dry-run --drop-domain --replace-onion --offline' ;;
    restore) uses='--settings --dry-run --drop-domain --offline --passphrase-file' ;;
    release | rollback) uses='--settings --dry-run' ;;
    watch-install) uses='--settings --dry-run --offline' ;;
    status) uses='--settings --json' ;;
    promote) uses='--settings --dead --key --passphrase-file' ;;
    latest) uses='--settings --key --passphrase-file' ;;
    notify-test) uses=--settings ;;
    backup) uses='--settings --passphrase-file' ;;
    uninstall) uses='--settings --dry-run --purge --passphrase-file' ;;
    bundle) uses='' ;;
  esac
  for argument in $given; do
    [[ " $uses " == *" $argument "* ]] || usage_error "$COMMAND does not use $argument."
  done
  [[ $given != *--purge* || $given != *--passphrase-file* ]] || usage_error "uninstall --purge writes no backup, so it does not use --passphrase-file."
  [ "$COMMAND" != bundle ] || [ -z "$TARGET" ] || usage_error "bundle does not use $TARGET."
  [[ $given != *--dry-run* ]] || DRY_RUN=yes
  if [ "$COMMAND" = promote ] && { [ -z "$TARGET" ] || [ -z "$KEY" ]; }; then usage_error "promote needs root@SERVER, and --key with the organisation’s secret key."; fi
  [[ $COMMAND != release && $COMMAND != latest ]] || [ -d "$ARGUMENT" ] || usage_error "There is no folder $ARGUMENT."
  [ "$COMMAND" != restore ] || [ -r "$ARGUMENT" ] || usage_error "There is no file $ARGUMENT."
}

target() { # root@SERVER|--local
  [ -z "$TARGET" ] || usage_error "Only one server can be given, but there are two: $TARGET and $1."
  TARGET=$1
}

read_settings() {
  local file=$SETTINGS_FILE name folder
  [ -n "$file" ] || [ ! -f "$TOP/deploy/site.env" ] || file=$TOP/deploy/site.env
  settings_clear
  if [ -n "$file" ]; then
    settings_read "$file"
    SETTINGS_FILE=$file
    # The URLs hold passwords.
    if [ -n "$NOTIFY" ] && [[ $(ls -lL "$file") != -???------* ]]; then
      fail "$file can be read by other users, and NOTIFY in it holds passwords." "Run: chmod 600 $file"
    fi
    # Paths are relative to the folder of the settings.
    folder=$(cd "$(dirname "$file")" && pwd)
    for name in RELEASE PUBLIC_KEY SIGNING_POLICY ONION_KEY TORRC; do
      case ${!name} in
        '' | /* | RW*) ;;
        '~'/*)
          [ -n "${HOME:-}" ] || fail "$name: ${!name} needs HOME, which is not set." "Set HOME, or write the whole path in $file."
          printf -v "$name" %s "$HOME/${!name#\~/}"
          ;;
        *) printf -v "$name" %s "$folder/${!name}" ;;
      esac
      [ -z "${!name}" ] || [[ ${!name} == RW* ]] || [ -r "${!name}" ] || fail "$name: cannot read ${!name}." "Correct it in $file."
    done
  fi
  [ -z "$PUBLIC_KEY" ] || PIN=(--public-key "$PUBLIC_KEY")
  [ -z "$SIGNING_POLICY" ] || PIN=(--policy "$SIGNING_POLICY")
  # A watcher is never the server.
  [ -n "$TARGET" ] || [ "$COMMAND" != watch-install ] || usage_error "watch-install needs root@MACHINE or --local: another machine than the server."
  if [ "$ONION_MODE" = balance ]; then read_front; fi
  read -ra TARGETS <<<"${TARGET:-$SERVER$SERVERS}"
  if [ -n "$SERVERS" ] && [ -n "$TARGET" ] && [ "$TARGET" != "$FRONT" ] && [[ " install upgrade restore promote " == *" $COMMAND "* && " $SERVERS " != *" $TARGET "* ]]; then
    fail "SERVERS in $file does not name $TARGET." "Add it, or use a name from there."
  fi
  # A front that is none of the servers has no site.
  if [ $VISITS_FRONT = yes ] && [ "$TARGET" = "$FRONT" ] && [[ " $SERVER$SERVERS " != *" $FRONT "* && " install upgrade status " == *" $COMMAND "* ]]; then TARGETS=(); fi
  [ ${#TARGETS[@]} != 0 ] || [ "$COMMAND" = bundle ] || [ $VISITS_FRONT = yes ] ||
    usage_error "No server is named. Give root@SERVER or --local, or set SERVER=root@… in the settings."
  [ ${#TARGETS[@]} -le 1 ] || [[ " restore uninstall " != *" $COMMAND "* ]] ||
    usage_error "$COMMAND acts on one server, but SERVERS names ${#TARGETS[@]}. Name one of them: root@SERVER."
  [ ${#TARGETS[@]} != 1 ] || TARGET=${TARGETS[0]}
  if [ ${#TARGETS[@]} -gt 1 ] && [[ " install upgrade release rollback " == *" $COMMAND "* ]]; then SWITCHES="$SWITCHES --check"; fi
  if [[ $SWITCHES == *--replace-onion* && -z $ONION_KEY ]]; then
    fail "ONION_KEY is not set, so there is no new key for --replace-onion." "Make it with “deploy/cccr-web onion key new”."
  fi
  # Otherwise each server would make its own.
  if [ ${#TARGETS[@]} -gt 1 ] && [[ " install upgrade " == *" $COMMAND "* ]] && [ -z "$ONION_KEY" ]; then
    fail "ONION_KEY is not set, but the servers in SERVERS share one onion." \
      "Make its key with “deploy/cccr-web onion key new”, or copy /etc/cccr-web/onion.key from the server that has it."
  fi
}

# With Onionbalance, the front is visited last, so that it finds what the servers publish.
read_front() {
  [ "$TARGET" != --local ] || [[ " install upgrade " != *" $COMMAND "* ]] || fail "With ONION_MODE=balance, the onion’s key must not come to a server." "Run deploy.sh on your machine."
  [[ " restore promote " != *" $COMMAND "* ]] || fail "$COMMAND is not for ONION_MODE=balance: every server answers, and has nothing to restore."
  [[ " install upgrade " != *" $COMMAND "* ]] || [ -n "$ONION_KEY" ] || fail "ONION_KEY is not set, but FRONT needs the onion’s key." "Make it with “deploy/cccr-web onion key new”."
  if [ -z "$TARGET" ] || [ "$TARGET" = "$FRONT" ]; then VISITS_FRONT=yes; fi
}

# These functions fill the folder that is sent to the server.
bundle_scripts() {
  mkdir -p "$BUNDLE/settings"
  cp -R "$TOP/deploy/server" "$BUNDLE/server"
}

bundle_settings() {
  [ -z "$SETTINGS_FILE" ] || cp "$SETTINGS_FILE" "$BUNDLE/settings/site.env"
  if [ -n "$SIGNING_POLICY" ]; then
    cp "$SIGNING_POLICY" "$BUNDLE/settings/policy.txt"
  elif [[ $PUBLIC_KEY == RW* ]]; then
    printf 'untrusted comment: the organisation’s key\n%s\n' "$PUBLIC_KEY" >"$BUNDLE/settings/public.key"
  elif [ -n "$PUBLIC_KEY" ]; then
    cp "$PUBLIC_KEY" "$BUNDLE/settings/public.key"
  fi
  if [ "$ONION_MODE" = balance ] && [ -n "$ONION_KEY" ]; then # only the front needs the key itself
    "$TOP/deploy/cccr-web" onion key show "$ONION_KEY" >"$BUNDLE/settings/balanced"
  elif [ -n "$ONION_KEY" ]; then
    cp "$ONION_KEY" "$BUNDLE/settings/onion.key"
  fi
  [ -z "$TORRC" ] || cp "$TORRC" "$BUNDLE/settings/torrc"
}

bundle_release() { # FOLDER
  [ -n "$1" ] || return 0
  verify_release "$1"
  need_space "$WORK" "$(du -sk "$1" | cut -f 1)"
  mkdir "$BUNDLE/release"
  cp -R "$1/." "$BUNDLE/release"
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
  local command=$TOP/deploy/cccr-web file
  [ "$TARGET" != --local ] || command=/opt/cccr-web/current/bin/cccr-web
  [ -x "$command" ] || return 0 # the first --local run: our code is not installed yet
  if [ ${#PIN[@]} = 0 ]; then
    [ "$TARGET" = --local ] || settings_no_public_key
    file=$(pin_file /etc/cccr-web) || settings_no_public_key
    PIN=("$(pin_option "$file")" "$file")
  fi
  "$command" verify "$1" "${PIN[@]}" --deployable >&2 || exit 1
}

# While the first server is installed, the others get the packages and our code. Nothing that runs
# there changes. If this fails, the installation does it again, and says why.
prepare_servers() {
  local servers=(${TARGETS[@]+"${TARGETS[@]}"}) server command name
  [ $VISITS_FRONT = no ] || [[ " ${servers[*]-} " == *" $FRONT "* ]] || servers+=("$FRONT")
  [ ${#servers[@]} -gt 1 ] && [ "$DRY_RUN" = no ] || return 0
  for server in "${servers[@]:1}"; do
    command=prepare
    [[ " ${TARGETS[*]-} " == *" $server "* ]] || command=front-prepare
    mkdir -p "$WORK/ready-$server/settings"
    cp "$BUNDLE/settings/site.env" "$WORK/ready-$server/settings"
    for name in server requirements.txt wheels offline; do
      [ ! -e "$BUNDLE/$name" ] || cp -R "$BUNDLE/$name" "$WORK/ready-$server"
    done
    prepare "$server" $command >/dev/null 2>&1 &
    PREPARING+=("$server $!")
  done
}

prepare() { # SERVER COMMAND
  # It must not ask for a password in the middle of other messages.
  local TARGET=$1 BUNDLE=$WORK/ready-$1 SWITCHES='' BATCH='-o BatchMode=yes'
  send "$2"
}

await_prepared() { # SERVER
  local each
  for each in ${PREPARING[@]+"${PREPARING[@]}"}; do
    [ "${each% *}" != "$1" ] || wait "${each##* }" || true
  done
}

# Run a command on every server, one after another. “set -e” stops at the first failure.
each_server() { # COMMAND…
  [ ${#TARGETS[@]} -le 1 ] || VISITING=yes
  for TARGET in ${TARGETS[@]+"${TARGETS[@]}"}; do # bash 3.2 calls an empty list unbound
    [ $VISITING = no ] || say "== $TARGET"
    await_prepared "$TARGET"
    "$@"
  done
  [ ${#later[@]} != 0 ] || return 0
  VISITING=again
  for TARGET in "${later[@]}"; do
    say "== $TARGET, again"
    "$@"
  done
}

# Print the releases that TARGET serves, such as “clearnet 7, onion 7”, or why they are unknown.
served() {
  BUNDLE=$WORK/scripts SWITCHES=''
  [ -d "$BUNDLE" ] || bundle_scripts
  send serves 2>&1 | tail -n 1
}

# Let the front publish the onion for all servers. Each says which onion it has of its own.
install_front() {
  local names address bundle=$BUNDLE command=front
  [ "$COMMAND" != upgrade ] || command=front-upgrade
  say "== $FRONT, the front"
  await_prepared "$FRONT"
  read -ra names <<<"$SERVER$SERVERS"
  for TARGET in "${names[@]}"; do
    BUNDLE=$WORK/scripts
    [ -d "$BUNDLE" ] || bundle_scripts
    address=$(SWITCHES='' send backend) || [ $DRY_RUN = yes ] ||
      fail "$TARGET does not say which onion it has of its own." "If it is gone, take it out of the settings."
    BUNDLE=$bundle
    printf '%s %s\n' "${address:-unknown}" "$TARGET" >>"$BUNDLE/settings/backends"
  done
  rm -rf "$BUNDLE/settings/balanced" "$BUNDLE/release"
  SWITCHES=${SWITCHES/ --check/}
  cp "$ONION_KEY" "$BUNDLE/settings/front.key"
  TARGET=$FRONT
  on_server $command
}

report_servers() {
  say "Stopped at $TARGET. What each server serves:"
  for TARGET in "${TARGETS[@]}"; do say "  $TARGET: $(served)" || true; done
  say "Fix the problem above, and run the same command again: it completes the work."
}

# A server that an interrupted rollback has visited must not go back further.
rollback() {
  local newest=0 number text
  [ ${#TARGETS[@]} = 1 ] || for TARGET in "${TARGETS[@]}"; do
    text=$(served) || fail "$TARGET does not say which release it serves: $text" "Nothing was changed."
    for number in ${text//[!0-9]/ }; do [ "$number" -le "$newest" ] || newest=$number; done
  done
  each_server rollback_from "$newest"
}

rollback_from() { # NEWEST
  local text=$1
  [ "$VISITING" = no ] || text=$(served)
  if [[ " ${text//[!0-9]/ } " == *" $1 "* ]]; then on_server rollback; else say "  it went back from release $1 earlier"; fi
}

# Show every server, also after a failure. A front that is one of them is shown with it.
status() {
  local result=0 text between='[' command=status title=''
  local servers=(${TARGETS[@]+"${TARGETS[@]}"})
  [ $VISITS_FRONT = no ] || [[ " ${servers[*]-} " == *" $FRONT "* ]] || servers+=("$FRONT")
  for TARGET in "${servers[@]}"; do
    [[ " ${TARGETS[*]-} " == *" $TARGET "* ]] || { command=front-status && title=', the front'; }
    if [[ $SWITCHES == *--json* ]]; then
      text=$(on_server $command) || result=1
      printf '%s{"server": "%s", "status": %s}' "$between" "$TARGET" "${text:-null}"
      between=$',\n '
    else
      [ ${#servers[@]} = 1 ] || printf '== %s%s\n' "$TARGET" "$title"
      (on_server $command) || result=1
    fi
  done
  [ "$between" = '[' ] || printf ']\n'
  return $result
}

# Let TARGET publish the onion. All others must stand by first.
promote() {
  local publisher=$TARGET names status
  read -ra names <<<"$SERVERS"
  [ ${#names[@]} -gt 1 ] || fail "SERVERS in the settings does not name several servers, so there is nothing to promote."
  "$TOP/deploy/cccr-web" onion promotion "$(send peer)" --key "$KEY" ${PIN[@]+"${PIN[@]}"} --out "$WORK/promotion" \
    ${PASSPHRASE_FILE:+--passphrase-file "$PASSPHRASE_FILE"}
  mv "$WORK/promotion" "$BUNDLE"
  for TARGET in "${names[@]}"; do
    [ "$TARGET" != "$publisher" ] || continue
    say "== $TARGET"
    status=0
    send promote || status=$?
    if [ $status = 255 ] && [[ $SWITCHES == *--dead* ]]; then
      say "  It does not answer. You said that it is gone."
    elif [ $status = 255 ]; then
      fail "$TARGET does not answer, so it may still publish the onion." "If it is gone, or turned off, add --dead. If it comes back, it stands by."
    elif [ $status != 0 ]; then
      fail "$TARGET does not stand by, so $publisher must not publish." "Run the same command again."
    fi
  done
  TARGET=$publisher
  say "== $TARGET"
  on_server promote
}

# Without --key, DIR has the file already: a signer made it on another machine.
latest() { # DIR
  local file=$1/SHA256SUMS.latest
  [ -z "$KEY" ] || "$TOP/deploy/cccr-web" latest "$1" --key "$KEY" ${PASSPHRASE_FILE:+--passphrase-file "$PASSPHRASE_FILE"} >&2
  [ -f "$file" ] || fail "There is no $file." "Add --key, or let a signer make it: cccr-web latest"
  cp "$file" "$BUNDLE"
  each_server on_server latest
}

# Run server/run.sh on the target. It exits 3 if a domain would be taken down, and 4 if it must be visited
# again, when all are installed: the certificate authority may have asked one that is not yet, or the
# others still answer for an onion that Onionbalance published.
on_server() { # COMMAND
  local status=0 answer=no
  visit "$1" || status=$?
  if [ $status = 3 ]; then
    [ -t 0 ] || fail "To take the domain down, add --drop-domain."
    printf 'Take it down? Type yes: ' >&2
    read -r answer || true
    [ "$answer" = yes ] || fail "Nothing was changed."
    SWITCHES="$SWITCHES --drop-domain"
    status=0
    visit "$1" || status=$?
  fi
  if [ $status = 4 ]; then
    status=1
    [ $VISITING != yes ] || { status=0 && later+=("$TARGET"); }
  elif [ $status = 255 ]; then
    fail "ssh could not connect to $TARGET, or lost the connection. See its message above." "Then run the same command again: it completes what was interrupted."
  fi
  return $status
}

visit() { # COMMAND
  case $1 in
    install | upgrade | front | front-upgrade) send "$1" | log_in_again ;;
    *) send "$1" ;;
  esac
}

# Print what the server prints. When it asks for it, log in on a connection of its own, with a key.
log_in_again() {
  local line
  while IFS= read -r line; do
    if [ "$line" = "log in again" ]; then
      # While sshd reloads, it may refuse a connection; ssh tries again each second.
      ssh -n -o ConnectionAttempts=5 -o ControlPath=none -o PreferredAuthentications=publickey "$TARGET" \
        'touch /run/cccr-web-login' || true
    else
      printf '%s\n' "$line"
    fi
  done
}

send() { # COMMAND
  [ ! -f "$BUNDLE/settings/site.env" ] || printf '%s\n' "$TARGET" >"$BUNDLE/settings/server"
  if [ "$TARGET" = --local ]; then
    # shellcheck disable=SC2086 # several words
    LOCAL=yes bash "$BUNDLE/server/run.sh" $SWITCHES "$1"
    return
  fi
  # One connection carries everything. The folder on the server is readable by root only and is
  # removed at the end. If ssh fails, tar’s message says nothing more.
  # shellcheck disable=SC2016,SC2086 # the server’s shell expands it; several words
  COPYFILE_DISABLE=1 tar --create --gzip --file - --directory "$BUNDLE" . 2>"$WORK/tar.log" | ssh $BATCH "$TARGET" \
    "$(declare -f free_space); need=$(du -sk "$BUNDLE" | cut -f 1)"'
    umask 077
    d=$(mktemp -d /tmp/cccr-web.XXXXXX) || exit 1
    trap '\''rm -rf "$d"'\'' EXIT
    trap "exit 130" HUP INT TERM
    free=$(free_space "$d")
    if [ "$free" -lt "$need" ]; then
      echo "The disk is too full: /tmp on the server needs $((need / 1024 + 1)) MB, but only $((free / 1024)) MB are free." >&2
      echo "See “Full disk” in deploy/README.md." >&2
      exit 1
    fi
    tar --extract --gzip --no-same-owner --directory "$d" 2>/dev/null || { echo "The server did not receive everything. Run the same command again." >&2; exit 1; }
    bash "$d/server/run.sh" '"$SWITCHES $1"
}

# Let gpg read the passphrase from FILE as cccr-web does: its first line, without the byte order
# mark, the carriage return and the UTF-16 of Windows’ editors.
use_passphrase() { # FILE
  python3 -I -c 'if True:
    import codecs, sys
    body = open(sys.argv[1], "rb").read()
    is_utf_16 = body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = body.decode("utf-16" if is_utf_16 else "utf-8-sig")
    sys.stdout.buffer.write(text.partition("\n")[0].removesuffix("\r").encode())
  ' "$1" >"$WORK/passphrase" 2>/dev/null || fail "The passphrase file $1 is not text." "Use a text file."
  PASSPHRASE=(--batch --pinentry-mode loopback --passphrase-file "$WORK/passphrase")
}

# Write what cannot be recreated to FILE, encrypted.
encrypted() { # COMMAND FILE
  command -v gpg >/dev/null || fail "gpg is not installed on this machine." "As root: apt-get install gpg gpg-agent"
  (umask 077 && on_server "$1" >"$WORK/backup.tar")
  [ -s "$WORK/backup.tar" ] || return 0
  gpg --quiet "${PASSPHRASE[@]}" --symmetric --cipher-algo AES256 --s2k-digest-algo SHA512 --s2k-count 65011712 \
    --no-symkey-cache --output "$WORK/backup.gpg" "$WORK/backup.tar" || fail "gpg could not encrypt the backup." "Nothing was written."
  PARTIAL=$2.partial
  mv "$WORK/backup.gpg" "$PARTIAL"
  mv "$PARTIAL" "$2"
}

backup() { # FILE
  local file=$1 host
  if [ ${#TARGETS[@]} -gt 1 ]; then # one file for each server
    host=${TARGET##*@}
    file=$1.${host//[^A-Za-z0-9.-]/-}
    if [ -e "$file" ]; then
      say "$file exists already, and is kept."
      return
    fi
  fi
  [ ! -e "$file" ] || fail "$file already exists, and a backup is never overwritten." "Choose another name."
  encrypted backup "$file"
  say "Wrote $file. Keep it and its passphrase in different places, and neither on the server."
}

decrypt() { # FILE
  gpg --quiet "${PASSPHRASE[@]}" --decrypt --no-symkey-cache "$1"
}

# Until version 0.2.0, such marks were part of the passphrase.
decrypt_as_before() { # FILE
  [ -n "$PASSPHRASE_FILE" ] || return 1
  PASSPHRASE=(--batch --pinentry-mode loopback --passphrase-file "$PASSPHRASE_FILE")
  decrypt "$1" 2>/dev/null
}

restore() { # FILE
  mkdir "$WORK/restored"
  if tar --list --file "$1" ./settings/onion.key >/dev/null 2>&1; then # from “uninstall” of version 0.2.0
    (umask 077 && cp "$1" "$WORK/backup.tar")
  else
    (umask 077 && { decrypt "$1" || decrypt_as_before "$1"; } >"$WORK/backup.tar") ||
      fail "$1 cannot be decrypted." "Check that it is a backup and that the passphrase is correct."
  fi
  tar --extract --file "$WORK/backup.tar" --directory "$WORK/restored"
  [ -f "$WORK/restored/settings/onion.key" ] || fail "$1 contains no onion key, so it is not a backup."
  cp -R "$WORK/restored/." "$BUNDLE"
  # Settings given now override those in the backup.
  [ -z "$SETTINGS_FILE" ] || cp "$SETTINGS_FILE" "$BUNDLE/settings/site.env"
  bundle_code
  on_server install
}

# The server keeps an encrypted backup, which only “restore” can read.
uninstall() {
  [[ $SWITCHES == *--purge* || $DRY_RUN = yes ]] || encrypted keep "$BUNDLE/kept.backup"
  on_server uninstall
}

bundle() { # FILE
  local out=$WORK/whole
  wheels_build "$TOP" "$out"
  wheels_fetch "$out"
  PARTIAL=$1.partial
  tar --create --file "$PARTIAL" --directory "$out" .
  mv "$PARTIAL" "$1"
  say "Wrote $1. Use it with: deploy/deploy.sh --offline $1"
}

at_exit() {
  local status=$?
  trap - EXIT
  if [ "$status" != 0 ] && [ "$VISITING" != no ]; then report_servers; fi
  if [ -n "$(jobs -r)" ]; then
    say "Waiting until the packages of the other servers are installed."
    wait
  fi
  rm -rf "$WORK"
  [ -z "$PARTIAL" ] || rm -f "$PARTIAL"
  exit "$status"
}

read_command_line "$@"
WORK=$(mktemp -d)
trap at_exit EXIT
trap 'exit 130' INT TERM HUP
BUNDLE=$WORK/bundle
[ -z "$PASSPHRASE_FILE" ] || use_passphrase "$PASSPHRASE_FILE"
read_settings
bundle_scripts
case $COMMAND in
  install | upgrade)
    bundle_settings
    bundle_release "$RELEASE"
    bundle_code
    [ "$COMMAND" != install ] || prepare_servers
    each_server on_server "$COMMAND"
    [ $VISITS_FRONT = no ] || install_front
    ;;
  release)
    bundle_release "$ARGUMENT"
    each_server on_server release
    ;;
  watch-install)
    bundle_settings
    bundle_code
    on_server "$COMMAND"
    ;;
  rollback | status | promote) "$COMMAND" ;;
  latest) latest "$ARGUMENT" ;;
  notify-test) each_server on_server notify-test ;;
  uninstall) uninstall ;;
  backup) each_server backup "$ARGUMENT" ;;
  restore) restore "$ARGUMENT" ;;
  bundle) bundle "$ARGUMENT" ;;
esac
