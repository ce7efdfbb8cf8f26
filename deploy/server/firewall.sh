# shellcheck shell=bash
# The firewall: our own nftables table, in addition to Debian’s or the admin’s.

FIREWALL=$ETC/nftables.conf

firewall_install() {
  step "firewall"
  local SSH_PORTS PORTS='' RULES ports
  ports=$(firewall_ssh_ports)
  [ -z "$DOMAIN" ] || PORTS="80, 443"
  SSH_PORTS=${ports//$'\n'/, }
  if [ -z "$SSH_PORTS" ]; then note "no sshd is listening, so no port is opened for it"; fi
  [ -z "$SSH_PORTS" ] || PORTS=$SSH_PORTS${PORTS:+, $PORTS}
  [ -n "$PORTS" ] || PORTS=0
  RULES=$(firewall_egress)
  render nftables.conf PORTS RULES >"$WORK/nftables.conf"
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

# systemd gives these to units with DynamicUser=. Of ours, only the sender of notifications has a network.
DYNAMIC_USERS=61184-65519

# Print the rules for what may leave.
firewall_egress() {
  local ports=80,443 tor=tcp kind group rule
  local clocks=(systemd-timesync _chrony chrony ntpsec ntp openntpd) resolvers=(systemd-resolve unbound bind dnsmasq knot-resolver)
  # Root could change these rules. As root run certbot, pip and doctor.
  if [[ $ACME_SERVER =~ ^https://[^/]*:([0-9]+) ]]; then ports+=,${BASH_REMATCH[1]}; fi
  egress root tcp "$ports"
  egress _apt tcp 80,443
  for kind in udp tcp; do egress "root _apt _tor-$INSTANCE ${resolvers[*]} ${clocks[*]}" $kind 53; done
  egress "${resolvers[*]}" tcp 853
  egress "${clocks[*]}" udp 123
  # tor, and the tor that doctor starts with this group. Snowflake needs UDP.
  ! grep --quiet --no-messages snowflake "$TORRC_FILE" || tor='{ tcp, udp }'
  ! group=$(id --group "_tor-$INSTANCE" 2>/dev/null) || echo "    meta skgid $group meta l4proto $tor accept # _tor-$INSTANCE"
  if [ -n "$DOMAIN" ] && notify_is_on; then echo "    meta skuid $DYNAMIC_USERS meta l4proto { tcp, udp } accept # cccr-notify"; fi
  # With several servers, nginx asks the others for the answer to a certificate's challenge.
  [ -z "$DOMAIN" ] || for rule in $ADDRESSES; do
    kind=ip
    [[ $rule != *:* ]] || kind=ip6
    egress www-data "$kind daddr $rule tcp" 80
  done
  for rule in $EGRESS; do
    id "${rule%%:*}" >/dev/null 2>&1 || note "EGRESS: there is no user ${rule%%:*} here"
    egress "${rule%%:*}" tcp "${rule#*:}"
  done
}

# Print a rule for those of the users that exist: nftables rejects unknown names.
egress() { # USERS [ip daddr ADDRESS] tcp|udp PORTS
  local user number
  for user in $1; do
    number=$(id --user "$user" 2>/dev/null) || continue
    echo "    meta skuid $number $2 dport { ${3//,/, } } accept # $user"
  done
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
