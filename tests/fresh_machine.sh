#!/usr/bin/env bash
# Run both commands of the README on an empty Debian, as a newcomer would.
#
#   tests/fresh_machine.sh [try|tests|all] [SUITE…]
#
# Run it as root. The default is all, on bookworm and trixie. It makes a Debian root with python3 only,
# copies the committed tree into it, and runs deploy/try.sh there, with its onion on a private Tor
# network. It fetches a page through the onion, times a second deploy/try.sh, and runs tests/run.sh.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
what=${1:-all}
shift || true
suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(bookworm trixie)

if [ "$(id -u)" != 0 ] || ! unshare --mount --pid --fork true 2>/dev/null; then
  echo "This needs root and the right to create namespaces. Run it as root, outside a container or in a privileged one." >&2
  exit 1
fi
for program in mmdebstrap bc tor; do
  if ! PATH=$PATH:/usr/sbin command -v "$program" >/dev/null; then
    echo "$program is not installed. As root: apt-get install mmdebstrap bc tor" >&2
    exit 1
  fi
done

work=$(mktemp -d)
network=
running=
finish() {
  # The command in the namespace ends with its first process (--kill-child).
  for pid in $running $network; do kill "$pid" 2>/dev/null && wait "$pid"; done
  rm -rf --one-file-system "$work"
}
trap finish EXIT

say() { printf '== %s\n' "$*"; }
now() { date +%s.%N; }
since() { printf '%.1f s' "$(echo "$(now) - $1" | bc)"; }

fail() {
  say "FAILED: $*"
  tail -n 30 "$work"/*.out "$work"/*.err 2>/dev/null || true
  exit 1
}

wait_for() { # SECONDS PATTERN FILE
  for _ in $(seq $(($1 * 5))); do
    grep -q "$2" "$3" 2>/dev/null && return
    [ -z "$running" ] || kill -0 "$running" 2>/dev/null || break
    sleep 0.2
  done
  fail "$(basename "$3") has no line $2 after $1 s"
}

make_root() { # SUITE ROOT
  mmdebstrap --quiet --variant=minbase --include=python3,ca-certificates "$1" "$2"
  # This machine's access to the package registries: certificates and pip's settings.
  for file in /etc/ssl/certs/ca-certificates.crt /etc/pip.conf /etc/resolv.conf /etc/hosts; do
    [ -e "$file" ] && install -D -m 644 "$file" "$2$file"
  done
  mkdir -p "$2/src"
  git -C "$top" archive HEAD | tar -x -C "$2/src"
}

inside() { # ROOT COMMAND…, in its own namespaces, which end with it; does not return
  local root=$1
  shift
  local settings
  mapfile -t settings < <(env | grep -E '^(PIP_|https?_proxy=|no_proxy=)' || true)
  settings+=(NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt)
  wait # the command must be this shell’s only child
  # shellcheck disable=SC2016 # the inner shell expands them
  exec unshare --mount --pid --fork --kill-child bash -c '
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    shift_root=$1
    shift
    exec chroot "$shift_root" "$@"' inside "$root" \
    env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "${settings[@]}" "$@"
}

try() { # ROOT
  local root=$1 began port=8097 page
  [ -n "$network" ] || {
    PYTHONPATH=$top/tests python3 -m support.tornet --torrc-out "$work/private.torrc" >"$work/network.out" 2>"$work/network.err" &
    network=$!
    running=$network
    wait_for 120 '^torrc' "$work/network.out"
  }
  install -m 644 "$work/private.torrc" "$root/private.torrc"

  began=$(now)
  inside "$root" bash -c 'cd /src && exec ./deploy/try.sh --port '$port' --torrc /private.torrc' \
    >"$work/try.out" 2>"$work/try.err" &
  running=$!
  wait_for 400 "^clearnet http://127.0.0.1:$port/" "$work/try.out"
  say "first run: clearnet answers after $(since "$began")"
  wait_for 180 '^onion http://' "$work/try.out"
  say "first run: onion is up after $(since "$began")"
  page=$(sed -n 's/^onion //p' "$work/try.out")
  python3 - "$top/tests" "$(sed -n 's/^socks 127.0.0.1://p' "$work/network.out")" "${page}en/" <<'EOF' ||
import sys
sys.path.insert(0, sys.argv[1])
from support.tornet import fetch_by_socks
reply = fetch_by_socks(int(sys.argv[2]), sys.argv[3], {}, "GET", 60)
sys.exit(reply.status != 200 or b"Citizens Rights" not in reply.body)
EOF
    fail "the onion does not answer"
  say "the onion serves the page"
  end "$running"

  began=$(now)
  inside "$root" bash -c 'cd /src && exec ./deploy/try.sh --no-onion --port '$port \
    >"$work/again.out" 2>"$work/again.err" &
  running=$!
  wait_for 30 "^clearnet" "$work/again.out"
  say "second run: clearnet answers after $(since "$began")"
  end "$running"
}

end() { # PID of what “inside” started. Sends Ctrl-C to its command
  kill -INT "$(pgrep -P "$1")"
  for _ in $(seq 100); do
    kill -0 "$1" 2>/dev/null || { running= && return; }
    sleep 0.1
  done
  fail "Ctrl-C did not end try.sh within 10 s"
}

for suite in "${suites[@]}"; do
  root=$work/$suite
  say "fresh Debian: $suite"
  make_root "$suite" "$root"
  if [ "$what" != tests ]; then try "$root"; fi
  if [ "$what" != try ]; then
    began=$(now)
    # Without “exec” the shell remains the namespace’s first process and reaps orphans, like init.
    (inside "$root" bash -c 'cd /src && ./tests/run.sh -q; exit $?') >"$work/tests.out" 2>&1 || fail "tests/run.sh"
    tail -n 1 "$work/tests.out"
    say "tests/run.sh passed in $(since "$began")"
  fi
  rm -rf --one-file-system "$root"
done
say "all passed"
