"""Photos made by the tests, with metadata that must never be published."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import ExifTags, Image, ImageCms

SECRET = "Secret Camera 4711"
RECORD = """
["{name}"]
author = "A. Photographer"
licence = "CC BY 4.0"
permission = "By letter"
alt.en = "A square with a red sky"
alt.zh_Hans = "红色天空下的广场"
"""


def picture(width: int, height: int) -> Image.Image:
    """Return a picture with a red upper and a blue lower half."""
    upper = Image.new("RGB", (width, height // 2), (200, 20, 20))
    whole = Image.new("RGB", (width, height), (20, 20, 200))
    whole.paste(upper, (0, 0))
    return whole


def photo(width: int = 1200, height: int = 800, *, orientation: int = 1) -> bytes:
    """Return a JPEG as a camera writes it: location, time, camera, XMP, profile and comment."""
    image = picture(width, height)
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = SECRET
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.DateTime] = "2013:05:07 12:00:00"
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef] = "N"
    gps[ExifTags.GPS.GPSLatitude] = (40.0, 45.0, 4.7)
    made = io.BytesIO()
    image.save(
        made,
        "JPEG",
        quality=95,
        exif=exif,
        icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        xmp=f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{SECRET}</x:xmpmeta>".encode(),
        comment=SECRET.encode(),
    )
    return made.getvalue()


def put_photo(tree: Path, name: str, body: bytes, record: str = RECORD) -> None:
    """Add a photo with its record to a tree, and show it on a page of each language."""
    (tree / "photos").mkdir(exist_ok=True)
    (tree / "photos" / name).write_bytes(body)
    with (tree / "photos.toml").open("a", encoding="utf-8") as file:
        file.write(record.replace("{name}", name))
    for locale in ("en", "zh_Hans"):
        page = tree / locale / "pages" / "who-we-are.md"
        with page.open("a", encoding="utf-8") as file:
            file.write(f"\n![](/photos/{name})\n")
