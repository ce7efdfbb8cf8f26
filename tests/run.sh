#!/usr/bin/env bash
# Set up and run every test.
#
#   tests/run.sh [ARGUMENTS FOR PYTEST…]
#
# As root on Debian it installs what is missing; otherwise it says what to install.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
cache=$top/.cache
mkdir -p "$cache"

# program → Debian package that brings it
declare -A needed=(
  [apt-ftparchive]=apt-utils
  [chromium]=chromium
  [epubcheck]=epubcheck
  [firefox-esr]=firefox-esr
  [gpg]=gnupg
  [java]=default-jre-headless
  [minisign]=minisign
  [mmdebstrap]=mmdebstrap
  [nginx]=nginx-light
  [node]=nodejs
  [npm]=npm
  [pdftotext]=poppler-utils
  [pebble]=pebble
  [shellcheck]=shellcheck
  [ssh-keygen]=openssh-client
  [systemd-analyze]=systemd
  [systemd-nspawn]=systemd-container
  [tor]=tor
  [unzip]=unzip
  [w3m]=w3m
)
missing=()
for program in "${!needed[@]}"; do
  PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || missing+=("${needed[$program]}")
done
# nginx can drop no header of its own without it.
more=libnginx-mod-http-headers-more-filter
[ -e /usr/lib/nginx/modules/ngx_http_headers_more_filter_module.so ] || missing+=("$more")
# Without a Chinese font the browsers would measure boxes for missing characters.
if [ -z "$(fc-list :lang=zh-cn 2>/dev/null)" ]; then missing+=(fonts-noto-cjk); fi
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "For the tests, have these installed (as root: apt-get install ${missing[*]})." >&2
    exit 1
  fi
  echo "installing ${missing[*]}" >&2
  deploy/apt.sh "${missing[@]}"
fi

deploy/venv.sh "$cache/venv" tests/lock.txt
tests/browser/npm.sh
export PATH=$cache/venv/bin:$PATH
OTHER_PYTHON=$(tests/other_python.sh "$cache")
export OTHER_PYTHON
# What a build needs, for that Python; stem, which is source only, is not among it.
OTHER_SITE=$cache/site-$("$OTHER_PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
export OTHER_SITE
if [ ! -d "$OTHER_SITE" ]; then
  awk '/^[a-z]/ { on = index($0, "stem==") != 1 } on' deploy/lock/run.txt >"$cache/other.txt"
  python -m pip --disable-pip-version-check -qq install --target "$OTHER_SITE.partial" --no-deps \
    --python-version "${OTHER_SITE##*-}" --only-binary :all: --require-hashes --requirement "$cache/other.txt"
  mv "$OTHER_SITE.partial" "$OTHER_SITE"
fi

echo "lint and types" >&2
ruff check --quiet .
ruff format --quiet --check .
mypy
shellcheck --external-sources .ci/run deploy/cccr-web deploy/*.sh deploy/lock/*.sh deploy/server/*.sh tests/*.sh tests/*/*.sh
cccr-web check

python -m pytest "$@"
if [ $# = 0 ] && [ "$(id -u)" = 0 ]; then
  # A real Debian in network namespaces of its own, which only root can make.
  if ! unshare --net --mount --pid --fork true 2>/dev/null; then
    echo "LEFT OUT: tests/deploy/run.sh, as this machine lets nobody make namespaces" >&2
    exit 0
  fi
  exec tests/deploy/run.sh bookworm -m "not slow"
fi
