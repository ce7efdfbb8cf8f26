#!/usr/bin/env bash
# Try the whole site on this machine: http://127.0.0.1:8080/ and its own onion address.
#
#   deploy/try.sh [--port N] [--no-onion] [--state DIR] [--torrc FILE]
#
# Installs what is missing, then builds, serves and publishes the site until Ctrl-C.
# DIR holds the onion key, so the address stays the same. By default it is
# ~/.local/state/cccr-web. FILE has lines for tor's configuration, such as bridges.
set -euo pipefail

# shellcheck source=/dev/null
. "$(dirname "$0")/server/common.sh"

state=
onion=yes
read_options() {
  local value
  while [ $# -gt 0 ]; do
    case $1 in
      --help | -h)
        usage
        exit
        ;;
      --no-onion)
        onion=no
        shift
        continue
        ;;
      --port=* | --state=* | --torrc=*) value=${1#*=} ;;
      --port | --state | --torrc)
        [ $# -gt 1 ] || usage_error "$1 needs a value."
        value=$2
        ;;
      *) usage_error "There is no option “${1}”." ;;
    esac
    case $1 in
      --port*)
        if ! [[ $value =~ ^[0-9]{1,5}$ ]] || ((10#$value > 65535)); then
          usage_error "--port is “${value}”, but a port is a number from 0 to 65535."
        fi
        ;;
      --state*)
        [ -n "$value" ] || usage_error "--state needs a value."
        state=$value
        ;;
      --torrc*)
        if [ ! -r "$value" ] || [ -d "$value" ]; then
          usage_error "--torrc is “${value}”, but no such file can be read."
        fi
        ;;
    esac
    [[ $1 == *=* ]] || shift
    shift
  done
}
read_options "$@"

# Without an onion nothing needs to be kept. See the XDG Base Directory Specification.
if [ $onion = yes ] && [ -z "$state" ]; then
  case ${XDG_STATE_HOME:-} in
    /*) state=$XDG_STATE_HOME/cccr-web ;;
    *)
      if [ -z "${HOME:-}" ]; then
        echo "HOME is not set, so there is no folder for the onion key. Pass one: --state DIR" >&2
        exit 1
      fi
      state=$HOME/.local/state/cccr-web
      ;;
  esac
fi
if [ -n "$state" ] && { ! (umask 077 && mkdir -p "$state") 2>/dev/null || [ ! -w "$state" ]; }; then
  echo "The folder $state cannot be written. Pass another one: --state DIR" >&2
  exit 1
fi

if [ $onion = yes ] && ! PATH=$PATH:/usr/sbin command -v tor >/dev/null; then
  if [ "$(id -u)" != 0 ]; then
    echo "tor is not installed. As root: apt-get install tor. Or add --no-onion." >&2
    exit 1
  fi
  "$(dirname "$0")/apt.sh" tor
fi

echo "To edit texts and see each change at once, run: deploy/cccr-web preview --open" >&2
exec "$(dirname "$0")/cccr-web" demo "$@" ${state:+--state "$state"}
