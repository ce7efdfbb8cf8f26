"""The rules for the names and places of files."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from cccr_web.content.catalogue import catalogue_file
from cccr_web.content.model import Content
from cccr_web.content.source_tree import Problem, SourceTree, is_left_by_system
from cccr_web.languages import WRITTEN

# Files in which somebody may have written a text, and folders that have readers of their own.
_TEXT_FILE = re.compile(
    r"(\.md|\.mdown|\.mkdn?|\.markdown|\.txt|\.text|\.docx?|\.odt|\.rtf|\.wps|\.html?)+$",
    re.IGNORECASE,
)
_OTHER_FOLDERS = {"files", "photos"}


def every_file_is_read(tree: SourceTree) -> Iterator[Problem]:
    """Find texts that would never be published, although nothing else is wrong with them."""
    locales = {language.locale for language in WRITTEN}
    for file in sorted(tree.folder.rglob("*")):
        place = file.relative_to(tree.folder)
        folder = place.parts[0] if len(place.parts) > 1 else ""
        if not file.is_file() or any(map(is_left_by_system, place.parts)):
            continue
        if folder in locales:
            expected = file.suffix == ".md" or place == catalogue_file(Path(), folder)
        else:
            # Other folders have readers of their own.
            expected = _TEXT_FILE.search(file.name) is None or folder in _OTHER_FOLDERS
            expected = expected or place == Path("README.md")
        if not expected:
            advice = _advice(file.name, in_folder=folder in locales)
            yield Problem(tree.name(place), 1, advice)


def _advice(name: str, *, in_folder: bool) -> str:
    if not in_folder:
        known = " or ".join(f"{language.locale}/" for language in WRITTEN)
        return f"This file is not published: move it into {known}, or delete it."
    if _TEXT_FILE.search(name) is None:
        return "Nothing reads this file: delete it, or move it elsewhere."
    stem = _TEXT_FILE.sub("", name)
    return f"This file is not published: save it as plain text under the name {stem}.md."


def urls_are_free(
    content: Content, known_files: Collection[str], is_servable: Callable[[str], bool]
) -> Iterator[Problem]:
    """Find files whose names cannot be served, or that other files would replace."""
    taken = {path.lower(): f"the release's own {path}" for path in known_files}
    for text in content.all_texts:
        if not is_servable(text.url):
            yield Problem(
                text.file,
                1,
                f"“{text.file.name}” cannot be served: use lower-case letters a to z, digits and "
                "hyphens, at most 200 characters with the folders.",
            )
        # The languages share an error page.
        name = str(text.path if text.is_error_page else text.file)
        other = taken.setdefault(text.url.lower(), name)
        if other != name:
            yield Problem(text.file, 1, f"Its page would have the URL of {other}: rename it.")
