"""The site's icons (``render/static/``)."""

from __future__ import annotations

import hashlib
import io

from PIL import Image
from PIL.IcoImagePlugin import IcoImageFile
from support.pages import pages

from cccr_web.release import Release, media_type
from cccr_web.render.builder import UNCHANGED

FAVICON, ICON = "favicon.ico", "icon.png"


def icons() -> dict[str, bytes]:
    """Return the committed files."""
    return {name: UNCHANGED[name].read_bytes() for name in (FAVICON, ICON)}


def test_icons_have_their_sizes_and_colours() -> None:
    """The icons show light strokes on red, in the sizes that browsers need, and are small."""
    files = icons()
    with Image.open(io.BytesIO(files[ICON])) as icon:
        assert icon.size == (128, 128)
        picture = icon.convert("RGB")
        assert picture.getpixel((2, 2)) == (0x9A, 0x1B, 0x1B)
        assert picture.getpixel((64, 101)) == (0xFF, 0xFE, 0xFB)
    with Image.open(io.BytesIO(files[FAVICON])) as favicon:
        assert favicon.format == "ICO"
        assert favicon.info["sizes"] == {(16, 16), (32, 32)}
    for side in (16, 32):
        with Image.open(io.BytesIO(files[FAVICON])) as favicon:
            assert isinstance(favicon, IcoImageFile)
            frame = favicon.ico.getimage((side, side)).convert("RGB")
            assert frame.size == (side, side)
            assert frame.getpixel((0, 0)) == (0x9A, 0x1B, 0x1B)
    assert len(files[FAVICON]) < 1_000
    assert len(files[ICON]) < 5_000


def test_the_top_of_the_icon_is_symmetric() -> None:
    """The two strokes at the top mirror each other."""
    with Image.open(io.BytesIO(icons()[ICON])) as icon:
        top = icon.convert("RGB").crop((0, 0, 128, 48))
        assert top.tobytes() == top.transpose(Image.Transpose.FLIP_LEFT_RIGHT).tobytes()


def test_icons_are_unchanged_since_the_first_release() -> None:
    """A new icon would change every reader's bookmarks, so the committed bytes are fixed."""
    digest = hashlib.sha256(b"".join(icons().values())).hexdigest()
    assert digest == "7364ffe4fe0d90f23150677450104c2095c41c468f51f5133b3e84ac1d56c27b"


def test_every_page_names_the_icon(release: Release) -> None:
    """The icons are listed at the URLs that browsers request, and no page links to them."""
    listed = release.files["SHA256SUMS"].body.decode()
    for name in (FAVICON, ICON):
        assert f"  {name}\n" in listed
        assert (media_type(name) or "").startswith("image/")
    # Browsers request /favicon.ico on their own. A link in a page would make it an image of an
    # http onion, which Firefox upgrades to https, and which then fails.
    for path, page in pages(release).items():
        named = [link for link in page.one("head").all("link") if "icon" in link.attributes["rel"]]
        assert named == [], path
