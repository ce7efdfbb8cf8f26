"""The admin's side of ``deploy.sh``, with a server that only writes down what it receives."""

from __future__ import annotations

import os
import pty
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.deploy.scripts import AdminSide, bsd_programs

if TYPE_CHECKING:
    from pathlib import Path

INSTALL = ("--offline", "wheels.tar")
PASSPHRASE = ("--passphrase-file", "passphrase")


@pytest.fixture
def side(tmp_path: Path) -> AdminSide:
    """An admin's checkout."""
    return AdminSide(tmp_path)


def test_settings_from_other_editors_are_read(side: AdminSide) -> None:
    """A byte order mark, CRLF, blanks, quotes and ``~`` in ``site.env`` do not matter."""
    text = "\ufeffDOMAIN = cccr.example www.cccr.example \r\n  # a comment\r\n \t\r\n"
    text += "RELEASE=~/release\r\n\tPUBLIC_KEY='~/organisation.pub'\r\n"
    text += 'CONTACT="admin@cccr.example"\r\nSERVER=root@server.example'
    side.settings(text)
    side.run(*INSTALL)
    assert side.kept_settings()["DOMAIN"] == "cccr.example www.cccr.example"
    assert side.kept_settings()["CONTACT"] == "admin@cccr.example"
    assert side.received("release/SHA256SUMS") == "sums\n"
    assert side.received("settings/public.key") == "a key\n"


def test_a_policy_is_sent_and_verifies_the_release(side: AdminSide) -> None:
    """It is a file like any other of the settings, and takes the place of the public key."""
    (side.folder / "ours.policy").write_text("a policy\n")
    (side.folder / "deploy/cccr-web").write_text('#!/bin/sh\necho "$@" >cccr-web.args\n')
    side.settings("SERVER=root@server.example\nRELEASE=../release\nSIGNING_POLICY=../ours.policy\n")
    side.run(*INSTALL)
    assert side.received("settings/policy.txt") == "a policy\n"
    assert not (side.folder / "received/settings/public.key").exists()
    arguments = (side.folder / "cccr-web.args").read_text().split()
    assert arguments[2] == "--policy"
    assert arguments[3].endswith("/ours.policy")


@pytest.mark.parametrize("home", [None, ""])
def test_a_path_below_home_needs_a_home(side: AdminSide, home: str | None) -> None:
    """A timer or a container may have no HOME: the setting and the remedy are named."""
    side.settings("SERVER=root@server.example\nPUBLIC_KEY=~/organisation.pub\n")
    side.home = home
    message = side.run(*INSTALL, status=1)
    assert "PUBLIC_KEY: ~/organisation.pub needs HOME, which is not set." in message
    assert "Set HOME, or write the whole path in " in message
    assert "unbound" not in message
    assert side.commands() == []


def test_macos_programs_suffice(side: AdminSide, tmp_path: Path) -> None:
    """On the admin's machine BSD's tar, cp and so on suffice, also for backups."""
    path = str(bsd_programs(tmp_path / "bsd"))
    side.settings(
        "SERVER=root@server.example\nRELEASE=../release/\nPUBLIC_KEY=../organisation.pub\n"
    )
    side.run(*INSTALL, path=path)
    assert side.received("release/SHA256SUMS") == "sums\n"
    assert side.received("server/common.sh")
    side.run("release", "release/", path=path)
    side.run("backup", "a.backup", *PASSPHRASE, path=path)
    side.run("restore", "a.backup", *PASSPHRASE, *INSTALL, path=path)
    assert side.received("settings/onion.key") == "the onion's key\n"
    assert "--offline FILE" in _help(side, path)
    assert side.commands() == ["install", "release", "backup", "install"]


