# shellcheck shell=bash
# Remove everything that deploy.sh installed.

uninstall() { # yes|no (purge)
  local purge=$1 unit file backup
  [ -d "$ETC" ] || [ -d "$CODE" ] || fail "The site is not installed on this machine."
  step "uninstall"
  # The running manager may have the only copy of the key, so this comes before it stops.
  if [ "$purge" = no ] && [ -n "$(onion_key_found)" ]; then
    backup=$KEPT/cccr-web-kept-$(date +%Y%m%dT%H%M%S).backup
    if change "write the encrypted backup $backup"; then install --mode 600 "$BUNDLE/kept.backup" "$backup"; fi
  elif [ "$purge" = no ]; then
    note "this server has no onion key, so no backup is left"
  fi
  for unit in cccr-{doctor,notify,watch,watch-notify}.{timer,service} cccr-web-{front,manager,peer}.service cccr-web-{clearnet,onion}.{service,socket} "tor@$INSTANCE.service" nginx.service; do
    if ! systemctl --quiet is-active "$unit" && ! systemctl --quiet is-enabled "$unit" 2>/dev/null; then continue; fi
    change "stop and disable $unit" || continue
    systemctl --quiet disable --now "$unit" 2>/dev/null || true
  done
  if nft list table inet cccr_web >/dev/null 2>&1 && change "remove the firewall table"; then
    nft delete table inet cccr_web
  fi
  if [ -e "$APPARMOR" ] && has_apparmor && change "unload the AppArmor profile of tor"; then
    apparmor_parser --remove "$APPARMOR"
  fi
  for unit in tor@default.service swap.target; do
    [ "$(systemctl is-enabled "$unit" 2>/dev/null)" = masked ] || continue
    change "unmask $unit" || continue
    systemctl --quiet unmask "$unit"
  done
  for file in "$UNITS"/cccr-web-* "$UNITS"/cccr-{doctor,notify,watch}* /var/lib/systemd/timers/stamp-cccr-* /etc/cccr-watch /run/cccr-{doctor,watch} /var/lib/{,private/}cccr-{watch,{,watch-}notify} "$UNITS"/nftables.service.d/cccr-web.conf "$NGINX_DROPINS"/{cccr-web,exposure}.conf "$TOR_DROPINS" \
    /etc/tmpfiles.d/cccr-web.conf "$APPARMOR" /etc/systemd/{journald,system}.conf.d/cccr-web.conf /etc/sysctl.d/60-cccr-web.conf \
    /etc/apt/apt.conf.d/52cccr-web "$NEEDRESTART/conf.d/cccr-web.conf" "${UPDATED[@]/#/$NEEDRESTART/restart.d/}" "$HOOK" /run/cccr-web /run/cccr-{nginx,front} /var/cache/nginx/cccr-web \
    /run/{,private/}cccr-web-{manager,peer} /var/lib/cccr-web /var/lib/{,private/}cccr-web-{clearnet,onion} "/etc/tor/instances/$INSTANCE" \
    "/var/lib/tor-instances/$INSTANCE" "/run/tor-instances/$INSTANCE" "/run/tor-instances/$INSTANCE.defaults" \
    /run/lock/cccr-web "${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/cccr-web" "$CODE" "$DATA" "$ETC"; do
    if [ ! -e "$file" ] && [ ! -L "$file" ]; then continue; fi
    change "remove $file" || continue
    rm -rf --one-file-system "$file"
  done
  if getent passwd "_tor-$INSTANCE" >/dev/null && change "remove the user _tor-$INSTANCE"; then
    deluser --quiet --system "_tor-$INSTANCE"
  fi
  ssh_loosen
  [ "$DRY_RUN" = yes ] || systemctl daemon-reload
  UNDO=()
  say "Not removed: Debian’s packages (${PACKAGES[*]} ${PACKAGES_FOR_A_DOMAIN[*]}) and the certificate in /etc/letsencrypt."
  [ -z "${backup:-}" ] || say "The onion key, settings and release are in $backup. Copy it, and keep the passphrase: “deploy.sh restore” needs both."
}
