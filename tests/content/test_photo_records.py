"""The records of photos and the rules about them (``content/photos.py``, ``content/check.py``)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.photographs import RECORD, photo, put_photo
from support.texts import TEXTS, copy_texts, problems_of, replace_once

from cccr_web.content import SourceTree
from cccr_web.content.photos import read_photos

NAME = "square.jpg"
REMEDY = f"put ![](/photos/{NAME}) into one, or remove its record."
LINES = len((TEXTS / "photos.toml").read_text(encoding="utf-8").splitlines())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The real texts with one photo and its record."""
    copy = copy_texts(tmp_path)
    put_photo(copy, NAME, photo())
    return copy


def test_a_record_is_read(tree: Path) -> None:
    """A photo with its record breaks no rule, and the record has the values of the file."""
    assert problems_of(tree) == []
    photos, problems = read_photos(SourceTree(tree))
    assert problems == []
    record = photos[NAME]
    assert (record.author, record.licence, record.permission) == (
        "A. Photographer",
        "CC BY 4.0",
        "By letter",
    )
    assert record.alt == {"en": "A square with a red sky", "zh_Hans": "红色天空下的广场"}
    assert record.line == LINES + 2


def test_the_real_texts_have_no_photos() -> None:
    """A tree without photos has no problems."""
    assert read_photos(SourceTree(TEXTS)) == ({}, [])


def at(line: int) -> str:
    """Return the location of a line of the record, counted from 1."""
    return f"photos.toml:{LINES + 1 + line}"


CASES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "no author": (
        replace_once("photos.toml", 'author = "A. Photographer"\n', ""),
        [f"{at(1)}: “{NAME}” needs “author”, a text in quotation marks."],
    ),
    "empty licence": (
        replace_once("photos.toml", '"CC BY 4.0"', '" "'),
        [f"{at(3)}: “{NAME}” needs “licence”, a text in quotation marks."],
    ),
    "permission that is no text": (
        replace_once("photos.toml", '"By letter"', "true"),
        [f"{at(4)}: “{NAME}” needs “permission”, a text in quotation marks."],
    ),
    "no words in Chinese": (
        replace_once("photos.toml", 'alt.zh_Hans = "红色天空下的广场"\n', ""),
        [f"{at(1)}: “{NAME}” needs “alt.zh_Hans”, a text in quotation marks."],
    ),
    "empty words in English": (
        replace_once("photos.toml", '"A square with a red sky"', '""'),
        [f"{at(5)}: “{NAME}” needs “alt.en”, a text in quotation marks."],
    ),
    "words in a language that is derived": (
        replace_once(
            "photos.toml", '\nalt.zh_Hans = "红', '\nalt.zh_Hant = "x"\nalt.zh_Hans = "红'
        ),
        [f"{at(6)}: “{NAME}” has an unknown key “alt.zh_Hant”."],
    ),
    "unknown key": (
        replace_once("photos.toml", 'licence = "CC BY 4.0"', 'licence = "CC BY 4.0"\nplace = "x"'),
        [f"{at(4)}: “{NAME}” has an unknown key “place”."],
    ),
    "not TOML": (
        replace_once("photos.toml", '"A. Photographer"', "A. Photographer"),
        [f"{at(2)}: Not valid TOML: Invalid value (column 10)."],
    ),
    "file without a record": (
        lambda tree: (tree / "photos" / "other.jpg").write_bytes(photo()),
        ["photos/other.jpg:1: This photo has no record in photos.toml: add one."],
    ),
    "record without a file": (
        lambda tree: (tree / "photos" / NAME).unlink(),
        [f"{at(1)}: “{NAME}” is not in photos/: put it there, or remove the record."],
    ),
    "file of another kind": (
        lambda tree: (tree / "photos" / NAME).write_bytes(b"GIF89a"),
        [f"{at(1)}: “{NAME}” is in the format GIF: save it as JPEG or PNG."],
    ),
    "in no text": (
        lambda tree: [
            replace_once(f"{locale}/pages/who-we-are.md", f"\n![](/photos/{NAME})\n", "")(tree)
            for locale in ("en", "zh_Hans")
        ],
        [f"{at(1)}: “{NAME}” is in no text: {REMEDY}"],
    ),
}


@pytest.mark.parametrize(("change", "problems"), CASES.values(), ids=CASES)
def test_an_incomplete_record_is_rejected(
    tree: Path, change: Callable[[Path], object], problems: list[str]
) -> None:
    """A record that lacks anything is reported with its line; so is a photo without a record."""
    change(tree)
    assert problems_of(tree) == problems


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("Square.jpg", ", such as square.jpg"),
        ("a square.jpg", ", such as a-square.jpg"),
        ("square.jpeg", ", such as square.jpg"),
        ("../x.jpg", ", such as x.jpg"),
        ("x.gif", ""),
    ],
)
def test_a_name_that_is_unsafe_in_a_url_is_rejected(tree: Path, name: str, better: str) -> None:
    """Names must work in any URL and file system."""
    with (tree / "photos.toml").open("a", encoding="utf-8") as file:
        file.write(RECORD.replace("{name}", name))
    assert (
        f"{at(8)}: “{name}” must be lower-case letters, digits and hyphens, ending in .jpg or .png"
        f"{better}."
    ) in problems_of(tree)


