"""Photos: resized, and stripped of who took them, where, when and with what.

``content/photos.py`` reads the records of who took each, and who allowed its publication.
The published files are made from the pixels alone, so EXIF with its place and time, XMP,
colour profiles, comments and previews are left out. The same version of Pillow, whose wheels
contain libjpeg, gives the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import struct
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path, PurePath
from typing import Any

from PIL import ExifTags, Image, ImageChops, ImageCms, JpegImagePlugin, PngImagePlugin

from cccr_web.content import Photo, Problem, SourceTree
from cccr_web.content.photos import FILE, FOLDER
from cccr_web.errors import CccrError
from cccr_web.render.cache import Cache

# Widths in pixels: a phone held upright, and our widest column on a high-resolution screen.
_WIDTHS = (480, 960)
_QUALITY = 80
# Of what is kept in translations/, from which the published sizes are made.
_COPY_QUALITY = 92
_COPY_WIDTH = 2 * _WIDTHS[-1]

_WHITE = (255, 255, 255)
# Where a PNG holds the number of bits of a sample (PNG, 11.2.1).
_DEPTH = 24

# What to do with a photo that lies on a side or is mirrored (Exif 2.32, 4.6.4, Orientation).
_ORIENTATION = 0x0112
# What Pillow's parser of EXIF raises for other bytes.
_BROKEN_EXIF = (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Phones take photos of 200 million pixels. Pillow rejects more, as an attack on memory.
_MOST_PIXELS = 250_000_000
Image.MAX_IMAGE_PIXELS = _MOST_PIXELS
# Some colour profiles and texts have several MB, but Pillow rejects a PNG with more than one.
PngImagePlugin.MAX_TEXT_CHUNK = 1 << 24

# The segment that marks a file as JFIF.
_JFIF = "APP0"


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """One published file: its URL, and its size in pixels."""

    url: str
    width: int
    height: int
    body: bytes


@dataclass(frozen=True, slots=True)
class ResizedPhoto:
    """A photo in all its sizes, the smallest first."""

    record: Photo
    sizes: tuple[PhotoFile, ...]


def resize_photos(
    tree: SourceTree, photos: Mapping[str, Photo], cache: Cache | None = None
) -> dict[str, ResizedPhoto]:
    """Resize every photo below ``tree`` that has a record. Raises ``CccrError``."""
    cache = cache or Cache()
    return {
        name: ResizedPhoto(photo, tuple(_files(tree, name, cache)))
        for name, photo in sorted(photos.items())
    }


def pixels_only(body: bytes, file: Path) -> tuple[bytes, tuple[str, ...]]:
    """Return a copy of a photo made from its pixels alone, and the names of what it leaves out.

    It is upright and in sRGB, a JPEG or, of a PNG, a PNG. It is at most twice as wide as the
    largest published size. ``file`` names it in messages. Raises ``CccrError``.
    """
    pixels, made = _decode(body, file), io.BytesIO()
    pixels.thumbnail((_COPY_WIDTH, pixels.height))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(body), formats=("JPEG", "PNG")) as opened:
            format_, removed = opened.format, (*_metadata(opened),)
    if format_ == "PNG":
        pixels.save(made, "PNG", optimize=True)
        return made.getvalue(), removed
    pixels.save(made, "JPEG", quality=_COPY_QUALITY, optimize=True, subsampling="4:4:4")
    _reject_metadata(file.name, made.getvalue())
    return made.getvalue(), removed


def _metadata(photo: Image.Image) -> Iterator[str]:
    """Yield what a photo's file says in addition to its pixels."""
    info = {*photo.info}
    # If its metadata is damaged, it has at least some.
    exif, gps = info & {"exif"}, None
    with contextlib.suppress(*_BROKEN_EXIF):
        gps = photo.getexif().get_ifd(ExifTags.IFD.GPSInfo)
    if gps:
        yield "the place (GPS)"
    if exif:
        yield "camera, settings and time (EXIF)"
    if info & {"xmp", "XML:com.adobe.xmp"}:
        yield "the history of its editing (XMP)"
    if info & {"photoshop"}:
        yield "captions and keywords (IPTC)"
    if info & {"comment"} or getattr(photo, "text", {}).keys() - {"XML:com.adobe.xmp"}:
        yield "comments"
    if info & {"mp", "mpoffset"}:
        yield "further pictures (MPF)"
    if info & {"icc_profile"}:
        yield "its colour profile, after conversion to sRGB"


def damaged_photos(tree: SourceTree, photos: Mapping[str, Photo]) -> Iterator[Problem]:
    """Yield a problem for each photo below ``tree`` that ``resize_photos`` would reject."""
    for name, photo in photos.items():
        try:
            _pixels(tree, name)
        except CccrError as error:
            yield Problem(tree.name(FILE), photo.line, str(error))


def _files(tree: SourceTree, name: str, cache: Cache) -> Iterator[PhotoFile]:
    def make() -> bytes:
        sizes = [(width, height, body.hex()) for width, height, body in _sizes(tree, name)]
        return json.dumps(sizes).encode()

    digest = hashlib.sha256(_read(tree, name)).hexdigest()
    for width, height, body in json.loads(cache.recall(("photo", name, digest), make)):
        url = f"photos/{PurePath(name).stem}-{width}.jpg"
        yield PhotoFile(url, width, height, bytes.fromhex(body))


