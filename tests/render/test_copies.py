"""The copies as parts of a release: listed, linked, measured, the same at every build."""

from __future__ import annotations

import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.command import run_script
from support.pages import Element, every_language, parse
from support.parsed import Page, dead_links
from support.signed import make_apps
from support.texts import texts_with_key
from werkzeug.test import Client

from cccr_web.config import PACKAGE, find_tree
from cccr_web.languages import LANGUAGES, Language
from cccr_web.release import ARCHIVE, ERROR_PAGES, Release, Signer, SigningKey, media_type, write
from cccr_web.render import build_release
from cccr_web.render.builder import VERIFY
from cccr_web.render.copies import COPIES
from cccr_web.render.shared_pages import ZIP_INDEX


@pytest.fixture(scope="module")
def key() -> SigningKey:
    """The organisation's key."""
    return SigningKey.generate()


@pytest.fixture(scope="module")
def built(key: SigningKey, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The real site, built for a key and not signed yet."""
    tree = texts_with_key(tmp_path_factory.mktemp("built"), key.public)
    return build_release(tree, find_tree("templates"))


@pytest.fixture(scope="module")
def signed(key: SigningKey, built: Release) -> Release:
    """The real site, signed."""
    return Signer(key).sign(built)


def pages_of(release: Release) -> dict[str, Page]:
    """Return the pages of a release that have a single URL."""
    return {
        url: Page(file.body)
        for url, file in release.files.items()
        if url.endswith(".html") and url not in ERROR_PAGES.values()
    }


def test_every_copy_is_listed(release: Release) -> None:
    """The signed list has the copies, the script that checks them, and the ZIP's start page."""
    listed = release.files["SHA256SUMS"].body.decode()
    for url in (*COPIES, ZIP_INDEX, VERIFY, ARCHIVE):
        assert f"{release.files[url].sha256}  {url}\n" in listed


def test_verify_py_is_published_unchanged(release: Release) -> None:
    """Readers get the same script that the tests run, served as text."""
    assert release.files[VERIFY].body == (PACKAGE / "standalone" / "verify.py").read_bytes()
    assert media_type(VERIFY) == "text/plain; charset=utf-8"


def test_every_link_of_every_page_leads_somewhere(signed: Release) -> None:
    """No page of a release has a dead link, including the ZIP's start page and the copies."""
    assert dead_links(pages_of(signed), set(signed.files)) == set()


def test_in_an_unpacked_zip_only_the_links_to_the_zip_are_dead(signed: Release) -> None:
    """A ZIP cannot contain itself, and the copies page says so."""
    files = set(signed.files) - {ARCHIVE}
    dead = dead_links(pages_of(signed), files)
    assert dead == {(f"{language.slug}/copies.html", f"../{ARCHIVE}") for language in LANGUAGES}
    pages = pages_of(signed)
    assert "the link to the ZIP leads nowhere" in pages["en/copies.html"].text
    assert "指向ZIP的链接打不开" in pages["zh-hans/copies.html"].text


@every_language
def test_each_copy_is_listed_with_its_size(signed: Release, language: Language) -> None:
    """The size of each copy follows its link, in kilobytes, rounded up."""
    text = Page(signed.files[f"{language.slug}/copies.html"].body).text
    for url in COPIES:
        name = url.rpartition("/")[2]
        size = re.search(rf"{re.escape(name)} [(（](\d+) kB[)）]", text)
        assert size, name
        assert int(size[1]) * 1000 - 1000 < len(signed.files[url].body) <= int(size[1]) * 1000


@every_language
def test_no_page_prints_the_size_of_the_zip(signed: Release, language: Language) -> None:
    """The ZIP contains the page that links to it, so no page can know its size."""
    text = Page(signed.files[f"{language.slug}/copies.html"].body).text
    assert re.search(rf"{re.escape(ARCHIVE)}\s+[(（]", text) is None
    assert text.count(" kB") == len(COPIES)


def test_signing_changes_no_copy_but_the_zip(built: Release, signed: Release) -> None:
    """The EPUBs, the pages and the sizes shown on them stay as built."""
    changed = {path for path in signed.files if signed.files[path] != built.files.get(path)}
    assert changed == {ARCHIVE, "SHA256SUMS", "SHA256SUMS.minisig", "SHA256SUMS.sshsig"}


@pytest.mark.parametrize("epoch", [0, 315532799, 4354819200])
def test_a_release_of_any_time_can_be_packed(epoch: int) -> None:
    """A time outside the range of a ZIP becomes the nearest time inside it."""
    release = build_release(
        find_tree("translations"), find_tree("templates"), time=datetime.fromtimestamp(epoch, UTC)
    )
    assert set(COPIES) < set(release.files)


def test_the_zip_index_has_doors_and_then_a_section_in_every_language(release: Release) -> None:
    """All languages share one page: first the doors to each, then a section in each."""
    page = parse(release.files[ZIP_INDEX].body)
    assert page.one("html").attributes["lang"] == "zh-Hans"
    assert page.one("h1").text == "公民自由联盟 公民自由聯盟 Chinese Coalition for Citizens Rights"
    doors, *sections = [
        part
        for part in page.one("main").children
        if isinstance(part, Element) and part.name in {"ul", "section"}
    ]
    tags = ["zh-Hans", "zh-Hant", "en"]
    assert [door.attributes["lang"] for door in doors.all("li")] == tags
    assert [link.attributes["href"] for link in doors.all("a")] == [
        *("zh-hans/index.html", "#zh-hans"),
        *("zh-hant/index.html", "#zh-hant"),
        *("en/index.html", "#en"),
    ]
    assert [section.attributes["lang"] for section in sections] == tags
    assert [section.one("h2").text for section in sections] == [
        "如果这份副本是朋友给您的",
        "如果這份副本是朋友給您的",
        "If a friend gave you this copy",
    ]
    ids = [element.attributes["id"] for element in page.all("*") if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    for words in (
        "请勿打开旧网站。",
        "python3 verify.py 文件夹 指纹",
        "伪造副本的人，也能伪造副本里的verify.py",
        "第1版，2026年11月29日发布。",
        "Do not open our former site.",
        "python3 verify.py FOLDER FINGERPRINT",
        "whoever forges a copy can forge the verify.py inside it.",
        "Release 1 of 29 November 2026.",
    ):
        assert words in page.text


def test_the_zip_index_never_shows_the_fingerprint(key: SigningKey, signed: Release) -> None:
    """Readers must get the fingerprint elsewhere: a forger would print his own."""
    assert str(key.public.fingerprint) not in Page(signed.files[ZIP_INDEX].body).text
    assert str(key.public.fingerprint) in Page(signed.files["en/index.html"].body).text


def test_the_server_redirects_the_root_to_a_language(release: Release) -> None:
    """The ZIP's start page has its own URL and is not shown at the root."""
    client = Client(make_apps(release)[0])
    assert client.get("/").headers["Location"] == "/en/"
    answer = client.get(f"/{ZIP_INDEX}")
    assert answer.data == release.files[ZIP_INDEX].body


@every_language
def test_the_copies_page_is_in_the_menu(release: Release, language: Language) -> None:
    """Readers find the copies from every page."""
    page = Page(release.files[f"{language.slug}/statements/index.html"].body)
    assert "../copies.html" in page.links


def test_every_page_template_can_be_part_of_a_copy() -> None:
    """A template with a fixed layout would put a whole page into the middle of a copy."""
    for file in sorted(find_tree("templates").glob("*.html")):
        text = file.read_text(encoding="utf-8")
        if file.name in {"base.html", "list.html"}:
            continue
        assert text.startswith(("{% extends layout %}\n", '{% extends "page.html" %}\n')), file.name


def test_verify_py_of_a_release_checks_the_folder_the_zip_and_what_was_unpacked(
    key: SigningKey, signed: Release, tmp_path: Path
) -> None:
    """The published script accepts every form of a release, and rejects a changed one."""
    folder = tmp_path / "release"
    write(signed, folder)
    with zipfile.ZipFile(folder / ARCHIVE) as archive:
        archive.extractall(tmp_path)
    script = folder / VERIFY
    unpacked = tmp_path / "cccr-web"
    for copy in (folder, folder / ARCHIVE, unpacked):
        done = run_script(script, copy, str(key.public.fingerprint))
        assert done.returncode == 0, done.stdout
    page = unpacked / "zh-hans" / "index.html"
    page.write_bytes(page.read_bytes().replace("自由".encode(), "服从".encode()))
    done = run_script(unpacked / VERIFY, unpacked, str(key.public.fingerprint))
    assert done.returncode == 1
    assert "zh-hans/index.html was changed." in done.stdout
