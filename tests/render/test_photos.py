"""Photos as readers get them: in pages, copies and feeds, and without what cameras add."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from support.pages import pages, parse
from support.photographs import SECRET, photo, put_photo
from support.texts import copy_texts

from cccr_web.config import find_tree
from cccr_web.errors import CccrError
from cccr_web.languages import WRITTEN
from cccr_web.release import Release, media_type
from cccr_web.render import build_release


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the real texts."""
    return copy_texts(tmp_path)


def built(tree: Path) -> Release:
    """Build a tree."""
    return build_release(tree, find_tree("templates"))


def segments(body: bytes) -> list[int]:
    """Return the marker of each segment of a JPEG before its pixels (ITU T.81, B.1.1)."""
    markers, at = [], 2
    while body[at + 1] != 0xDA:
        assert body[at] == 0xFF
        markers.append(body[at + 1])
        at += 2 + int.from_bytes(body[at + 2 : at + 4], "big")
    return markers


def test_the_test_photo_contains_metadata() -> None:
    """The test photo has a location, camera, XMP, profile and comment."""
    body = photo()
    assert {0xE1, 0xE2, 0xFE} <= set(segments(body))
    assert body.count(SECRET.encode()) == 3
    with Image.open(io.BytesIO(body)) as image:
        assert image.getexif().get_ifd(0x8825)[2] == (40.0, 45.0, 4.7)


def test_published_photos_contain_only_pixels(tree: Path) -> None:
    """Published photos have no metadata, and the original is not published."""
    body = photo()
    put_photo(tree, "square.jpg", body)
    release = built(tree)
    sizes = [path for path in release.files if path.startswith("photos/")]
    assert sizes == ["photos/square-480.jpg", "photos/square-960.jpg"]
    for path in sizes:
        file = release.files[path].body
        assert set(segments(file)) <= {0xE0, 0xDB, 0xC0, 0xC4}
        with Image.open(io.BytesIO(file)) as image:
            assert not image.getexif()
            assert image.info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert media_type(path) == "image/jpeg"
        assert f"  {path}\n" in release.files["SHA256SUMS"].body.decode()
    for path, kept in release.files.items():
        assert SECRET.encode() not in kept.body, path
        assert body not in kept.body, path
        assert b"By letter" not in kept.body, path


def test_a_page_shows_the_photo_with_its_caption(tree: Path) -> None:
    """The photo has its alternative text, author and licence in each language."""
    put_photo(tree, "square.jpg", photo())
    site = pages(built(tree))
    words = {
        "en": ("A square with a red sky", "Photo: A. Photographer. Licence: CC BY 4.0."),
        "zh-hans": ("红色天空下的广场", "摄影：A. Photographer。授权条款：CC BY 4.0。"),
        "zh-hant": ("紅色天空下的廣場", "攝影：A. Photographer。授權條款：CC BY 4.0。"),
    }
    for slug, (alt, caption) in words.items():
        figure = site[f"{slug}/who-we-are.html"].one("figure")
        assert figure.one("figcaption").text == caption
        assert figure.one("img").attributes == {
            "src": "../photos/square-480.jpg",
            "srcset": "../photos/square-480.jpg 480w, ../photos/square-960.jpg 960w",
            "sizes": "(max-width: 44rem) 100vw, 42rem",
            "width": "960",
            "height": "640",
            "alt": alt,
            "loading": "lazy",
        }
        paragraphs = site[f"{slug}/who-we-are.html"].all("p")
        assert all(paragraph.all("figure") == [] for paragraph in paragraphs)


def test_a_copy_contains_the_photo_with_its_caption(tree: Path) -> None:
    """A copy loads nothing: it contains the smallest file, its alternative text and its record."""
    put_photo(tree, "square.jpg", photo())
    release = built(tree)
    name = "photos/square-480.jpg"
    body = release.files[name].body
    words = {"en": "A square with a red sky", "zh-hans": "红色天空下的广场"}
    for slug, alt in words.items():
        figure = parse(release.files[f"{slug}/cccr-{slug}.html"].body).one("figure", class_="photo")
        assert figure.one("img").attributes == {
            "src": f"data:image/jpeg;base64,{base64.b64encode(body).decode()}",
            "width": "480",
            "height": "320",
            "alt": alt,
            "loading": "lazy",
        }
        assert "A. Photographer" in figure.one("figcaption").text
        with zipfile.ZipFile(io.BytesIO(release.files[f"{slug}/cccr-{slug}.epub"].body)) as book:
            chapter = book.read("EPUB/text/who-we-are.xhtml").decode()
            assert f'<img src="../{name}" width="480" height="320" alt="{alt}"/>' in chapter
            assert chapter.count("A. Photographer") == 1
            assert book.read(f"EPUB/{name}") == body


def test_a_feed_describes_the_photo_in_text(tree: Path) -> None:
    """Feed readers would load a photo, so an entry has its alternative text and record instead."""
    put_photo(tree, "square.jpg", photo())
    for language in WRITTEN:
        statement = tree / language.locale / "statements" / "2013-05-07-tiananmen-rally.md"
        with statement.open("a", encoding="utf-8") as file:
            file.write("\n![](/photos/square.jpg)\n")
    feed = built(tree).files["en/feed.xml"].body.decode()
    assert '<p class="photo">[A square with a red sky] Photo: A. Photographer.' in feed
    assert "<img" not in feed


def test_metadata_in_the_output_stops_the_build(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a library wrote more than pixels, nothing would be published."""
    put_photo(tree, "square.jpg", photo())
    plain = Image.Image.save

    def save(self: Image.Image, file: io.BytesIO, kind: str, **options: object) -> None:
        plain(self, file, kind, **{**options, "comment": b"made by a library"})

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(CccrError, match=r"would contain more than pixels \(COM\)"):
        built(tree)
