"""The onion's address for hands and cameras (``render/onion_code.py``, ``addresses.html``)."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from dataclasses import replace

import pytest
import zxingcpp
from PIL import Image, ImageOps
from support.pages import Element, every_language, pages, parse
from support.serving import ADDRESSES, ONION

from cccr_web.config import find_tree
from cccr_web.languages import EN, ZH_HANS, ZH_HANT, Language
from cccr_web.release import Release
from cccr_web.render import build_release
from cccr_web.render.copies import epub_url, single_url
from cccr_web.render.onion_code import FILE, grouped, qr_code

OTHER = "abcdefghijklmnopqrstuvwxyz234567" + "b" * 23 + "d.onion"


@pytest.mark.parametrize("onion", [ONION, OTHER])
def test_a_camera_reads_the_qr_code(onion: str) -> None:
    """Another program reads the whole URL from the image, even with a stain on it."""
    with Image.open(io.BytesIO(qr_code(onion))) as code:
        picture = code.convert("L")
    assert picture.size == (180, 180)
    for stain in (0, 24):
        picture.paste(255, (90, 90, 90 + stain, 90 + stain))
        (found,) = zxingcpp.read_barcodes(picture)
        assert found.text == f"http://{onion}/"


def test_an_address_is_grouped_without_loss() -> None:
    """Groups of four characters keep every character of the address."""
    groups = grouped(OTHER).split(" ")
    assert "".join(groups) == OTHER
    assert [len(group) for group in groups] == [4] * 14 + [6]


def test_the_qr_code_has_the_same_bytes_everywhere() -> None:
    """The image does not depend on the version of Python or zlib."""
    assert (
        hashlib.sha256(qr_code(OTHER)).hexdigest()
        == "921833c76ea2b5383cd85380496238c267ac9bba2cb16ad8f6b46ea2d6fc1bc0"
    )


@every_language
def test_the_addresses_page_shows_the_onion_in_three_forms(
    release: Release, language: Language
) -> None:
    """The page has the address whole, in groups, and a link to the QR code."""
    page = pages(release)[f"{language.slug}/addresses.html"]
    codes = [code.text for code in page.one("main").all("code")]
    assert f"http://{ONION}/" in codes
    assert grouped(ONION) in codes
    assert f"../{FILE}" in [link.attributes["href"] for link in page.one("main").all("a")]
    assert release.files[FILE].body == qr_code(ONION)
    assert f"  {FILE}\n" in release.files["SHA256SUMS"].body.decode()


def test_no_onion_is_ever_a_link(release: Release) -> None:
    """The pages are the same everywhere, and on the clearnet nobody should click an onion link."""
    for path, file in release.files.items():
        if path.endswith((".html", ".xml")):
            assert re.search(rb'(href|src)="[^"]*\.onion', file.body) is None, path


def test_no_page_contains_an_image(single_pages: dict[str, Element]) -> None:
    """Every page is complete after one request."""
    for path, page in single_pages.items():
        assert page.all("img") == [], path


def test_the_style_sheet_prints_the_qr_code(release: Release) -> None:
    """Every page and copy has the code in its own style sheet, and only for printing."""
    for path, page in pages(release).items():
        screen, _, printed = page.one("style").text.partition("@media print{")
        assert "url(" not in screen, path
        (encoded,) = re.findall(r"url\(data:image/png;base64,([\w+/=]+)\)", printed)
        with Image.open(io.BytesIO(base64.b64decode(encoded))) as code:
            picture = ImageOps.expand(code.convert("L"), 16, 255)
        (found,) = zxingcpp.read_barcodes(ImageOps.scale(picture, 4, Image.Resampling.NEAREST))
        assert found.text == f"http://{ONION}/"


@pytest.mark.parametrize(
    ("language", "name"),
    [
        (EN, "QR code of the onion address"),
        (ZH_HANS, "洋葱地址的二维码"),
        (ZH_HANT, "洋蔥網址的QR碼"),
    ],
)
def test_a_copy_contains_the_address_and_the_qr_code(
    release: Release, language: Language, name: str
) -> None:
    """A file that is passed on alone shows how to reach the site, to type and to scan."""
    code = release.files[FILE].body
    single = parse(release.files[single_url(language)].body)
    assert grouped(ONION) in single.one("main").text
    (image,) = single.all("img")
    assert image.attributes == {
        "src": f"data:image/png;base64,{base64.b64encode(code).decode()}",
        "alt": name,
    }
    with zipfile.ZipFile(io.BytesIO(release.files[epub_url(language)].body)) as book:
        assert book.read(f"EPUB/{FILE}") == code
        chapter = book.read("EPUB/text/addresses.xhtml").decode()
        front = book.read("EPUB/front.xhtml").decode()
        assert grouped(ONION) in chapter
        assert f'<img src="../{FILE}" alt="{name}"/>' in chapter
        assert f'<img src="{FILE}" alt="{name}"/>' in front
        assert f"<code>http://{ONION}/</code>" in front


def test_without_an_onion_there_is_no_qr_code() -> None:
    """A site without an onion has no QR code, and no page mentions one."""
    addresses = replace(ADDRESSES, onions=())
    trees = find_tree("translations"), find_tree("templates")
    release = build_release(*trees, addresses=addresses)
    assert FILE not in release.files
    assert FILE not in release.files["en/addresses.html"].body.decode()
