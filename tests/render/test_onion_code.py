"""The onion's address for hands and cameras (``render/onion_code.py``, ``addresses.html``)."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import replace

import pytest
import zxingcpp
from PIL import Image
from support.pages import pages
from support.serving import ADDRESSES, ONION

from cccr_web.config import find_tree
from cccr_web.languages import LANGUAGES, Language
from cccr_web.release import Release
from cccr_web.render import build_release
from cccr_web.render.onion_code import FILE, grouped, qr_code

OTHER = "abcdefghijklmnopqrstuvwxyz234567" + "b" * 23 + "d.onion"

every_language = pytest.mark.parametrize("language", LANGUAGES, ids=lambda one: one.slug)


@pytest.mark.parametrize("onion", [ONION, OTHER])
def test_a_camera_reads_the_address(onion: str) -> None:
    """Another program's reader finds the whole address in the picture, a stain on it or not."""
    with Image.open(io.BytesIO(qr_code(onion))) as code:
        picture = code.convert("L")
    assert picture.size == (180, 180)
    for stain in (0, 24):
        picture.paste(255, (90, 90, 90 + stain, 90 + stain))
        (found,) = zxingcpp.read_barcodes(picture)
        assert found.text == f"http://{onion}/"


def test_groups() -> None:
    """Groups of four, and nothing lost between them."""
    groups = grouped(OTHER).split(" ")
    assert "".join(groups) == OTHER
    assert [len(group) for group in groups] == [4] * 14 + [6]


def test_the_bytes_never_change() -> None:
    """The picture is the same with every Python and every zlib."""
    assert (
        hashlib.sha256(qr_code(OTHER)).hexdigest()
        == "921833c76ea2b5383cd85380496238c267ac9bba2cb16ad8f6b46ea2d6fc1bc0"
    )


@every_language
def test_the_page_of_the_addresses(release: Release, language: Language) -> None:
    """The address stands whole to be copied, in groups to be typed, and a link leads to a code."""
    page = pages(release)[f"{language.slug}/addresses.html"]
    codes = [code.text for code in page.one("main").all("code")]
    assert f"http://{ONION}/" in codes
    assert grouped(ONION) in codes
    assert f"../{FILE}" in [link.attributes["href"] for link in page.one("main").all("a")]
    assert release.files[FILE].body == qr_code(ONION)
    assert f"  {FILE}\n" in release.files["SHA256SUMS"].body.decode()


def test_no_onion_is_ever_a_link(release: Release) -> None:
    """The pages are the same everywhere, and on the clearnet an onion is never to be clicked."""
    for path, file in release.files.items():
        if path.endswith((".html", ".xml")):
            assert re.search(rb'(href|src)="[^"]*\.onion', file.body) is None, path


def test_no_page_needs_a_picture(release: Release) -> None:
    """Every page is whole with one request, and so is every copy."""
    for path, page in pages(release).items():
        assert page.all("img") == [], path


def test_a_copy_has_the_address_without_the_picture(release: Release) -> None:
    """A file that is carried away holds the address as text."""
    for language in LANGUAGES:
        copy = release.files[f"{language.slug}/cccr-{language.slug}.html"].body.decode()
        assert grouped(ONION) in copy
        assert FILE not in copy


def test_without_an_onion_there_is_no_code() -> None:
    """A site without an onion has neither the picture nor words about it."""
    addresses = replace(ADDRESSES, onions=())
    trees = find_tree("translations"), find_tree("templates")
    release = build_release(*trees, addresses=addresses, environ={})
    assert FILE not in release.files
    assert FILE not in release.files["en/addresses.html"].body.decode()
