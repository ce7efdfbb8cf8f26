"""A new photo: a copy of its pixels alone, and its record, of which a person fills in the rest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import Template

from cccr_web.content.photos import FILE, FOLDER, file_name, wrong_format
from cccr_web.errors import CccrError
from cccr_web.files import create_all, replace, writing
from cccr_web.render import pixels_only


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
    try:
        body = file.read_bytes()
    except OSError as error:
        raise CccrError(f"{file} cannot be read: {error.strerror}.", "Check the path.") from error
    for message in wrong_format(file.name, body):
        raise CccrError(message, "Nothing was changed.")
    name = file_name(file.name, body)
    records = tree / FILE
    known = records.read_bytes().decode() if records.exists() else ""
    copy, removed = pixels_only(body, file)
    with writing(tree, "Check the disk and the permissions."):
        if f'["{name}"]' in known:
            raise CccrError(f"{FILE} has a record of “{name}” already.", "Rename your file.")
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
