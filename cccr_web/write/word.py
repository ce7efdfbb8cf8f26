"""Word documents: taken apart, so that nothing hidden in them reaches a page.

A .docx is a ZIP of XML files (ECMA-376, part 1, section 17). What its writer did not mean to
publish is removed from the XML, by the names of its elements, before mammoth turns the rest
into HTML.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, MutableMapping
from typing import Final
from xml.etree import ElementTree as ET
from xml.parsers.expat import ExpatError

import mammoth

from cccr_web.errors import CccrError
from cccr_web.write.dropped import DETAIL, STAYS, Dropped

# In bytes, of all XML: a book has less. Parsed, it can take 200 times as much memory.
_LARGEST: Final = 5_000_000
_PARSED: Final = re.compile(r".*\.(?:xml|rels)", re.IGNORECASE)
# What zipfile, ElementTree and mammoth raise for what no Word wrote: another compression, a
# password, damaged streams, other charsets, endless nesting, letters in place of numbers.
_UNREADABLE: Final = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError),
    *(ET.ParseError, ExpatError, RuntimeError, LookupError, ValueError, TypeError, AttributeError),
)

# A title is above all headings.
_STYLES: Final = "\n".join(
    [
        *(f"p[style-name='{name}'] => h1:fresh" for name in ("Title", "title")),
        *(
            f"p[style-name='{name} {level}'] => h{level + 1}:fresh"
            for name in ("Heading", "heading")
            for level in range(1, 6)
        ),
        *(
            f"p[style-name='{name}'] => blockquote > p:fresh"
            for name in ("Quote", "Quotations", "Intense Quote")
        ),
    ]
)

# Elements to remove with all that is in them → what a person calls them.
_REMOVED: Final = {
    "del": "tracked deletion",
    "moveFrom": "tracked deletion",
    "blip": "picture",
    "imagedata": "picture",
}
# Elements that only say who changed something, and when.
_CHANGES: Final = {
    "ins": f"tracked insertion {STAYS}",
    "moveTo": f"tracked insertion {STAYS}",
    "rPrChange": "tracked change of format",
    "pPrChange": "tracked change of format",
}
# Properties in which Word and LibreOffice keep who wrote a document, and when.
_PROPERTIES: Final = re.compile(r"docProps/(core|app|custom)\.xml")
_PERSONAL: Final = {
    *("creator", "lastModifiedBy", "Company", "Manager", "title", "subject", "keywords"),
    *("description", "category", "created", "modified", "lastPrinted", "Template"),
}
_BODIES: Final = re.compile(r"word/(document|footnotes|endnotes)\d*\.xml")
_MARGINS: Final = re.compile(r"word/(header|footer)\d*\.xml")


def read_docx(body: bytes, dropped: Dropped) -> str:
    """Return a Word document as HTML, and name in ``dropped`` what is left out.

    Raises ``CccrError``.
    """
    damaged = CccrError(
        "The document is damaged, or not a Word document.",
        "Open it in Word or LibreOffice, and save it as .docx.",
    )
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            parsed = {one for one in archive.infolist() if _PARSED.fullmatch(one.filename)}
            if sum(entry.file_size for entry in parsed) > _LARGEST:
                raise CccrError(
                    "The document is too large.", "Import its text in several documents."
                )
            # Pictures and other files do not get into a text.
            parts = {
                entry.filename: archive.read(entry) if entry in parsed else b""
                for entry in archive.infolist()
            }
        if "word/document.xml" not in parts:
            raise damaged
        _drop(parts, dropped)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        html = mammoth.convert_to_html(
            packed, style_map=_STYLES, include_embedded_style_map=False, external_file_access=False
        )
    except _UNREADABLE as error:
        raise damaged from error
    for message in html.messages:
        _, ignored, element = message.message.partition("element was ignored: ")
        if ignored:
            dropped.add("element that is not understood", element)
    return str(html.value)


def _drop(parts: MutableMapping[str, bytes], dropped: Dropped) -> None:
    """Remove from the parts of a document what is not to be published."""
    hidden_styles = _hidden_styles(parts.get("word/styles.xml"))
    reviewers: set[str] = set()
    for name in filter(_BODIES.fullmatch, parts):
        root = ET.fromstring(parts[name])  # noqa: S314  # expat limits entities
        for parent in [*root.iter()]:
            for child in [*parent]:
                kind = _kind(child, parent, hidden_styles)
                if kind is None:
                    continue
                reviewers |= _values(child, "author")
                is_change = _local(child) in _CHANGES
                dropped.add(kind, "" if is_change else "".join(child.itertext()))
                if not is_change and not _is_mark(child, parent) and STAYS not in kind:
                    parent.remove(child)
        parts[name] = ET.tostring(root, encoding="utf-8")
    for name, body in parts.items():
        if _MARGINS.fullmatch(name):
            words = "".join(ET.fromstring(body).itertext())  # noqa: S314
            dropped.add("header or footer line", words, count=bool(words.strip()))
        elif name == "word/comments.xml":
            for comment in ET.fromstring(body):  # noqa: S314
                reviewers |= _values(comment, "author")
                dropped.add("comment", "".join(comment.itertext()))
        elif name.startswith("word/embeddings/") or name.endswith("vbaProject.bin"):
            dropped.add("embedded file")
        for key in _details(name, body):
            dropped.add(DETAIL, key)
    dropped.add("reviewer name", count=len(reviewers))


def _kind(element: ET.Element, parent: ET.Element, hidden_styles: set[str]) -> str | None:
    name = _local(element)
    if name in {"p", "r"} and _is_hidden(element, hidden_styles):
        return "hidden passage"
    if name == "r" and any(
        _local(one) == "color" and "FFFFFF" in _values(one, "val")
        for one in _properties_of(element)
    ):
        # In a table it can be a heading on a dark ground.
        return f"white passage {STAYS}"
    if name in _CHANGES and not _is_mark(element, parent):
        return _CHANGES[name]
    return _REMOVED.get(name)


def _is_mark(element: ET.Element, parent: ET.Element) -> bool:
    """Whether it says that a row or the end of a paragraph was changed, which mammoth heeds."""
    return _local(parent) in {"rPr", "trPr"} and _local(element) in {"del", "ins"}


def _is_hidden(element: ET.Element, styles: set[str]) -> bool:
    """Whether the properties of a run or a paragraph hide it; ``styles`` hide their text."""
    return any(
        _is_on(one, "vanish")
        or (_local(one) in {"rStyle", "pStyle"} and bool(_values(one, "val") & styles))
        for one in _properties_of(element)
    )


def _properties_of(element: ET.Element) -> Iterator[ET.Element]:
    for inner in element:
        if _local(inner) == f"{_local(element)}Pr":
            yield from inner


def _hidden_styles(styles: bytes | None) -> set[str]:
    """Return the ids of the styles that hide their text, also through a style they build on."""
    root = ET.fromstring(styles) if styles else ET.Element("none")  # noqa: S314
    hidden: set[str] = set()
    while True:
        found = {
            id_
            for style in root
            for id_ in _values(style, "styleId")
            if any(
                _is_on(one, "vanish") or (_local(one) == "basedOn" and _values(one, "val") & hidden)
                for one in (*style, *(two for one in style if _local(one) == "rPr" for two in one))
            )
        }
        if found <= hidden:
            return hidden
        hidden |= found


def _is_on(element: ET.Element, name: str) -> bool:
    return _local(element) == name and not _values(element, "val") & {"0", "false", "off"}


def _details(name: str, body: bytes) -> Iterator[str]:
    if _PROPERTIES.fullmatch(name) is None:
        return
    for element in ET.fromstring(body).iter():  # noqa: S314
        own = _local(element)
        if own == "property":
            yield from _values(element, "name")
        elif own in _PERSONAL and (element.text or "").strip():
            yield own


def _values(element: ET.Element, attribute: str) -> set[str]:
    """Return the values of the attribute, of any namespace: Word has used two for each."""
    return {value for key, value in element.attrib.items() if _without(key) == attribute}


def _local(element: ET.Element) -> str:
    return _without(str(element.tag))


def _without(name: str) -> str:
    return name.rpartition("}")[2]
