# shellcheck shell=bash
# The certificate, by Debian’s certbot: it answers the challenge through nginx.

HOOK=/etc/letsencrypt/renewal-hooks/deploy/cccr-web

certificate_install() {
  [ -n "$DOMAIN" ] || return 0
  step "the certificate"
  put "$HOOK" 755 <<'HOOK'
#!/bin/sh
# Written by deploy.sh: nginx takes the renewed certificate.
exec systemctl reload nginx.service
HOOK
  enable certbot.timer
  start certbot.timer
  ! certificate_is_good || return 0
  change "ask for a certificate for $DOMAIN" || return 0
  local options=(--non-interactive --agree-tos --cert-name cccr-web --webroot --webroot-path /var/lib/cccr-web/acme --renew-with-new-domains) name said
  for name in $DOMAIN; do options+=(--domain "$name"); done
  if [ -n "$CONTACT" ]; then options+=(--email "$CONTACT"); else options+=(--register-unsafely-without-email); fi
  [ -z "$ACME_SERVER" ] || options+=(--server "$ACME_SERVER")
  if ! said=$(certbot certonly "${options[@]}" 2>&1); then
    say "$said"
    LATER+=("There is no certificate yet for $DOMAIN, so the site answers by the onion only. See that the name leads to this machine and port 80 is open to it, then run the same again.")
    return 0
  fi
  nginx_install
  nginx_start
}

certificate_is_good() {
  local file=$CERTIFICATE/fullchain.pem name
  openssl x509 -in "$file" -noout -checkend 0 >/dev/null 2>&1 || return 1
  for name in $DOMAIN; do
    openssl x509 -in "$file" -noout -checkhost "$name" 2>/dev/null | grep 'does match' >/dev/null || return 1
  done
}
