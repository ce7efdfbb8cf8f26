"""The machine: disk, clock, ssh and versions (``doctor/host.py``)."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from support.faketor import fake_tor

from cccr_web.doctor import CheckVerdict
from cccr_web.doctor.host import check_clock, check_disk, check_ssh, check_tor_version
from cccr_web.doctor.tor import TorClient
from cccr_web.errors import ControlLostError
from cccr_web.onion import connect

MIB = 1024 * 1024


def test_each_disk_is_checked_once_for_space_and_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each disk is checked once, for free space, the share in use, and free inodes."""
    (result,) = check_disk(folder, (folder,))
    for free, files, used, verdict in (
        (512 * MIB, 10_000, 1024 * MIB, CheckVerdict.OK),
        (512 * MIB - 1, 10_000, 1024 * MIB, CheckVerdict.WRONG),
        (512 * MIB, 9_999, 1024 * MIB, CheckVerdict.WRONG),
        (15 * 1024 * MIB, 10_000, 85 * 1024 * MIB, CheckVerdict.OK),
        (15 * 1024 * MIB, 10_000, 86 * 1024 * MIB, CheckVerdict.WRONG),
    ):
        blocks = used + free + 10**9  # of which root alone may use some
        left = os.statvfs_result((1, 1, blocks, free + 10**9, free, 10**6, files, files, 0, 255))
        monkeypatch.setattr(os, "statvfs", lambda _path, left=left: left)
        (result,) = check_disk(folder, (folder,))
        assert result.verdict is verdict, result.sentence
    assert next(check_disk(folder / "none", (folder,))).verdict is CheckVerdict.NOT_CHECKED


class ShiftedTor:
    """A client tor with a consensus some hours ahead of this machine's clock."""

    def __init__(self, hours: float) -> None:
        self._hours = hours

    def time_of(self, name: str) -> datetime:
        """Return the beginning or the end of the newest consensus."""
        span = -0.5 if name.endswith("after") else 2.5
        return datetime.now(UTC) + timedelta(hours=self._hours + span)


class StoppedTor:
    """A client tor that has stopped."""

    def time_of(self, name: str) -> datetime:
        """Fail."""
        raise ControlLostError(f"Tor does not report {name}.")


@pytest.mark.parametrize(
    ("timedatectl", "container", "hours", "verdict"),
    [
        ("NTP=yes\nNTPSynchronized=yes", False, None, "ok"),
        ("NTP=yes\nNTPSynchronized=no", False, None, "wrong"),
        ("NTP=no\nNTPSynchronized=no", False, 0, "wrong"),
        ("NTP=no\nNTPSynchronized=no", True, 0, "ok"),
        (None, False, 0, "ok"),
        (None, False, 3, "wrong"),
        (None, False, -3, "wrong"),
        (None, False, None, "wrong"),
    ],
)
def test_the_clock_is_checked_by_systemd_or_else_by_tor(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    timedatectl: str | None,
    container: bool,
    hours: float | None,
    verdict: str,
) -> None:
    """systemd decides; without its NTP service, as in a container, the consensus does."""
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    program = folder / "timedatectl"
    program.write_text(
        f"#!/bin/sh\nprintf '%s\\n' '{timedatectl}'\n" if timedatectl else "#!/bin/sh\nexit 1\n"
    )
    program.chmod(0o755)
    marker = folder / "container"
    if container:
        marker.touch()
    reader = None if hours is None else cast("TorClient", ShiftedTor(hours))
    (result,) = check_clock(reader, marker)
    assert result.verdict.value == verdict, result


def test_the_clock_without_a_reference_is_wrong(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is wrong, with tor's error, if tor does not report its time."""
    monkeypatch.setenv("PATH", str(folder))
    (result,) = check_clock(cast("TorClient", StoppedTor()), folder)
    assert result.verdict is CheckVerdict.WRONG
    assert "Tor does not report consensus/valid-after" in result.sentence


@pytest.mark.parametrize(
    ("rating", "verdict"),
    [
        *(("recommended", "ok"), ("new in series", "ok"), ("unknown", "not applicable")),
        *(("obsolete", "wrong"), ("unrecommended", "wrong")),
    ],
)
def test_the_tor_version_is_rated_by_the_directories(rating: str, verdict: str) -> None:
    """The verdict on tor's version is that of the network's directories."""
    answers = {
        "PROTOCOLINFO": "250-PROTOCOLINFO 1\n250-AUTH METHODS=NULL\n"
        '250-VERSION Tor="0.4.8.1"\n250 OK\n',
        "GETINFO version": "250-version=0.4.8.1\n250 OK\n",
        "GETINFO status/version/current": f"250-status/version/current={rating}\n250 OK\n",
    }
    with fake_tor(answers) as (where, _), connect(where) as link:
        (tors,) = check_tor_version(link)
    assert tors.verdict.value == verdict
    assert tors.sentence == f"The directory authorities rate tor 0.4.8.1 as {rating}."


@pytest.mark.parametrize(
    ("printed", "verdict", "words"),
    [
        ("authenticationmethods publickey\ndisableforwarding yes", "ok", "accepts keys only"),
        ("authenticationmethods any\ndisableforwarding yes", "wrong", "accepts more than keys."),
        ("authenticationmethods publickey\ndisableforwarding no", "wrong", "sshd forwards conn"),
        ("", "wrong", "accepts more than keys and forwards connections."),
        (None, "wrong", "settings: a bad line."),
    ],
)
def test_ssh_must_accept_keys_only_and_forward_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str | None, verdict: str, words: str
) -> None:
    """sshd says what applies to root; if it cannot, that is wrong, too."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    answer = "echo a bad line >&2; exit 1" if printed is None else f"echo '{printed}'"
    (tmp_path / "sshd").write_text(f"#!/bin/sh\n[ $1 = -T ] || exit 2\n{answer}\n")
    (tmp_path / "sshd").chmod(0o755)
    result = check_ssh()
    assert (result.verdict.value, words in result.sentence) == (verdict, True), result


def test_a_missing_sshd_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the program nobody knows what ssh accepts."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert check_ssh().verdict is CheckVerdict.WRONG
