"""A build with a cache gives the same bytes as one without (``render/cache.py``)."""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.photographs import photo
from support.texts import add, copy_texts

from cccr_web.config import find_tree
from cccr_web.content import Addresses
from cccr_web.errors import CccrError
from cccr_web.render import Cache, build_release
from cccr_web.render import cache as module

SECRET = b"1" * 32
STATEMENTS = 6
MODEL = "2013-05-07-tiananmen-rally.md"
# A statement without an edit of its own.
OTHER = "en/statements/2003-01-01-other.html"


class EditedSite:
    """A site that a test edits, and how it is built."""

    def __init__(self, folder: Path) -> None:
        """Copy the real texts and templates, and add some statements and a photo."""
        self.tree = copy_texts(folder)
        self.templates = shutil.copytree(find_tree("templates"), folder / "templates")
        self.settings: dict[str, Any] = {}
        for year in range(2000, 2000 + STATEMENTS):
            self.add_statement(f"{year}-01-01")
        (self.tree / "photos").mkdir()
        self.put_photo(900)
        record = (
            '["a.jpg"]\nauthor = "A. Photographer"\nlicence = "CC BY 4.0"\n'
            'permission = "By letter"\nalt.en = "A square"\nalt.zh_Hans = "广场"\n'
        )
        (self.tree / "photos.toml").write_text(record, encoding="utf-8")
        self.both("2001-01-01-other.md", "![](/photos/a.jpg)")

    def add_statement(self, day: str) -> None:
        """Add a statement of this day."""
        for locale in ("en", "zh_Hans"):
            folder = self.tree / locale / "statements"
            text = (folder / MODEL).read_text(encoding="utf-8")
            text = text.replace('date = "2013-05-07"', f'date = "{day}"')
            (folder / f"{day}-other.md").write_text(text + f"\n{day}\n", encoding="utf-8")

    def put_photo(self, width: int) -> None:
        """Put a photo of this width."""
        (self.tree / "photos" / "a.jpg").write_bytes(photo(width, 600))

    def both(self, statement: str, words: str) -> None:
        """Add a paragraph to a statement in each language."""
        for locale in ("en", "zh_Hans"):
            add(f"{locale}/statements/{statement}", words)(self.tree)

    def sub(self, file: str, pattern: str, new: str) -> EditedSite:
        """Replace the first match in a file of the texts or templates."""
        path = next(top / file for top in (self.tree, self.templates) if (top / file).exists())
        text, count = re.subn(pattern, new, path.read_text(encoding="utf-8"), count=1)
        assert count, f"{file} has no {pattern}"
        path.write_text(text, encoding="utf-8")
        return self

    def remove_statement(self, day: str) -> None:
        """Remove the statement of this day."""
        for locale in ("en", "zh_Hans"):
            (self.tree / locale / "statements" / f"{day}-other.md").unlink()

    def build(self, cache: Cache | None = None) -> dict[str, bytes]:
        """Return the files of the release."""
        release = build_release(self.tree, self.templates, cache=cache, **self.settings)
        return {path: file.body for path, file in release.files.items()}

    def build_with(self, folder: Path, secret: bytes = SECRET) -> dict[str, bytes]:
        """Return the files of the release, built with the cache in a folder."""
        with closing(Cache(folder, secret)) as cache:
            return self.build(cache)


@pytest.fixture
def site(tmp_path: Path) -> EditedSite:
    """A small site."""
    return EditedSite(tmp_path)


