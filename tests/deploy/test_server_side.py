"""The functions in ``deploy/server/``, without a booted machine."""

from __future__ import annotations

import base64
import ctypes
import fcntl
import os
import platform
import re
import shlex
import struct
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from support import TOP
from support.deploy.scripts import in_server
from support.reverse_proxy import CertificateAuthority
from support.signed import content, facts, organisation_key, put_release

from cccr_web.onion import new_key
from cccr_web.release import Signer, make_release, with_archive

if TYPE_CHECKING:
    from pathlib import Path

    from cccr_web.release import Release

ONION, OTHER_ONION = (letter * 56 + ".onion" for letter in "ab")


def test_a_killed_run_is_completed_by_the_next(tmp_path: Path) -> None:
    """After SIGKILL the next run loads what the killed one wrote, and removes what it left."""
    killed = """
    lock
    mkdir -p "$RELEASES/.partial" "$CODE/half" && touch "$CODE/half.partial"
    echo new | put "$ETC/written"
    kill -KILL $$
    """
    assert in_server(killed, tmp_path).returncode == -9
    again = """
    lock
    echo new | put "$ETC/written"
    changed "$ETC/written" && echo "load it"
    interrupted_done
    """
    assert in_server(again, tmp_path).stdout == "load it\n"
    assert not (tmp_path / "srv/releases/.partial").exists()
    assert not list((tmp_path / "opt").iterdir())
    last = 'lock; changed "$ETC/written" || echo "nothing to load"'
    assert in_server(last, tmp_path).stdout == "nothing to load\n"


def test_a_release_does_not_hide_an_interrupted_install(tmp_path: Path) -> None:
    """After an interrupted install, ``release`` reports that only an install completes it."""
    in_server('lock; mark_changed /etc/unit; mark_changed "$NGINX/release.conf"', tmp_path)
    done = in_server(
        'COMMAND_NAME=release; lock; interrupted_done; echo "${WARNINGS[@]}"', tmp_path
    )
    assert done.stdout.startswith("An earlier installation was interrupted.")
    assert (tmp_path / "lock").read_text() == "/etc/unit\n"


def test_a_killed_run_does_not_keep_services_from_starting(tmp_path: Path) -> None:
    """``policy-rc.d`` forbids starts only while its run lives, and the next run removes it."""
    policy = tmp_path / "policy-rc.d"
    script = 'ask() { "$POLICY" nginx start; echo $?; }; without_starting_services ask || true'
    done = in_server(script + '; [ ! -e "$POLICY" ]', tmp_path)
    assert (done.stdout, done.returncode) == ("101\n", 0)
    killed = in_server("without_starting_services kill -KILL $$", tmp_path)
    assert killed.returncode == -9
    assert subprocess.run([policy, "nginx", "start"], check=False).returncode == 0
    in_server("lock", tmp_path)
    assert not policy.exists()
    policy.write_text("#!/bin/sh\nexit 101\n")
    in_server("lock; without_starting_services true", tmp_path)
    assert policy.exists()  # someone else's


def test_only_missing_packages_are_installed_and_start_nothing(tmp_path: Path) -> None:
    """What is installed is left alone; the services of the others are not started."""
    script = """
    package_is_installed() { [ "$1" = present ]; }
    apt_get() { echo "$*: $("$POLICY" nginx start || echo $?)"; }
    packages_install present absent missing
    packages_install present
    """
    # 101: Debian must not start the service (policy-rc.d(8)).
    wanted = "install --no-install-recommends absent missing: 101\n"
    assert in_server(script, tmp_path).stdout == wanted


@pytest.fixture
def apt_folder(tmp_path: Path) -> Path:
    """The folder of an apt without sources, for ``APT_CONFIG``."""
    for name in ("state/lists/partial", "cache/archives/partial", "etc"):
        (tmp_path / "apt" / name).mkdir(parents=True)
    (tmp_path / "apt/status").touch()
    (tmp_path / "apt/conf").write_text(
        f'Dir::State "{tmp_path}/apt/state";\nDir::State::status "{tmp_path}/apt/status";\n'
        f'Dir::Cache "{tmp_path}/apt/cache";\nDir::Etc "{tmp_path}/apt/etc";\n'
    )
    return tmp_path / "apt"


