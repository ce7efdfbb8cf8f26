"""Word documents written by the tests, part by part (ECMA-376), and what a person types in them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from cccr_web.write.document import Converted, read_document

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_NAMESPACES = (
    f'xmlns:w="{_W}" xmlns:r="{_R}" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
)
_TYPES = (
    f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/></Types>'
)
_START = (
    f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="r1" Type="{_R}/officeDocument" Target="word/document.xml"/></Relationships>'
)
WHO = 'w:author="Secret Reviewer" w:date="2026-11-01T10:00:00Z" w:id="1"'


def run(text: str, properties: str = "") -> str:
    """Return words with properties such as ``<w:b/>``."""
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def paragraph(*content: str, style: str = "", properties: str = "") -> str:
    """Return a paragraph of runs, or of one text."""
    inner = "".join(each if each.startswith("<") else run(each) for each in content)
    named = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{named}{properties}</w:pPr>{inner}</w:p>"


def docx(*body: str, parts: Mapping[str, str] | None = None, links: tuple[str, ...] = ()) -> bytes:
    """Return a document of these paragraphs, in which ``r:id`` is ``link0`` and so on.

    ``parts`` are further parts, or replace those that every document has.
    """
    relations = "".join(
        f'<Relationship Id="link{number}" Type="{_R}/hyperlink" Target="{target}" '
        'TargetMode="External"/>'
        for number, target in enumerate(links)
    )
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="{id_}"><w:name w:val="{name}"/></w:style>'
        # Chinese versions of Word and WPS number the styles.
        for id_, name in (("a", "Title"), ("1", "heading 1"), ("2", "heading 2"), ("q", "Quote"))
    )
    hidden = '<w:style w:type="{}" w:styleId="{}"><w:name w:val="{}"/>{}</w:style>'
    styles += hidden.format("character", "h", "h", "<w:rPr><w:vanish/></w:rPr>")
    styles += hidden.format("character", "hh", "hh", '<w:basedOn w:val="h"/>')
    styles += hidden.format("paragraph", "hp", "hp", "<w:rPr><w:vanish/></w:rPr>")
    files = {
        "[Content_Types].xml": _TYPES,
        "_rels/.rels": _START,
        "word/document.xml": part("document", f"<w:body>{''.join(body)}</w:body>"),
        "word/styles.xml": part("styles", styles),
        "word/_rels/document.xml.rels": (
            f'<Relationships xmlns="{_PACKAGE}/relationships">{relations}</Relationships>'
        ),
        **(parts or {}),
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def part(kind: str, content: str) -> str:
    """Return a part of a document, such as ``comments``."""
    return f"<w:{kind} {_NAMESPACES}>{content}</w:{kind}>"


def vigil(title: str, first: str, second: str, demand: str) -> bytes:
    """Return a document of which much must be left out."""
    deleted = f"<w:del {WHO}><w:r><w:delText>about</w:delText></w:r></w:del>"
    comment = f'<w:comment w:id="1">{paragraph("Check the number!")}</w:comment>'
    link = f'<w:hyperlink r:id="link0">{run(second)}</w:hyperlink>'
    return docx(
        paragraph(title, style="a"),
        paragraph(f"{first}\u200b", deleted.replace(WHO, 'w:id="1"')),
        paragraph(link),
        paragraph(demand, style="1"),
        paragraph(demand),
        parts={"word/comments.xml": part("comments", comment)},
        links=("https://example.org/?id=1&amp;utm_source=mail",),
    )


# What translations/README.md imports.
VIGIL = {
    "vigil-english.docx": vigil(
        "Vigil for 4 June", "We lit candles.", "Pictures", "What we demand"
    ),
    "vigil-chinese.docx": vigil("六四烛光悼念", "我们点起烛光。", "照片", "我们的要求"),
}


def read(tmp_path: Path, body: bytes | str) -> Converted:
    """Return what is read from a file with this content."""
    file = tmp_path / "document"
    file.write_bytes(body if isinstance(body, bytes) else body.encode())
    return read_document(file)
