#!/usr/bin/env bash
# Set up and run the tests.
#
#   tests/run.sh                              everything; tests/deploy/ needs root
#   tests/run.sh [ARGUMENTS FOR PYTEST…]      these tests, lint and types
#   tests/run.sh --quick [ARGUMENTS…]         for daily work: no browser, no tor, no long test
#   tests/run.sh --other-python [ARGUMENTS…]  on another Python: no browser or booted machine
#
# As root on Debian it installs missing packages; otherwise it prints how to install them. The
# tests run in random order: the seed is printed first, and --randomly-seed=N repeats it.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
cache=$top/.cache
mkdir -p "$cache"
export PATH=$PATH:/usr/sbin:/sbin
# Where it is set, each of several hundred processes would compile the package again.
unset PYTHONDONTWRITEBYTECODE

case ${1:-} in
  --quick | --other-python) mode=${1#--} && shift ;;
  "") mode=whole ;;
  *) mode=some ;;
esac

# program → Debian package that brings it
declare -A needed=(
  [eatmydata]=eatmydata
  [minisign]=minisign
  [shellcheck]=shellcheck
  [ssh-keygen]=openssh-client
  [systemd-analyze]=systemd
  [unzip]=unzip
)
if [ "$mode" != quick ]; then
  needed+=(
    [7z]=p7zip-full
    [apache2]=apache2
    [bsdtar]=libarchive-tools
    [busybox]=busybox
    [caddy]=caddy
    [epubcheck]=epubcheck
    [gpg]=gnupg
    [java]=default-jre-headless
    [newsboat]=newsboat
    [nginx]=nginx-light
    [obfs4proxy]=obfs4proxy
    [rclone]=rclone
    [rsync]=rsync
    [sfeed]=sfeed
    [sshd]=openssh-server
    [tor]=tor
    [zip]=zip
  )
fi
if [ "$mode" = whole ] || [ "$mode" = some ]; then
  needed+=(
    [chromium]=chromium
    [firefox-esr]=firefox-esr
    [links2]=links2
    [lynx]=lynx
    [node]=nodejs
    [npm]=npm
    [pdftotext]=poppler-utils
    [w3m]=w3m
  )
fi
missing=()
for program in "${!needed[@]}"; do
  command -v "$program" >/dev/null || missing+=("${needed[$program]}")
done
if [ -n "${needed[nginx]:-}" ]; then
  # nginx needs it to remove its own headers.
  more=libnginx-mod-http-headers-more-filter
  [ -e /usr/lib/nginx/modules/ngx_http_headers_more_filter_module.so ] || missing+=("$more")
  # The tests of the feeds use it, with the system's Python.
  [ -e /usr/lib/python3/dist-packages/feedparser ] || missing+=(python3-feedparser)
fi
# The browser tests see only these fonts (tests/support/browser/fonts.conf).
if [ -n "${needed[chromium]:-}" ]; then
  [ -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ] || missing+=(fonts-dejavu-core)
  [ -e /usr/share/fonts/truetype/liberation/LiberationSerif-Regular.ttf ] || missing+=(fonts-liberation)
  [ -e /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc ] || missing+=(fonts-noto-cjk)
fi
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "The tests need packages that are missing. Run: sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
  deploy/apt.sh "${missing[@]}"
fi

python=$(deploy/venv.sh "$cache/venv" tests/lock.txt)/bin/python
if [ -n "${needed[npm]:-}" ]; then tests/browser/npm.sh; fi
left_out=()
# A release must have the same bytes on two versions of Python.
if [ "$mode" != quick ] && other=$(tests/other_python.sh "$cache"); then
  version=$("$other" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  OTHER_PYTHON=$(PYTHON=$other deploy/venv.sh "$cache/venv-$version" tests/lock.txt)/bin/python
  export OTHER_PYTHON
elif [ "$mode" = other-python ]; then
  exit 1
elif [ "$mode" != quick ]; then
  left_out+=("another Python, which cannot be set up: tests/other_python.sh .cache says why")
fi

# Most tests wait for something, so more workers than cores are used; those of --quick compute.
workers=$(($(nproc) * 2))
options=()
case $mode in
  quick)
    workers=$(nproc)
    options+=(--quick)
    ;;
  other-python)
    options+=(-m "not browser")
    # The floor is what was measured on 2026-11-25, rounded down: 97.46 % of lines and branches.
    # Measuring costs 40 % more CPU, so only this run does, which CI repeats anyway.
    [ $# -gt 0 ] || options+=(--cov --cov-report= --cov-fail-under=97)
    other=$OTHER_PYTHON OTHER_PYTHON=$python python=$other
    left_out+=("browsers: tests/run.sh runs them")
    ;;
esac
export PATH=${python%/*}:$PATH

# These run next to the tests; their output follows after the tests'.
logs=$(mktemp -d)
declare -A jobs=()
finish() {
  for pid in "${jobs[@]}"; do kill -- -"$pid" 2>/dev/null && wait "$pid"; done
  rm -rf "$logs"
}
trap finish EXIT

job() { # NAME COMMAND…
  local name=$1
  shift
  setsid "$@" >"$logs/$name" 2>&1 & # a process group, to end all of it
  jobs[$name]=$!
}

[ "$mode" = other-python ] || job "lint and types" tests/lint.sh
case $mode in
  quick | other-python) left_out+=("booted machines: tests/deploy/run.sh runs them") ;;
  whole)
    # It boots a Debian in new network namespaces, which only root can create.
    if [ "$(id -u)" != 0 ]; then
      left_out+=("these tests need root:")
      mapfile -t -O "${#left_out[@]}" left_out < <("$python" -m pytest --collect-only -q tests/deploy | grep ::)
    elif ! unshare --net --mount --pid --fork true 2>/dev/null; then
      left_out+=("booted machines: this machine does not allow root to create namespaces")
    else
      # One test after the other on one machine: it takes longest, so the other tests let it go first.
      job "deployment on Debian 12" nice -n -5 tests/deploy/run.sh bookworm -m "not slow"
      left_out+=("deployment on Debian 13, the TLS scan, the upgrade of Debian and two servers with one onion: tests/deploy/run.sh runs them")
    fi
    ;;
esac

failed=()
# No test cuts the power, so none has to wait until its files are on the disk.
eatmydata "$python" -m pytest -n "$workers" "${options[@]}" "$@" || failed+=(pytest)
for name in "${!jobs[@]}"; do
  wait "${jobs[$name]}" || failed+=("$name")
  unset "jobs[$name]"
  printf '== %s\n' "$name"
  cat "$logs/$name"
done
[ ${#left_out[@]} = 0 ] || printf 'LEFT OUT: %s\n' "${left_out[@]}"
if [ ${#failed[@]} -gt 0 ]; then
  echo "FAILED: ${failed[*]}" >&2
  exit 1
fi
