# shellcheck shell=bash
# The machine itself: swap, journal, core dumps, clock and updates.

RESTART=$ETC/restart
NEEDRESTART=/etc/needrestart
UPDATED=(cccr-web-{clearnet,front,manager,onion,peer}.service nginx.service "tor@$INSTANCE.service")

system_install() {
  step "the machine"
  system_swap
  system_journal
  system_cores
  system_time
  system_updates
}

# Swap could write keys to the disk.
system_swap() {
  mask swap.target
  [ -n "$(swapon --show --noheadings 2>/dev/null)" ] || return 0
  change "turn swap off" || return 0
  swapoff --all || note "swap could not be turned off here"
}

system_journal() {
  local file=/etc/systemd/journald.conf.d/cccr-web.conf
  put "$file" <"$HERE/journald.conf"
  ! changed "$file" || unit_action restart systemd-journald.service
}

system_cores() {
  local manager=/etc/systemd/system.conf.d/cccr-web.conf kernel=/etc/sysctl.d/60-cccr-web.conf
  put "$manager" <<'CONF'
# Written by deploy.sh: never write core dumps to disk.
[Manager]
DefaultLimitCORE=0
CONF
  put "$kernel" <"$HERE/sysctl.conf"
  if changed "$kernel" && [ "$DRY_RUN" = no ]; then
    sysctl --quiet --load "$kernel" 2>/dev/null || note "some kernel settings cannot be changed here (in a container the host controls them)"
  fi
  if changed "$manager" && [ "$DRY_RUN" = no ]; then systemctl daemon-reexec; fi
}

system_time() {
  if systemd-detect-virt --quiet --container; then
    note "in a container the host sets the clock"
    return 0
  fi
  # Another program may keep the clock synchronised already.
  [ "$(timedatectl show --property=NTPSynchronized --value 2>/dev/null)" != yes ] || return 0
  enable systemd-timesyncd.service
  start systemd-timesyncd.service
}

system_updates() {
  local REBOOT=false AT=${REBOOT_AT:-04:30} unit
  [ -z "$REBOOT_AT" ] || REBOOT=true
  render apt.conf REBOOT AT | put /etc/apt/apt.conf.d/52cccr-web
  enable apt-daily.timer apt-daily-upgrade.timer unattended-upgrades.service
  start apt-daily.timer apt-daily-upgrade.timer
  # needrestart runs after each update.
  put "$RESTART" 755 <"$HERE/restart.sh"
  put "$NEEDRESTART/conf.d/cccr-web.conf" <"$HERE/needrestart.conf"
  for unit in "${UPDATED[@]}"; do link "$RESTART" "$NEEDRESTART/restart.d/$unit"; done
}
