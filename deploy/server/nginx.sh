# shellcheck shell=bash
# nginx, the reverse proxy for the clearnet and the onion.

NGINX=$ETC/nginx
NGINX_DROPINS=/etc/systemd/system/nginx.service.d
CERTIFICATE=/etc/letsencrypt/live/cccr-web
ACME=/var/lib/cccr-web/acme # certbot’s challenge files

nginx_install() {
  step "nginx"
  local staged=$WORK/nginx file
  # tor connects to a socket in this folder, and the manager checks that it exists.
  make_folder /run/cccr-nginx 750 "root:$(getent group "_tor-$INSTANCE" | cut -d : -f 1)"
  make_folder /var/cache/nginx
  make_folder "${ACME%/*}"
  make_folder "$ACME"
  nginx_write "$staged"
  nginx_test "$staged"
  for file in "$staged"/*; do
    [ "${file##*/}" = release.conf ] || put "$NGINX/${file##*/}" <"$file"
  done
  for file in "$NGINX"/*; do
    [ -e "$staged/${file##*/}" ] || remove "$file"
  done
  put "$NGINX_DROPINS/cccr-web.conf" <"$HERE/units/nginx.conf"
  put "$NGINX_DROPINS/exposure.conf" <"$HERE/units/nginx-exposure.conf"
  render units/tmpfiles.conf INSTANCE | put /etc/tmpfiles.d/cccr-web.conf
  enable nginx.service
}

NGINX_DEBIAN=/etc/nginx

# Our nginx.service no longer reads Debian’s configuration, so it would take other sites down.
nginx_check_others() {
  local file others='' names
  [ ! -e "$NGINX_DROPINS/cccr-web.conf" ] || return 0
  while IFS= read -r file; do
    names=$(sed -n 's/^[^#]*server_name[[:space:]]\{1,\}\([^;]*\);.*/\1/p' "$file" 2>/dev/null | paste --serial --delimiters=' ') || true
    others+=$'\n'"  $file${names:+: $names}"
  done < <(
    find "$NGINX_DEBIAN/conf.d" "$NGINX_DEBIAN/sites-enabled" -mindepth 1 ! -name default 2>/dev/null || true
    # Debian’s own files, if they were edited.
    dpkg --verify nginx-common 2>/dev/null | awk '$1 != "missing" && $NF ~ /\/(nginx.conf|sites-available\/default)$/ { print $NF }'
  )
  [ -z "$others" ] || fail "nginx on this machine already serves other sites, which would stop answering:$others" \
    "Install on a machine of its own. If these sites may stop: move the files away, and run the same command again."
}

