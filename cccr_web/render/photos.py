"""Photos: resized, and stripped of who took them, where, when and with what.

The published files are made from the pixels alone, so EXIF with its place and time, XMP,
colour profiles, comments and previews are left out. The same version of Pillow, whose wheels
contain libjpeg, gives the same bytes.
"""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from PIL import Image, ImageChops, ImageCms, JpegImagePlugin, PngImagePlugin

from cccr_web.content import Photo, Problem
from cccr_web.content.photos import FILE, FOLDER
from cccr_web.errors import CccrError

# Widths in pixels: a phone held upright, and our widest column on a high-resolution screen.
_WIDTHS = (480, 960)
_QUALITY = 80

_WHITE = (255, 255, 255)
# Where a PNG holds the number of bits of a sample, and its kind of colour (PNG, 11.2.1).
_DEPTH, _COLOUR = 24, 25
_PNG = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE = b"\0", b"\2", b"\3"

# A JPEG's segments on which the look of its pixels depends: their markers, how each starts, and
# its least length (ITU T.81, B.1.1; T.871, 10; T.872, 6.5; Exif 2.32, 4.5.4; ICC.1, B.4).
_SEGMENTS = (
    (0xE0, b"JFIF\0", 14),
    (0xE1, b"Exif\0\0", 6),
    (0xE2, b"ICC_PROFILE\0", 14),
    (0xEE, b"Adobe", 12),
)

# What to do with a photo that lies on a side or is mirrored (Exif 2.32, 4.6.4, Orientation).
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# The largest cameras of phones have 200 million. Pillow rejects more, as an attack on memory.
_MOST_PIXELS = 250_000_000
Image.MAX_IMAGE_PIXELS = _MOST_PIXELS
# Some profiles of cameras and printers have several MB, but Pillow rejects more than one.
_LARGEST_PROFILE = 1 << 24
PngImagePlugin.MAX_TEXT_CHUNK = _LARGEST_PROFILE

# JFIF's own, which says that the file is one.
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


def resize_photos(folder: Path, photos: Mapping[str, Photo]) -> dict[str, ResizedPhoto]:
    """Resize every photo in ``folder`` that has a record. Raises ``CccrError``."""
    return {
        name: ResizedPhoto(photo, tuple(_sizes(folder / name)))
        for name, photo in sorted(photos.items())
    }


def damaged_photos(tree: Path, photos: Mapping[str, Photo]) -> Iterator[Problem]:
    """Yield a problem for each photo below ``tree`` that ``resize_photos`` would reject."""
    for name, photo in photos.items():
        try:
            _pixels(tree / FOLDER / name)
        except CccrError as error:
            yield Problem(FILE, photo.line, str(error))


def _sizes(file: Path) -> Iterator[PhotoFile]:
    pixels = _pixels(file)
    for width in sorted({min(width, pixels.width) for width in _WIDTHS}):
        height = max(1, round(pixels.height * width / pixels.width))
        made = io.BytesIO()
        smaller = pixels.resize((width, height), Image.Resampling.LANCZOS)
        smaller.save(made, "JPEG", quality=_QUALITY, optimize=True, subsampling="4:2:0")
        body = made.getvalue()
        _reject_metadata(file, body)
        yield PhotoFile(f"photos/{file.stem}-{width}.jpg", width, height, body)


def _pixels(file: Path) -> Image.Image:
    """Return only the pixels of the photo: upright, in sRGB, on white."""
    try:
        body = file.read_bytes()
    except OSError as error:
        raise CccrError(
            f"{file} cannot be read: {error.strerror}.", "Check its permissions and the disk."
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            photo, opacity = _decoded(b"".join(_parts_of_pixels(body)))
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


def _parts_of_pixels(body: bytes) -> Iterator[bytes]:
    """Yield the parts of a photo on which its pixels depend, with its orientation and profile.

    Pillow rejects photos with damaged or large metadata, which other programs ignore.
    """
    parts = _chunks(body) if body.startswith(_PNG) else _segments(body)
    end = 0
    for start, stop, is_needed in parts:
        # What precedes the first part is the signature.
        yield body[end : stop if is_needed else start]
        end = stop
    yield body[end:]


def _chunks(png: bytes) -> Iterator[tuple[int, int, bool]]:
    """Yield the start and end of each chunk, and whether it is needed (PNG, 5.3)."""
    at = len(_PNG)
    while at + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        # The first letter of a chunk that every program must know is a capital.
        needed = kind[:1].isupper()
        if not needed and png[at + 8 + length : at + 12 + length] == struct.pack(
            ">I", zlib.crc32(kind + content)
        ):
            needed = kind == b"eXIf" or _is_transparency(png, kind, content)
            needed = needed or (kind == b"iCCP" and _is_profile(content))
        yield at, at + 12 + length, needed
        at += 12 + length


def _is_transparency(png: bytes, kind: bytes, content: bytes) -> bool:
    """Whether a chunk holds as many samples as the kind of colour needs (PNG, 11.3.1.1)."""
    lengths = {_GREY: (2,), _RGB: (6,), _PALETTE: range(1, 257)}
    return kind == b"tRNS" and len(content) in lengths.get(png[_COLOUR : _COLOUR + 1], ())


def _is_profile(content: bytes) -> bool:
    """Whether a chunk holds a name and a packed colour profile (PNG, 11.3.2.3)."""
    _, separator, packed = content.partition(b"\0\0")
    try:
        profile = zlib.decompressobj().decompress(packed, _LARGEST_PROFILE)
    except zlib.error:
        return False
    return bool(separator) and len(profile) < _LARGEST_PROFILE


def _segments(jpeg: bytes) -> Iterator[tuple[int, int, bool]]:
    """Yield the start and end of each segment before the pixels, and whether it is needed."""
    at = 2
    while at + 4 <= len(jpeg):
        mark, kind, length = struct.unpack_from(">BBH", jpeg, at)
        if mark != 0xFF or kind == 0xDA:  # start of scan
            return
        if kind == 0xFF:  # a fill byte
            at += 1
            continue
        content = jpeg[at + 4 : at + 2 + length]
        is_metadata = 0xE0 <= kind <= 0xEF or kind == 0xFE  # APP0 to APP15, COM
        is_needed = not is_metadata or any(
            kind == needed and content.startswith(start) and len(content) >= least
            for needed, start, least in _SEGMENTS
        )
        yield at, at + 2 + length, is_needed
        at += 2 + length


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
        opened.draft(None, (2 * _WIDTHS[-1],) * 2)
        if raw_mode is not None:
            opened.tile = [tile._replace(args=raw_mode) for tile in opened.tile]
        turn = _TURNS.get(_orientation(opened.info.get("exif", b"").removeprefix(b"Exif\0\0")))
        return opened.copy() if turn is None else opened.transpose(turn)


def _orientation(exif: bytes) -> int:
    """Return the orientation in the first directory, or 1 (TIFF 6.0, section 2)."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    with contextlib.suppress(struct.error):
        (at,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, at)
        for number in range(entries):
            tag, value = struct.unpack_from(f"{order}H6xH", exif, at + 2 + 12 * number)
            if tag == _ORIENTATION:
                return int(value)
    return 1


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


def _reject_metadata(file: Path, body: bytes) -> None:
    """Raise ``CccrError`` if a comment or an application's segment is before the first scan."""
    for segment, _ in JpegImagePlugin.JpegImageFile(io.BytesIO(body)).applist:
        if segment != _JFIF:
            raise CccrError(
                f"{file}: the published photo would contain more than pixels ({segment}).",
                "Build with the version of Pillow in the lock file.",
            )
