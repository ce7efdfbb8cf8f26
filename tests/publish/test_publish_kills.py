"""A publication that is killed at any time loses nothing and leaves nothing by halves."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import TOP
from support.killer import Killer, running_killer
from support.signed import organisation_key, organisation_key_file
from support.texts import add, copy_texts, texts_with_key

from cccr_web.publish import Releases, is_signed
from cccr_web.release import RECORD, load, record_after

KILLS = int(os.environ.get("TESTS_KILLS", "210")) // 2


@pytest.fixture
def killer() -> Iterator[Killer]:
    """A process that kills others."""
    with running_killer() as found:
        yield found


def numbers(folder: Path) -> list[int]:
    """Return the numbers of the releases in a folder."""
    found = folder.iterdir() if folder.is_dir() else []
    return sorted(int(one.name) for one in found if one.name.isdecimal())


def contents(tree: Path) -> dict[Path, bytes]:
    """Return every file of the texts, but not what publishing writes: the number and the record."""
    files = {
        file.relative_to(tree): file.read_bytes()
        for file in tree.rglob("*")
        if file.is_file() and not file.name.endswith((".partial", RECORD))
    }
    facts = files[Path("site.toml")]
    return {**files, Path("site.toml"): re.sub(rb"(?m)^sequence = \d+$", b"sequence = 1", facts)}


def test_a_killed_publication_leaves_whole_releases_and_every_text(
    killer: Killer, tmp_path: Path
) -> None:
    """After each kill all texts are as before, and the sequence is that of the newest release.

    Each release is complete, and has at least the first signature. If a run was killed between
    its last two steps, the next one does the last, and no number is left out.
    """
    tree = copy_texts(tmp_path)
    folder = tmp_path / "releases"
    before = contents(tree)
    for _ in range(2):  # the second is of a raised sequence
        killer.measure("publish", tmp_path, 0)
    interrupted, highest = 0, 1
    for _ in range(KILLS):
        killer.kill("publish", tmp_path, 0)
        assert contents(tree) == before
        sequence = tomllib.loads((tree / "site.toml").read_text(encoding="utf-8"))["sequence"]
        found = numbers(folder)
        if sequence != found[-1]:
            assert sequence == found[-1] + 1
            assert load(folder / ".next").metadata.sequence == sequence
            interrupted += 1
        Releases(folder, tree).finish_adding(sequence)
        found = numbers(folder)
        assert found == [*range(1, sequence + 1)]
        assert {one.name for one in folder.iterdir() if one.name.startswith(".")} == set()
        for number in found[highest - 1 :]:
            release = load(folder / str(number))
            assert release.metadata.sequence == number
            assert release.signatures
            # Only the newest can wait for the second.
            assert is_signed(release) or number == sequence
        highest = sequence
    assert highest > 1


def test_a_killed_command_continues(killer: Killer, tmp_path: Path) -> None:
    """The command itself is killed at any time, and the next run continues; no text is lost.

    Every release that is there is whole, signed, and made of the texts of its time.
    """
    tree = texts_with_key(tmp_path, organisation_key().public)
    (tmp_path / "templates").symlink_to(TOP / "templates")
    (tmp_path / "organisation.key").write_bytes(organisation_key_file())
    folder, public = tmp_path / "releases", organisation_key().public
    written: list[str] = []

    def write() -> None:
        written.append(f"Paragraph {len(written) + 2}.")
        add("en/pages/verify.md", written[-1])(tree)
        add("zh_Hans/pages/verify.md", f"第{len(written) + 1}段。")(tree)

    killer.measure("command", tmp_path, 0)
    write()
    killer.measure("command", tmp_path, 0)
    assert numbers(folder) == [1, 2]
    write()
    for turn in range(KILLS // 5):
        before = contents(tree)
        if turn % 3:
            killer.kill("command", tmp_path, 0)
        else:
            killer.measure("command", tmp_path, 0)
        assert contents(tree) == before
        for number in (found := numbers(folder)):
            page = load(folder / str(number), public).files["en/verify.html"].body.decode()
            assert [words for words in written if words in page] == written[: number - 1]
        if len(found) > len(written):
            write()
    killer.measure("command", tmp_path, 0)
    assert numbers(folder) == [*range(1, len(written) + 2)]
    site = tomllib.loads((tree / "site.toml").read_text(encoding="utf-8"))
    assert site["sequence"] == len(written) + 1
    last = folder / str(len(written))
    assert (tree / "files" / RECORD).read_bytes() == record_after(load(last))
    assert len(written) > 2