# Write all of nginx’s configuration to FOLDER.
nginx_write() { # FOLDER
  local folder=$1 onion name address OWN UPSTREAM='' ASK_PEERS='' PEERS_LOCATION='' CLEARNET='' HTTP2_LISTEN='' HTTP2_ON='' TLS_GROUPS=X25519:prime256v1:secp384r1
  onion=$(onion_address)
  mkdir -p "$folder"
  nginx_release >"$folder/release.conf"
  for name in $DOMAIN "$onion" "www.$onion"; do printf '"%s" "%s";\n' "$name" "$name"; done >"$folder/hosts.conf"
  cp "$HERE"/nginx/{errors,onion,proxy,site}.conf "$folder"
  nginx_rules "$folder" onion ${DOMAIN:+clearnet}
  if [ -n "$DOMAIN" ]; then
    CLEARNET=$'  include policy-clearnet.conf;\n  include clearnet.conf;'
    if [[ $ADDRESSES == *' '* ]]; then # there are other servers
      for address in $ADDRESSES; do
        [[ $address != *:* ]] || address="[$address]"
        UPSTREAM+="server $address:80 max_fails=0; " # one that failed may be back
      done
      UPSTREAM="upstream peers { $UPSTREAM}"
      ASK_PEERS=$'    recursive_error_pages on;\n    error_page 404 = @peers;\n    include errors.conf;'
      PEERS_LOCATION='  include peers.conf;'
      cp "$HERE/nginx/peers.conf" "$folder"
    fi
    render nginx/clearnet.conf ACME DOMAIN UPSTREAM ASK_PEERS PEERS_LOCATION >"$folder/clearnet.conf"
    if [ -e "$CERTIFICATE/fullchain.pem" ]; then
      # Since nginx 1.25.1 http2 is a separate directive.
      if is_at_least 1.25.1 "$(nginx -v 2>&1 | sed 's/.*nginx\/\([0-9.]*\).*/\1/')"; then HTTP2_ON='http2 on;'; else HTTP2_LISTEN=' http2'; fi
      # A post-quantum key exchange protects recorded traffic, if OpenSSL supports it.
      if is_at_least 3.5 "$(openssl version | cut -d ' ' -f 2)"; then TLS_GROUPS=X25519MLKEM768:$TLS_GROUPS; fi
      render nginx/tls.conf CERTIFICATE DOMAIN HTTP2_LISTEN HTTP2_ON TLS_GROUPS >"$folder/tls.conf"
      CLEARNET+=$'\n  include tls.conf;'
    fi
  fi
  if has_peers; then
    OWN=$(peer_own)
    render nginx/peer.conf OWN >"$folder/peer.conf"
    CLEARNET+=$'\n  include peer.conf;'
  fi
  render nginx/nginx.conf CLEARNET >"$folder/nginx.conf"
  # On a kernel without IPv6, nginx would not start.
  has_ipv6 || sed --in-place '/^ *listen \[::\]/d' "$folder"/*.conf
}

# The part of the cache keys that says which release our servers serve, by their own account.
nginx_release() {
  local server switched=0
  [ ! -f "$DATA/switched" ] || switched=$(cat "$DATA/switched")
  # shellcheck disable=SC2016 # variables of nginx
  printf '# Written by deploy.sh.\nmap $cccr_route $cccr_release {\n  default "";\n'
  for server in "${WEB_SERVERS[@]}"; do printf '  %s "%s-%s";\n' "$server" "$(release_of "$server")" "$switched"; done
  echo '}'
}

# After an undone switch: no longer answer with what was cached meanwhile.
nginx_forget() {
  [ -e "$NGINX/release.conf" ] || return 0
  nginx_release >"$NGINX/release.conf"
  systemctl --quiet is-active nginx.service || return 0
  nginx_reload
  NGINX_IS_NEW=yes
  nginx_warm
}

# The headers of nginx's own error responses: policy-LISTENER.conf for the http block, and
# headers-LISTENER.conf for server blocks. Headers from our server are passed on unchanged.
# tags.conf and languages.conf are how “/” chooses a language.
nginx_rules() { # FOLDER LISTENER…
  local folder=$1 rules=$1.rules listener pin
  shift
  mkdir -p "$rules"
  # In a dry run this version of cccr-web may not be installed yet.
  if [ -x "$COMMAND" ] && [ -e "$CURRENT" ] && { [ "$DRY_RUN" = no ] || ! changed "$PYTHON_LINK"; }; then
    pin=$(pin_file "$ETC")
    "$COMMAND" headers ${HSTS_PRELOAD:+--hsts-preload} --release "$(readlink --canonicalize "$CURRENT")" "$(pin_option "$pin")" "$pin" --out "$rules" \
      --format nginx-proxy-http --format nginx-proxy-server --format nginx-proxy-tags --format nginx-proxy-languages "$@"
  fi
  for listener; do
    nginx_rule "$listener" nginx-proxy-http >"$folder/policy-$listener.conf"
    nginx_rule "$listener" nginx-proxy-server >"$folder/headers-$listener.conf"
  done
  # These do not depend on the listener.
  nginx_rule onion nginx-proxy-tags >"$folder/tags.conf"
  nginx_rule onion nginx-proxy-languages >"$folder/languages.conf"
}

nginx_rule() { # LISTENER FORMAT
  echo "# Written by deploy.sh with “cccr-web headers --format $2 $1”."
  [ ! -e "$rules/$1.$2" ] || cat "$rules/$1.$2"
}

has_ipv6() { ! command -v python3 >/dev/null || python3 -I -c 'import socket; socket.socket(socket.AF_INET6)' 2>/dev/null; }

is_at_least() { # VERSION HAVE
  [ "$(printf '%s\n%s\n' "$1" "$2" | sort --version-sort | sed -n 1p)" = "$1" ]
}

nginx_test() { # FOLDER
  if ! command -v nginx >/dev/null || [ ! -d /run/cccr-nginx ]; then return 0; fi # a dry run on a fresh server
  local output
  output=$(nginx -t -q -c "$1/nginx.conf" 2>&1) || fail "nginx rejects its configuration: $output"
}

NGINX_IS_NEW=no # whether the cache must be filled

nginx_start() {
  local path
  # Only now have our servers been restarted, if they had to be.
  nginx_release | put "$NGINX/release.conf"
  if ! systemctl --quiet is-active nginx.service; then
    start nginx.service
    NGINX_IS_NEW=yes
  elif changed_below "$NGINX_DROPINS"; then
    unit_action restart nginx.service
    NGINX_IS_NEW=yes
  elif changed_below "$NGINX"; then
    nginx_reload
    NGINX_IS_NEW=yes
  fi
  # nginx has loaded these files. Only later changes in this run count.
  for path in "$NGINX_DROPINS"/* "$NGINX"/*; do unset "CHANGED[$path]"; done
}

# Reload nginx and wait until the new configuration is active: “reload” returns before that.
nginx_reload() {
  local before now='' master try worker
  master=$(cat /run/nginx.pid 2>/dev/null || true)
  before=$(nginx_workers "$master")
  unit_action reload nginx.service
  [ "$DRY_RUN" = no ] || return 0
  for try in $(seq 200); do
    sleep 0.05
    # Workers that only finish their current responses have a different title.
    now=" $(nginx_workers "$master") "
    for worker in $before; do
      case $now in *" $worker "*) continue 2 ;; esac
    done
    return 0
  done
  note "nginx still uses its old settings after $((try / 20)) s; the reload continues in the background"
}

# Print the workers that accept requests.
nginx_workers() { # MASTER
  local worker
  for worker in $(cat "/proc/$1/task/$1/children" 2>/dev/null || true); do
    case $({ tr --delete '\0' <"/proc/$worker/cmdline"; } 2>/dev/null) in
      'nginx: worker process') printf '%s ' "$worker" ;;
    esac
  done
}

# Fill the cache, so that nginx can answer while a server is down.
nginx_warm() {
  if [ "$DRY_RUN" = yes ] || [ "$NGINX_IS_NEW" = no ]; then return 0; fi
  local python=$PYTHON_LINK/bin/python name
  "$python" -I "$HERE/warm.py" "$CURRENT" unix:/run/cccr-nginx/onion.sock "$(onion_address)" '' gzip ||
    note "the onion’s cache was not filled completely; readers’ requests will fill it"
  [ -e "$NGINX/tls.conf" ] || return 0
  for name in $DOMAIN; do
    "$python" -I "$HERE/warm.py" "$CURRENT" https "$name" '' gzip br ||
      note "the cache of $name was not filled completely; readers’ requests will fill it"
  done
}
