# shellcheck shell=bash
# How everything here says, compares, changes and undoes.
#
# Nothing is changed but by “put”, “link”, “enable” and what stands behind “change … || return”:
# so a dry run shows all of it, a second run does none of it, and a failure takes it back.

DRY_RUN=${DRY_RUN:-no}
CHANGES=0           # how many there were, or would be
declare -A CHANGED  # path → yes
UNDO=()             # commands that take back what was done, run last first
RESTARTED=()        # units to start anew once the old files are back
STEP=starting

say() { printf '%s\n' "$*" >&2; }

step() { # WORDS
  STEP=$1
  say "$STEP"
}

fail() { # WHAT WAY-OUT
  say "$1"
  [ $# -lt 2 ] || say "$2"
  exit 1
}

note() { say "  $*"; }

# Tell a change; false in a dry run, where it must not be done.
change() { # WORDS
  CHANGES=$((CHANGES + 1))
  if [ "$DRY_RUN" = yes ]; then
    say "  would $1"
    return 1
  fi
  say "  $1"
}

# Make FILE hold what comes on stdin: compare, write beside, rename.
put() { # FILE [MODE] [OWNER:GROUP] [secret]
  local file=$1 mode=${2:-644} owner=${3:-root:root} secret=${4:-} new=$WORK/new
  cat >"$new"
  if [ -f "$file" ] && cmp --quiet "$new" "$file" && [ "$(stat --format '%a %U:%G' "$file")" = "$mode $owner" ]; then
    return 0
  fi
  CHANGED[$file]=yes
  if ! change "write $file"; then
    show_difference "$file" "$new" "$secret"
    return 0
  fi
  mkdir -p "$(dirname "$file")"
  remember "$file"
  install --mode "$mode" --owner "${owner%:*}" --group "${owner#*:}" "$new" "$file.cccr-new"
  mv --no-target-directory "$file.cccr-new" "$file"
}

show_difference() { # OLD NEW secret?
  local old=$1
  if [ -n "$3" ]; then
    note "  (a secret: not shown)"
    return 0
  fi
  [ -f "$old" ] || old=/dev/null
  diff --unified --label "$1" --label "$1, new" "$old" "$2" | sed 's/^/    /' >&2 || true
}

# Keep what is at PATH now, so that a failure, or “uninstall”, can put it back.
remember() { # PATH
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
    change "make the folder $path" || return 0
    mkdir -p "$path"
    chmod "${mode:-755}" "$path"
    chown "$owner" "$path"
  elif [ -n "$mode" ] && [ "$(stat --format '%a %U:%G' "$path")" != "$mode $owner" ]; then
    change "set $path to $mode $owner" || return 0
    chmod "$mode" "$path"
    chown "$owner" "$path"
  fi
}

# Remove what an earlier run has put there and nothing needs any more.
drop() { # PATH
  [ -e "$1" ] || return 0
  mark_changed "$1"
  change "remove $1" || return 0
  remember "$1"
  rm -rf --one-file-system "$1"
}

# Let LINK lead to TARGET, in one step.
link() { # TARGET LINK
  [ "$(readlink "$2" 2>/dev/null)" != "$1" ] || return 0
  CHANGED[$2]=yes
  change "let $2 lead to $1" || return 0
  remember "$2"
  ln --symbolic --no-target-directory "$1" "$2.cccr-new"
  mv --no-target-directory "$2.cccr-new" "$2"
}

# Count PATH as changed, though a dry run did not come to it.
mark_changed() { CHANGED[$1]=yes; } # PATH

changed() { # PATH…
  local path
  for path in "$@"; do
    [ -z "${CHANGED[$path]:-}" ] || return 0
  done
  return 1
}

# A template with @NAME@ replaced by the shell’s variable NAME.
render() { # TEMPLATE NAME…
  local text name
  text=$(cat "$HERE/$1" && printf x) # the x keeps the last line’s end
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

mask() { # UNIT…
  local unit
  for unit in "$@"; do
    [ "$(systemctl is-enabled "$unit" 2>/dev/null)" = masked ] && continue
    change "mask $unit" || continue
    UNDO+=("systemctl --quiet unmask '$unit'")
    systemctl --quiet mask --now "$unit" 2>/dev/null
  done
}

restart() { # VERB UNIT
  change "$1 $2" || return 0
  RESTARTED+=("$2")
  systemctl "$1" "$2" || fail "$2 does not $1: see journalctl --unit=$2 --lines=20"
}

start() { # UNIT… — those that do not run
  local unit
  for unit in "$@"; do
    systemctl --quiet is-active "$unit" || restart start "$unit"
  done
}

# Called at every exit.
finish() {
  local status=$? index
  trap - EXIT
  trap '' PIPE # the line to the admin may be cut; what was changed is taken back all the same
  if [ "$status" != 0 ] && [ "$DRY_RUN" = no ] && [ ${#UNDO[@]} -gt 0 ]; then
    say "It failed at the step: $STEP. Taking back what it changed."
    for ((index = ${#UNDO[@]} - 1; index >= 0; index--)); do
      eval "${UNDO[index]}" || say "  could not: ${UNDO[index]}"
    done
    systemctl daemon-reload || true
    for index in "${RESTARTED[@]}"; do
      if systemctl cat "$index" >/dev/null 2>&1; then
        systemctl restart "$index" || say "  $index does not run: see journalctl --unit=$index"
      else
        systemctl --quiet stop "$index" 2>/dev/null || true # it was new
      fi
    done
    say "The site is as it was before. Mend what stands above and run the same command again."
  elif [ "$status" != 0 ] && [ "$STEP" != looking ]; then
    say "It failed at the step: $STEP. Nothing was changed."
  fi
  rm -rf --one-file-system "$WORK"
  exit "$status"
}