def test_apts_lock_is_awaited_for_a_limited_time(tmp_path: Path, apt_folder: Path) -> None:
    """While another program holds apt's lock, it is named and awaited, up to a limit."""
    environment = f'export APT_CONFIG="{apt_folder}/conf"; '
    with (apt_folder / "state/lists/lock").open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        done = in_server(environment + "APT_WAIT=1; apt_run update", tmp_path)
        assert done.returncode == 1
        assert f"still using apt after 1 s: {file.name}" in done.stderr
        assert f"process {os.getpid()} " in done.stderr
        timer = threading.Timer(1.5, fcntl.lockf, (file, fcntl.LOCK_UN))
        timer.start()
        done = in_server(environment + "apt_run update", tmp_path)
        timer.join()
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith("  waiting up to 600 s for another program that uses apt: ")
        assert done.stderr.count("\n") == 1


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    """Before a copy that the disk has no room for, the message names the folder and both sizes."""
    done = in_server(f'need_space "{tmp_path}/not/there" $((1 << 50))', tmp_path)
    first, second = done.stderr.splitlines()
    assert first.startswith(f"The disk is too full: {tmp_path}/not/there needs 1099511627777 MB, ")
    assert second == "See “Full disk” in deploy/README.md."
    assert done.returncode == 1


def test_a_disk_that_fills_up_is_reported(tmp_path: Path) -> None:
    """A run that fails because the disk became full says so in one sentence."""
    script = """
    trap finish EXIT
    mount -t tmpfs -o size=64k full "$ETC"
    lock
    head --bytes=1M /dev/zero | put "$ETC/too-large"
    """
    done = in_server(script, tmp_path, prefix=("unshare", "--mount"))
    assert done.returncode == 1
    wanted = f"The disk is full: {tmp_path}/etc has no free space. See “Full disk” in"
    assert done.stderr.count(wanted) == 1


def test_a_run_that_fails_before_it_made_our_folders_is_undone(tmp_path: Path) -> None:
    """On a fresh server, where the folders with our space are missing, everything is undone."""
    script = """
    trap finish EXIT
    rm -r "$ETC" "$CODE" "$DATA"
    lock
    echo new | put "$FOLDER/written"
    false
    """
    done = in_server(script, tmp_path)
    assert done.returncode == 1
    assert "The site is unchanged." in done.stderr
    assert not (tmp_path / "written").exists()


def test_an_incomplete_site_is_not_called_done(tmp_path: Path) -> None:
    """With a warning, such as a failed certificate, the summary does not say that it is done."""
    run = (TOP / "deploy/server/run.sh").read_text()
    summarize = run[run.index("summarize() {") :].split("\n}\n")[0] + "\n}\n"
    script = summarize + 'lock; CHANGES=3; WARNINGS=("No certificate: it failed."); summarize'
    done = in_server(script, tmp_path)
    assert done.returncode == 1
    assert "Done" not in done.stderr
    assert "The site is not complete yet. Changes made: 3.\nNo certificate" in done.stderr


def test_other_sites_of_nginx_stop_an_installation(tmp_path: Path) -> None:
    """nginx's other sites are named before anything changes, and the admin learns what to do.

    Debian's default page is no site, and neither is a file that was moved away.
    """
    sites = tmp_path / "nginx/sites-enabled"
    sites.mkdir(parents=True)
    (sites / "default").touch()
    check = f"NGINX_DROPINS={tmp_path}/dropins; dpkg() {{ :; }}; nginx_check_others"
    assert in_server(check, tmp_path).returncode == 0
    (sites / "blog").write_text(
        "server {\n  server_name blog.example www.blog.example;\n  # server_name old.example;\n}\n"
        "server { listen 8080; server_name shop.example; }\n"
    )
    done = in_server(check, tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "nginx on this machine already serves other sites, which would stop answering:\n"
        f"  {sites}/blog: blog.example www.blog.example shop.example\n"
        "Install on a machine of its own. If these sites may stop: move the files away, and run "
        "the same command again.\n"
    )
    (sites / "blog").unlink()
    edited = "dpkg() {{ echo '{} c {}/nginx.conf'; return 1; }}; "
    for state, status in (("??5??????", 1), ("missing", 0)):
        dpkg = edited.format(state, sites)
        done = in_server(check.replace("dpkg() { :; }; ", dpkg), tmp_path)
        assert done.returncode == status
        assert (f"\n  {sites}/nginx.conf\n" in done.stderr) == (status == 1)
    ours = tmp_path / "dropins/cccr-web.conf"
    ours.parent.mkdir(parents=True)
    ours.touch()
    (sites / "blog").touch()
    assert in_server(check, tmp_path).returncode == 0


