# shellcheck shell=bash
# The Debian packages that the server needs, and why.

PACKAGES=(
  apparmor            # confines tor
  ca-certificates
  gpg                 # encrypts backups
  gpg-agent           # reads their passphrase
  libnginx-mod-http-headers-more-filter # lets nginx remove headers
  needrestart         # restarts what still uses the files that an update replaced
  nftables
  nginx
  python3-venv
  systemd-timesyncd   # certificates and tor need the correct time
  tor
  unattended-upgrades # daily security updates
)
PACKAGES_FOR_A_FRONT=(
  apparmor
  ca-certificates
  needrestart
  nftables
  onionbalance # publishes the onion for several servers
  python3-venv
  systemd-timesyncd
  tor
  unattended-upgrades
)
PACKAGES_FOR_A_DOMAIN=(
  certbot
)
# Only those that the bridges need. Each contains the program of its name.
PACKAGES_FOR_BRIDGES=(
  obfs4proxy
  snowflake-client
)

# Install those that are missing. The services must not start with Debian’s configuration: nginx would
# serve its default page, and tor would open a SOCKS port.
packages_install() { # PACKAGE…
  local missing=() package
  for package in "$@"; do
    package_is_installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  change "install from Debian: ${missing[*]}" || return 0
  without_starting_services apt_get install --no-install-recommends "${missing[@]}"
}

package_is_installed() { # PACKAGE
  [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

APT_WAIT=600 # seconds to wait for another program that uses apt

apt_get() { # install PACKAGE… | upgrade
  apt_run update || true # a mirror may be down; then the install fails and reports it
  if ! apt_run --yes --option Dpkg::Options::=--force-confold "$@"; then
    tail -n 20 "$WORK/apt.log" >&2
    fail "apt-get $1 failed. See its output above." "Check that this machine can reach Debian’s package servers, then run the same command again."
  fi
}

# Run apt-get. Wait while another program, such as the daily update, holds one of its locks.
apt_run() { # ARGUMENT…
  local log=$WORK/apt.log limit=$((SECONDS + APT_WAIT)) locked waiting=no
  until DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get "$@" >"$log" 2>&1; do
    if grep --quiet 'dpkg was interrupted' "$log"; then
      DEBIAN_FRONTEND=noninteractive dpkg --force-confold --configure --pending >"$log" 2>&1 || return 1
      continue
    fi
    locked=$(sed -n 's/^E: Could not get lock //p' "$log" | sed q)
    [ -n "$locked" ] || return 1
    [ "$SECONDS" -lt "$limit" ] || fail "Another program is still using apt after $APT_WAIT s: $locked" "Wait until it has finished, then run the same command again."
    [ $waiting = yes ] || note "waiting up to $APT_WAIT s for another program that uses apt: $locked"
    waiting=yes
    sleep 1
  done
}

POLICY=/usr/sbin/policy-rc.d # Debian asks it whether a package may start its service

without_starting_services() { # COMMAND…
  if [ ! -e "$POLICY" ]; then
    # It says no only while its lock is held, so a killed run leaves it without effect.
    # shellcheck disable=SC2016 # the script’s own name
    printf '#!/bin/sh\n# Written by deploy.sh.\nflock --nonblock --shared "$0" true || exit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
    exec 8<"$POLICY"
    flock 8
  fi
  "$@"
  allow_starting_services
}

allow_starting_services() {
  ! grep --quiet --no-messages '^# Written by deploy.sh' "$POLICY" || rm -f "$POLICY"
  exec 8<&-
}