def test_two_photos_with_the_same_stem_are_rejected(tree: Path) -> None:
    """A JPEG and a PNG of the same name would become the same file."""
    put_photo(tree, "square.png", b"\x89PNG\r\n\x1a\n")
    assert problems_of(tree) == [
        f"{at(8)}: “square.png” and “square.jpg” would have the same URL: rename one of them."
    ]


@pytest.mark.parametrize(
    ("new", "problem"),
    [
        ("![](/photos/none.jpg)", "“none.jpg” has no record in photos.toml."),
        (f"See ![](/photos/{NAME})", "A photo must be alone in its paragraph."),
        (f"[![](/photos/{NAME})](verify.md)", "A photo must be alone in its paragraph."),
        (f"## ![](/photos/{NAME})", "A photo must be alone in its paragraph."),
        (
            f"![A square](/photos/{NAME})",
            (f"A photo's alternative text belongs in photos.toml: write ![](/photos/{NAME})."),
        ),
        (
            f"[the photo](/photos/{NAME})",
            f"“/photos/{NAME}” is a dead link: the release has no such file.",
        ),
    ],
)
def test_a_photo_in_a_text_needs_a_record_and_its_own_paragraph(
    tree: Path, new: str, problem: str
) -> None:
    """A photo is alone in its paragraph, and its alternative text is in its record."""
    page = tree / "en" / "pages" / "who-we-are.md"
    number = len(page.read_text(encoding="utf-8").splitlines())
    replace_once("en/pages/who-we-are.md", f"![](/photos/{NAME})", new)(tree)
    assert f"en/pages/who-we-are.md:{number}: {problem}" in problems_of(tree)


def test_a_photo_must_be_in_every_language(tree: Path) -> None:
    """A photo that only one language shows is rejected."""
    replace_once("zh_Hans/pages/who-we-are.md", f"\n![](/photos/{NAME})\n", "")(tree)
    number = len((tree / "en/pages/who-we-are.md").read_text(encoding="utf-8").splitlines())
    assert problems_of(tree) == [
        (
            "zh_Hans/pages/who-we-are.md:1: translations/en/pages/who-we-are.md:"
            f"{number} has the photo {NAME}, which is missing here."
        )
    ]


def put(tree: Path, name: str, content: bytes) -> None:
    """Put a file into the folder of photos."""
    (tree / "photos" / name).write_bytes(content)


def test_everything_wrong_with_a_new_photo_is_reported_together(tree: Path) -> None:
    """A writer who drops a phone's photo into the folder learns at once all that it needs."""
    put(tree, "IMG 1234.HEIC", b"\0\0\0\x18ftypheic\0\0\0\0")
    where = "photos/IMG 1234.HEIC:1"
    assert problems_of(tree) == [
        f"{where}: This photo has no record in photos.toml: add one.",
        (
            f"{where}: “IMG 1234.HEIC” is in the format HEIC, as iPhones write it: convert it to "
            "JPEG. On a phone or a Mac, open it and export it as JPEG; on Debian, install "
            "libheif-examples and run “heif-convert 'IMG 1234.HEIC' img-1234.jpg”."
        ),
        (
            f"{where}: “IMG 1234.HEIC” must be lower-case letters, digits and hyphens, "
            "ending in .jpg or .png."
        ),
    ]


def test_a_record_a_name_and_a_format_are_reported_together(tree: Path) -> None:
    """A wrong name does not hide a wrong format or an incomplete record."""
    put(tree, "Big.JPEG", b"\x89PNG\r\n\x1a\n")
    with (tree / "photos.toml").open("a", encoding="utf-8") as file:
        file.write(RECORD.replace("{name}", "Big.JPEG").replace('"By letter"', '""'))
    assert problems_of(tree) == [
        (f"{at(8)}: “Big.JPEG” is in the format PNG: its name must end in .png."),
        (
            f"{at(8)}: “Big.JPEG” must be lower-case letters, digits and hyphens, "
            "ending in .jpg or .png, such as big.jpg."
        ),
        f"{at(11)}: “Big.JPEG” needs “permission”, a text in quotation marks.",
    ]


def test_a_file_and_its_record_with_different_names_are_one_problem(tree: Path) -> None:
    """A name that differs only in its spelling is not a missing file and a missing record."""
    (tree / "photos" / NAME).rename(tree / "photos" / "Square.JPG")
    assert problems_of(tree) == [f"{at(1)}: “{NAME}” is “Square.JPG” in photos/: rename the file."]


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"RIFF\0\0\0\0WEBPVP8 ", "in the format WebP: save it as JPEG or PNG."),
        (b"\0\0\0\x1cftypavif", "in the format AVIF: save it as JPEG or PNG."),
        (b"II*\0", "in the format TIFF: save it as JPEG or PNG."),
        (b"<svg xmlns", "in the format SVG: save it as JPEG or PNG."),
        (b"\x89PNG\r\n\x1a\n", "in the format PNG: its name must end in .png."),
        (b"", "not a photo in a known format: save it as JPEG or PNG."),
    ],
)
def test_the_format_is_read_from_the_file(tree: Path, start: bytes, kind: str) -> None:
    """Many programs change a file's name and not its format."""
    put(tree, NAME, start)
    assert problems_of(tree) == [f"{at(1)}: “{NAME}” is {kind}"]


def test_what_a_system_leaves_among_photos_is_ignored(tree: Path) -> None:
    """macOS and Windows write their own files into any folder that somebody opens."""
    for name in (".DS_Store", "._square.jpg", "Thumbs.db", "desktop.ini"):
        put(tree, name, b"")
    assert problems_of(tree) == []
