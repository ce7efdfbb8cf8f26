"""Editions: what preview shows of texts that somebody is writing."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from support.photographs import photo, put_photo
from support.texts import DATED, TEXTS, add, copy_texts, put, remove

from cccr_web.config import find_tree
from cccr_web.content import SourceTree, markdown
from cccr_web.preview import EditionReader
from cccr_web.preview.pages import compare_page
from cccr_web.render import build_release, photos

TEMPLATES = find_tree("templates")
RALLY = "en/statements/2013-05-07-tiananmen-rally.html"
HTML = "A <b>bold</b> word."


def reader(tree: Path) -> EditionReader:
    """Return a reader of the texts in ``tree``."""
    return EditionReader(tree, TEMPLATES, work(tree))


def work(tree: Path) -> Path:
    """Return a new folder next to the texts."""
    folder = tree.with_name("work")
    folder.mkdir()
    return folder


def messages(edition: Any) -> list[str]:
    """Return the file, without the folder, and the line of each problem."""
    return [f"{Path(*one.file.parts[1:])}:{one.line}" for one in edition.problems]


def test_texts_in_order_are_shown_as_they_are(tmp_path: Path) -> None:
    """Without problems there is no message, and every file is the release's."""
    tree = copy_texts(tmp_path)
    edition = reader(tree).read()
    assert edition.problems == ()
    assert edition.draft is None
    assert edition.good is not None
    built = build_release(tree, TEMPLATES)
    release = edition.good.release()
    assert release.manifest_sha256 == built.manifest_sha256


def test_a_rejected_text_is_shown_as_it_last_was_in_order(tmp_path: Path) -> None:
    """Its last good version stays, and other texts change."""
    tree = copy_texts(tmp_path)
    texts = reader(tree)
    before = texts.read()
    assert before.good is not None
    was = before.good[RALLY]
    add(f"en/{DATED}", HTML)(tree)
    add("en/pages/verify.md", "One more sentence.")(tree)
    edition = texts.read(before)
    assert len(edition.problems) == 1
    assert edition.good is not None
    assert edition.good[RALLY] == was
    assert b"One more sentence." in edition.good["en/verify.html"]
    assert HTML in edition.source(Path(f"translations/en/{DATED}"))
    assert HTML not in edition.source(Path(f"translations/en/{DATED}"), edition.good)


def test_a_file_that_cannot_be_read_hides_no_other_message(tmp_path: Path) -> None:
    """``check`` stops at a file without front matter, preview goes on without it."""
    tree = copy_texts(tmp_path)
    texts = reader(tree)
    before = texts.read()
    add(f"en/{DATED}", HTML)(tree)
    put("en/statements/2014-01-02-new.md", b"Nothing yet.\n")(tree)
    edition = texts.read(before)
    assert {line.split(":")[0] for line in messages(edition)} == {
        f"en/{DATED}",
        "en/statements/2014-01-02-new.md",
    }
    assert edition.good is not None


def test_a_text_that_was_never_in_order_is_shown_as_it_is(tmp_path: Path) -> None:
    """A statement with problems at the start is a draft; all other pages are good."""
    tree = copy_texts(tmp_path)
    add(f"en/{DATED}", HTML)(tree)
    edition = reader(tree).read()
    assert edition.good is not None
    assert RALLY not in edition.good
    assert "en/verify.html" in edition.good
    assert edition.draft is not None
    assert edition.site(RALLY) is edition.draft
    assert b"Tiananmen Square Democracy Movement" in edition.draft[RALLY]


def test_a_rejected_text_can_be_compared_as_it_is_now(tmp_path: Path) -> None:
    """So a paragraph that is missing is missing in the comparison, not as it last was."""
    tree = copy_texts(tmp_path)
    texts = reader(tree)
    before = texts.read()
    add(f"en/{DATED}", "## Only in English {#only}")(tree)
    edition = texts.read(before)
    assert edition.good is not None
    assert "Only in English" not in edition.good[RALLY].decode()
    page = compare_page(edition, PurePosixPath(DATED.removesuffix(".md")))
    assert page is not None
    assert page.count(b'class="gap"') == 2
    assert b"Only in English" in page