def test_the_settings_decide_what_may_leave(tmp_path: Path) -> None:
    """The authority's port, Snowflake, notifications, peers and EGRESS each add a rule."""
    script = """
    TORRC_FILE=$FOLDER/torrc NOTIFY_FILE=$FOLDER/notify.env
    id() {
      case $* in *root) echo 0 ;; *_tor-cccr) echo 7 ;; *www-data) echo 33 ;; *) return 1 ;; esac
    }
    firewall_egress; echo --
    ACME_SERVER=https://ca.example:14000/dir DOMAIN=a.example EGRESS="root:587 nobody:25"
    ADDRESSES="192.0.2.1 2001:db8::1"
    touch "$NOTIFY_FILE"
    echo "ClientTransportPlugin snowflake exec /usr/bin/snowflake-client" >"$TORRC_FILE"
    firewall_egress
    """
    done = in_server(script, tmp_path)
    assert done.returncode == 0, done.stderr
    one, two = (
        [line.split("#")[0].strip() for line in part.splitlines() if line]
        for part in done.stdout.split("--")
    )
    dns = [
        f"meta skuid {user} {kind} dport {{ 53 }} accept"
        for kind in ("udp", "tcp")
        for user in (0, 7)
    ]
    assert one == [
        "meta skuid 0 tcp dport { 80, 443 } accept",
        *dns,
        "meta skgid 7 meta l4proto tcp accept",
    ]
    assert two == [
        "meta skuid 0 tcp dport { 80, 443, 14000 } accept",
        *dns,
        "meta skgid 7 meta l4proto { tcp, udp } accept",
        "meta skuid 61184-65519 meta l4proto { tcp, udp } accept",
        "meta skuid 33 ip daddr 192.0.2.1 tcp dport { 80 } accept",
        "meta skuid 33 ip6 daddr 2001:db8::1 tcp dport { 80 } accept",
        "meta skuid 0 tcp dport { 587 } accept",
    ]
    assert done.stderr == "  EGRESS: there is no user nobody here\n"


def test_apparmor_lets_tor_start_a_transport_of_the_admin(tmp_path: Path) -> None:
    """The profile names each program in the settings that Debian's rules do not name, once."""
    script = """
    put() { cat >"$FOLDER/profile"; }
    apparmor_parser() { echo "$@" >>"$FOLDER/parsed"; }
    echo "ClientTransportPlugin obfs4,meek_lite exec /usr/bin/obfs4proxy" >"$FOLDER/torrc"
    for name in one two; do
      echo "clienttransportplugin $name exec /opt/webtunnel -log x" >>"$FOLDER/torrc"
    done
    tor_confine "$FOLDER/torrc"
    """
    done = in_server(script, tmp_path)
    assert done.returncode == 0, done.stderr
    profile = (tmp_path / "profile").read_text()
    assert re.findall(r"^  .* Pix,$", profile, re.MULTILINE) == ['  "/opt/webtunnel" Pix,']
    assert "@" not in profile


