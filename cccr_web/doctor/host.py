"""The machine: free disk space, clock, ssh and software versions."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cccr_web import __version__
from cccr_web.doctor.model import (
    CheckResult,
    not_applicable,
    not_checked,
    ok,
    run_command,
    wrong,
)
from cccr_web.doctor.tor import TorClient
from cccr_web.errors import OnionError, counted
from cccr_web.onion import ControlConnection

# Bytes and files: enough for a release, a copy of it and a system update.
_MIN_SPACE: Final = 512 * 1024 * 1024
_MIN_FILES: Final = 10_000
# Share of the space available to non-root users, as df(1) computes it.
_MAX_USED: Final = 0.85
_MIB: Final = 1024 * 1024

_TIME_FORMAT: Final = "%Y-%m-%d %H:%M:%S"
# In a container, systemd writes its kind to this file (systemd-detect-virt(1)).
_CONTAINER: Final = Path("/run/systemd/container")
_CLOCK_REMEDY: Final = (
    "Use an NTP service: apt install systemd-timesyncd, then timedatectl set-ntp true."
)

# What sshd -T prints, and what is wrong without it.
_SSH_STRICT: Final = {
    "authenticationmethods publickey": "accepts more than keys",
    "disableforwarding yes": "forwards connections",
}
_SSH_REMEDY: Final = "Run deploy.sh, and look for lines in /etc/ssh that override its file."

# control-spec, 3.9, ``status/version/current``.
_GOOD: Final = frozenset({"recommended", "new", "new in series"})
# A private network, or a version that this tor's network does not know yet.
_UNRATED: Final = frozenset({"unknown", "none recommended"})


def check_disk(release: Path | None, others: tuple[Path, ...]) -> Iterator[CheckResult]:
    """Check once each file system that holds releases or ``others``: the servers' states."""
    seen: set[int] = set()
    for path in (*([Path(os.path.realpath(release))] if release else ()), *others):
        try:
            device, left = path.stat().st_dev, os.statvfs(path)
        except OSError as error:
            if path in others:
                yield wrong(
                    "disk",
                    f"The disk of {path} cannot be checked: {error.strerror}.",
                    "Start the server that makes it, or correct the path, and run this as root.",
                )
            else:
                yield not_checked("disk", "release")
            continue
        if device not in seen:
            seen.add(device)
            yield _disk(path, left)


def _disk(path: Path, left: os.statvfs_result) -> CheckResult:
    space = left.f_bavail * left.f_frsize
    if space < _MIN_SPACE:
        return wrong(
            "disk",
            f"The disk of {path} has only {space // _MIB:,} MiB left.",
            "Remove old releases and packages: “apt clean”, “journalctl --vacuum-size=50M”.",
        )
    full = 1 - left.f_bavail / ((left.f_blocks - left.f_bfree + left.f_bavail) or 1)
    if left.f_blocks and full > _MAX_USED:
        return wrong(
            "disk",
            f"The disk of {path} is {full:.0%} full; {space // _MIB:,} MiB are left.",
            "See “Full disk” in deploy/README.md.",
        )
    # File systems without a limit on files report zero.
    if left.f_files and left.f_favail < _MIN_FILES:
        return wrong(
            "disk",
            f"The disk of {path} has room for only {counted(left.f_favail, 'file')}.",
            "Find the folder with many small files: “du --inodes -x / | sort -n | tail”.",
        )
    return ok("disk", f"The disk of {path} has {space // _MIB:,} MiB left.")


def check_clock(
    client: TorClient | None, container: Path = _CONTAINER, cause: str | None = None
) -> Iterator[CheckResult]:
    """Ask systemd about the clock; without an NTP service, compare it with tor's consensus.

    ``cause`` is the check that found why there is no ``client``, if one should exist.
    """
    settings = _timedatectl()
    if settings.get("NTP") == "yes":
        if settings.get("NTPSynchronized") == "yes":
            yield ok("clock", "The clock is synchronised by NTP.")
        else:
            yield wrong(
                "clock",
                "NTP is on, but the clock is not synchronised.",
                "Check whether it reaches its servers: timedatectl timesync-status.",
            )
    elif settings and not container.exists():
        yield wrong("clock", "No NTP service is running.", _CLOCK_REMEDY)
    elif client is None and cause:
        yield not_checked("clock", cause)
    elif client is None:
        yield wrong("clock", "The clock cannot be checked: there is no reference.", _CLOCK_REMEDY)
    else:
        yield _compare_clock(client)


def _timedatectl() -> dict[str, str]:
    """Return the properties that ``timedatectl`` shows, or none without systemd."""
    with contextlib.suppress(OSError):
        done = run_command("timedatectl", "show")
        if done.returncode == 0:
            return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return {}


def _compare_clock(client: TorClient) -> CheckResult:
    """Compare with the consensus, which is valid for three of its intervals (dir-spec, 3.4.1)."""
    try:
        begin = client.time_of("consensus/valid-after")
        end = client.time_of("consensus/valid-until")
    except OnionError as error:
        return wrong("clock", f"The clock cannot be checked: {error}", _CLOCK_REMEDY)
    now = datetime.now(UTC)
    if begin - timedelta(minutes=1) <= now <= end:
        return ok(
            "clock",
            f"The clock agrees with the Tor network, {begin:%H:%M} to {end:%H:%M} UTC. "
            "This machine runs no NTP service.",
        )
    return wrong(
        "clock",
        f"This machine's clock says {now:{_TIME_FORMAT}} UTC; the Tor network's consensus is "
        f"valid from {begin:{_TIME_FORMAT}} to {end:%H:%M:%S}.",
        _CLOCK_REMEDY,
    )


def check_ssh() -> CheckResult:
    """Check that sshd accepts keys only, and forwards nothing (sshd_config(5)).

    sshd is asked what applies to root, wherever root connects from.
    """
    from_anywhere = "user=root,host=client.example,addr=192.0.2.1"
    try:
        done = run_command("sshd", "-T", "-C", from_anywhere)
    except OSError as error:
        return wrong("ssh", f"sshd cannot be asked for its settings: {error}.", _SSH_REMEDY)
    if done.returncode != 0:
        problem = " ".join(done.stderr.split()) or "it failed"
        return wrong("ssh", f"sshd cannot be asked for its settings: {problem}.", _SSH_REMEDY)
    lines = set(done.stdout.splitlines())
    faults = [fault for line, fault in _SSH_STRICT.items() if line not in lines]
    if faults:
        return wrong("ssh", f"sshd {' and '.join(faults)}.", _SSH_REMEDY)
    return ok("ssh", "sshd accepts keys only, and forwards nothing.")


def own_version() -> CheckResult:
    """Report our version and Python's."""
    return ok("versions", f"cccr-web {__version__} on Python {platform.python_version()}.")


def check_tor_version(link: ControlConnection) -> Iterator[CheckResult]:
    """Check whether the network recommends this tor."""
    try:
        version = link.info("version").partition(" ")[0]
        rating = link.info("status/version/current").strip()
    except OnionError as error:
        yield wrong("versions", error.problem, error.remedy)
        return
    sentence = f"The directory authorities rate tor {version} as {rating}."
    if rating in _GOOD:
        yield ok("versions", sentence)
    elif rating in _UNRATED:
        yield not_applicable("versions", sentence)
    else:
        yield wrong("versions", sentence, "Update it: apt update && apt install tor")