def test_texts_without_a_home_page_show_nothing(tmp_path: Path) -> None:
    """Without a page that every site needs there are only messages, and no error."""
    tree = copy_texts(tmp_path)
    put("en/pages/index.md", b"+++\n")(tree)
    edition = reader(tree).read()
    assert messages(edition) == ["en/pages/index.md:1"]
    assert edition.good is None
    assert edition.draft is None


def test_a_removed_file_comes_back_from_the_last_good_version(tmp_path: Path) -> None:
    """A statement that loses one language stays complete."""
    tree = copy_texts(tmp_path)
    texts = reader(tree)
    before = texts.read()
    remove(f"zh_Hans/{DATED}")(tree)
    edition = texts.read(before)
    assert f"en/{DATED}:1" in messages(edition)
    assert edition.good is not None
    assert RALLY.replace("en/", "zh-hans/", 1) in edition.good


def test_an_edition_stays_until_a_file_differs(tmp_path: Path) -> None:
    """A file that is written again with the same bytes reloads no page."""
    tree = copy_texts(tmp_path)
    texts = reader(tree)
    edition = texts.read()
    text = (tree / "en" / DATED).read_bytes()
    (tree / "en" / DATED).write_bytes(text)
    assert texts.read(edition) is edition
    (tree / "en" / DATED).write_bytes(text + b"\nMore.\n")
    assert texts.read(edition).id != edition.id


def test_only_changed_texts_are_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all texts, one that has not changed is not parsed again."""
    tree = copy_texts(tmp_path)
    texts = reader(tree)
    edition = texts.read()
    parsed = Counter[str]()
    parse = markdown.parse

    def counted(text: str, **options: Any) -> Any:
        parsed[text] += 1
        return parse(text, **options)

    monkeypatch.setattr("cccr_web.content.markdown.parse", counted)
    add(f"en/{DATED}", "One more sentence.")(tree)
    assert texts.read(edition).good is not None
    assert sum(parsed.values()) == 1


def test_a_changed_template_changes_the_edition(tmp_path: Path) -> None:
    """Templates are read again, too."""
    templates = shutil.copytree(TEMPLATES, tmp_path / "templates")
    tree = copy_texts(tmp_path)
    texts = EditionReader(tree, templates, work(tree))
    edition = texts.read()
    assert edition.good is not None
    before = edition.good[RALLY]
    base = templates / "base.html"
    base.write_text(base.read_text().replace('<main id="main">', '<main id="main" class="x">'))
    changed = texts.read(edition).good
    assert changed is not None
    assert changed[RALLY] != before


def test_only_changed_photos_are_resized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo that has not changed is neither decoded nor resized again, one that has is."""
    tree = copy_texts(tmp_path)
    for name in ("march.jpg", "vigil.jpg"):
        put_photo(tree, name, photo())
    texts = reader(tree)
    edition = texts.read()
    assert edition.good is not None
    before = dict(edition.good.photos)
    decoded: list[str] = []
    pixels = photos._pixels

    def counted(tree: SourceTree, name: str) -> Any:
        decoded.append(name)
        return pixels(tree, name)

    monkeypatch.setattr(photos, "_pixels", counted)
    (tree / "photos" / "vigil.jpg").write_bytes(photo(800, 1200))
    changed = texts.read(edition)
    assert changed.good is not None
    assert {*decoded} == {"vigil.jpg"}
    assert changed.good.photos["march.jpg"] is before["march.jpg"]
    assert changed.good.photos["vigil.jpg"].sizes != before["vigil.jpg"].sizes


def test_a_damaged_photo_leaves_the_last_good_site(tmp_path: Path) -> None:
    """It is reported until it is replaced, also while another file cannot be read."""
    tree = copy_texts(tmp_path)
    put_photo(tree, "march.jpg", photo())
    texts = reader(tree)
    edition = texts.read()
    assert edition.problems == ()
    put("en/pages/verify.md", b"broken")(tree)
    (tree / "photos" / "march.jpg").write_bytes(photo()[:500])
    edition = texts.read(edition)
    (tree / "en" / "pages" / "verify.md").write_bytes((TEXTS / "en/pages/verify.md").read_bytes())
    edition = texts.read(edition)
    assert any("is damaged" in one.message for one in edition.problems)
    assert edition.good is not None
    (tree / "photos" / "march.jpg").write_bytes(photo(800, 1200))
    assert texts.read(edition).problems == ()
