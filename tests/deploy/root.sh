#!/usr/bin/env bash
# Make a fresh Debian to boot, and a package repository for it, unless they exist. Print their folder.
#
#   tests/deploy/root.sh SUITE CACHE
#
# Run it as root. The folder holds root/, a minimal Debian with systemd and sshd, as a rented server
# comes, and apt/, a repository of every package that the server will need, so it needs no network.
# installed/ is such a folder for a Debian that has these packages already: to install them takes 13 s
# of CPU time, which only tests of the installation need.
set -euo pipefail

suite=$1
cache=$2
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/server/packages.sh
. "$here/../../deploy/server/packages.sh"

recipe=$(cat "$here/root.sh" "$here/../../deploy/server/packages.sh" | sha256sum | cut -c 1-12)
made=$cache/deploy-$suite-$recipe
if [ ! -d "$made" ]; then
  if ! unshare --mount --pid --fork true 2>/dev/null; then
    echo "This machine does not allow root to create namespaces, which mmdebstrap needs. Run this outside a container, or in a privileged one (docker run --privileged)." >&2
    exit 1
  fi
  echo "creating a fresh Debian $suite" >&2
  rm -rf --one-file-system "$cache/deploy-$suite"-* # made by an older version of this script
  mkdir -p "$made.partial"/{apt,installed}
  trap 'rm -rf --one-file-system "$made.partial"' EXIT
  root=$made.partial/root
  installed=$made.partial/installed
  base="systemd systemd-sysv dbus openssh-server iproute2 ca-certificates"
  mmdebstrap --quiet --variant=minbase --include="$base" "$suite" "$root"
  # deploy.sh enables them, once they have their configuration.
  # shellcheck disable=SC2016 # expanded by mmdebstrap’s shell
  mmdebstrap --quiet --variant=minbase --include="$base ${PACKAGES[*]} ${PACKAGES_FOR_A_DOMAIN[*]}" \
    --customize-hook='chroot "$1" systemctl --quiet disable nginx tor' "$suite" "$installed/root"
  ln -s ../apt "$installed/apt"
  # Use the new root’s apt settings, but keep the downloads outside it.
  mkdir "$made.partial/lists"
  apt=(apt-get --quiet --quiet --option "Dir=$root" --option "Dir::State::status=$root/var/lib/dpkg/status"
    --option "Dir::Cache::archives=$made.partial/apt" --option Debug::NoLocking=1
    --option "Dir::State::lists=$made.partial/lists" --option "APT::Architecture=$(dpkg --print-architecture)"
    --option APT::Sandbox::User=root)
  mkdir -p "$made.partial/apt/partial"
  "${apt[@]}" update >&2
  "${apt[@]}" --yes --download-only --no-install-recommends install \
    "${PACKAGES[@]}" "${PACKAGES_FOR_A_FRONT[@]}" "${PACKAGES_FOR_A_DOMAIN[@]}" "${PACKAGES_FOR_BRIDGES[@]}" >&2
  (cd "$made.partial/apt" && rm -rf partial lock && apt-ftparchive packages . >Packages)
  rm -rf "$made.partial/lists"
  for root in "$root" "$installed/root"; do
    rm -rf "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*
    echo 'deb [trusted=yes] file:/srv/apt ./' >"$root/etc/apt/sources.list"
  done
  mv "$made.partial" "$made"
fi
echo "$made"
