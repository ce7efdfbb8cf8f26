# shellcheck shell=bash
# The Debian packages that the server needs, and why.

PACKAGES=(
  ca-certificates
  gpg                 # encrypts backups
  gpg-agent           # reads their passphrase
  libnginx-mod-http-headers-more-filter # lets nginx remove headers
  nftables
  nginx
  python3-venv
  systemd-timesyncd   # certificates and tor need the correct time
  tor
  unattended-upgrades # daily security updates
)
PACKAGES_FOR_A_DOMAIN=(
  certbot
)

# Install what is missing. The services must not start with Debian’s configuration: nginx would
# serve its default page, and tor would open a SOCKS port.
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
  DEBIAN_FRONTEND=noninteractive apt-get update >"$log" 2>&1 || true # a mirror may be down; then the install fails and reports it
  if ! DEBIAN_FRONTEND=noninteractive apt-get --yes --option Dpkg::Options::=--force-confold "$@" >>"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "apt-get $1 failed. See its output above." "Check that this machine can reach Debian’s package servers, then run the same command again."
  fi
}

# Debian asks policy-rc.d whether a package may start its service.
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
