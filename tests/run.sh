#!/usr/bin/env bash
# Set up and run the tests.
#
#   tests/run.sh [ARGUMENTS FOR PYTEST…]      without arguments also tests/deploy/, if root
#   tests/run.sh --quick [ARGUMENTS…]         daily work: no browsers, tor or booted machines
#   tests/run.sh --other-python [ARGUMENTS…]  on another Python: no browsers or booted machines
#
# As root on Debian it installs what is missing; otherwise it says what to install.
# Tests run in random order. The seed is printed first; --randomly-seed=N
# repeats the order.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
cache=$top/.cache
mkdir -p "$cache"
export PATH=$PATH:/usr/sbin:/sbin

case ${1:-} in
  --quick | --other-python) mode=${1#--} && shift ;;
  "") mode=whole ;;
  *) mode=some ;;
esac

# program → Debian package that brings it
declare -A needed=(
  [epubcheck]=epubcheck
  [gpg]=gnupg
  [java]=default-jre-headless
  [minisign]=minisign
  [nginx]=nginx-light
  [shellcheck]=shellcheck
  [ssh-keygen]=openssh-client
  [systemd-analyze]=systemd
  [tor]=tor
  [unzip]=unzip
)
if [ "$mode" = whole ] || [ "$mode" = some ]; then
  needed+=(
    [chromium]=chromium
    [firefox-esr]=firefox-esr
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
# nginx can drop no header of its own without it.
more=libnginx-mod-http-headers-more-filter
[ -e /usr/lib/nginx/modules/ngx_http_headers_more_filter_module.so ] || missing+=("$more")
# The browser tests see only these fonts (tests/support/browser/fonts.conf).
if [ -n "${needed[chromium]:-}" ]; then
  [ -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ] || missing+=(fonts-dejavu-core)
  [ -e /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc ] || missing+=(fonts-noto-cjk)
fi
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "The tests need packages that are missing. Run: sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
  echo "installing ${missing[*]}" >&2
  deploy/apt.sh "${missing[@]}"
fi

deploy/venv.sh "$cache/venv" tests/lock.txt
python=$cache/venv/bin/python
if [ -n "${needed[npm]:-}" ]; then tests/browser/npm.sh; fi
# A release must have the same bytes on two versions of Python.
if [ "$mode" != quick ] && other=$(tests/other_python.sh "$cache"); then
  version=$("$other" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  PYTHON=$other deploy/venv.sh "$cache/venv-$version" tests/lock.txt
  export OTHER_PYTHON=$cache/venv-$version/bin/python
elif [ "$mode" = other-python ]; then
  exit 1
fi

# Most tests wait for something, hence more workers than cores.
options=(-n "$(($(nproc) + 1))")
left_out=()
case $mode in
  whole) options+=(--cov --cov-report=) ;;
  quick) options+=(--quick) ;;
  other-python)
    options+=(-m "not browser")
    other=$OTHER_PYTHON OTHER_PYTHON=$python python=$other
    left_out+=("browsers: tests/run.sh runs them")
    ;;
esac
export PATH=${python%/*}:$PATH

# What runs at the same time as the tests prints its output after them.
logs=$(mktemp -d)
declare -A jobs=()
finish() {
  for pid in "${jobs[@]}"; do kill "$pid" 2>/dev/null && wait "$pid"; done
  rm -rf "$logs"
}
trap finish EXIT

job() { # NAME COMMAND…
  local name=$1
  shift
  "$@" >"$logs/$name" 2>&1 &
  jobs[$name]=$!
}

[ "$mode" = other-python ] || job "lint and types" tests/lint.sh
if [ "$mode" = whole ]; then
  # A real Debian in network namespaces of its own, which only root can make.
  if [ "$(id -u)" != 0 ]; then
    left_out+=("tests that need root: tests/deploy")
  elif ! unshare --net --mount --pid --fork true 2>/dev/null; then
    left_out+=("tests/deploy: this machine allows no namespaces")
  else
    job tests/deploy tests/deploy/run.sh bookworm -m "not slow"
  fi
else
  left_out+=("booted machines: tests/deploy/run.sh runs them")
fi

failed=()
"$python" -m pytest "${options[@]}" "$@" || failed+=(pytest)
for name in "${!jobs[@]}"; do
  wait "${jobs[$name]}" || failed+=("$name")
  unset "jobs[$name]"
  printf '== %s\n' "$name"
  cat "$logs/$name"
done
for line in "${left_out[@]}"; do echo "LEFT OUT: $line"; done
if [ ${#failed[@]} -gt 0 ]; then
  echo "FAILED: ${failed[*]}" >&2
  exit 1
fi
