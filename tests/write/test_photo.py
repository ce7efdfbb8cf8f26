"""New photos: nothing of the camera is left, the record asks for the rest."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from support.photographs import SECRET, photo, picture
from support.texts import copy_texts, problems_of

from cccr_web.errors import CccrError
from cccr_web.write import add_photo

# The beginning of each kind of metadata in a file.
MARKS = (b"Exif\x00", b"ns.adobe.com", b"ICC_PROFILE", b"iCCP", b"eXIf", b"tEXt", b"iTXt", b"zTXt")
HEIC = b"\x00\x00\x00\x18ftypheic" + bytes(40)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the real texts."""
    return copy_texts(tmp_path)


def png() -> bytes:
    """Return a PNG with text chunks, EXIF and XMP."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", SECRET)
    text.add_itxt("XML:com.adobe.xmp", SECRET)
    exif, made = Image.Exif(), io.BytesIO()
    exif[0x010F] = SECRET
    picture(300, 200).save(made, "PNG", pnginfo=text, exif=exif)
    return made.getvalue()


@pytest.mark.parametrize(
    ("body", "name", "removed"),
    [
        (
            photo() + SECRET.encode(),
            "img-2013-05-07.jpg",
            (
                "the place (GPS)",
                "camera, settings and time (EXIF)",
                "the history of its editing (XMP)",
                "comments",
                "its colour profile, after conversion to sRGB",
            ),
        ),
        (
            png(),
            "img-2013-05-07.png",
            ("camera, settings and time (EXIF)", "the history of its editing (XMP)", "comments"),
        ),
    ],
    ids=["JPEG", "PNG"],
)
def test_the_copy_has_no_metadata(
    tree: Path, tmp_path: Path, body: bytes, name: str, removed: tuple[str, ...]
) -> None:
    """What was in the file is named; none of it is in the copy, and the file stays as it was."""
    file = tmp_path / "IMG 2013_05_07.JPEG"
    file.write_bytes(body)
    assert any(mark in body for mark in MARKS)
    assert SECRET.encode() in body
    made = add_photo(tree, file)
    copy = (tree / "photos" / name).read_bytes()
    assert (made.name, made.removed) == (name, removed)
    assert [mark for mark in (*MARKS, SECRET.encode()) if mark in copy] == []
    with Image.open(io.BytesIO(copy)) as opened:
        assert set(opened.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert not opened.getexif()
    assert file.read_bytes() == body


def test_a_photo_that_lies_on_its_side_is_upright(tree: Path, tmp_path: Path) -> None:
    """The orientation in EXIF is applied before it is removed."""
    (tmp_path / "a.jpg").write_bytes(photo(1200, 800, orientation=6))
    add_photo(tree, tmp_path / "a.jpg")
    with Image.open(tree / "photos" / "a.jpg") as opened:
        assert opened.size == (800, 1200)


@pytest.mark.parametrize(("width", "copied"), [(4000, 1920), (300, 300)])
def test_a_large_photo_gets_smaller(tree: Path, tmp_path: Path, width: int, copied: int) -> None:
    """The copy is twice as wide as the largest size on a page, or as wide as the photo."""
    (tmp_path / "a.jpg").write_bytes(photo(width, width // 2))
    add_photo(tree, tmp_path / "a.jpg")
    with Image.open(tree / "photos" / "a.jpg") as opened:
        assert opened.size == (copied, copied // 2)


def test_check_rejects_the_record_until_it_is_filled_in(tree: Path, tmp_path: Path) -> None:
    """Each of its five lines is reported; filled in and used, the photo is in order."""
    (tmp_path / "a.jpg").write_bytes(photo())
    before = (tree / "photos.toml").read_text(encoding="utf-8")
    made = add_photo(tree, tmp_path / "a.jpg")
    records = (tree / "photos.toml").read_text(encoding="utf-8")
    assert records.startswith(before)
    assert records.splitlines()[made.line - 1] == '["a.jpg"]'
    problems = [line for line in problems_of(tree) if "is a placeholder" in line]
    assert [line.split(":")[1] for line in problems] == [
        str(made.line + number) for number in range(1, 6)
    ]
    filled = re.sub(r"alt.zh_Hans = .*", 'alt.zh_Hans = "广场"', records)
    filled = re.sub(r'"\{\{.*\}\}"', '"A square"', filled)
    (tree / "photos.toml").write_text(filled, encoding="utf-8")
    for locale in ("en", "zh_Hans"):
        with (tree / locale / "pages" / "who-we-are.md").open("a", encoding="utf-8") as page:
            page.write("\n![](/photos/a.jpg)\n")
    assert problems_of(tree) == []


WRONG = {
    "HEIC": (HEIC, "heif-convert IMG_1.heic img-1.jpg"),
    "WebP": (b"RIFF\0\0\0\0WEBPVP8 ", "is in the format WebP: save it as JPEG or PNG"),
    "text": (b"hello", "is not a photo in a known format"),
    "empty": (b"", "is not a photo in a known format"),
    "cut off": (photo()[:-4000], "is damaged, incomplete or not a photo"),
}


@pytest.mark.parametrize(("body", "message"), WRONG.values(), ids=WRONG)
def test_what_is_no_photo_is_not_added(
    tree: Path, tmp_path: Path, body: bytes, message: str
) -> None:
    """The error says what the file is and what to do; nothing is written."""
    (tmp_path / "IMG_1.heic").write_bytes(body)
    before = (tree / "photos.toml").read_bytes()
    with pytest.raises(CccrError, match=re.escape(message)):
        add_photo(tree, tmp_path / "IMG_1.heic")
    assert (tree / "photos.toml").read_bytes() == before
    assert not (tree / "photos").exists()


def test_another_photo_is_never_overwritten(tree: Path, tmp_path: Path) -> None:
    """A second photo of the same name is rejected, with a record and without one."""
    (tmp_path / "a.jpg").write_bytes(photo())
    add_photo(tree, tmp_path / "a.jpg")
    copy, records = (tree / "photos/a.jpg").read_bytes(), (tree / "photos.toml").read_bytes()
    (tmp_path / "a.jpg").write_bytes(photo(640, 480))
    with pytest.raises(CccrError, match=r"has a record of “a.jpg” already"):
        add_photo(tree, tmp_path / "a.jpg")
    (tree / "photos.toml").write_bytes(b"")
    with pytest.raises(CccrError, match=r"another photo “a.jpg”"):
        add_photo(tree, tmp_path / "a.jpg")
    assert (tree / "photos/a.jpg").read_bytes() == copy
    (tree / "photos.toml").write_bytes(records)


def test_a_killed_call_is_completed_by_the_next(tree: Path, tmp_path: Path) -> None:
    """If only the photo was written, the same call adds its record."""
    (tmp_path / "a.jpg").write_bytes(photo())
    before = (tree / "photos.toml").read_bytes()
    first = add_photo(tree, tmp_path / "a.jpg")
    (tree / "photos.toml").write_bytes(before)
    assert add_photo(tree, tmp_path / "a.jpg") == first
    assert b'["a.jpg"]' in (tree / "photos.toml").read_bytes()


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (b'["b.jpg"]\nperson = "\xff"\n', r"photos.toml:2: The file is not UTF-8"),
        (b'["b.jpg"\n', r"photos.toml:1: Not valid TOML"),
        (b"['a.jpg']\n", r"photos.toml has a record of “a.jpg” already"),
    ],
)
def test_records_that_cannot_be_read_are_not_changed(
    tree: Path, tmp_path: Path, records: bytes, message: str
) -> None:
    """The error is that of ``check``, and no photo is copied."""
    (tmp_path / "a.jpg").write_bytes(photo())
    (tree / "photos.toml").write_bytes(records)
    with pytest.raises(CccrError, match=message):
        add_photo(tree, tmp_path / "a.jpg")
    assert (tree / "photos.toml").read_bytes() == records
    assert not (tree / "photos").exists()


def test_a_file_without_end_is_no_photo(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is read than the largest cameras write."""
    monkeypatch.setattr("cccr_web.write.photo._LARGEST", 1_000_000)
    with pytest.raises(CccrError, match=r"/dev/zero has more than 1 MB"):
        add_photo(tree, Path("/dev/zero"))