def without_ipv6() -> None:
    """Let ``socket(AF_INET6)`` fail in this process as on a kernel without IPv6."""
    number = {"x86_64": 41, "aarch64": 198}[platform.machine()]
    rules = [
        (0x20, 0, 0, 0),  # load the system call's number
        (0x15, 0, 3, number),  # not socket: allow it
        (0x20, 0, 0, 16),  # load its first argument
        (0x15, 0, 1, 10),  # not AF_INET6: allow it
        (0x06, 0, 0, 0x00050000 | 97),  # EAFNOSUPPORT
        (0x06, 0, 0, 0x7FFF0000),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
    program = struct.pack("HxxxxxxP", len(rules), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(22, 2, program) != 0:  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        raise OSError(ctypes.get_errno(), "seccomp")


def test_the_newest_releases_and_the_current_one_are_kept(tmp_path: Path) -> None:
    """Pruning keeps as many of the newest releases as the settings say, and the current one."""
    script = """
    mkdir -p "$RELEASES"/{1,2,9,10,11,.partial}
    ln -s "$RELEASES/2" "$CURRENT"
    KEEP_RELEASES=2
    release_prune
    releases_stored
    """
    assert in_server(script, tmp_path).stdout == "2\n10\n11\n"


@pytest.mark.parametrize("name", ["rolled-back", "left"])
def test_a_release_that_was_rolled_back_is_not_installed_again(tmp_path: Path, name: str) -> None:
    """Version 0.2.0 recorded its number under another name."""
    script = f"""
    ln -s "$RELEASES/2" "$CURRENT"
    echo 3 >"$DATA/{name}"
    for number in 2 3 4; do if release_is_wanted $number; then echo $number; fi; done
    """
    assert in_server(script, tmp_path).stdout == "2\n4\n"


@pytest.mark.parametrize("damaged", ["en/index.html", "SHA256SUMS"])
def test_a_damaged_stored_release_is_stored_again(tmp_path: Path, damaged: str) -> None:
    """A file that a power failure emptied is replaced; if the run fails, the old folder is back."""
    install_command(tmp_path)
    put_release(organisation_release(()), tmp_path / "bundle/release")
    assert in_server("lock; release_store", tmp_path).returncode == 0
    intact = (tmp_path / "bundle/release" / damaged).read_bytes()
    file = tmp_path / "srv/releases/1" / damaged
    assert file.read_bytes() == intact
    file.write_bytes(b"")
    dry = in_server("DRY_RUN=yes; release_store", tmp_path)
    assert "would store release 1" in dry.stderr
    assert dry.returncode == 0
    failing = in_server("trap finish EXIT; lock; release_store; fail later", tmp_path)
    assert "The site is unchanged." in failing.stderr
    assert file.read_bytes() == b""
    done = in_server("trap finish EXIT; lock; release_store", tmp_path)
    assert (done.returncode, file.read_bytes()) == (0, intact), done.stderr
    assert list((tmp_path / "srv/releases").iterdir()) == [tmp_path / "srv/releases/1"]
    again = in_server('lock; release_store; echo "$CHANGES"', tmp_path)
    assert again.stdout == "0\n", again.stderr


def test_a_release_is_on_the_disk_before_it_gets_its_name(tmp_path: Path) -> None:
    """The copy is synced before the rename, so that a power failure leaves no empty files."""
    install_command(tmp_path)
    put_release(organisation_release(()), tmp_path / "bundle/release")
    script = 'sync() { ls --almost-all "$RELEASES"; }; lock; release_store; ls -A "$RELEASES"'
    done = in_server(script, tmp_path)
    assert done.stdout == ".partial\n1\n", done.stderr


def test_a_certificate_counts_until_it_expires_and_for_its_names_only(tmp_path: Path) -> None:
    """A certificate that has expired, lacks one of the domains or is missing is requested again."""
    authority = CertificateAuthority(tmp_path)
    (tmp_path / "live").mkdir()
    script = """
    CERTIFICATE=$FOLDER/live
    for DOMAIN in a.example b.example "a.example b.example"; do
      if certificate_is_valid; then echo "$DOMAIN"; fi
    done
    """
    for days, valid in ((1, "a.example\n"), (-1, "")):
        chain = authority.certify("a.example", days, 90).read_bytes() + authority.file.read_bytes()
        (tmp_path / "live/fullchain.pem").write_bytes(chain)
        assert in_server(script, tmp_path).stdout == valid
    (tmp_path / "live/fullchain.pem").unlink()
    assert in_server(script, tmp_path).stdout == ""


@pytest.mark.parametrize("ipv6", [True, False])
def test_nginx_starts_with_and_without_ipv6(tmp_path: Path, ipv6: bool) -> None:
    """nginx accepts our configuration on a kernel without IPv6, and uses IPv6 on any other."""
    script = """
    DOMAIN=cccr.example WEB_SERVERS=(clearnet onion)
    nginx_write "$FOLDER/staged"
    folders="mount -t tmpfs run /run && mount -t tmpfs cache /var/cache"
    folders+=" && mkdir /run/cccr-nginx /var/cache/nginx"
    unshare --net --mount sh -c "$folders && nginx -t -q -c '$FOLDER/staged/nginx.conf'" >&2
    cat "$FOLDER"/staged/*.conf
    """
    done = in_server(script, tmp_path, preexec_fn=None if ipv6 else without_ipv6)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("listen [::]:80") == (2 if ipv6 else 0)
    assert done.stdout.count("listen 80") == 2


def test_a_new_onion_key_is_made_only_if_there_is_no_old_one(tmp_path: Path) -> None:
    """An old key on the server, or a release that names an onion, stops a new address."""
    install_command(tmp_path)
    (tmp_path / "root").mkdir()
    kept = tmp_path / "root/cccr-web-kept-20260101T000000.backup"
    running = tmp_path / "running.key"
    for file, wanted in (
        (kept, f"The onion key of an earlier installation is in {kept}."),
        (running, "but the running manager still has the key"),
    ):
        file.touch()
        assert_no_new_key(tmp_path, wanted)
        file.unlink()
    for name, onions in (("bundle/release", (ONION,)), ("srv/current", (ONION, OTHER_ONION))):
        put_release(organisation_release(onions), tmp_path / name)
        assert_no_new_key(tmp_path, f"names the onion {' '.join(onions)}, but there is no key")
        put_release(organisation_release(()), tmp_path / name)
    (tmp_path / "srv/current/SHA256SUMS.minisig").rename(tmp_path / "kept.minisig")
    assert_no_new_key(tmp_path, "srv/current was rejected, so which onions it names is unknown.")
    (tmp_path / "kept.minisig").rename(tmp_path / "srv/current/SHA256SUMS.minisig")
    assert in_server("lock; onion_key_install", tmp_path).returncode == 0
    assert "address" in (tmp_path / "etc/onion.key").read_text()


def test_an_onion_key_is_replaced_only_if_the_admin_says_so(tmp_path: Path) -> None:
    """Another key in the settings stops the run; --replace-onion gives the old address up."""
    install_command(tmp_path)
    (tmp_path / "bundle/settings").mkdir(parents=True)
    (tmp_path / "bundle/settings/onion.key").write_text(f"address {OTHER_ONION}\n")
    key = tmp_path / "etc/onion.key"
    key.write_text(f"address {ONION}\n")
    done = in_server("lock; onion_key_install", tmp_path)
    assert done.returncode == 1
    assert f"The server’s address is {ONION}." in done.stderr
    assert "add --replace-onion" in done.stderr
    assert ONION in key.read_text()
    script = 'REPLACE_ONION=yes; lock; onion_key_install; changed "$ONION_KEY_FILE"'
    done = in_server(script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert OTHER_ONION in key.read_text()


def install_command(folder: Path) -> None:
    """Let the server have our code and the organisation's public key."""
    command = folder / "opt/current/bin/cccr-web"
    command.parent.mkdir(parents=True)
    command.write_text(
        f"#!/bin/sh\nPYTHONPATH={shlex.quote(str(TOP))} exec {shlex.quote(sys.executable)} "
        '-m cccr_web "$@"\n'
    )
    command.chmod(0o755)
    (folder / "etc").mkdir()
    (folder / "etc/public.key").write_bytes(organisation_key().public.to_file())


def organisation_release(onions: tuple[str, ...]) -> Release:
    """Return a signed release that names these onions."""
    made = make_release(content(1), facts(1, onions=onions))
    return Signer(organisation_key()).sign(with_archive(made))


def assert_no_new_key(folder: Path, why: str) -> None:
    """Assert that no key is made, and that the message says why."""
    done = in_server("lock; onion_key_install", folder)
    assert done.returncode == 1
    assert why in done.stderr
    assert not (folder / "etc/onion.key").exists()


# An sshd that prints what its file says, and a systemd that prints what it is asked to do.
SSH = """
SSHD=$FOLDER/sshd.conf LOGIN=$FOLDER/login LOGIN_WAIT=2 SSH_KEYS_ONLY=yes
sshd() { [ ! -e "$SSHD" ] || grep -v ^# "$SSHD" | tr A-Z a-z; }
systemctl() { case $* in *is-active* | cat*) ;; *) echo "$*" ;; esac; }
trap finish EXIT
lock
"""


def test_ssh_changes_once_a_second_login_has_succeeded(tmp_path: Path) -> None:
    """The second login counts only after the change; a second run changes nothing."""
    (tmp_path / "login").touch()  # an old one
    done = in_server(f"{SSH} ssh_install", tmp_path)
    assert done.returncode == 1
    done = in_server(f'{SSH} (sleep 0.5; touch "$LOGIN") & ssh_install; interrupted_done', tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "reload ssh.service\nlog in again\n"
    again = in_server(f"{SSH} ssh_install; ssh_is_strict", tmp_path)
    assert (again.returncode, again.stdout) == (0, "")
    loose = in_server(f"{SSH} SSH_KEYS_ONLY=; ssh_install", tmp_path)
    assert loose.stdout == "reload ssh.service\n"
    assert "SSH_KEYS_ONLY=yes in the settings ends that" in loose.stderr
    assert not (tmp_path / "sshd.conf").exists()


def test_without_a_second_login_ssh_stays_as_it_was(tmp_path: Path) -> None:
    """Then, or if another file overrides ours, the former settings are loaded again."""
    other = "sshd() { echo authenticationmethods any; }"
    for more, why in (("", "A second login with a key failed"), (other, "Another file in")):
        done = in_server(f"{SSH} {more}\nssh_install", tmp_path)
        assert done.returncode == 1
        assert why in done.stderr
        assert done.stdout.endswith("restart ssh.service\n")
        assert not (tmp_path / "sshd.conf").exists()


def test_ssh_is_not_changed_where_no_second_login_can_be_tried(tmp_path: Path) -> None:
    """``--local`` and a dry run change nothing, and say what would."""
    for way, message in (("LOCAL", "which can try a second login"), ("DRY_RUN", "would write")):
        done = in_server(f"{SSH} {way}=yes; ssh_install", tmp_path)
        assert (done.returncode, done.stdout) == (0, "")
        assert message in done.stderr
        assert not (tmp_path / "sshd.conf").exists()


@pytest.mark.parametrize("name", ["highest-sequence", "policy"])
def test_a_backup_brings_back_the_rollback_guard(tmp_path: Path, name: str) -> None:
    """A restored server rejects what the old one would have; one that has served keeps its own."""
    script = f"""
    WEB_SERVERS=(clearnet onion) CURRENT=/none NAME={name}
    mkdir -p "$STATES"/cccr-web-{{clearnet,onion}}
    touch "$ETC"/{{site.env,public.key,onion.key}}
    echo 7 >"$STATES/cccr-web-clearnet/$NAME"
    echo 8 >"$STATES/cccr-web-onion/$NAME"
    backup_export | tar --extract --directory "$BUNDLE"
    rm -r "$STATES/cccr-web-clearnet"
    echo 9 >"$STATES/cccr-web-onion/$NAME"
    backup_restore_guard
    cat "$STATES"/cccr-web-{{clearnet,onion}}/"$NAME"
    """
    done = in_server(script, tmp_path)
    assert (done.stdout, done.returncode) == ("7\n9\n", 0), done.stderr
    folder = tmp_path / "lib/private/cccr-web-clearnet"
    modes = [path.stat().st_mode & 0o777 for path in (folder, folder / name)]
    assert modes == [0o700, 0o600]


def test_a_restored_file_belongs_to_the_server_that_has_run_before(tmp_path: Path) -> None:
    """systemd changes owners only in a folder that does not belong to the server yet."""
    script = """
    mkdir -p "$STATES/private/cccr-web-onion" "$BUNDLE/policy"
    chown 61234:61234 "$STATES/private/cccr-web-onion"
    touch "$BUNDLE/policy/onion"
    backup_restore_guard
    stat --format %u "$STATES/cccr-web-onion/policy"
    """
    done = in_server(script, tmp_path)
    assert done.stdout == "61234\n", done.stderr


def test_a_backup_has_the_running_managers_key_if_the_file_is_missing(tmp_path: Path) -> None:
    """A removed key file, or the whole folder of settings, does not keep the key from a backup."""
    script = """
    CURRENT=/none
    touch "$ETC"/site.env "$ETC/public.key"
    echo "the last copy" >"$RUNNING_KEY"
    keep >"$FOLDER/kept.tar"
    rm -r "$ETC"
    keep >"$FOLDER/alone.tar"
    for file in kept alone; do tar -xOf "$FOLDER/$file.tar" ./settings/onion.key; done
    rm "$RUNNING_KEY"
    keep
    """
    run = (TOP / "deploy/server/run.sh").read_text()
    keep = run[run.index("  keep) ") + len("  keep) ") :].split(" ;;")[0]
    done = in_server(f"keep() {{ {keep}; }}\n{script}", tmp_path)
    assert (done.stdout, done.returncode) == ("the last copy\n" * 2, 0), done.stderr
    assert "etc/onion.key is missing: the backup has the running manager’s copy" in done.stderr
    assert "etc/site.env is missing, so the backup lacks it" in done.stderr


def test_a_key_file_that_is_not_the_running_managers_stops_the_run(tmp_path: Path) -> None:
    """What would lose or change the published address stops, and ``status`` shows that address."""
    install_command(tmp_path)
    (tmp_path / "etc/onion.key").write_text(f"address {ONION}\n")
    (tmp_path / "running.key").write_text(f"address {OTHER_ONION}\n")
    message = (
        f"{tmp_path}/etc/onion.key has the key of {ONION}, but the running manager publishes "
        f"{OTHER_ONION}.\n"
    )
    for command in ("onion_key_install", "backup_export"):
        done = in_server(f"lock; {command}", tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert message in done.stderr
    # The next start of the manager publishes a key that this run has installed.
    done = in_server('lock; mark_changed "$ONION_KEY_FILE"; onion_key_install', tmp_path)
    assert done.returncode == 0, done.stderr
    doctor = tmp_path / "opt/current/bin/cccr-web"
    doctor.write_text('#!/bin/sh\necho "$@"\n')
    script = """
    . "$HERE/status.sh"
    touch "$ETC/site.env"
    status_of() { echo active; }
    status_show
    """
    shown = in_server(script, tmp_path).stdout
    assert f"onion                  http://{OTHER_ONION}/\n" in shown
    assert f" --onion-address {OTHER_ONION} --onion-key {tmp_path}/etc/onion.key " in shown


def test_the_address_of_a_key_in_tors_own_format_is_found(tmp_path: Path) -> None:
    """Whatever its permissions are, because ``status`` must report those."""
    install_command(tmp_path)
    key = new_key(tmp_path / "ours.key")
    secret = base64.b64decode(key.blob.removeprefix("ED25519-V3:"))
    (tmp_path / "etc/onion.key").write_bytes(b"== ed25519v1-secret: type0 ==\0\0\0" + secret)
    (tmp_path / "etc/onion.key").chmod(0o444)
    done = in_server("onion_address", tmp_path)
    assert done.stdout == f"{key.address}\n", done.stderr


def test_uninstall_leaves_the_backup_before_it_stops_the_manager(tmp_path: Path) -> None:
    """The manager may have the only copy of the key; without a copy, no backup is announced."""
    script = """
    . "$HERE/uninstall.sh"
    DRY_RUN=yes # “change” below makes two changes all the same
    change() { echo "$1" && [[ $1 == write* || $1 == "stop and disable cccr-web-manager"* ]]; }
    systemctl() { [[ $* != *disable* ]] || rm "$RUNNING_KEY"; }
    mkdir "$KEPT"
    echo key >"$RUNNING_KEY"
    echo encrypted >"$BUNDLE/kept.backup"
    unset HOME XDG_CACHE_HOME # as in a timer
    uninstall no
    cat "$KEPT"/*
    uninstall no
    """
    done = in_server(script, tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.split("\nencrypted\n")
    assert first.startswith("write the encrypted backup ")
    assert "\nstop and disable cccr-web-manager.service\n" in first
    assert "write the encrypted backup" not in second
    assert done.stderr.count("this server has no onion key, so no backup is left") == 1


def test_a_backup_of_an_older_version_brings_back_the_highest_sequence(tmp_path: Path) -> None:
    """Until version 0.2.0 the folder in the backup had another name."""
    script = """
    mkdir -p "$BUNDLE/history"
    echo 7 >"$BUNDLE/history/onion"
    backup_restore_guard
    cat "$STATES/cccr-web-onion/$HIGHEST_SEQUENCE"
    """
    done = in_server(script, tmp_path)
    assert (done.stdout, done.returncode) == ("7\n", 0), done.stderr


def test_a_domain_that_the_settings_drop_needs_consent(tmp_path: Path) -> None:
    """A name that readers use is not taken down until the admin agrees; new names need nothing."""
    run = (TOP / "deploy/server/run.sh").read_text()
    function = run[run.index("check_domain() {") :].split("\n}\n")[0] + "\n}\n"
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/site.env").write_text("DOMAIN=a.example b.example\n")
    for domain, drop, status in (
        ("a.example", "no", 3),
        ("", "no", 3),
        ("", "yes", 0),
        ("b.example c.example a.example", "no", 0),
    ):
        script = f'{function} DOMAIN="{domain}" DROP_DOMAIN={drop}; check_domain'
        done = in_server(script, tmp_path)
        assert done.returncode == status, done.stderr
        assert ("would stop answering" in done.stderr) == (status == 3)
