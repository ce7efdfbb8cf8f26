"""A builder, signer or server that is killed at any time leaves a complete release."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from support.killer import Killer
from support.signed import (
    ServerFolder,
    content,
    facts,
    make_apps,
    organisation_key,
    put_release,
    signed_release,
)

from cccr_web.release import Release, load, make_release, with_archive

# How many SIGKILLs in all; fewer for a quick look.
KILLS = int(os.environ.get("TESTS_KILLS", "210"))
EACH = range(KILLS // 3)


def unsigned(sequence: int) -> Release:
    """Return what a build writes."""
    return with_archive(make_release(content(sequence), facts(sequence)))


def test_a_killed_build_leaves_a_whole_release(killer: Killer, tmp_path: Path) -> None:
    """After each kill the folder holds one of the two releases, complete."""
    folder = tmp_path / "release"
    put_release(unsigned(1), folder)
    killer.measure("build", folder, 1)
    whole = [unsigned(1), unsigned(2)]
    for round_ in EACH:
        killer.kill("build", folder, 1 + round_ % 2)
        assert load(folder) in whole


def test_a_killed_signer_leaves_a_whole_release(killer: Killer, tmp_path: Path) -> None:
    """After each kill the release is unsigned, or has both signatures."""
    folder = tmp_path / "release"
    put_release(unsigned(1), folder)
    killer.measure("sign", folder, 1)
    for _ in EACH:
        shutil.rmtree(folder)
        put_release(unsigned(1), folder)
        killer.kill("sign", folder, 1)
        found = load(folder)
        assert found in (unsigned(1), signed_release(1))
        if found == signed_release(1):
            assert load(folder, organisation_key().public) == found


def test_a_killed_server_starts_on_a_whole_release(killer: Killer, tmp_path: Path) -> None:
    """The next start serves a complete release, no older than before, even if the link broke."""
    folder = tmp_path / "server"
    for number in range(1, 8):
        put_release(signed_release(number), folder / f"release-{number}")
    put_release(signed_release(8), folder / "broken")
    (folder / "broken/en/index.html").write_bytes(b"<script>")
    server_folder = ServerFolder(folder)

    def begin() -> int:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder / "state")
        server_folder.point(folder / "release-1")
        server_folder.reloader()
        return 1

    newest = begin()
    killer.measure("switch", folder, 1)
    newest = begin()
    for round_ in EACH:
        killer.kill("switch", folder, newest)
        if round_ % 2:
            server_folder.point(folder / "broken")
        release, apps = server_folder.source.open(make_apps)
        number = release.metadata.sequence
        assert release == signed_release(number)
        assert len(apps) == 1
        # The last good copy may be one reload behind the link, but never behind a start.
        assert number >= newest
        newest = number
        if server_folder.current.resolve().name == "broken":
            server_folder.point(folder / f"release-{_highest(folder)}")
        server_folder.reloader()
        newest = _highest(folder)
        if newest > 4:
            newest = begin()


def _highest(folder: Path) -> int:
    return int((folder / "state/highest-sequence").read_text().split()[0])