def _sizes(tree: SourceTree, name: str) -> Iterator[tuple[int, int, bytes]]:
    pixels = _pixels(tree, name)
    for width in sorted({min(width, pixels.width) for width in _WIDTHS}):
        height = max(1, round(pixels.height * width / pixels.width))
        made = io.BytesIO()
        smaller = pixels.resize((width, height), Image.Resampling.LANCZOS)
        smaller.save(made, "JPEG", quality=_QUALITY, optimize=True, subsampling="4:2:0")
        body = made.getvalue()
        _reject_metadata(name, body)
        yield width, height, body


def _read(tree: SourceTree, name: str) -> bytes:
    file = tree.name(f"{FOLDER}/{name}")
    try:
        return (tree.folder / FOLDER / name).read_bytes()
    except OSError as error:
        raise CccrError(
            f"{file} cannot be read: {error.strerror}.", "Check its permissions and the disk."
        ) from error


def _pixels(tree: SourceTree, name: str) -> Image.Image:
    """Return only the pixels of a photo in the tree."""
    return _decode(_read(tree, name), tree.name(f"{FOLDER}/{name}"))


def _decode(body: bytes, file: Path) -> Image.Image:
    """Return only the pixels of a photo: upright, in sRGB, on white."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            photo, opacity = _decoded(body)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise CccrError(
            f"{file} has more than {_MOST_PIXELS:,} pixels.", "Make it smaller."
        ) from error
    except (OSError, ValueError, SyntaxError) as error:
        raise CccrError(
            f"{file} is damaged, incomplete or not a photo.", "Replace it with an intact copy."
        ) from error
    shown = Image.new("RGB", photo.size, _WHITE)
    shown.paste(_in_srgb(photo), mask=opacity)
    return shown


def _decoded(body: bytes) -> tuple[Image.Image, Image.Image | None]:
    """Return the colours with 8 bits a sample, and how opaque each pixel is."""
    photo = _upright(body)
    key = photo.info.get("transparency")
    if photo.mode in {"LA", "RGBA"} or (photo.mode == "P" and key is not None):
        whole = photo.convert("RGBA")
        return photo.convert("L" if photo.mode == "LA" else "RGB"), whole.getchannel("A")
    wide = photo.convert("I") if photo.mode == "I;16" else None
    if photo.mode == "1":
        photo = photo.convert("L")
    shown = wide.point([value >> 8 for value in range(1 << 16)], "L") if wide else photo
    if key is None:
        return shown, None
    # A PNG can declare one colour transparent, with the depth of its samples (PNG, 11.3.1.1).
    depth = body[_DEPTH]
    if wide:
        return shown, _opacity([(wide, key)])
    if shown.mode == "L":
        most = 2**depth - 1
        return shown, _opacity([(shown, (key & most) * 255 // most)])
    low = _upright(body, "RGB;16L") if depth == 16 else shown
    samples = [*zip(low.split(), (value & 255 for value in key), strict=True)]
    samples += zip(shown.split(), (value >> depth - 8 & 255 for value in key), strict=True)
    return shown, _opacity(samples)


def _upright(body: bytes, raw_mode: str | None = None) -> Image.Image:
    """Decode a photo; ``raw_mode`` decides which bits of its samples become the image's."""
    with Image.open(io.BytesIO(body), formats=("JPEG", "PNG")) as opened:
        # A JPEG can be decoded at a fraction of its size, for a fraction of the memory.
        opened.draft(None, (_COPY_WIDTH,) * 2)
        if raw_mode is not None:
            opened.tile = [tile._replace(args=raw_mode) for tile in opened.tile]
        turn = _TURNS.get(_orientation(opened))
        return opened.copy() if turn is None else opened.transpose(turn)


def _orientation(photo: Image.Image) -> Any:
    """Return the photo's orientation; ``None`` without one, or if its metadata is damaged."""
    with contextlib.suppress(*_BROKEN_EXIF):
        return photo.getexif().get(_ORIENTATION)
    return None


def _opacity(samples: Iterable[tuple[Image.Image, int]]) -> Image.Image:
    """Return 0 for the pixels that have all these values, and 255 for the others."""
    masks = (
        band.point([255 * (at != value) for at in range(1 << (16 if band.mode == "I" else 8))], "L")
        for band, value in samples
    )
    return reduce(ImageChops.lighter, masks)


def _in_srgb(photo: Image.Image) -> Image.Image:
    profile = photo.info.get("icc_profile") or b""
    # A grey photo may have an RGB profile. One that does not fit is ignored, as browsers do.
    for mode in (photo.mode, "RGB") if profile else ():
        with contextlib.suppress(OSError, ImageCms.PyCMSError):
            theirs = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            ours = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(
                photo.convert(mode), theirs, ours, outputMode="RGB"
            )
            if converted is not None:
                return converted
    return photo.convert("RGB")


def _reject_metadata(name: str, body: bytes) -> None:
    """Raise ``CccrError`` if a comment or an application's segment is before the first scan."""
    for segment, _ in JpegImagePlugin.JpegImageFile(io.BytesIO(body)).applist:
        if segment != _JFIF:
            raise CccrError(
                f"{name}: the published photo would contain more than pixels ({segment}).",
                "Build with the version of Pillow in the lock file.",
            )
