# shellcheck shell=bash
# The firewall: our own nftables table, in addition to Debian’s or the admin’s.

FIREWALL=$ETC/nftables.conf

firewall_install() {
  step "firewall"
  local SSH_PORTS PORTS='' ports
  ports=$(firewall_ssh_ports)
  [ -z "$DOMAIN" ] || PORTS="80, 443"
  SSH_PORTS=${ports//$'\n'/, }
  if [ -z "$SSH_PORTS" ]; then note "no sshd is listening, so no port is opened for it"; fi
  [ -z "$SSH_PORTS" ] || PORTS=$SSH_PORTS${PORTS:+, $PORTS}
  [ -n "$PORTS" ] || PORTS=0
  render nftables.conf PORTS >"$WORK/nftables.conf"
  if command -v nft >/dev/null; then
    local output
    output=$(nft --check --file "$WORK/nftables.conf" 2>&1) || {
      note "nftables does not work here, so there is no firewall: ${output%%$'\n'*}"
      return 0
    }
  fi
  put "$FIREWALL" <"$WORK/nftables.conf"
  put /etc/systemd/system/nftables.service.d/cccr-web.conf <"$HERE/units/nftables.conf"
}

firewall_start() {
  [ -f "$FIREWALL" ] || return 0
  enable nftables.service
  if ! systemctl --quiet is-active nftables.service; then
    start nftables.service
  elif changed "$FIREWALL" /etc/systemd/system/nftables.service.d/cccr-web.conf; then
    unit_action restart nftables.service
  fi
}

# The ports on which sshd listens, and the port of the current connection.
firewall_ssh_ports() {
  {
    { sshd -T 2>/dev/null || /usr/sbin/sshd -T 2>/dev/null || true; } | awk '$1 == "port" { print $2 }
      $1 == "listenaddress" { sub(/.*:/, "", $2); print $2 }'
    [ -z "${SSH_CONNECTION:-}" ] || echo "${SSH_CONNECTION##* }"
    systemctl show --property=Listen ssh.socket 2>/dev/null | sed -n 's/^Listen=.*[^0-9]\([0-9]\{1,5\}\) (Stream)$/\1/p'
  } | grep -E '^[0-9]+$' | sort --unique --numeric-sort
}