EN, ZH = "en/statements/2002-01-01-other.md", "zh_Hans/statements/2002-01-01-other.md"
MESSAGES = "en/LC_MESSAGES/messages.po"
EDITS: dict[str, Callable[[EditedSite], object]] = {
    "a text": lambda site: add(EN, "Another paragraph.")(site.tree),
    "a text in Chinese": lambda site: add(ZH, "又一段，李林说。")(site.tree),
    "a title": lambda site: site.sub(EN, "title = .*", 'title = "Another title"'),
    "a title in Chinese": lambda site: site.sub(ZH, "title = .*", 'title = "另一个标题"'),
    "a demand": lambda site: site.sub(EN, "Justice and", "Truth and"),
    "an outcome": lambda site: site.sub(EN, "open = .*", 'open = "Nothing by 2026."'),
    "a day": lambda site: site.sub(EN, "2026-11-29", "2026-11-28").sub(
        ZH, "2026-11-29", "2026-11-28"
    ),
    "a link": lambda site: add(EN, "[Who](../pages/who-we-are.md)")(site.tree),
    "a new statement": lambda site: site.add_statement("2003-06-01"),
    "a statement less": lambda site: site.remove_statement("2004-01-01"),
    "a card": lambda site: site.sub(
        "en/statements/2011-liu-xiaobo-and-chen-guangcheng.md", "under guard", "guarded"
    ),
    "a page": lambda site: add("en/pages/verify.md", "One more sentence.")(site.tree),
    "the name of a page": lambda site: site.sub("en/pages/verify.md", "title = .*", 'title = "V"'),
    "a string": lambda site: site.sub(MESSAGES, "What we demand", "We demand"),
    "a string in Chinese": lambda site: site.sub(
        "zh_Hans/LC_MESSAGES/messages.po", r'(msgid "steps.all"\nmsgstr ")', r"\1看"
    ),
    "a template": lambda site: site.sub("statement.html", "<article>", '<article class="x">'),
    "a part of a template": lambda site: site.sub("parts/record.html", "<dl", '<dl id="facts"'),
    "the frame of all pages": lambda site: site.sub("base.html", "<footer>", "<footer>\n"),
    "the item of a list": lambda site: site.sub("parts/item.html", "when", "when day"),
    "the style": lambda site: site.sub("style.css", ":root", "body,:root"),
    "a name": lambda site: site.sub("names.toml", "蔣開雄", "蒋开雄"),
    "a photo": lambda site: site.put_photo(700),
    "a caption": lambda site: site.sub("photos.toml", "A. Photographer", "B. Photographer"),
    "the sequence": lambda site: site.sub("site.toml", "sequence = .*", "sequence = 7"),
    "the end of validity": lambda site: site.sub("site.toml", "valid_days = .*", "valid_days = 90"),
    "the exit": lambda site: site.sub("site.toml", "exit = .*", 'exit = "https://example.net/"'),
    "the time": lambda site: site.settings.update(time=datetime(2026, 11, 30, tzinfo=UTC)),
    "neutral titles": lambda site: site.settings.update(neutral_titles=True),
    "an address": lambda site: site.settings.update(addresses=Addresses("https://example.org")),
}


