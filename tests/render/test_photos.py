"""Photos as readers get them (``render/photos.py``, ``templates/parts/photo.html``)."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image, ImageCms
from support.pages import pages
from support.photographs import SECRET, photo, picture, put_photo
from support.texts import copy_texts

from cccr_web.config import find_tree
from cccr_web.content import Photo
from cccr_web.errors import CccrError
from cccr_web.languages import LANGUAGES
from cccr_web.release import Release
from cccr_web.render import build_release
from cccr_web.render.copies import epub_url, single_url
from cccr_web.render.photos import resize_photos
from cccr_web.serve.policy import media_type


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the real texts."""
    return copy_texts(tmp_path)


def built(tree: Path) -> Release:
    """Build a tree."""
    return build_release(tree, find_tree("templates"), environ={})


def made(folder: Path, name: str, body: bytes) -> dict[str, Image.Image]:
    """Resize one photo; return each published file by its URL."""
    (folder / name).write_bytes(body)
    record = Photo(name, "A", "B", "C", {}, 1)
    sizes = resize_photos(folder, {name: record})[name].sizes
    return {size.url: Image.open(io.BytesIO(size.body)) for size in sizes}


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return an image as a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def colour(image: Image.Image, x: int, y: int) -> tuple[int, int, int]:
    """Return the red, green and blue of a pixel."""
    seen = image.getpixel((x, y))
    assert isinstance(seen, tuple)
    red, green, blue = map(int, seen)
    return red, green, blue


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


@pytest.mark.parametrize(
    ("width", "height", "sizes"),
    [
        (1200, 800, {"photos/a-480.jpg": (480, 320), "photos/a-960.jpg": (960, 640)}),
        (960, 1, {"photos/a-480.jpg": (480, 1), "photos/a-960.jpg": (960, 1)}),
        (600, 900, {"photos/a-480.jpg": (480, 720), "photos/a-600.jpg": (600, 900)}),
        (300, 200, {"photos/a-300.jpg": (300, 200)}),
    ],
)
def test_photos_are_reduced_and_never_enlarged(
    tmp_path: Path, width: int, height: int, sizes: dict[str, tuple[int, int]]
) -> None:
    """A photo keeps its aspect ratio."""
    files = made(tmp_path, "a.jpg", encoded(picture(width, height), "JPEG"))
    assert {url: image.size for url, image in files.items()} == sizes


def test_a_rotated_photo_is_turned_upright(tmp_path: Path) -> None:
    """The orientation is applied before it is removed with the metadata."""
    files = made(tmp_path, "a.jpg", photo(400, 200, orientation=6))
    image = files["photos/a-200.jpg"]
    assert image.size == (200, 400)
    # What was above is to the right now.
    assert colour(image, 190, 200)[0] > 180
    assert colour(image, 10, 200)[2] > 180


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1"])
def test_other_colour_modes_become_rgb_on_white(tmp_path: Path, mode: str) -> None:
    """Transparent pixels become white; greyscale and palette images are accepted."""
    image = Image.new("RGBA", (100, 100), (0, 0, 0, 0)).convert(mode)
    files = made(tmp_path, "a.png", encoded(image, "PNG"))
    assert files["photos/a-100.jpg"].mode == "RGB"
    expected = 255 if mode in {"RGBA", "LA", "P"} else 0
    assert colour(files["photos/a-100.jpg"], 50, 50) == (expected,) * 3


def test_colours_are_converted_from_the_photos_profile(tmp_path: Path) -> None:
    """A photo with its own colour profile looks the same without it."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    files = made(tmp_path, "a.jpg", encoded(picture(100, 100), "JPEG", icc_profile=profile))
    red, green, blue = colour(files["photos/a-100.jpg"], 50, 10)
    assert max(abs(red - 200), abs(green - 20), abs(blue - 20)) < 6
    with pytest.raises(CccrError, match=r"a\.jpg cannot be read as a photo"):
        made(tmp_path, "a.jpg", encoded(picture(9, 9), "JPEG", icc_profile=b"no profile"))


@pytest.mark.parametrize(
    "body", [b"\xff\xd8\xff", b"\xff\xd8\xff\xe0 nothing", photo()[:3000], b"GIF89a"]
)
def test_a_file_that_is_not_a_photo_is_rejected(tmp_path: Path, body: bytes) -> None:
    """A truncated file or another file type stops the build and is named."""
    with pytest.raises(CccrError, match=r"a\.jpg cannot be read as a photo: .* Save it again\."):
        made(tmp_path, "a.jpg", body)


def test_a_photo_that_is_too_large_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that would exhaust memory is rejected before its pixels are read."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)
    for side in (80, 200):
        with pytest.raises(CccrError, match=r"a\.jpg is too large: .* Make it smaller\."):
            made(tmp_path, "a.jpg", encoded(picture(side, side), "JPEG"))


def test_a_page_shows_the_photo_with_its_caption(tree: Path) -> None:
    """The photo has its alternative text, author and licence in each language."""
    put_photo(tree, "square.jpg", photo())
    site = pages(built(tree))
    words = {
        "en": ("A square with a red sky", "Photo: A. Photographer. Licence: CC BY 4.0."),
        "zh-hans": ("红色天空下的广场", "摄影：A. Photographer。许可：CC BY 4.0。"),
        "zh-hant": ("紅色天空下的廣場", "攝影：A. Photographer。許可：CC BY 4.0。"),
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


def test_a_copy_describes_the_photo_in_text(tree: Path) -> None:
    """A copy loads nothing, so it has the alternative text, author and licence instead."""
    put_photo(tree, "square.jpg", photo())
    release = built(tree)
    for language in LANGUAGES:
        page = release.files[single_url(language)].body.decode()
        with zipfile.ZipFile(io.BytesIO(release.files[epub_url(language)].body)) as book:
            chapter = book.read("EPUB/text/who-we-are.xhtml").decode()
        for text in (page, chapter):
            assert "<img" not in text
            assert text.count("A. Photographer") == 1
    assert '<p class="photo">[A square with a red sky] Photo: A. Photographer.' in (
        release.files["en/cccr-en.html"].body.decode()
    )


def test_the_same_photo_gives_the_same_bytes(tmp_path: Path) -> None:
    """A photo has the same bytes in every build."""
    digests = set()
    for _ in range(3):
        (tmp_path / "a.jpg").write_bytes(photo())
        record = Photo("a.jpg", "A", "B", "C", {}, 1)
        sizes = resize_photos(tmp_path, {"a.jpg": record})["a.jpg"].sizes
        digests.add(hashlib.sha256(b"".join(size.body for size in sizes)).hexdigest())
    assert len(digests) == 1


def test_metadata_in_the_output_stops_the_build(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a library wrote more than pixels, nothing would be published."""
    put_photo(tree, "square.jpg", photo())
    plain = Image.Image.save

    def save(self: Image.Image, file: io.BytesIO, kind: str, **options: object) -> None:
        plain(self, file, kind, **{**options, "comment": b"made by a library"})

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(CccrError, match=r"would contain more than pixels \(FE\)"):
        built(tree)
