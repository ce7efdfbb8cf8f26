"""What becomes of a photo's file: its size, colours, turns and damage (``render/photos.py``)."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from PIL import Image
from support.photographs import photo, picture

from cccr_web.content import Photo, SourceTree
from cccr_web.errors import CccrError
from cccr_web.render.photos import PhotoFile, resize_photos


def sizes_of(folder: Path, name: str, body: bytes) -> tuple[PhotoFile, ...]:
    """Resize one photo; return every published file."""
    (folder / "photos").mkdir(exist_ok=True)
    (folder / "photos" / name).write_bytes(body)
    record = Photo(name, "A", "B", "C", {}, 1)
    return resize_photos(SourceTree(folder), {name: record})[name].sizes


def made(folder: Path, name: str, body: bytes) -> dict[str, Image.Image]:
    """Resize one photo; return each published file by its URL."""
    sizes = sizes_of(folder, name, body)
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


WHITE, BLACK, RED, BLUE = (255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 0, 255)
PALETTE = bytes((*RED, *BLUE, *BLACK))


def png(depth: int, kind: int, samples: Iterable[Sequence[int]], **chunks: bytes) -> bytes:
    """Return a PNG with a column, 32 pixels wide, of each colour (PNG, 11.2 and 11.3)."""
    columns = [sample for sample in samples for _ in range(32)]
    bits = "".join(f"{value:0{depth}b}" for column in columns for value in column)
    row = b"\0" + int(bits, 2).to_bytes(len(bits) // 8)
    head = struct.pack(">2I5B", len(columns), 32, depth, kind, 0, 0, 0)
    parts = {"IHDR": head, **chunks, "IDAT": zlib.compress(row * 32), "IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part))
        + name.encode()
        + part
        + struct.pack(">I", zlib.crc32(name.encode() + part))
        for name, part in parts.items()
    )


def big_endian(*values: int) -> bytes:
    """Return 16-bit numbers as a PNG holds them."""
    return struct.pack(f">{len(values)}H", *values)


def columns(folder: Path, body: bytes) -> list[tuple[int, int, int]]:
    """Publish a photo made by ``png`` and return the colour of each column."""
    (image,) = made(folder, "a.png", body).values()
    return [colour(image, x, 16) for x in range(16, image.width, 32)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        *(
            pytest.param(
                png(depth, kind, [(0,) * bands, (half,) * bands, (most,) * bands]),
                [0, round(half * 255 / most), 255],
                id=f"{depth} bits of {name}",
            )
            for kind, bands, name, depths in (
                (0, 1, "grey", (1, 2, 4, 8, 16)),
                (2, 3, "colour", (8, 16)),
            )
            for depth in depths
            for most in (2**depth - 1,)
            for half in (2 ** (depth - 1) - 1,)
        ),
        *(
            pytest.param(
                png(depth, 0, [(0,), (1,), (2**depth - 1,)], tRNS=big_endian(1)),
                [0, 255, 255],
                id=f"a transparent grey of {depth} bits",
            )
            for depth in (1, 2, 4, 8, 16)
        ),
        pytest.param(
            png(1, 0, [(0,), (1,)], tRNS=big_endian(0)), [255, 255], id="a transparent black"
        ),
        # What is above the bits of a sample does not count (PNG, 11.3.1.1).
        pytest.param(png(4, 0, [(0,), (1,)], tRNS=big_endian(0xFFF1)), [0, 255], id="more bits"),
        pytest.param(
            png(16, 0, [(0x1000,), (0x1001,)], tRNS=big_endian(0x1001)),
            [16, 255],
            id="a transparent grey that differs in its last bits",
        ),
        pytest.param(
            png(8, 2, [(9, 0, 9), (9, 9, 9)], tRNS=big_endian(9, 0, 9)),
            [WHITE, 9],
            id="a transparent colour",
        ),
        pytest.param(
            png(16, 2, [(0x900, 1, 0), (0x900, 0, 0)], tRNS=big_endian(0x900, 1, 0)),
            [WHITE, (9, 0, 0)],
            id="a transparent colour that differs in its last bits",
        ),
        pytest.param(
            png(2, 3, [(0,), (1,), (2,)], PLTE=PALETTE, tRNS=b"\0\x80"),
            [WHITE, (127, 127, 255), 0],
            id="a palette",
        ),
        pytest.param(
            png(16, 4, [(0, 0), (0, 0x8000), (0, 0xFFFF)]), [255, 127, 0], id="grey and alpha"
        ),
        pytest.param(
            png(16, 6, [(0, 0, 0, 0), (0xFFFF, 0, 0, 0x8000), (0xFFFF, 0, 0, 0xFFFF)]),
            [WHITE, (255, 127, 127), RED],
            id="colour and alpha",
        ),
    ],
)
def test_every_depth_and_transparency_is_shown_on_white(
    tmp_path: Path, body: bytes, expected: list[int | tuple[int, int, int]]
) -> None:
    """Every sample has its value, and what is transparent becomes white."""
    for seen, wanted in zip(columns(tmp_path, body), expected, strict=True):
        colours = (wanted,) * 3 if isinstance(wanted, int) else wanted
        assert max(abs(a - b) for a, b in zip(seen, colours, strict=True)) < 4


def linear_profile(space: bytes) -> bytes:
    """Return an ICC profile of a grey or RGB device with linear values (ICC.1, 7 and 10)."""
    places = {b"wtpt": (0.9642, 1.0, 0.8249)}
    curves = [b"kTRC"]
    if space == b"RGB ":
        # sRGB's primaries, adapted to D50.
        places |= {b"rXYZ": (0.4361, 0.2225, 0.0139), b"gXYZ": (0.3851, 0.7169, 0.0971)}
        places |= {b"bXYZ": (0.1431, 0.0606, 0.7141)}
        curves = [b"rTRC", b"gTRC", b"bTRC"]
    tags = {
        name: b"XYZ " + struct.pack(">4x3i", *(round(value * 65536) for value in place))
        for name, place in places.items()
    }
    tags |= dict.fromkeys(curves, b"curv" + bytes(8))
    at, table = 128 + 4 + 12 * len(tags), b""
    for name, tag in tags.items():
        table += name + struct.pack(">2I", at, len(tag))
        at += len(tag)
    head = struct.pack(">I4xI4s4s4s12x4s", at, 0x02100000, b"mntr", space, b"XYZ ", b"acsp")
    head = (head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)).ljust(128, b"\0")
    return head + struct.pack(">I", len(tags)) + table + b"".join(tags.values())


@pytest.mark.parametrize(
    ("body", "space", "expected"),
    [
        # A linear value of 0.216 is 128 in sRGB.
        (png(8, 0, [(55,)]), b"GRAY", 128),
        (png(8, 0, [(55,)]), b"RGB ", 128),
        (png(16, 0, [(55 * 257,)]), b"GRAY", 128),
        (png(8, 2, [(55, 55, 55)]), b"RGB ", 128),
        (png(8, 3, [(0,)], PLTE=bytes((55, 55, 55))), b"RGB ", 128),
        (png(8, 6, [(55, 55, 55, 255), (0, 0, 0, 0)]), b"RGB ", 128),
        (png(8, 4, [(55, 255), (0, 0)]), b"GRAY", 128),
        # A profile that does not fit the colours is ignored, as browsers do.
        (png(8, 2, [(55, 55, 55)]), b"GRAY", 55),
        (png(8, 2, [(55, 55, 55)]), b"none", 55),
    ],
    ids=lambda value: "png" if isinstance(value, bytes) and len(value) > 4 else None,
)
def test_colours_are_converted_from_the_photos_profile(
    tmp_path: Path, body: bytes, space: bytes, expected: int
) -> None:
    """A photo with its own colour profile looks the same without it."""
    icc = b"no profile" if space == b"none" else linear_profile(space)
    packed = b"icc\0\0" + zlib.compress(icc)
    seen, *transparent = columns(tmp_path, with_chunk("iCCP", packed, body))
    assert max(abs(value - expected) for value in seen) < 4
    assert transparent in ([], [WHITE])


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_photo_with_damaged_metadata_is_published(tmp_path: Path, kind: str) -> None:
    """Its pixels are intact, and no metadata is published."""
    body = encoded(picture(32, 32), kind, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")
    assert len(made(tmp_path, f"a.{'jpg' if kind == 'JPEG' else 'png'}", body)) == 1


def with_chunk(name: str, content: bytes, body: bytes) -> bytes:
    """Return a PNG with another chunk after its first."""
    kind = name.encode()
    chunk = struct.pack(">I", len(content)) + kind + content
    chunk += struct.pack(">I", zlib.crc32(kind + content))
    # After the 33 bytes of the signature and the first chunk.
    return body[:33] + chunk + body[33:]


LONG_TEXT = zlib.compress(b"a" * 5_000_000)
GREY = png(8, 0, [(0,)])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(with_chunk("eXIf", b"junk", GREY), id="junk in eXIf"),
        pytest.param(with_chunk("eXIf", b"MM\0*\0\0", GREY), id="a short eXIf"),
        pytest.param(with_chunk("zTXt", b"x\0\0" + LONG_TEXT, GREY), id="5 MB of text"),
        pytest.param(
            with_chunk("iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LONG_TEXT, GREY), id="5 MB of XMP"
        ),
    ],
)
def test_a_png_is_published_whatever_its_texts_say(tmp_path: Path, body: bytes) -> None:
    """Junk in its EXIF, or megabytes of text, do not keep a photo from being published."""
    assert columns(tmp_path, body) == [BLACK]


def segment(marker: int, content: bytes) -> bytes:
    """Return a JPEG with another segment before its first (ITU T.81, B.1.1)."""
    body = encoded(Image.new("RGB", (32, 32), RED), "JPEG")
    return body[:2] + struct.pack(">2BH", 0xFF, marker, len(content) + 2) + content + body[2:]


EXIF = b"Exif\0\0MM\0*\0\0\0\x08"


@pytest.mark.parametrize(
    ("marker", "content"),
    [
        (0xE1, b"Exif\0\0junk"),
        # A description that is a fraction, before the orientation.
        (0xE1, EXIF + struct.pack(">H2H2I2HI2H", 2, 0x010E, 5, 1, 8, 0x0112, 3, 1, 6, 0)),
        (0xE2, b"MPF\0II*\0\xff\xff\xff\xff"),
        (0xFE, b""),
    ],
)
def test_a_jpeg_is_published_whatever_its_segments_say(
    tmp_path: Path, marker: int, content: bytes
) -> None:
    """Wrong or empty metadata is ignored."""
    (image,) = made(tmp_path, "a.jpg", segment(marker, content)).values()
    assert colour(image, 16, 16)[0] > 240


def test_a_large_colour_profile_is_used(tmp_path: Path) -> None:
    """Profiles of several MB exist."""
    profile = linear_profile(b"GRAY")
    large = struct.pack(">I", len(profile) + 3_000_000) + profile[4:] + bytes(3_000_000)
    packed = b"icc\0\0" + zlib.compress(large)
    ((seen, *_),) = columns(tmp_path, with_chunk("iCCP", packed, png(8, 0, [(55,)])))
    assert abs(seen - 128) < 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("orientation", "place"),
    [(1, 0), (2, 1), (3, 2), (4, 3), (5, 0), (6, 1), (7, 2), (8, 3), (0, 0), (9, 0)],
)
def test_every_orientation_is_applied(
    tmp_path: Path, kind: str, order: str, orientation: int, place: int
) -> None:
    """The corner at the top left is then where Exif says (clockwise from the top left)."""
    image = Image.new("RGB", (64, 32), BLUE)
    image.paste(RED, (0, 0, 32, 16))
    start = b"II*\0" if order == "<" else b"MM\0*"
    exif = start + struct.pack(f"{order}IH2HI2H", 8, 1, 0x0112, 3, 1, orientation, 0)
    name = "a.jpg" if kind == "JPEG" else "a.png"
    (shown,) = made(tmp_path, name, encoded(image, kind, exif=b"Exif\0\0" + exif)).values()
    assert shown.size == ((32, 64) if orientation in range(5, 9) else (64, 32))
    right, low = shown.width - 4, shown.height - 4
    corners = [(4, 4), (right, 4), (right, low), (4, low)]
    assert [colour(shown, *corner)[0] > 180 for corner in corners] == [
        at == place for at in range(4)
    ]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    ("written", "exif", "size"),
    [
        ('tiff:Orientation="6"', None, (32, 64)),
        ("><tiff:Orientation>8</tiff:Orientation>", None, (32, 64)),
        ('tiff:Orientation="6"', 1, (64, 32)),
        ('tiff:Orientation="1"', 6, (32, 64)),
    ],
)
def test_an_orientation_in_xmp_counts_if_exif_has_none(
    tmp_path: Path, kind: str, written: str, exif: int | None, size: tuple[int, int]
) -> None:
    """Phones write it into Exif, some programs only into XMP (XMP, part 2, “TIFF namespace”)."""
    known = Image.Exif()
    if exif is not None:
        known[0x0112] = exif
    xmp = f"<x:xmpmeta xmlns:tiff='http://ns.adobe.com/tiff/1.0/' {written}/>".encode()
    content = b"http://ns.adobe.com/xap/1.0/\0" + xmp
    if kind == "JPEG":
        body = encoded(Image.new("RGB", (64, 32), BLUE), kind, exif=known)
        body = body[:2] + struct.pack(">2sH", b"\xff\xe1", len(content) + 2) + content + body[2:]
    else:
        body = encoded(Image.new("RGB", (64, 32), BLUE), kind, exif=known)
        body = with_chunk("iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp, body)
    (shown,) = made(tmp_path, "a.jpg" if kind == "JPEG" else "a.png", body).values()
    assert shown.size == size


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0 nothing", photo()[:3000], b"GIF89a"]
    + [GREY[:length] for length in (8, 20, 26, 45)]
    + [with_chunk("tRNS", b"", GREY[:8])],
)
def test_a_file_that_is_not_a_photo_is_rejected(tmp_path: Path, body: bytes) -> None:
    """A truncated file or another file type stops the build and is named, in plain words."""
    with pytest.raises(CccrError) as caught:
        made(tmp_path, "a.jpg", body)
    assert str(caught.value) == (
        f"{tmp_path.name}/photos/a.jpg is damaged, incomplete or not a photo. "
        "Replace it with an intact copy."
    )


def test_a_photo_that_may_not_be_read_is_rejected(tmp_path: Path) -> None:
    """A folder, or a file without permission, is rejected for what it is."""
    (tmp_path / "photos/a.jpg").mkdir(parents=True)
    with pytest.raises(CccrError, match=r"a\.jpg cannot be read: Is a directory\. Check its perm"):
        resize_photos(SourceTree(tmp_path), {"a.jpg": Photo("a.jpg", "A", "B", "C", {}, 1)})


def test_a_photo_from_the_largest_cameras_is_published(tmp_path: Path) -> None:
    """A photo of 90 megapixels has the usual sizes."""
    body = encoded(Image.new("L", (11000, 8250), 99), "JPEG")
    files = made(tmp_path, "a.jpg", body)
    assert [image.size for image in files.values()] == [(480, 360), (960, 720)]


def test_a_photo_that_is_too_large_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that would exhaust memory is rejected before its pixels are read."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)
    for side in (80, 200):
        with pytest.raises(CccrError, match=r"a\.jpg has more than 250,000,000 pixels\. Make"):
            made(tmp_path, "a.jpg", encoded(picture(side, side), "JPEG"))


def test_the_same_photo_gives_the_same_bytes(tmp_path: Path) -> None:
    """A photo has the same bytes in every build."""
    digests = set()
    for _ in range(3):
        sizes = sizes_of(tmp_path, "a.jpg", photo())
        digests.add(hashlib.sha256(b"".join(size.body for size in sizes)).hexdigest())
    assert len(digests) == 1