def differing(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> list[str]:
    """Return the paths at which two releases differ."""
    return [path for path in one.keys() | other.keys() if one.get(path) != other.get(path)]


def test_after_any_edit_the_bytes_are_the_same_as_without_a_cache(
    site: EditedSite, tmp_path: Path
) -> None:
    """Every kind of edit, in random order, changes the release as it does without a cache."""
    before = site.build_with(tmp_path / "cache")
    assert differing(before, site.build()) == []
    for name in random.sample([*EDITS], len(EDITS)):
        EDITS[name](site)
        after = site.build_with(tmp_path / "cache")
        assert differing(after, site.build()) == [], name
        assert differing(after, before), f"{name}: nothing has changed"
        before = after


class Counting(Cache):
    """A cache that notes what it does not know."""

    def __init__(self, folder: Path, secret: bytes = SECRET) -> None:
        """Open it."""
        super().__init__(folder, secret)
        self.made: list[tuple[str, ...]] = []

    def recall(self, key: Any, make: Callable[[], bytes]) -> bytes:
        """Return what is known, or note the key."""

        def noting() -> bytes:
            self.made.append(key)
            return make()

        return super().recall(key, noting)


def made(site: EditedSite, folder: Path) -> list[tuple[str, ...]]:
    """Build; return the keys of what was not in the cache."""
    with closing(Counting(folder)) as cache:
        site.build(cache)
        return cache.made


def test_nothing_is_made_again_without_a_change(site: EditedSite, tmp_path: Path) -> None:
    """A build of the same texts finds everything in the cache."""
    assert made(site, tmp_path / "cache")
    assert made(site, tmp_path / "cache") == []


def test_a_new_sequence_only_compresses_again(site: EditedSite, tmp_path: Path) -> None:
    """The release's sequence and date are filled in last."""
    site.build_with(tmp_path / "cache")
    site.sub("site.toml", "sequence = .*", "sequence = 7")
    assert {key[0] for key in made(site, tmp_path / "cache")} == {"deflate"}


def test_a_changed_text_is_rendered_alone(site: EditedSite, tmp_path: Path) -> None:
    """No other statement is rendered again, not even its neighbours."""
    site.build_with(tmp_path / "cache")
    add(EN, "Another paragraph.")(site.tree)
    again = made(site, tmp_path / "cache")
    assert [key[1] for key in again if key[0] == "text"] == [f"translations/{EN}"]
    # As a page, in three lists, in the feed, the book and the single file.
    assert len({key[5] for key in again if key[0] == "statement"}) == 1


def rows(folder: Path) -> sqlite3.Connection:
    """Open the file of a cache as any program can."""
    return sqlite3.connect(folder / "cache.sqlite3", isolation_level=None)


def forge(folder: Path) -> None:
    """Put other words into every entry of a cache."""
    with closing(rows(folder)) as opened:
        changed = opened.execute(
            "UPDATE entries SET value = CAST(replace(CAST(value AS TEXT), 'students', 'nobody')"
            " AS BLOB) WHERE instr(value, CAST('students' AS BLOB))"
        ).rowcount
    assert changed > STATEMENTS


def swap(folder: Path) -> None:
    """Give each entry the value and the authenticator of another."""
    with closing(rows(folder)) as opened:
        entries = opened.execute("SELECT name, mac, value FROM entries").fetchall()
        names = [name for name, _, _ in entries]
        others = zip(names, entries[1:] + entries[:1], strict=True)
        query = "UPDATE entries SET mac = ?, value = ? WHERE name = ?"
        opened.executemany(query, [(mac, value, name) for name, (_, mac, value) in others])


def cut(folder: Path) -> None:
    """Keep the first half of the file."""
    file = folder / "cache.sqlite3"
    os.truncate(file, file.stat().st_size // 2)


def scramble(folder: Path) -> None:
    """Overwrite a page in the middle of the file."""
    file = folder / "cache.sqlite3"
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size // 2 // 4096 * 4096)
        opened.write(os.urandom(65536))


def overwrite(folder: Path) -> None:
    """Replace the file by one that is no database."""
    (folder / "cache.sqlite3").write_text("<html>" * 1000, encoding="utf-8")


def add_trigger(folder: Path) -> None:
    """Let the file change what is written to it."""
    with closing(rows(folder)) as opened:
        opened.execute(
            "CREATE TRIGGER forge AFTER INSERT ON entries BEGIN "
            "UPDATE entries SET value = CAST('x' AS BLOB); END"
        )


def view(folder: Path) -> None:
    """Put an endless query in the place of the table."""
    with closing(rows(folder)) as opened:
        opened.execute("ALTER TABLE entries RENAME TO hidden")
        opened.execute(
            "CREATE VIEW entries AS WITH RECURSIVE all_(n) AS (SELECT 1 UNION ALL "
            "SELECT n + 1 FROM all_) SELECT n AS name, n AS mac, n AS value FROM all_"
        )


@pytest.mark.parametrize("attack", [forge, swap, cut, scramble, overwrite, add_trigger, view])
def test_a_cache_that_was_changed_is_not_believed(
    site: EditedSite, tmp_path: Path, attack: Callable[[Path], None]
) -> None:
    """Whatever somebody does to the file, the release has the right bytes, and so has the next."""
    right = site.build_with(tmp_path / "cache")
    attack(tmp_path / "cache")
    for _ in range(2):
        assert differing(site.build_with(tmp_path / "cache"), right) == []
    assert made(site, tmp_path / "cache") == []


def test_a_cache_of_another_machine_is_not_believed(site: EditedSite, tmp_path: Path) -> None:
    """Entries that were made with another secret are unknown, and removed."""
    right = site.build_with(tmp_path / "cache", b"2" * 32)
    size = (tmp_path / "cache" / "cache.sqlite3").stat().st_size
    assert made(site, tmp_path / "cache")
    assert differing(site.build_with(tmp_path / "cache"), right) == []
    assert (tmp_path / "cache" / "cache.sqlite3").stat().st_size < 1.2 * size


def test_a_cache_of_another_program_is_not_used(
    site: EditedSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade of the program or of a package, everything is made again."""
    first = made(site, tmp_path / "cache")
    monkeypatch.setattr(module, "_program", lambda: b"0" * 32)
    assert len(made(site, tmp_path / "cache")) == len(first)


def test_the_program_is_its_files_and_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed file of the program, and another version of a package, are another program."""
    (tmp_path / "one.py").write_text("1", encoding="utf-8")
    monkeypatch.setattr(module, "_PACKAGE", tmp_path)
    first = module._program()
    (tmp_path / "one.py").write_text("2", encoding="utf-8")
    second = module._program()
    (tmp_path / "package-2.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert len({first, second, module._program()}) == 3


def test_the_cache_does_not_grow(site: EditedSite, tmp_path: Path) -> None:
    """What the last build did not use is removed."""
    site.build_with(tmp_path / "cache")
    size = (tmp_path / "cache" / "cache.sqlite3").stat().st_size
    for number in range(5):
        site.sub("base.html", "<footer>", f"<footer>{number}")
        site.build_with(tmp_path / "cache")
    assert (tmp_path / "cache" / "cache.sqlite3").stat().st_size < 1.1 * size


def test_a_failed_build_keeps_what_was_made(site: EditedSite, tmp_path: Path) -> None:
    """After a mistake is corrected, the other texts are not parsed again."""
    text = (site.tree / EN).read_bytes()
    add(EN, "<b>")(site.tree)
    with pytest.raises(CccrError, match="Raw HTML"):
        site.build_with(tmp_path / "cache")
    (site.tree / EN).write_bytes(text)
    again = made(site, tmp_path / "cache")
    assert [key[1] for key in again if key[0] == "text"] == [f"translations/{EN}"]


def test_a_second_build_at_the_same_time_does_without(site: EditedSite, tmp_path: Path) -> None:
    """Two builds do not write to one cache."""
    right = site.build()
    with closing(Counting(tmp_path / "cache")) as first:
        assert differing(site.build_with(tmp_path / "cache"), right) == []
        assert differing(site.build(first), right) == []
        assert first.made, "the second build has written to the cache"
    assert made(site, tmp_path / "cache") == []


def test_only_the_owner_can_read_the_cache(tmp_path: Path) -> None:
    """The cache holds texts that are not published yet."""
    Cache(tmp_path / "new" / "cache", SECRET).close()
    assert (tmp_path / "new" / "cache").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "cache" / "cache.sqlite3").stat().st_mode & 0o777 == 0o600


def strange(folder: Path) -> str:
    """Return what is said of a folder that holds something else."""
    folder.mkdir()
    (folder / "letter.txt").write_text("Dear", encoding="utf-8")
    return "is not a cache: it holds letter.txt. Pass a new or an empty folder to --cache."


def shared(folder: Path) -> str:
    """Return what is said of a folder into which others can write."""
    folder.mkdir()
    folder.chmod(0o777)
    return "belongs to another user, or others may write to it."


def linked(folder: Path) -> str:
    """Return what is said of a file that is a link."""
    folder.mkdir(mode=0o700)
    (folder / "cache.sqlite3").symlink_to(folder.parent / "precious")
    return "cannot be used as a cache: Too many levels of symbolic links."


@pytest.mark.parametrize("prepare", [strange, shared, linked])
def test_a_folder_that_is_no_cache_is_left_alone(
    tmp_path: Path, prepare: Callable[[Path], str]
) -> None:
    """The error says why, and nothing in the folder is changed."""
    message = prepare(tmp_path / "folder")
    names = sorted((tmp_path / "folder").iterdir())
    with pytest.raises(CccrError, match=re.escape(message)):
        Cache(tmp_path / "folder", SECRET)
    assert sorted((tmp_path / "folder").iterdir()) == names
    assert not (tmp_path / "precious").exists()


def test_a_pipe_in_place_of_the_file_is_replaced(tmp_path: Path) -> None:
    """SQLite cannot even open it."""
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    os.mkfifo(folder / "cache.sqlite3")
    with closing(Cache(folder, SECRET)) as cache:
        assert cache.recall(["a"], lambda: b"b") == b"b"
    with closing(Cache(folder, SECRET)) as cache:
        assert cache.recall(["a"], lambda: b"c") == b"b"
