"""``translations/files/``: notices go into a release byte for byte, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from support.signed import known_key, organisation_key, texts_with_key

from cccr_web.config import find_tree
from cccr_web.content import ContentError
from cccr_web.notices import make_canary, make_mirrors, make_security_txt, rotate_key
from cccr_web.release import Release
from cccr_web.render import press

KEY = organisation_key()
DAY = date(2026, 12, 24)
CANARY = make_canary(KEY, DAY, DAY + timedelta(days=90), ("x",), ("y",))
MIRRORS = make_mirrors(KEY, DAY, ("https://cccr.example",))
SECURITY = make_security_txt(datetime(2027, 6, 30, tzinfo=UTC), [("Contact", "tel:+1-201-555-01")])
Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Make a tree of the real texts with this key, and with these notices."""

    def make(files: dict[str, bytes], public_key: str = str(KEY.public)) -> Path:
        folder = texts_with_key(tmp_path, public_key)
        for path, body in files.items():
            (folder / "files" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "files" / path).write_bytes(body)
        return folder

    return make


def built(folder: Path, **environ: str) -> Release:
    """Build the tree."""
    return press(folder, find_tree("templates"), environ=environ)


def problems(folder: Path, **environ: str) -> list[str]:
    """Build the tree in vain; return what is wrong with it."""
    with pytest.raises(ContentError) as refused:
        built(folder, **environ)
    return str(refused.value).splitlines()


def test_byte_for_byte(tree: Tree) -> None:
    """Every notice stands in the release, unchanged and listed, also in the ZIP's files."""
    files = {
        "mirrors.txt": MIRRORS,
        "canary.txt": CANARY,
        "keys.txt": rotate_key(KEY, known_key(b"next"), DAY),
        ".well-known/security.txt": SECURITY,
    }
    release = built(tree(files))
    assert {path: release.files[path].body for path in files} == files


def test_a_notice_dates_the_release(tree: Tree) -> None:
    """The newest notice, like the newest text, gives the release its time."""
    folder = tree({"mirrors.txt": MIRRORS})
    assert built(folder).metadata.time.date() == DAY


def test_no_folder(tree: Tree) -> None:
    """The folder need not be there."""
    assert "mirrors.txt" not in built(tree({})).files


def test_all_problems_at_once(tree: Tree) -> None:
    """Unknown names, links and what has another form are told together, each with its file."""
    folder = tree({"notes.txt": b"x", "canary.txt": b"x", ".well-known/security.txt": b"x"})
    (folder / "files" / "mirrors.txt").symlink_to(folder / "site.toml")
    (folder / "files" / "more").symlink_to(folder)
    told = problems(folder)
    assert [line.partition(": ")[0] for line in told] == [
        "translations/files/.well-known/security.txt:1",
        "translations/files/canary.txt:1",
        "translations/files/mirrors.txt:1",
        "translations/files/more:1",
        "translations/files/notes.txt:1",
    ]
    assert "is not a field of RFC 9116" in told[0]
    assert "holds no signature" in told[1]
    assert "is no regular file" in told[2]
    assert "Only these have a place here" in told[3]


def test_told_with_the_texts(tree: Tree) -> None:
    """A problem with a notice is told together with the problems of the texts."""
    folder = tree({"notes.txt": b"x"})
    shutil.rmtree(folder / "en")
    told = problems(folder)
    assert any("notes.txt" in line for line in told)
    assert any("The catalogue is missing" in line for line in told)


def test_without_a_key(tree: Tree) -> None:
    """Nothing under the organisation's key is published while site.toml names none."""
    assert "key is not known" in problems(tree({"mirrors.txt": MIRRORS}, ""))[0]


@pytest.mark.parametrize(
    ("path", "body", "last"),
    [
        ("canary.txt", CANARY, datetime(2027, 3, 24, 23, 59, 59, tzinfo=UTC)),
        (".well-known/security.txt", SECURITY, datetime(2027, 6, 29, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_past_at_the_release(tree: Tree, path: str, body: bytes, last: datetime) -> None:
    """A notice out of date at the release's own time is refused, whatever the day is now."""
    folder = tree({path: body})
    moment = int(last.timestamp())
    assert path in built(folder, SOURCE_DATE_EPOCH=str(moment)).files
    (told,) = problems(folder, SOURCE_DATE_EPOCH=str(moment + 1))
    assert told.startswith(f"translations/files/{path}:1: It was good until ")


def test_former_site_in_a_notice(tree: Tree) -> None:
    """The former site's address may not stand in a notice ready to open either."""
    folder = tree({})
    defanged = next(
        line for line in (folder / "site.toml").read_text().splitlines() if "hxxp://" in line
    )
    host = defanged.partition("hxxp://www")[2].strip('"/').replace("[.]", ".").lstrip(".")
    body = make_canary(KEY, DAY, DAY + timedelta(days=9), (f"See {host}",), ("y",))
    (folder / "files").mkdir()
    (folder / "files" / "canary.txt").write_bytes(body)
    assert any("former site" in line for line in problems(folder))