def _help(side: AdminSide, path: str) -> str:
    command = ["bash", "deploy/deploy.sh", "--help"]
    return subprocess.run(
        command,
        cwd=side.folder,
        env=side.environment(path),
        text=True,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout


def test_a_path_may_contain_an_at_sign(side: AdminSide) -> None:
    """A path with @ is a path if it has a slash or exists; anything else with @ is the server."""
    (side.folder / "release").rename(side.folder / "a@b")
    side.run("release", "a@b", "admin@other.example")
    side.run("backup", "./me@home.backup", *PASSPHRASE)
    assert (side.folder / "me@home.backup").exists()
    assert side.commands() == ["release", "backup"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("status", "--dry-run"), "status does not use --dry-run."),
        (("backup", "x", "--dry-run"), "backup does not use --dry-run."),
        (("release", "release", "--offline", "wheels.tar"), "release does not use --offline."),
        (("install", "--purge"), "install does not use --purge."),
        (("--purge",), "install does not use --purge."),
        (("rollback", *PASSPHRASE), "rollback does not use --passphrase-file."),
        (("bundle", "x", "--settings", "passphrase"), "bundle does not use --settings."),
        (("bundle", "x", "--local"), "bundle does not use --local."),
        (("rollback", "--drop-domain"), "rollback does not use --drop-domain."),
        (("uninstall", "--purge", *PASSPHRASE), "does not use --passphrase-file."),
        (("status", "a@b.example", "c@d.example"), "Only one server can be given"),
        (("--local", "a@b.example"), "Only one server can be given"),
    ],
)
def test_an_option_that_the_command_ignores_is_rejected(
    side: AdminSide, arguments: tuple[str, ...], message: str
) -> None:
    """An option that has no effect on the command is wrong usage, and nothing is sent."""
    assert message in side.run(*arguments, status=2)
    assert side.commands() == []


def test_a_failed_connection_is_reported_without_noise(side: AdminSide) -> None:
    """If ssh fails, its own message is followed by what to do, and by nothing else."""
    side.settings(
        "SERVER=root@server.example\nRELEASE=../release\nPUBLIC_KEY=../organisation.pub\n"
    )
    (side.folder / "release/large").write_bytes(os.urandom(1 << 20))  # tar cannot send it all
    side.ssh("echo 'ssh: connect to host server.example port 22: refused' >&2; exit 255")
    lines = side.run(*INSTALL, status=1).splitlines()
    assert lines[0] == "ssh: connect to host server.example port 22: refused"
    assert lines[1].startswith("ssh could not connect to root@server.example")
    assert len(lines) == 3


def test_a_full_server_is_reported_before_anything_is_copied(side: AdminSide) -> None:
    """A server without room for the files says so in one sentence, and how to make room."""
    side.ssh(
        "exec unshare --mount sh -c 'mount -t tmpfs -o size=64k tmpfs /tmp "
        '&& exec env PATH=/usr/sbin:/usr/bin:/bin sh -c "$1"\' sh "$2"'
    )
    lines = side.run(*INSTALL, status=1).splitlines()
    assert lines[0].startswith("The disk is too full: /tmp on the server needs 1 MB, but only 0 MB")
    assert lines[1] == "See “Full disk” in deploy/README.md."
    assert len(lines) == 2
    assert side.commands() == []


def test_the_server_gets_the_second_login_that_it_asks_for(side: AdminSide) -> None:
    """It comes on a connection of its own, with a key; what else the server prints is shown."""
    run = side.folder / "deploy/server/run.sh"
    run.write_text('echo "log in again"\necho "onion http://a.onion/"\n')
    side.ssh(
        f'case $1 in -*) echo "$*" >>{side.folder}/logins && exit 255 ;; esac\n'
        'PATH=/usr/sbin:/usr/bin:/bin exec sh -c "$2"'
    )
    done = subprocess.run(
        ["bash", "deploy/deploy.sh", *INSTALL],
        cwd=side.folder,
        env=side.environment(),
        text=True,
        capture_output=True,
        check=True,
    )
    assert done.stdout == "onion http://a.onion/\n"
    (login,) = (side.folder / "logins").read_text().splitlines()
    options = "-n -o ConnectionAttempts=5 -o ControlPath=none -o PreferredAuthentications=publickey"
    assert login == f"{options} root@server.example touch /run/cccr-web-login"


def test_a_new_onion_needs_its_key(side: AdminSide) -> None:
    """``--replace-onion`` without ``ONION_KEY`` would make an address that nobody has announced."""
    message = side.run("--replace-onion", *INSTALL, status=1)
    assert message.startswith("ONION_KEY is not set, so there is no new key for --replace-onion.")
    assert side.commands() == []


def test_a_domain_is_taken_down_only_if_the_admin_agrees(side: AdminSide) -> None:
    """If the server says that a domain would go, the admin is asked, or must give an option."""
    (side.folder / "status").write_text("3")
    assert "add --drop-domain" in side.run(*INSTALL, status=1)
    assert side.commands() == ["install"]
    assert _answer(side, b"no\n") == 1
    assert side.commands() == ["install"] * 2
    assert _answer(side, b"yes\n") == 0
    assert side.commands() == ["install"] * 3 + ["--drop-domain install"]
    side.run("--drop-domain", *INSTALL)
    assert side.commands()[4:] == ["--drop-domain install"]


