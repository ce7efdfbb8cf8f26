#!/usr/bin/env bash
# Written by deploy.sh. needrestart runs it to restart the unit of its name, and then the next: it would
# restart all units at once with “systemctl restart”.
set -euo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

UNIT=${0##*/}
PID_FILE=/run/nginx.pid

# Run COMMAND until it succeeds, SECONDS at most.
await() { # SECONDS COMMAND…
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}

onion_is_published() { [[ $(systemctl show --property=StatusText --value cccr-web-manager.service) == Published:* ]]; }

onion_is_not_published() { ! onion_is_published; }

nginx_is_replaced() { # PID OF THE OLD MASTER
  local new workers
  new=$(cat "$PID_FILE" 2>/dev/null) && [ "$new" != "$1" ] || return 1
  workers=$(cat "/proc/$new/task/$new/children" 2>/dev/null) && [ -n "$workers" ]
}

has_ended() { ! kill -0 "$1" 2>/dev/null; }

case $UNIT in
  nginx.service)
    # A second nginx takes over the sockets, so that no request fails (nginx.org, “Upgrading Executable
    # on the Fly”). The old one finishes its responses: a download may take ten minutes.
    nginx -e stderr -t -q -c /etc/cccr-web/nginx/nginx.conf
    old=$(cat "$PID_FILE")
    kill -USR2 "$old"
    await 20 nginx_is_replaced "$old" || exec systemctl restart "$UNIT"
    kill -QUIT "$old"
    await 60 has_ended "$old" || echo "the old nginx still sends downloads"
    ;;
  tor@*)
    was=no
    ! onion_is_published || was=yes
    systemctl restart "$UNIT"
    [ "$was" = yes ] || exit 0
    await 10 onion_is_not_published || true
    await 180 onion_is_published || { echo "the onion is not published yet" && exit 1; }
    ;;
  *)
    # While Debian itself is upgraded, our code has no Python to start with.
    if ! /opt/cccr-web/current/bin/cccr-web --version >/dev/null 2>&1; then
      echo "$UNIT keeps running with old files: cccr-web does not start. Run deploy.sh."
      exit 1
    fi
    systemctl restart "$UNIT"
    ;;
esac
