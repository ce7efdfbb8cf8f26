# shellcheck shell=bash
# The TLS certificate, from Debian’s certbot. nginx serves the challenge files.

HOOK=/etc/letsencrypt/renewal-hooks/deploy/cccr-web
CERTIFICATE_STATUS=1 # how a run ends that leaves warnings; 4 if all is well but the certificate

certificate_install() {
  [ -n "$DOMAIN" ] || return 0
  step "the certificate"
  put "$HOOK" 755 <<'HOOK'
#!/bin/sh
# Written by deploy.sh: load the renewed certificate into nginx.
exec systemctl reload nginx.service
HOOK
  enable certbot.timer
  start certbot.timer
  ! certificate_is_valid || return 0
  change "request a certificate for $DOMAIN" || return 0
  local options=(--non-interactive --agree-tos --cert-name cccr-web --webroot --webroot-path "$ACME" --renew-with-new-domains) name output
  for name in $DOMAIN; do options+=(--domain "$name"); done
  if [ -n "$CONTACT" ]; then options+=(--email "$CONTACT"); else options+=(--register-unsafely-without-email); fi
  [ -z "$ACME_SERVER" ] || options+=(--server "$ACME_SERVER")
  if ! output=$(certbot certonly "${options[@]}" 2>&1); then
    say "$output"
    [ ${#WARNINGS[@]} != 0 ] || CERTIFICATE_STATUS=4
    WARNINGS+=("There is no certificate for $DOMAIN yet, so only the onion answers. Check that the name resolves to this machine and that port 80 is open, then run the same command again.")
    return 0
  fi
  nginx_install
  nginx_start
}

certificate_is_valid() {
  local file=$CERTIFICATE/fullchain.pem name
  for name in $DOMAIN; do
    # Before OpenSSL 3.6, “x509 -checkhost” exits with 0 in any case. Here the certificate is its own
    # trust anchor, so only its dates and its names are checked.
    openssl verify -partial_chain -trusted "$file" -verify_hostname "$name" "$file" >/dev/null 2>&1 || return 1
  done
}
