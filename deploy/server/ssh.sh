# shellcheck shell=bash
# sshd accepts keys only and forwards nothing, if the admin wants that. The connection that changes it
# stays until the admin's machine has logged in once more, so nobody is locked out.

SSHD=/etc/ssh/sshd_config.d/00-cccr-web.conf # Debian's sshd_config includes this folder first
LOGIN=/run/cccr-web-login                    # the second login makes this file
LOGIN_WAIT=60                                # seconds: an admin may have to enter a passphrase

ssh_install() {
  command -v sshd >/dev/null || return 0
  step "ssh"
  if [ "$SSH_KEYS_ONLY" != yes ]; then
    ssh_loosen
    ssh_is_strict || note "sshd accepts passwords, or forwards connections. SSH_KEYS_ONLY=yes in the settings ends that: see “Protect ssh” in deploy/README.md."
  elif [ "$LOCAL" = yes ]; then
    [ -e "$SSHD" ] || note "SSH_KEYS_ONLY takes effect when deploy.sh runs on another machine, which can try a second login"
  else
    put "$SSHD" <"$HERE/sshd.conf"
    ! changed "$SSHD" || [ "$DRY_RUN" = yes ] || ssh_try
  fi
}

ssh_try() {
  local second
  rm -f "$LOGIN"
  ssh_reload
  ssh_is_strict || fail "Another file in /etc/ssh overrides $SSHD." "Remove its lines for AuthenticationMethods and DisableForwarding."
  echo "log in again" # deploy.sh does, when it reads this
  for ((second = 0; second < LOGIN_WAIT; second++)); do
    [ ! -e "$LOGIN" ] || break
    sleep 1
  done
  [ -e "$LOGIN" ] || fail "A second login with a key failed, so sshd stays as it was." \
    "Make “ssh -o PreferredAuthentications=publickey” work from your machine, or leave SSH_KEYS_ONLY empty."
  rm -f "$LOGIN"
}

ssh_loosen() {
  remove "$SSHD"
  ! changed "$SSHD" || ssh_reload
}

# Open connections stay, and a sshd that systemd starts for each connection needs no reload.
ssh_reload() {
  ! systemctl --quiet is-active ssh.service || unit_action reload ssh.service
}

ssh_is_strict() {
  [ "$(sshd -T -C user=root,host=client.example,addr=192.0.2.1 2>/dev/null | grep --count --line-regexp --extended-regexp 'authenticationmethods publickey|disableforwarding yes')" = 2 ]
}
