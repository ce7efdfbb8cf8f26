"""A new photo: a copy of its pixels alone, and its record, of which a person fills in the rest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

from cccr_web.content import SourceTree, content_error
from cccr_web.content.photos import FILE, FOLDER, file_name, wrong_format
from cccr_web.errors import CccrError
from cccr_web.files import create_all, read_input, replace, writing
from cccr_web.render import pixels_only

# In bytes; the largest cameras write less.
_LARGEST: Final = 500_000_000


@dataclass(frozen=True, slots=True)
class NewPhoto:
    """A photo that was added under ``name``, and what its file revealed (``removed``).

    ``line`` is where its record starts in ``photos.toml``.
    """

    name: str
    removed: tuple[str, ...]
    line: int


def add_photo(tree: Path, file: Path) -> NewPhoto:
    """Copy a photo into ``tree`` without its metadata, and add its record.

    The file itself is not changed, and no photo is ever overwritten. Raises ``CccrError``.
    """
    body = read_input(file, _LARGEST)
    for message in wrong_format(file.name, body):
        raise CccrError(message, "Nothing was changed.")
    name = file_name(file.name, body)
    records = tree / FILE
    known = ""
    if records.exists():
        _, values, problems = SourceTree(tree).toml(FILE)
        if values is None:
            raise content_error(problems)
        if name in values:
            raise CccrError(f"{FILE} has a record of “{name}” already.", "Rename your file.")
        known = records.read_bytes().decode()
    copy, removed = pixels_only(body, file)
    with writing(tree, "Check the disk and the permissions."):
        # The photo first: without a record, “check” reports it.
        try:
            create_all({tree / FOLDER / name: copy})
        except FileExistsError as error:
            if (tree / FOLDER / name).read_bytes() != copy:
                raise CccrError(
                    f"There is another photo “{name}” already.", "Rename your file."
                ) from error
        form = Path(__file__).with_name("photo.txt").read_text(encoding="utf-8")
        start = known.rstrip("\n") + "\n"
        replace(records, (start + Template(form).substitute(name=name)).encode())
    return NewPhoto(name, removed, start.count("\n") + 2)
