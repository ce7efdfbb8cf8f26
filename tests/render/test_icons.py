"""The icon of the site (``render/icons.py``)."""

from __future__ import annotations

import hashlib
import io

from PIL import Image
from support.pages import pages

from cccr_web.release import Release
from cccr_web.render.icons import FAVICON, ICON, icons
from cccr_web.serve.policy import media_type


def test_sizes_and_colours() -> None:
    """The icons have the sizes that are asked for, strokes of paper on red, and weigh little."""
    files = icons()
    with Image.open(io.BytesIO(files[ICON])) as icon:
        assert icon.size == (128, 128)
        picture = icon.convert("RGB")
        assert picture.getpixel((2, 2)) == (0x9A, 0x1B, 0x1B)
        assert picture.getpixel((64, 101)) == (0xFF, 0xFE, 0xFB)
    with Image.open(io.BytesIO(files[FAVICON])) as favicon:
        assert favicon.format == "ICO"
        assert favicon.info["sizes"] == {(16, 16), (32, 32)}
    assert len(files[FAVICON]) < 1_000
    assert len(files[ICON]) < 5_000


def test_both_halves_are_alike_where_the_character_is() -> None:
    """The two strokes at the top mirror each other."""
    with Image.open(io.BytesIO(icons()[ICON])) as icon:
        top = icon.convert("RGB").crop((0, 0, 128, 48))
        assert top.tobytes() == top.transpose(Image.Transpose.FLIP_LEFT_RIGHT).tobytes()


def test_the_bytes_never_change() -> None:
    """Every machine and every Python draws the same bytes."""
    digest = hashlib.sha256(b"".join(icons().values())).hexdigest()
    assert digest == "7364ffe4fe0d90f23150677450104c2095c41c468f51f5133b3e84ac1d56c27b"


def test_every_page_names_the_icon(release: Release) -> None:
    """The icons are listed files at the places where browsers look, and no page names them."""
    listed = release.files["SHA256SUMS"].body.decode()
    for name in (FAVICON, ICON):
        assert f"  {name}\n" in listed
        assert (media_type(name) or "").startswith("image/")
    # A browser asks for /favicon.ico by itself. Named in a page it would be an image of an
    # http onion, which Firefox turns into https, and which then fails.
    for path, page in pages(release).items():
        named = [link for link in page.one("head").all("link") if "icon" in link.attributes["rel"]]
        assert named == [], path
