#!/usr/bin/env bash
# Try the whole site on this machine: http://127.0.0.1:8080/ and its own onion address.
#
#   deploy/try.sh [--port N] [--no-onion] [--state DIR] [--torrc FILE]
#
# Installs what is missing, then builds, serves and publishes the site until Ctrl-C.
# Only the state folder remains. It holds the onion key, so the address stays the same.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
state=${XDG_STATE_HOME:-${HOME:-/root}/.local/state}/cccr-web
onion=yes
previous=
for argument in "$@"; do
  case $previous:$argument in
    --state:*) state=$argument ;;
    *:--state=*) state=${argument#--state=} ;;
    *:--no-onion | *:--help | *:-h) onion=no ;;
  esac
  previous=$argument
done

[ -d "$state" ] || (umask 077 && mkdir -p "$state")
state=$(cd "$state" && pwd)

if [ $onion = yes ] && ! PATH=$PATH:/usr/sbin command -v tor >/dev/null; then
  if [ "$(id -u)" != 0 ]; then
    echo "tor is not installed. As root: apt-get install tor. Or add --no-onion." >&2
    exit 1
  fi
  echo "installing tor" >&2
  "$top/deploy/apt.sh" tor
fi

"$top/deploy/venv.sh" "$state/venv"
exec "$state/venv/bin/cccr-web" demo "$@"
