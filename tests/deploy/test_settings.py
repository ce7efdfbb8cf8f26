"""The settings and the command line of ``deploy.sh``."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from support import TOP
from support.deploy.scripts import in_server
from support.signed import TODAY, content, facts, organisation_key, put_release

from cccr_web.config import Config
from cccr_web.release import Signer, make_release

SCRIPT = TOP / "deploy/deploy.sh"


def rejection(settings: str, folder: Path) -> str:
    """Return the message with which ``deploy.sh`` rejects these settings, in that folder."""
    file = folder / "site.env"
    file.write_text(settings)
    command = [str(SCRIPT), "--settings", str(file), "--local", "status"]
    done = subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False)
    assert done.returncode == 1
    return done.stderr


def test_the_example_contains_every_setting(tmp_path: Path) -> None:
    """The example contains every setting, each below a comment, and no others."""
    example = (TOP / "deploy/site.env.example").read_text()
    names = re.findall(r"^([A-Z_]+)=", example, re.MULTILINE)
    assert len(re.findall(r"^# .*\n[A-Z_]+=", example, re.MULTILINE)) == len(names)
    message = rejection("NO_SUCH=1\n", tmp_path)
    assert sorted(names) == sorted(re.findall(r"[A-Z_]{3,}", message.split("settings are ")[1]))


def test_all_wrong_settings_are_reported_at_once(tmp_path: Path) -> None:
    """Every wrong value is reported, and no value is executed."""
    trap = tmp_path / "trap"
    settings = f"DOMAIN=$(touch {trap})\nCONTACT=nobody\nREBOOT_AT=25:00\nKEEP_RELEASES=0\nwhat\n"
    settings += "HSTS_PRELOAD=no\nSSH_KEYS_ONLY=no\nEGRESS=root:0\nMAX_MEGABYTES=1G\n"
    message = rejection(settings, tmp_path)
    for name in (
        "DOMAIN",
        "CONTACT",
        "REBOOT_AT",
        "KEEP_RELEASES",
        "HSTS_PRELOAD",
        "SSH_KEYS_ONLY",
        "EGRESS",
    ):
        assert name in message
    assert "site.env:5" in message
    assert "MAX_MEGABYTES: “1G” is not a number" in message
    assert not trap.exists()


@pytest.mark.parametrize(
    ("setting", "largest", "memory"), [("", Config().max_megabytes, 512), ("1000", 1000, 3062)]
)
def test_servers_have_memory_for_two_of_the_largest_releases(
    tmp_path: Path, setting: str, largest: int, memory: int
) -> None:
    """The units limit a release to MAX_MEGABYTES, and the servers to three times as much memory."""
    known = "WEB_SERVERS=(clearnet onion)\nsystemctl() { echo 252; }\nonion_address() { echo a; }\n"
    done = in_server(f"{known}DOMAIN=a.example MAX_MEGABYTES={setting}\nunits_write $2", tmp_path)
    assert done.returncode == 0, done.stderr
    for server in ("clearnet", "onion"):
        unit = (tmp_path / f"cccr-web-{server}.service").read_text()
        assert f"\nEnvironment=CCCR_MAX_MEGABYTES={largest}\n" in unit
    assert f"\nMemoryMax={memory}M\n" in (tmp_path / "cccr-web-.service.d/restart.conf").read_text()


def test_addresses_are_those_that_doctor_reads(tmp_path: Path) -> None:
    """What is no IP address is named, and what is one is not."""
    words = (
        "0 1 01 255 256 1.2.3 1.2.3.4 1.2.3.4.5 01.2.3.4 256.1.1.1 999.1.1.1 g::1 12345::1 fe80::1"
    )
    words += (
        " : :: ::: ::1 1:: 1::2::3 2001:db8::1 1:2:3:4:5:6:7:8 1:2:3:4:5:6:7:8:9 1:2:3:4:5:6:7::"
    )
    words += " ::2:3:4:5:6:7:8 1:2:3:4::5:6:7:8 1:2:3:4:5:6:7 a:b"
    wrong = []
    for word in words.split():
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(word)
            continue
        wrong.append(word)
    message = rejection(f"ADDRESSES={words}\n", tmp_path)
    assert re.findall("ADDRESSES: “(.*?)” is not an IP address", message) == wrong


def test_a_misspelt_setting_shows_no_value(tmp_path: Path) -> None:
    """It may be the one that holds passwords; a name cannot command a terminal."""
    message = rejection("NOTFY=mailto://me:secretword@a.example\n\x1b[31mA=1\n", tmp_path)
    assert "site.env:1: “NOTFY” is not a setting." in message
    assert "secretword" not in message
    assert "\x1b" not in message


def test_a_policy_replaces_the_public_key_and_the_key_the_policy(tmp_path: Path) -> None:
    """One of them is on the server; the units and the doctor get it, and a failure restores it."""
    script = r"""
    WEB_SERVERS=(onion) CURRENT=/none
    systemctl() { echo 252; }
    onion_address() { echo a; }
    onion_published() { echo a; }
    declare -A CHANGED=()
    exec 9>/dev/null
    shown() {
      doctor_options
      units_write "$FOLDER/units"
      (cd "$ETC" && echo public.ke[y] policy.tx[t] "${DOCTOR_OPTIONS[@]:2:2}")
      grep -h -e CCCR_PUBLIC -e CCCR_POLICY "$FOLDER/units/cccr-web-onion.service"
    }
    put() { cat >"$1"; mark_changed "$1"; }
    echo key >"$BUNDLE/settings/public.key"
    settings_install 2>/dev/null && shown
    mkdir -p "$STATES/cccr-web-onion" && echo 1 >"$STATES/cccr-web-onion/policy"
    mv "$BUNDLE/settings/public.key" "$BUNDLE/settings/policy.txt"
    UNDO=() && settings_install 2>/dev/null && shown
    echo 2 >"$STATES/cccr-web-onion/policy"
    for ((index = ${#UNDO[@]} - 1; index >= 0; index--)); do eval "${UNDO[index]}"; done
    cat "$STATES/cccr-web-onion/policy"
    ls "$ETC/public.key"
    rm "$BUNDLE/settings/policy.txt" && settings_install 2>/dev/null && ls "$ETC/public.key"
    """
    done = in_server(script, tmp_path)
    etc = tmp_path / "etc"
    assert done.stdout.splitlines() == [
        f"public.key policy.tx[t] --public-key {etc}/public.key",
        f"Environment=CCCR_PUBLIC_KEY={etc}/public.key",
        f"public.ke[y] policy.txt --policy {etc}/policy.txt",
        f"Environment=CCCR_POLICY={etc}/policy.txt",
        "1",
        f"{etc}/public.key",
        f"{etc}/public.key",
    ], done.stderr


def test_a_key_and_a_policy_exclude_each_other(tmp_path: Path) -> None:
    """Otherwise nobody would know which of them counts."""
    (tmp_path / "policy.txt").touch()
    message = rejection("PUBLIC_KEY=RW\nSIGNING_POLICY=policy.txt\n", tmp_path)
    assert "PUBLIC_KEY and SIGNING_POLICY are both set." in message


def test_a_domain_must_be_a_name_that_can_get_a_certificate(tmp_path: Path) -> None:
    """An IP address or an onion address is no DOMAIN, and the message says what to write."""
    # To a browser all of these are IPv4 addresses (URL standard, section 3.5).
    numbers = ("192.0.2.1", "0x7f.0x1", "1.2.3.0x4", "127.0x", "a.0xff", "a.08")
    names = f"{' '.join(numbers)} {'a' * 56}.onion 2001:db8::1 a.example b.0xg [r]*.toml"
    (tmp_path / "r.toml").touch()
    message = rejection(f"DOMAIN={names}\n", tmp_path)
    for number in numbers:
        assert f"DOMAIN: “{number}” is an IP address. Use a name" in message
    assert f"DOMAIN: “{'a' * 56}.onion” is an onion address. Leave it out" in message
    for other in ("2001:db8::1", "[r]*.toml"):
        assert f"DOMAIN: “{other}” is not a domain name" in message
    assert "a.example" not in message
    assert "b.0xg" not in message


def test_a_setting_that_is_set_twice_is_rejected(tmp_path: Path) -> None:
    """The message names the second line, also if the first is empty or both are equal."""
    message = rejection("DOMAIN=\nCONTACT=a@b.example\n DOMAIN = a.example\n", tmp_path)
    assert (
        message == f"{tmp_path}/site.env:3: DOMAIN is set a second time. Keep one of the lines.\n"
    )


def test_wrong_usage_exits_2_and_points_to_the_help() -> None:
    """A wrong command line exits 2 with a sentence and a pointer to --help."""
    for arguments in (
        ["fly"],
        ["release"],
        ["--no-such"],
        ["status", "more"],
        ["--settings", "/none"],
    ):
        done = subprocess.run([SCRIPT, *arguments], text=True, capture_output=True, check=False)
        assert done.returncode == 2, arguments
        assert done.stderr.endswith("See deploy/deploy.sh --help.\n")
    usage = subprocess.run([SCRIPT, "--help"], text=True, capture_output=True, check=True)
    assert "rollback" in usage.stdout
    assert "set -euo" not in usage.stdout


def test_release_reports_the_days_left(tmp_path: Path) -> None:
    """``release`` says when the release expires, before it leaves the admin's machine."""
    soon = facts(1, time=TODAY - timedelta(days=9), expires=TODAY + timedelta(days=9))
    put_release(
        Signer(organisation_key()).sign(make_release(content(1), soon)), tmp_path / "release"
    )
    (tmp_path / "deploy").mkdir()
    for name in ("deploy.sh", "server"):
        (tmp_path / "deploy" / name).symlink_to(TOP / "deploy" / name)
    commands = {"deploy/cccr-web": f'exec {sys.executable} -m cccr_web "$@"', "ssh": "cat >sent"}
    for name, line in commands.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "site.env").write_text(f"PUBLIC_KEY={organisation_key().public}\n")
    command = ["deploy/deploy.sh", "--settings", "site.env", "root@server.example"]
    done = subprocess.run(
        [*command, "release", "release"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, (tmp_path / "sent").exists()) == (0, True), done.stderr
    assert f"expires on {soon.expires:%Y-%m-%d} (in 8 days)" in done.stderr