def _answer(side: AdminSide, answer: bytes) -> int:
    """Run an install in a terminal, type the answer and return the exit status."""
    ours, terminal = pty.openpty()
    os.write(ours, answer)
    done = subprocess.run(
        ["bash", "deploy/deploy.sh", *INSTALL],
        cwd=side.folder,
        env=side.environment(),
        stdin=terminal,
        capture_output=True,
        check=False,
    )
    os.close(ours)
    os.close(terminal)
    return done.returncode


def test_uninstall_leaves_an_encrypted_backup_that_restore_reads(side: AdminSide) -> None:
    """The server gets a backup that only the passphrase opens, and ``restore`` accepts it."""
    side.run("uninstall", *PASSPHRASE)
    assert side.commands() == ["keep", "uninstall"]
    kept = side.folder / "kept.backup"
    kept.write_bytes((side.folder / "received/kept.backup").read_bytes())
    assert kept.read_bytes()[0] == 0x8C  # OpenPGP: a session key encrypted with a passphrase
    assert "cannot be decrypted" in side.run(
        "restore", "kept.backup", "--passphrase-file", "status", status=1
    )
    side.run("restore", "kept.backup", *PASSPHRASE, *INSTALL)
    assert side.received("settings/onion.key") == "the onion's key\n"
    side.run("uninstall", "--purge")
    assert side.commands()[3:] == ["--purge uninstall"]


@pytest.mark.parametrize(
    "written",
    [
        b"a passphrase\r\n",
        b"\xef\xbb\xbfa passphrase\nmore",
        "\ufeffa passphrase\r\n".encode("utf-16-le"),
        "a passphrase".encode("utf-16"),
    ],
)
def test_a_passphrase_file_from_another_editor_works(side: AdminSide, written: bytes) -> None:
    """CRLF, a byte order mark and UTF-16 do not change the passphrase, as for ``cccr-web``."""
    (side.folder / "windows").write_bytes(written)
    side.run("backup", "plain.backup", *PASSPHRASE)
    side.run("restore", "plain.backup", "--passphrase-file", "windows", *INSTALL)
    side.run("backup", "windows.backup", "--passphrase-file", "windows")
    side.run("restore", "windows.backup", *PASSPHRASE, *INSTALL)
    assert side.received("settings/onion.key") == "the onion's key\n"


def test_a_backup_of_an_older_version_is_restored_with_the_same_file(side: AdminSide) -> None:
    """gpg itself read the passphrase file before, and took a carriage return as part of it."""
    (side.folder / "windows").write_bytes(b"a passphrase\r\n")
    tar = ["tar", "--create", "--directory", "kept", "--file", "kept.tar", "."]
    gpg = ["gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase-file", "windows"]
    gpg += ["--output", "old.backup", "--symmetric", "kept.tar"]
    for command in (tar, gpg, ["gpgconf", "--kill", "gpg-agent"]):
        subprocess.run(command, cwd=side.folder, env=side.environment(), check=True)
    side.run("restore", "old.backup", "--passphrase-file", "windows", *INSTALL)
    assert side.received("settings/onion.key") == "the onion's key\n"


def test_a_passphrase_file_that_is_no_text_is_rejected(side: AdminSide) -> None:
    """A file that is not text is named, before the server is asked for anything."""
    (side.folder / "key").write_bytes(b"\xff\x00\x80")
    message = side.run("backup", "a.backup", "--passphrase-file", "key", status=1)
    assert message == "The passphrase file key is not text.\nUse a text file.\n"
    assert side.commands() == []


def test_a_failed_backup_leaves_no_partial_file(side: AdminSide) -> None:
    """If gpg fails, no file is left, and nothing is removed from the server."""
    (side.folder / "empty").write_text("")
    assert "Nothing was written." in side.run(
        "backup", "a.backup", "--passphrase-file", "empty", status=1
    )
    assert not list(side.folder.glob("a.backup*"))
    side.run("uninstall", "--passphrase-file", "empty", status=1)
    assert side.commands() == ["backup", "keep"]
