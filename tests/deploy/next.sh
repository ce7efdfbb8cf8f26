#!/usr/bin/env bash
# Download the Debian 13 packages that upgrade a Debian 12 made by root.sh, with everything that
# deploy.sh installs, unless they exist. Print the folder: a package repository.
#
#   tests/deploy/next.sh FRESH
#
# FRESH is the folder that root.sh printed.
set -euo pipefail

fresh=$1
made=$fresh-next
if [ ! -d "$made" ]; then
  echo "downloading the packages of Debian 13" >&2
  new=$made.partial
  rm -rf --one-file-system "$new"
  mkdir -p "$new"/{debs/partial,state/lists}
  trap 'rm -rf --one-file-system "$new"' EXIT
  # mmdebstrap knows where Debian's packages are; an empty root holds its list of sources.
  mmdebstrap --quiet --variant=custom trixie "$new/root"
  touch "$new/status"
  apt=(--quiet --quiet --option "Dir::Etc::SourceList=$new/root/etc/apt/sources.list" --option Dir::Etc::SourceParts=/dev/null
    --option "Dir::State=$new/state" --option "Dir::State::status=$new/status" --option "Dir::Cache=$new/state"
    --option "Dir::Cache::archives=$new/debs" --option APT::Sandbox::User=root)
  apt-get "${apt[@]}" update >&2
  # All of them, with their dependencies, as if nothing were installed.
  mapfile -t names < <(comm -12 <(apt-cache "${apt[@]}" pkgnames | sort) <({
    dpkg-query --admindir "$fresh/root/var/lib/dpkg" --show --showformat '${Package}\n'
    basename --multiple "$fresh"/apt/*.deb | cut -d _ -f 1
  } | sort --unique))
  apt-get "${apt[@]}" --yes --download-only --no-install-recommends install "${names[@]}" >&2
  rm -rf "$new/debs/partial" "$new/debs/lock"
  (cd "$new/debs" && apt-ftparchive packages . >Packages)
  mv --no-target-directory "$new/debs" "$made"
fi
echo "$made"
