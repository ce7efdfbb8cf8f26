#!/usr/bin/env bash
# Try the whole site on this machine: http://127.0.0.1:8080/ and an onion of its own.
#
#   deploy/try.sh [--port N] [--no-onion] [--state DIR] [--torrc FILE]
#
# Installs what is missing, builds the site, serves it and publishes it, until Ctrl-C.
# Only the state directory stays; the onion's key lives there, so its address does too.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
state=${XDG_STATE_HOME:-${HOME:-/root}/.local/state}/cccr-web
onion=yes
previous=
for word in "$@"; do
  case $previous:$word in
    --state:*) state=$word ;;
    *:--state=*) state=${word#--state=} ;;
    *:--no-onion | *:--help | *:-h) onion=no ;;
  esac
  previous=$word
done

[ -d "$state" ] || (umask 077 && mkdir -p "$state")
state=$(cd "$state" && pwd)

if [ $onion = yes ] && ! PATH=$PATH:/usr/sbin command -v tor >/dev/null; then
  if [ "$(id -u)" != 0 ]; then
    echo "tor is missing: have it installed (as root: apt-get install tor), or add --no-onion." >&2
    exit 1
  fi
  echo "installing tor" >&2
  "$top/deploy/apt.sh" tor
fi

"$top/deploy/venv.sh" "$state/venv"
exec "$state/venv/bin/cccr-web" demo "$@"
