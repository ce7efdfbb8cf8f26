# shellcheck shell=bash
# What the server needs from Debian, and why.

PACKAGES=(
  ca-certificates
  gpg                 # encrypts backups
  gpg-agent           # asks for their passphrase
  libnginx-mod-http-headers-more-filter # nginx can drop no header by itself
  nftables
  nginx
  python3-venv
  systemd-timesyncd   # certificates, and tor, need the right time
  tor
  unattended-upgrades # security updates each day
)
PACKAGES_FOR_A_DOMAIN=(
  certbot
)

# Install what is missing. A service that a package brings must not start with Debian’s
# configuration: nginx would answer with its own page, tor would open a SOCKS port.
packages_install() {
  local wanted=("${PACKAGES[@]}") missing=() package
  [ -z "$DOMAIN" ] || wanted+=("${PACKAGES_FOR_A_DOMAIN[@]}")
  for package in "${wanted[@]}"; do
    package_is_installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  change "install from Debian: ${missing[*]}" || return 0
  without_starting_services apt_get install --no-install-recommends "${missing[@]}"
}

package_is_installed() { # PACKAGE
  [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

apt_get() { # install PACKAGE… | upgrade
  local log=$WORK/apt.log
  DEBIAN_FRONTEND=noninteractive apt-get update >"$log" 2>&1 || true # a mirror may be down; the install tells
  if ! DEBIAN_FRONTEND=noninteractive apt-get --yes --option Dpkg::Options::=--force-confold "$@" >>"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "apt-get $1 failed; its last words stand above." "See whether this machine reaches Debian’s packages, then run the same again."
  fi
}

# Debian’s own way to say which services may start (policy-rc.d).
without_starting_services() { # COMMAND…
  local policy=/usr/sbin/policy-rc.d
  if [ -e "$policy" ]; then
    "$@"
    return
  fi
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  UNDO+=("rm -f $policy")
  "$@"
  rm -f "$policy"
}
