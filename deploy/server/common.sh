# shellcheck shell=bash
# Functions that report, compare, change and undo.
#
# Every change goes through “put”, “link”, “enable” or a call to “change … || return”. So a dry run
# shows all changes, a second run makes none, and a failure undoes them.

DRY_RUN=${DRY_RUN:-no}
CHANGES=0           # how many were made, or would be made
UNDO=()             # commands that undo the changes, run in reverse order
RESTARTED=()        # units to restart once the old files are restored
STEP=starting

say() { printf '%s\n' "$*" >&2; }

step() { # DESCRIPTION
  STEP=$1
  say "$STEP"
}

fail() { # PROBLEM [REMEDY]
  say "$1"
  [ $# -lt 2 ] || say "$2"
  exit 1
}

note() { say "  $*"; }

# The usage of a script in deploy/ is the comment at its top.
usage() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

usage_error() { # PROBLEM
  say "$1"
  say "See deploy/${0##*/} --help."
  exit 2
}

# Print how many KiB are free. deploy.sh also sends this function to the server, for any sh.
free_space() { # FOLDER
  df -Pk "$1" | awk 'NR == 2 { print $4 }'
}

# Fail unless the file system of FOLDER has room, before anything is copied.
need_space() { # FOLDER KIBIBYTES
  local folder=$1 free
  while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
  free=$(free_space "$folder")
  [ "$free" -ge "$2" ] || fail "The disk is too full: $1 needs $(($2 / 1024 + 1)) MB, but only $((free / 1024)) MB are free." "See “Full disk” in deploy/README.md."
}

# Report a change. Returns false in a dry run, where the change must not be made.
change() { # DESCRIPTION
  CHANGES=$((CHANGES + 1))
  if [ "$DRY_RUN" = yes ]; then
    say "  would $1"
    return 1
  fi
  say "  $1"
}

# Write stdin to FILE if it differs: to a temporary file first, then rename.
put() { # FILE [MODE] [OWNER:GROUP] [secret]
  local file=$1 mode=${2:-644} owner=${3:-root:root} secret=${4:-} new=$WORK/new
  cat >"$new"
  if [ -f "$file" ] && cmp --quiet "$new" "$file" && [ "$(stat --format '%a %U:%G' "$file")" = "$mode $owner" ]; then
    return 0
  fi
  mark_changed "$file"
  if ! change "write $file"; then
    show_difference "$file" "$new" "$secret"
    return 0
  fi
  mkdir -p "$(dirname "$file")"
  save_for_undo "$file"
  install --mode "$mode" --owner "${owner%:*}" --group "${owner#*:}" "$new" "$file.cccr-new"
  mv --no-target-directory "$file.cccr-new" "$file"
}

show_difference() { # OLD NEW secret?
  local old=$1
  if [ -n "$3" ]; then
    note "  (secret, not shown)"
    return 0
  fi
  [ -f "$old" ] || old=/dev/null
  diff --unified --label "$1" --label "$1, new" "$old" "$2" | sed 's/^/    /' >&2 || true
}

# Save what is at PATH, so that a failure can restore it.
save_for_undo() { # PATH
  local path=$1 copy
  copy=$WORK/old/${#UNDO[@]}
  if [ -e "$path" ] || [ -L "$path" ]; then
    mkdir -p "$WORK/old"
    cp --archive --no-dereference "$path" "$copy"
    UNDO+=("rm -rf '$path' && mv --no-target-directory '$copy' '$path'")
  else
    UNDO+=("rm -rf '$path'")
  fi
}

make_folder() { # PATH [MODE] [OWNER:GROUP]
  local path=$1 mode=${2:-} owner=${3:-root:root}
  if [ ! -d "$path" ]; then
    change "create the folder $path" || return 0
    mkdir -p "$path"
    chmod "${mode:-755}" "$path"
    chown "$owner" "$path"
  elif [ -n "$mode" ] && [ "$(stat --format '%a %U:%G' "$path")" != "$mode $owner" ]; then
    change "set $path to $mode $owner" || return 0
    chmod "$mode" "$path"
    chown "$owner" "$path"
  fi
}

# Remove what an earlier run created and nothing needs any more.
remove() { # PATH
  [ -e "$1" ] || return 0
  mark_changed "$1"
  change "remove $1" || return 0
  save_for_undo "$1"
  rm -rf --one-file-system "$1"
}

# Point LINK to TARGET atomically.
link() { # TARGET LINK
  [ "$(readlink "$2" 2>/dev/null)" != "$1" ] || return 0
  mark_changed "$2"
  change "point $2 to $1" || return 0
  save_for_undo "$2"
  ln --symbolic --force --no-target-directory "$1" "$2.cccr-new"
  mv --no-target-directory "$2.cccr-new" "$2"
}

# The services must still load PATH. Should this run be interrupted, the next one finds it in the
# file of the lock.
mark_changed() { # PATH
  CHANGED[$1]=yes
  [ "$DRY_RUN" = yes ] || printf '%s\n' "$1" >&9
}

changed() { # PATH…
  local path
  for path in "$@"; do
    [ -z "${CHANGED[$path]:-}" ] || return 0
  done
  return 1
}

changed_below() { # FOLDER
  local path
  for path in "${!CHANGED[@]}"; do
    case $path in "$1"/*) return 0 ;; esac
  done
  return 1
}

# Print a template with each @NAME@ replaced by the shell variable NAME.
render() { # TEMPLATE NAME…
  local text name
  text=$(cat "$HERE/$1" && printf x) # the x preserves trailing newlines
  shift
  for name in "$@"; do
    text=${text//"@$name@"/"${!name}"}
  done
  printf %s "${text%x}"
}

enable() { # UNIT…
  local unit
  for unit in "$@"; do
    [ "$(systemctl is-enabled "$unit" 2>/dev/null)" = enabled ] && continue
    change "enable $unit" || continue
    UNDO+=("systemctl --quiet disable '$unit'")
    systemctl --quiet enable "$unit"
  done
}

# Stop these units before their files are removed.
remove_units() { # UNIT…
  local unit
  for unit in "$@"; do
    [ -e "$UNITS/$unit" ] || continue
    if change "stop and disable $unit"; then
      UNDO+=("systemctl --quiet enable --now '$unit'")
      systemctl --quiet disable --now "$unit" 2>/dev/null
    fi
    remove "$UNITS/$unit"
  done
}

mask() { # UNIT…
  local unit
  for unit in "$@"; do
    [ "$(systemctl is-enabled "$unit" 2>/dev/null)" = masked ] && continue
    change "mask $unit" || continue
    UNDO+=("systemctl --quiet unmask '$unit'")
    systemctl --quiet mask --now "$unit" 2>/dev/null
  done
}

unit_action() { # VERB UNIT
  change "$1 $2" || return 0
  restart_on_undo "$2"
  systemctl "$1" "$2" || fail "$2 failed to $1." "See: journalctl --unit=$2 --lines=20"
}

restart_on_undo() { # UNIT
  [[ " ${RESTARTED[*]} " == *" $1 "* ]] || RESTARTED+=("$1")
}

start() { # UNIT…, those that are not running
  local unit
  for unit in "$@"; do
    systemctl --quiet is-active "$unit" || unit_action start "$unit"
  done
}

# Other messages only follow from a full disk.
report_full_disk() {
  local folder free
  for folder in "$WORK" "$ETC" "$CODE" "$DATA" /var; do
    free=$(free_space "$folder" 2>/dev/null) || continue # it does not exist yet
    [ "$free" -ge 1024 ] || { say "The disk is full: $folder has no free space. See “Full disk” in deploy/README.md." && return; }
  done
}

# Runs at every exit.
finish() {
  local status=$? index failed=no
  trap - EXIT
  [ "$status" = 0 ] || report_full_disk
  trap '' PIPE # undo the changes even if the connection to the admin was lost
  if [ "$status" != 0 ] && [ "$DRY_RUN" = no ] && [ ${#UNDO[@]} -gt 0 ]; then
    say "Failed at step: $STEP. Undoing the changes."
    for ((index = ${#UNDO[@]} - 1; index >= 0; index--)); do
      eval "${UNDO[index]}" || { failed=yes && say "  failed: ${UNDO[index]}"; }
    done
    systemctl daemon-reload || true
    for index in "${RESTARTED[@]}"; do
      if systemctl cat "$index" >/dev/null 2>&1; then
        systemctl restart "$index" || { failed=yes && say "  failed: $index is not running. See: journalctl --unit=$index"; }
      else
        systemctl --quiet stop "$index" 2>/dev/null || true # it is a new unit
      fi
    done
    if [ "$SWITCHED" = yes ]; then
      (nginx_forget) || say "  nginx may still answer from its cache for an hour"
      release_report || failed=yes
    fi
    if [ "$failed" = yes ]; then
      say "Not everything could be undone. Fix the problem above, then run deploy.sh without a command: it repairs the site."
    else
      interrupted_restore
      say "The site is unchanged. Fix the problem above and run the same command again."
    fi
  elif [ "$status" != 0 ] && [ -n "$STEP" ]; then
    say "Failed at step: $STEP.$([ "$CHANGES" != 0 ] || echo " Nothing was changed.")"
  fi
  remove_leftovers
  rm -rf --one-file-system "$WORK"
  exit "$status"
}
