"""Documents that no program wrote: each is rejected in words, or read without harm."""

from __future__ import annotations

import io
import itertools
import re
import zipfile
from pathlib import Path

import pytest
from support.word import docx, paragraph, part

from cccr_web.errors import CccrError
from cccr_web.write.document import Converted, read_document

GOOD = docx(paragraph("a"))
NUMBERED = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'
NO_STYLE = (
    '<w:abstractNum w:abstractNumId="1"><w:numStyleLink w:val="L"/></w:abstractNum>'
    '<w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>'
)
# XML of a document, which is well-formed but for the charsets.
DOCUMENTS = {
    "without a body": part("document", ""),
    "in a charset of several bytes": '<?xml version="1.0" encoding="gbk"?><a/>',
    "nested without end": f"{'<a>' * 50_000}{'</a>' * 50_000}",
    "with tables in tables": part("document", "<w:tbl>" * 900 + "</w:tbl>" * 900),
    "with a width in letters": part(
        "document",
        '<w:body><w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="x"/></w:tcPr></w:tc></w:tr></w:tbl>'
        "</w:body>",
    ),
    "with a symbol in letters": part(
        "document", '<w:body><w:p><w:r><w:sym w:font="Symbol" w:char="Z"/></w:r></w:p></w:body>'
    ),
    "with a symbol without a number": part(
        "document", '<w:body><w:p><w:r><w:sym w:font="Symbol"/></w:r></w:p></w:body>'
    ),
    "with entities of entities": "<!DOCTYPE a [<!ENTITY a 'aaaaaaaaaa'>"
    + "".join(
        f"<!ENTITY {name} '{f'&{before};' * 10}'>"
        for before, name in itertools.pairwise("abcdefghij")
    )
    + "]><a>&j;</a>",
    "with a file of this machine": "<!DOCTYPE a [<!ENTITY a SYSTEM 'file:///etc/hostname'>]><a>&a;</a>",
}


def flagged(packed: bytes, local: int, central: int, value: int) -> bytes:
    """Return a ZIP with this byte in each of its headers (APPNOTE.TXT, 4.3.7 and 4.3.12)."""
    changed = bytearray(packed)
    for start, offset in ((b"PK\3\4", local), (b"PK\1\2", central)):
        for found in re.finditer(re.escape(start), packed):
            changed[found.start() + offset] = value
    return bytes(changed)


def with_a_damaged_stream() -> bytes:
    """Return a document of which a part is compressed, but not by any program."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", "a" * 5_000)
    packed = made.getvalue()
    at = packed.index(b".xml") + len(b".xml")
    return packed[:at] + b"\xff" * 8 + packed[at + 8 :]


DAMAGED = {
    "with a password": flagged(GOOD, 6, 8, 1),
    "compressed in another way": flagged(GOOD, 8, 10, 97),
    "with a damaged stream": with_a_damaged_stream(),
    "with a list without its style": docx(
        paragraph("a", properties=NUMBERED),
        parts={"word/numbering.xml": part("numbering", NO_STYLE)},
    ),
    **{name: docx(parts={"word/document.xml": xml}) for name, xml in DOCUMENTS.items()},
}


def read(tmp_path: Path, body: bytes | str) -> Converted:
    """Return what is read from a file with this content."""
    file = tmp_path / "document"
    file.write_bytes(body if isinstance(body, bytes) else body.encode())
    return read_document(file)


def text(made: Converted) -> str:
    """Return the blocks as one text."""
    return "\n\n".join(one.text for one in made.blocks)


@pytest.mark.parametrize("document", DAMAGED.values(), ids=DAMAGED)
def test_a_document_that_no_word_wrote_is_rejected(tmp_path: Path, document: bytes) -> None:
    """The error names the file and says what to do, whichever library gave up."""
    with pytest.raises(CccrError, match="damaged, or not a Word document") as caught:
        read(tmp_path, document)
    assert str(caught.value).startswith(str(tmp_path / "document"))


def test_a_charset_of_halves_of_characters_is_rejected(tmp_path: Path) -> None:
    """Python has codecs that give what no file can hold."""
    with pytest.raises(CccrError, match="This is not text in unicode_escape"):
        read(tmp_path, b"<meta charset=unicode_escape><p>\\ud800")


@pytest.mark.parametrize("document", ["<p>a <![foo]>b", "<p>a <![foo[ x ]]>b"])
def test_a_marked_section_is_a_comment(tmp_path: Path, document: str) -> None:
    """Browsers show nothing of it, whatever it is called."""
    assert text(read(tmp_path, document)).startswith("a ")


def test_an_address_in_text_need_not_be_one(tmp_path: Path) -> None:
    """What only begins like one stays text, or a link as it was, for the check."""
    made = read(tmp_path, "<p>Type http://[x and <a href='https://[y'>this</a>")
    assert text(made) == "Type http://\\[x and [this](https://[y)"


def test_a_link_has_no_line_break(tmp_path: Path) -> None:
    """Browsers ignore one in an address, and in Markdown it would end the link."""
    made = read(tmp_path, "<p><a href='https://a.example/\n\tb'>x</a>")
    assert text(made) == "[x](https://a.example/b)"


def test_what_is_left_out_cannot_command_a_terminal(tmp_path: Path) -> None:
    """Examples are shown without control and bidi characters."""
    made = read(tmp_path, "<p>a<!--\x1b]0;b\x07--><i hidden>\u202ec</i>")
    assert made.dropped == ("1 comment, such as “]0;b”", "1 hidden passage, such as “c”")


def test_a_file_without_end_is_rejected() -> None:
    """No more is read than a document can have."""
    with pytest.raises(CccrError, match=r"/dev/zero has more than 100 MB. Make it smaller."):
        read_document(Path("/dev/zero"))


def test_pictures_are_not_unpacked(tmp_path: Path) -> None:
    """They do not get into a text, so their size does not matter."""
    made = read(tmp_path, docx(paragraph("a"), parts={"word/media/a.png": "a" * 10_000_001}))
    assert text(made) == "a"
