"""Photos: made smaller, and without a trace of who took them where, when and with what.

A file for readers is made of the pixels alone; whatever else stood in the photo (EXIF with
its place and time, XMP, colour profiles, comments, a small preview) is left behind. With the
same Pillow, whose wheels bring their own libjpeg, the same photo gives the same bytes.
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

# Pixels across: a phone held upright, and the widest column of ours on a fine screen.
_WIDTHS = (480, 960)
_QUALITY = 80

_WHITE = (255, 255, 255)

# JPEG markers (ITU T.81, table B.1): start of image and of scan, and what may stand between
# them: JFIF's own APP0, tables, frame, restart interval.
_START = b"\xff\xd8"
_SCAN = 0xDA
_NEEDED = {0xE0, 0xDB, 0xC4, 0xC0, 0xC1, 0xDD}


@dataclass(frozen=True, slots=True)
class Size:
    """One file for readers: where it stands in a release, and how big it is, in pixels."""

    url: str
    width: int
    height: int
    body: bytes


@dataclass(frozen=True, slots=True)
class ResizedPhoto:
    """A photo in all its sizes, the smallest first."""

    photo: Photo
    sizes: tuple[Size, ...]


def resize_photos(folder: Path, photos: Mapping[str, Photo]) -> dict[str, ResizedPhoto]:
    """Make every photo of ``folder`` that has a record. Raises ``CccrError``."""
    return {
        name: ResizedPhoto(photo, tuple(_sizes(folder / name)))
        for name, photo in sorted(photos.items())
    }


def _sizes(file: Path) -> Iterator[Size]:
    pixels = _pixels(file)
    for width in sorted({min(width, pixels.width) for width in _WIDTHS}):
        height = max(1, round(pixels.height * width / pixels.width))
        made = io.BytesIO()
        smaller = pixels.resize((width, height), Image.Resampling.LANCZOS)
        smaller.save(made, "JPEG", quality=_QUALITY, optimize=True, subsampling="4:2:0")
        body = made.getvalue()
        _refuse_metadata(file, body)
        yield Size(f"photos/{file.stem}-{width}.jpg", width, height, body)


def _pixels(file: Path) -> Image.Image:
    """Return the photo upright, in sRGB, on white, and nothing but its pixels."""
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
        raise CccrError(f"{file} cannot be read as a photo: {error}.", "Save it anew.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise CccrError(f"{file} is too big: {error}", "Make it smaller.") from error
    return Image.frombytes("RGB", colours.size, colours.tobytes())


def _refuse_metadata(file: Path, body: bytes) -> None:
    """Walk through the segments before the first scan; there must be no other than needed."""
    at = len(_START)
    while body[at + 1] != _SCAN:
        if body[at + 1] not in _NEEDED:
            raise CccrError(
                f"{file}: what readers would get holds more than pixels ({body[at + 1]:X}).",
                "Build with the version of Pillow that the lock file names.",
            )
        at += 2 + int.from_bytes(body[at + 2 : at + 4], "big")
