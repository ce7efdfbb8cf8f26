# shellcheck shell=bash
# The settings: NAME=VALUE lines, never executed.

SETTINGS=(DOMAIN CONTACT RELEASE PUBLIC_KEY SIGNING_POLICY ONION_KEY TORRC SERVER SERVERS ONION_MODE FRONT ADDRESSES ACME_SERVER HSTS_PRELOAD SSH_KEYS_ONLY REBOOT_AT EGRESS MAX_MEGABYTES KEEP_RELEASES NOTIFY PING WATCH)
# Kept on the server. The others are paths on the admin’s machine, or
# secrets, which “notify_settings” keeps in a file of their own.
KEPT_SETTINGS=(DOMAIN ADDRESSES CONTACT ACME_SERVER HSTS_PRELOAD SSH_KEYS_ONLY REBOOT_AT EGRESS MAX_MEGABYTES KEEP_RELEASES)

settings_clear() {
  local name
  for name in "${SETTINGS[@]}"; do printf -v "$name" %s ''; done
}

# Read FILE into variables of the same names. Reports all errors at once.
settings_read() { # FILE
  local file=$1 line name value seen=' ' problems=() number=0
  settings_clear
  while read -r line || [ -n "$line" ]; do # without blanks around it
    number=$((number + 1))
    line=${line#$'\xEF\xBB\xBF'} # a byte order mark
    line=${line%$'\r'}
    case $line in '' | '#'*) continue ;; esac
    read -r name <<<"${line%%=*}"
    read -r value <<<"${line#*=}"
    if [ "$name" = "$line" ] || [[ " ${SETTINGS[*]} " != *" $name "* ]]; then
      # Nothing after the name is shown: it may be a misspelt NOTIFY, which holds passwords.
      problems+=("$file:$number: “${name//[^[:print:]]/?}” is not a setting. The settings are ${SETTINGS[*]}.")
      continue
    fi
    if [[ $seen == *" $name "* ]]; then
      problems+=("$file:$number: ${name} is set a second time. Keep one of the lines.")
    fi
    seen+="$name "
    case $value in \"*\" | \'*\') value=${value:1:${#value}-2} ;; esac
    printf -v "$name" %s "$value"
  done <"$file"
  settings_validate
  if [ ${#problems[@]} -gt 0 ]; then
    printf '%s\n' "${problems[@]}" >&2
    exit 1
  fi
}

# Values are written into configuration files, so only harmless characters are allowed.
settings_validate() { # appends to problems
  local name names
  read -ra names <<<"$DOMAIN" # an unquoted variable would also match the names of files
  for name in ${names[@]+"${names[@]}"}; do
    if [[ ! $name =~ ^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$ ]] || [ ${#name} -gt 253 ]; then
      problems+=("DOMAIN: “${name}” is not a domain name in lower case, such as example.org.")
    elif [[ $name == *.onion ]]; then
      problems+=("DOMAIN: “${name}” is an onion address. Leave it out: every site has its onion.")
    elif [[ $name =~ \.([0-9]+|0x[0-9a-f]*)$ ]]; then # URL standard: it “ends in a number”
      problems+=("DOMAIN: “${name}” is an IP address. Use a name that leads to it, or leave DOMAIN empty for the onion only.")
    fi
  done
  [[ $SERVER =~ ^([A-Za-z0-9_][^[:space:]]*)?$ ]] || problems+=("SERVER: “${SERVER}” is not a server such as root@server.example.")
  [ -z "$SERVER" ] || [ -z "$SERVERS" ] || problems+=("SERVER and SERVERS are both set. Keep SERVER for one server, or SERVERS for several.")
  [ -z "$PUBLIC_KEY" ] || [ -z "$SIGNING_POLICY" ] || problems+=("PUBLIC_KEY and SIGNING_POLICY are both set. Keep PUBLIC_KEY for one signer, or SIGNING_POLICY for several.")
  read -ra names <<<"$SERVERS"
  for name in ${names[@]+"${names[@]}"}; do
    [[ $name =~ ^[A-Za-z0-9_][A-Za-z0-9_.:/@%-]*$ ]] || problems+=("SERVERS: “${name}” is not a server such as root@a.example. Separate several by spaces.")
  done
  if [ ${#names[@]} -gt 1 ] && [ -n "$DOMAIN" ] && [ -z "$ADDRESSES" ]; then
    problems+=("ADDRESSES is not set. Several servers with a DOMAIN need the IP addresses of all of them.")
  fi
  [[ $ONION_MODE =~ ^(balance)?$ ]] || problems+=("ONION_MODE: “${ONION_MODE}” is neither “balance” nor empty.")
  [[ $FRONT =~ ^([A-Za-z0-9_][A-Za-z0-9_.:/@%-]*)?$ ]] || problems+=("FRONT: “${FRONT}” is not a server such as root@f.example.")
  [ "${ONION_MODE:+balance}" = "${FRONT:+balance}" ] || problems+=("ONION_MODE=balance and FRONT need each other: set both, or neither.")
  read -ra names <<<"$ADDRESSES"
  for name in ${names[@]+"${names[@]}"}; do
    is_ip_address "$name" || problems+=("ADDRESSES: “${name}” is not an IP address such as 192.0.2.1 or 2001:db8::1.")
  done
  [[ $CONTACT =~ ^([A-Za-z0-9._+-]+@[A-Za-z0-9.-]+)?$ ]] || problems+=("CONTACT: “${CONTACT}” is not an email address.")
  [[ $ACME_SERVER =~ ^(https://[A-Za-z0-9.:/_-]+)?$ ]] || problems+=("ACME_SERVER: “${ACME_SERVER}” is not an https address.")
  [[ $HSTS_PRELOAD =~ ^(yes)?$ ]] || problems+=("HSTS_PRELOAD: “${HSTS_PRELOAD}” is neither “yes” nor empty.")
  [[ $SSH_KEYS_ONLY =~ ^(yes)?$ ]] || problems+=("SSH_KEYS_ONLY: “${SSH_KEYS_ONLY}” is neither “yes” nor empty.")
  [[ $REBOOT_AT =~ ^(([01][0-9]|2[0-3]):[0-5][0-9])?$ ]] || problems+=("REBOOT_AT: “${REBOOT_AT}” is not a time such as 04:30.")
  read -ra names <<<"$EGRESS"
  for name in ${names[@]+"${names[@]}"}; do
    [[ $name =~ ^[A-Za-z_][A-Za-z0-9_-]*:([1-9][0-9]{0,4})$ && ${BASH_REMATCH[1]} -le 65535 ]] || problems+=("EGRESS: “${name}” is not a user and a TCP port such as root:587.")
  done
  read -ra names <<<"$NOTIFY"
  for name in ${names[@]+"${names[@]}"}; do
    # Nothing of it is shown: it may hold a password.
    [[ $name =~ ^[a-z0-9]+://[^[:space:]\"\']+$ ]] || problems+=("NOTIFY: a value is not a URL such as ntfys://ntfy.sh/TOPIC. Separate several by spaces.")
  done
  [[ $PING =~ ^(https://[^[:space:]\"\']+)?$ ]] || problems+=("PING: the value is not an https address.")
  [ -z "$PING" ] || [ -n "$NOTIFY" ] || problems+=("PING is set, but NOTIFY is not.")
  read -ra names <<<"$WATCH"
  for name in ${names[@]+"${names[@]}"}; do
    [[ $name =~ ^(https://[A-Za-z0-9.:-]+|http://[a-z2-7]{56}\.onion)/?$ ]] || problems+=("WATCH: “${name}” is not an address such as https://example.org or http://….onion.")
  done
  [[ $MAX_MEGABYTES =~ ^([1-9][0-9]{0,3})?$ ]] || problems+=("MAX_MEGABYTES: “${MAX_MEGABYTES}” is not a number of megabytes from 1 to 9999.")
  [[ $KEEP_RELEASES =~ ^([1-9][0-9]?)?$ ]] || problems+=("KEEP_RELEASES: “${KEEP_RELEASES}” is not a number from 1 to 99.")
}

# Whether TEXT is an IPv4 address, or an IPv6 one without an IPv4 address in it (RFC 4291, 2.2).
is_ip_address() { # TEXT
  local octet='(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])' group='[0-9a-f]{1,4}' groups
  [[ ! $1 =~ ^$octet(\.$octet){3}$ ]] || return 0
  [[ ! $1 =~ ^$group(:$group){7}$ ]] || return 0
  read -ra groups <<<"${1//:/ }"
  [[ $1 =~ ^($group(:$group)*)?::($group(:$group)*)?$ && ${#groups[@]} -le 7 ]]
}

# Print how large a release may be, in MB; cccr_web/config.py has the same default.
largest_release() { echo "${MAX_MEGABYTES:-150}"; }

settings_kept() { # → the settings that the server keeps
  local name
  echo "# Written by deploy.sh. Change the settings on the admin’s machine instead."
  for name in "${KEPT_SETTINGS[@]}"; do printf '%s=%s\n' "$name" "${!name}"; done
}

settings_install() {
  local server
  step "settings"
  make_folder "$ETC" 755
  settings_kept | put "$ETC/site.env"
  pin_install "$ETC"
  if [ "$DRY_RUN" = yes ] || ! pin_changed; then return 0; fi
  # Otherwise a server that has started with a new policy would reject the old one.
  for server in "${WEB_SERVERS[@]}"; do save_for_undo "$STATES/cccr-web-$server/$HIGHEST_POLICY"; done
}

# A policy, or the public key of the only signer, is pinned: it says whose signatures a release needs.
# One of them is on a server.

# Print the first such file in the folders, or fail.
pin_file() { # FOLDER…
  local folder name
  for folder in "$@"; do
    for name in policy.txt public.key; do
      if [ -f "$folder/$name" ]; then
        echo "$folder/$name"
        return
      fi
    done
  done
  return 1
}

# Print the file that is pinned in FOLDER, or will be.
pin_installed() { # FOLDER
  local file
  file=$(pin_file "$BUNDLE/settings" "$1") || file=public.key
  echo "$1/${file##*/}"
}

# Print the option of cccr-web that takes the file.
pin_option() { # FILE
  case $1 in
    */policy.txt) echo --policy ;;
    *) echo --public-key ;;
  esac
}

pin_changed() { changed "$ETC/public.key" "$ETC/policy.txt"; }

pin_install() { # FOLDER
  local file
  file=$(pin_file "$BUNDLE/settings" "$1") || settings_no_public_key
  case $file in
    "$1"/*) return 0 ;; # the settings name none
    */policy.txt) remove "$1/public.key" ;;
    *) remove "$1/policy.txt" ;;
  esac
  put "$1/${file##*/}" <"$file"
}

settings_no_public_key() {
  fail "There is no public key to verify releases with." "Set PUBLIC_KEY in the settings to its file, or SIGNING_POLICY to that of a policy."
}
