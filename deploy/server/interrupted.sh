# shellcheck shell=bash
# A run that was killed, or lost its connection or its power, is completed by the next one.
#
# The lock’s file lists what the services must still load. It is empty once a run has finished.

LOCK=/run/lock/cccr-web
LOCKED=no
INTERRUPTED=''     # the lock’s file as this run found it
declare -A CHANGED # path → yes

# Two simultaneous runs would undo each other’s changes.
lock() {
  local path
  if [ "$DRY_RUN" = no ]; then
    exec 9>>"$LOCK"
    flock --nonblock 9 || fail "deploy.sh is already running on this machine." "Wait until it has finished."
    LOCKED=yes
    remove_leftovers
  fi
  [ -s "$LOCK" ] || return 0
  INTERRUPTED=$(cat "$LOCK")
  while IFS= read -r path; do CHANGED["$path"]=yes; done <<<"$INTERRUPTED"
}

# After a complete run. “release”, “latest” and “rollback” load only the release and nginx’s cache keys.
interrupted_done() {
  [ "$DRY_RUN" = no ] || return 0
  case $COMMAND_NAME in
    install | upgrade | front | front-upgrade) INTERRUPTED='' ;;
    *) INTERRUPTED=$(grep --invert-match --regexp="^$NGINX/release.conf\$" --regexp="^$CURRENT\$" --regexp="/$LATEST\$" <<<"$INTERRUPTED" || true) ;;
  esac
  interrupted_restore
  [ -z "$INTERRUPTED" ] || WARNINGS+=("An earlier installation was interrupted. To complete it, run deploy.sh without a command.")
}

interrupted_restore() {
  if [ -n "$INTERRUPTED" ]; then printf '%s\n' "$INTERRUPTED"; fi >"$LOCK"
}

# Remove what a killed run left, or this one if it fails.
remove_leftovers() {
  local marker
  [ "$LOCKED" = yes ] || return 0
  allow_starting_services
  rm -rf --one-file-system "$RELEASES"/.{partial,replaced}
  for marker in "$CODE"/*.partial; do
    [ ! -e "$marker" ] || rm -rf --one-file-system "${marker%.partial}" "$marker"
  done
  # The onion key may be in what deploy.sh sent.
  find /tmp -maxdepth 1 -name 'cccr-web.*' -user root -mmin +60 ! -path "$BUNDLE" -exec rm -rf --one-file-system {} + || true
}
