"""Photos: resized, and stripped of who took them, where, when and with what.

The published files are made from the pixels alone, so EXIF with its place and time, XMP,
colour profiles, comments and previews are left out. The same version of Pillow, whose wheels
contain libjpeg, gives the same bytes.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageCms, ImageOps

from cccr_web.content import Photo
from cccr_web.errors import CccrError

# Widths in pixels: a phone held upright, and our widest column on a high-resolution screen.
_WIDTHS = (480, 960)
_QUALITY = 80

_WHITE = (255, 255, 255)

# JPEG markers (ITU T.81, table B.1): start of image, start of scan, and what is allowed between
# them: JFIF's own APP0, tables, frame, restart interval.
_START = b"\xff\xd8"
_SCAN = 0xDA
_NEEDED = {0xE0, 0xDB, 0xC4, 0xC0, 0xC1, 0xDD}


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
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=("JPEG", "PNG")) as opened:
                upright = ImageOps.exif_transpose(opened)
                profile = opened.info.get("icc_profile")
        if upright.mode in {"RGBA", "LA", "P", "PA"}:
            shown = upright.convert("RGBA")
            ground = Image.new("RGBA", shown.size, (*_WHITE, 255))
            upright = Image.alpha_composite(ground, shown).convert("RGB")
        if profile and upright.mode in {"RGB", "CMYK"}:
            theirs = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            ours = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(upright, theirs, ours, outputMode="RGB")
            upright = converted or upright
        colours = upright.convert("RGB")
    except (OSError, ValueError, SyntaxError, ImageCms.PyCMSError) as error:
        raise CccrError(f"{file} cannot be read as a photo: {error}.", "Save it again.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise CccrError(f"{file} is too large: {error}", "Make it smaller.") from error
    return Image.frombytes("RGB", colours.size, colours.tobytes())


def _reject_metadata(file: Path, body: bytes) -> None:
    """Raise ``CccrError`` if a segment before the first scan is not needed to show the pixels."""
    at = len(_START)
    while body[at + 1] != _SCAN:
        if body[at + 1] not in _NEEDED:
            raise CccrError(
                f"{file}: the published photo would contain more than pixels ({body[at + 1]:X}).",
                "Build with the version of Pillow in the lock file.",
            )
        at += 2 + int.from_bytes(body[at + 2 : at + 4], "big")
