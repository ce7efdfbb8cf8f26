"""Documents as Markdown: what stays, and what is always left out and named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.word import WHO, docx, paragraph, part, run

from cccr_web.errors import CccrError
from cccr_web.write.document import Converted, read_document

HERE = Path(__file__).parent
LINK = '<w:hyperlink r:id="link0">{}</w:hyperlink>'


def read(tmp_path: Path, body: bytes | str) -> Converted:
    """Return what is read from a file with this content."""
    file = tmp_path / "document"
    file.write_bytes(body if isinstance(body, bytes) else body.encode())
    return read_document(file)


def markdown(made: Converted) -> str:
    """Return the blocks as one text; headings have their marks."""
    return "\n\n".join(f"{'#' * one.level} {one.text}".strip() for one in made.blocks)


LIBREOFFICE = """## What we remember

On 9 July 2015 “**more than 300**” lawyers were *detained*.{} Inserted words. Visible end.

Zerowidth and [a link](https://example.org/page?id=1), and a footnote\\[1\\].

### What we demand

- First demand
  - inner
- Second demand

1. One
2. Two

| Name | Year |
|---|---|
| A \\| B | 2015 |

> A quotation.

Line one\\
line two \\* star \\_x\\_ \\[b\\] 1 \\< 2

"""


def test_a_document_of_libreoffice_is_read() -> None:
    """LibreOffice 7.4 made it of libreoffice.fodt; nothing deleted or hidden is left."""
    made = read_document(HERE / "libreoffice.docx")
    assert made.title == "Stop the Trials of Lawyers"
    assert markdown(made) == LIBREOFFICE.format("") + "1. The footnote."
    assert made.dropped == (
        "1 character U+200B (zero width space, which does not belong in a text)",
        "1 comment, such as “Who says so?”",
        "3 document details, such as “creator” (author, title, dates or company)",
        "1 hidden passage, such as “hidden words”",
        "2 reviewer names",
        "1 tracked deletion, such as “deleted words”",
        "1 tracked insertion (its words stay)",
        "1 tracking parameter, such as “utm_source”",
    )


def test_html_of_libreoffice_is_read() -> None:
    """It has the same text, but LibreOffice writes the deleted words into it as ordinary ones."""
    made = read_document(HERE / "libreoffice.html")
    assert markdown(made) == (
        "**Stop the Trials of Lawyers**\n\n"
        + LIBREOFFICE.format("deleted words")
        + "\\[1\\] The footnote."
    )
    assert made.dropped == (
        "1 character U+200B (zero width space, which does not belong in a text)",
        "1 comment, such as “Who says so?”",
        "4 document details, such as “author” (author, title, dates or company)",
        "1 hidden passage, such as “hidden words”",
        "1 tracking parameter, such as “utm_source”",
    )


# What is in a document → what is left of it, and how it is named.
LEFT_OUT = {
    "tracked deletion": (
        paragraph("a", f"<w:del {WHO}><w:r><w:delText>SECRET</w:delText></w:r></w:del>", "b"),
        "ab",
        ["1 reviewer name", "1 tracked deletion, such as “SECRET”"],
    ),
    "tracked move": (
        paragraph("a", f"<w:moveFrom {WHO}>{run('SECRET')}</w:moveFrom>", "b"),
        "ab",
        ["1 reviewer name", "1 tracked deletion, such as “SECRET”"],
    ),
    "tracked insertion": (
        paragraph("a", f"<w:ins {WHO}>{run('new')}</w:ins>"),
        "anew",
        ["1 reviewer name", "1 tracked insertion (its words stay)"],
    ),
    "tracked end of a paragraph": (
        paragraph("a", properties=f"<w:rPr><w:del {WHO}/></w:rPr>") + paragraph("b"),
        "ab",
        ["1 reviewer name", "1 tracked deletion"],
    ),
    "tracked format": (
        paragraph(run("a", f"<w:b/><w:rPrChange {WHO}><w:rPr/></w:rPrChange>")),
        "**a**",
        ["1 reviewer name", "1 tracked change of format"],
    ),
    "hidden": (
        paragraph("a", run("SECRET", "<w:vanish/>"), run("b", '<w:vanish w:val="0"/>')),
        "ab",
        ["1 hidden passage, such as “SECRET”"],
    ),
    "hidden by a style": (
        paragraph("a", run("SECRET", '<w:rStyle w:val="hh"/>')) + paragraph("SECRET", style="hp"),
        "a",
        ["2 hidden passages, such as “SECRET”"],
    ),
    "white": (
        paragraph("a", run("b", '<w:color w:val="FFFFFF"/>')),
        "ab",
        ["1 white passage, such as “b” (its words stay)"],
    ),
    "formula": (
        paragraph("a", '<m:oMath xmlns:m="m">x</m:oMath>'),
        "a",
        ["1 element that is not understood, such as “{m}oMath”"],
    ),
    "picture": (
        paragraph("a", '<w:r><w:drawing><a:blip r:embed="p"/></w:drawing></w:r>'),
        "a",
        ["1 picture"],
    ),
}


@pytest.mark.parametrize(("body", "left", "named"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_is_not_meant_for_readers_is_left_out_and_named(
    tmp_path: Path, body: str, left: str, named: list[str]
) -> None:
    """Nothing of it is in the text, and the writer learns what it was."""
    made = read(tmp_path, docx(body))
    assert markdown(made) == left
    assert [*made.dropped] == named


def test_all_other_parts_of_a_document_are_named(tmp_path: Path) -> None:
    """Comments, headers, details of the author, and embedded files are named and left out."""
    core = (
        '<cp:coreProperties xmlns:cp="x" xmlns:dc="y"><dc:creator>SECRET</dc:creator>'
        "<cp:lastModifiedBy>SECRET</cp:lastModifiedBy><cp:revision>7</cp:revision>"
        "</cp:coreProperties>"
    )
    comment = f"<w:comment {WHO}>{paragraph('SECRET?')}</w:comment>"
    made = read(
        tmp_path,
        docx(
            paragraph("a", '<w:r><w:commentReference w:id="1"/></w:r>'),
            parts={
                "docProps/core.xml": core,
                "docProps/custom.xml": '<Properties><property name="Client"/></Properties>',
                "word/comments.xml": part("comments", comment),
                "word/header1.xml": part("hdr", paragraph("SECRET draft")),
                "word/footer1.xml": part("ftr", paragraph("")),
                "word/embeddings/sheet.xlsx": "SECRET",
            },
        ),
    )
    assert markdown(made) == "a"
    assert made.dropped == (
        "1 comment, such as “SECRET?”",
        "3 document details, such as “creator” (author, title, dates or company)",
        "1 embedded file",
        "1 header or footer line, such as “SECRET draft”",
        "1 reviewer name",
    )


TEXTS = {
    "title, then headings": (
        docx(paragraph("T", style="a"), paragraph("H", style="1"), paragraph("a")),
        ("T", "## H\n\na"),
    ),
    "first heading above the others": (
        docx(paragraph("T", style="1"), paragraph("H", style="2"), paragraph("a")),
        ("T", "## H\n\na"),
    ),
    "no title": (
        docx(paragraph("G", style="1"), paragraph("a"), paragraph("H", style="1"), paragraph("b")),
        (None, "## G\n\na\n\n## H\n\nb"),
    ),
    "a level left out": (
        "<h1>T</h1><h2>G</h2><h5>H</h5><p>a",
        ("T", "## G\n\n### H\n\na"),
    ),
    "title with marks": ("<h1>The *T*</h1><p>a", ("The *T*", "a")),
    "bold heading": ("<h1>T</h1><h2><b>G</b></h2><p>a", ("T", "## G\n\na")),
}


@pytest.mark.parametrize(("body", "expected"), TEXTS.values(), ids=TEXTS)
def test_headings_start_at_the_second_level(
    tmp_path: Path, body: bytes | str, expected: tuple[str | None, str]
) -> None:
    """The first level is the title; no level is left out."""
    made = read(tmp_path, body)
    assert (made.title, markdown(made)) == expected


CASES = {
    "emphasis without punctuation": ("<p><b>“重点”，</b>之后</p>", "“**重点**”，之后"),
    "emphasis in parts": ("<p><b>a</b><b> b</b><strong>c</strong></p>", "**a bc**"),
    "only punctuation": ("<p>a<b>. </b>b</p>", "a. b"),
    "Google's bold": (
        '<b style="font-weight:normal"><p><span style="font-weight:700">a</span> b</p></b>',
        "**a** b",
    ),
    "Chinese lines": ("<p>中文\n中文 ab\n中文</p>", "中文中文 ab 中文"),
    "an indent of blanks": ("<p>　　中文</p>", "中文"),
    "two line breaks": ("<p>a<br><br>b<br>c", "a\n\nb\\\nc"),
    "link": (
        '<p>a <a href="https://a.example/b c(d)"> e </a>f',
        "a [e](https://a.example/b%20c%28d%29) f",
    ),
    "link with emphasis": (
        '<p><a href="https://a.example/"><b>a</b> b</a>',
        "[**a** b](https://a.example/)",
    ),
    "link within": ('<p><a href="#top">a</a>', "a"),
    "empty link": ('<p>a<a href="https://a.example/"></a>', "a"),
    "marks of Markdown": (
        "<p># a\n<p>- a<p>1. a<p>&gt; a<p>--",
        "\\# a\n\n\\- a\n\n1\\. a\n\n\\> a\n\n\\--",
    ),
    "HTML as text": ("<p>&lt;b&gt; &amp;amp; `a` \\", "\\<b> \\&amp; \\`a\\` \\\\"),
    "underscore": ("<p>a_b _c", "a_b \\_c"),
    "list in a list": ("<ul><li>a<ul><li>b<li>c</ul><li>d</ul>", "- a\n  - b\n  - c\n- d"),
    "list outside its item": (
        "<ol><li>a</li><ul><li>b</li></ul><li>c</li></ol>",
        "1. a\n   - b\n2. c",
    ),
    "paragraphs of an item": ("<ul><li><p>a<p>b</li><li>c</ul>", "- a\n\n  b\n\n- c"),
    "two lists": ("<ul><li>a</ul><ul><li>b</ul>", "- a\n\n* b"),
    "two numbered lists": ("<ol><li>a</ol><ol><li>b</ol>", "1. a\n\n1) b"),
    "Word's list": (
        "<p style='mso-list:l0'><i style='mso-list:Ignore'>·</i>a<p style='mso-list:l0'>b",
        "- a\n- b",
    ),
    "quotation": ("<blockquote><p>a<p>b</blockquote>", "> a\n>\n> b"),
    "code": ("<pre>a\n  b</pre>", "```\na\n  b\n```"),
    "table": ("<table><tr><th>a<th>b<tr><td>c|d</table>", "| a | b |\n|---|---|\n| c\\|d |  |"),
    "layout by a table": ("<table><tr><td>a</td></tr><tr><td>b</td></tr></table>", "a\n\nb"),
    "no end tags": ("<div><p>a<div>b</div>c</div>", "a\n\nb\n\nc"),
    "line": ("<p>a<hr><p>b", "a\n\n---\n\nb"),
}


@pytest.mark.parametrize(("html", "expected"), CASES.values(), ids=CASES)
def test_html_becomes_markdown(tmp_path: Path, html: str, expected: str) -> None:
    """A reader sees the same in the Markdown as in the document."""
    assert markdown(read(tmp_path, html)) == expected


DROPPED = {
    "script": ("<p>a<script>SECRET</script><style>SECRET</style>", ["1 script, such as “SECRET”"]),
    "hidden": (
        "<p>a<span style='DISPLAY: none'>SECRET</span>",
        ["1 hidden passage, such as “SECRET”"],
    ),
    "hidden by Word": (
        "<p>a<i style='mso-hide:all'>SECRET</i>",
        ["1 hidden passage, such as “SECRET”"],
    ),
    "no size": (
        "<p>a<i style='font-size: 0px'>SECRET</i>",
        ["1 hidden passage, such as “SECRET”"],
    ),
    "white": (
        "<p><font color=#FFFFFF>a</font>",
        ["1 white passage, such as “a” (its words stay)"],
    ),
    "white by its style": (
        "<p><i style='font-style:normal; color: white'>a</i>",
        ["1 white passage, such as “a” (its words stay)"],
    ),
    "black on white": ("<p><i style='font-style:normal;background-color:#fff'>a</i>", []),
    "header": (
        "<div title=header><p>SECRET</div><p>a",
        ["1 header or footer line, such as “SECRET”"],
    ),
    "hidden attribute": ("<p>a<p hidden>SECRET", ["1 hidden passage, such as “SECRET”"]),
    "comment": ("<p>a<!-- SECRET -->", ["1 comment, such as “SECRET”"]),
    "Word's conditions": ("<p>a<!--[if gte mso 9]>SECRET<![endif]-->", []),
    "Word's comment": (
        "<p>a<div style='mso-element:comment-list'>SECRET</div>",
        ["1 comment, such as “SECRET”"],
    ),
    "deletion": ("<p>a<del>SECRET</del>", ["1 tracked deletion, such as “SECRET”"]),
    "insertion": ("<p><ins>a</ins>", ["1 tracked insertion (its words stay)"]),
    "struck through": ("<p><s>a</s>", ["1 struck-through passage, such as “a” (its words stay)"]),
    "author": (
        "<meta name=author content=SECRET><p>a",
        ["1 document detail, such as “author” (author, title, dates or company)"],
    ),
    "picture": ("<p>a<img src=SECRET alt='A square'>", ["1 picture, such as “A square”"]),
    "frame": ("<p>a<iframe src=SECRET></iframe>", ["1 embedded object"]),
    "form": ("<p>a<input value=SECRET>", ["1 form field"]),
    "file": (
        "<p><a href='file:///home/SECRET'>a</a>",
        ["1 link that is not to a site, such as “file:///home/SECRET” (its words stay)"],
    ),
    "invisible": (
        "<p>\u200ba\u2060",
        [
            "1 character U+200B (zero width space, which does not belong in a text)",
            "1 character U+2060 (word joiner, which does not belong in a text)",
        ],
    ),
    "tracking": (
        "<p><a href='https://b.example/?fbclid=SECRET'>a</a>",
        ["1 tracking parameter, such as “fbclid”"],
    ),
}


@pytest.mark.parametrize(("html", "named"), DROPPED.values(), ids=DROPPED)
def test_what_html_hides_is_left_out_and_named(tmp_path: Path, html: str, named: list[str]) -> None:
    """Nothing of it is in the text."""
    made = read(tmp_path, html)
    assert re.sub(r"\[a\]\(https://b.example/\)", "a", markdown(made)) == "a"
    assert [*made.dropped] == named


def test_a_link_of_a_document_stays_without_its_tracking(tmp_path: Path) -> None:
    """The link's other parameters stay, in the link and where it is written out."""
    url = "https://a.example/?id=1&amp;utm_source=x&amp;b=2#c"
    made = read(tmp_path, docx(paragraph(LINK.format(run(url))), links=(url,)))
    clean = "https://a.example/?id=1&b=2#c"
    assert markdown(made) == f"[{clean}]({clean})"
    assert made.dropped == ("2 tracking parameters, such as “utm_source”",)


def test_a_link_in_a_field_keeps_its_anchor(tmp_path: Path) -> None:
    """LibreOffice writes links with an anchor as fields, such as all those of WeChat."""
    field = (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText xml:space="preserve"> '
        'HYPERLINK "https://a.example/s?id=1" \\l "redirect" \\t "_blank"</w:instrText></w:r>'
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r>{}<w:r><w:fldChar '
        'w:fldCharType="end"/></w:r>'
    )
    made = read(tmp_path, docx(paragraph("a ", field.format(run("b")))))
    assert markdown(made) == "a [b](https://a.example/s?id=1#redirect)"


def test_unreadable_characters_stay_for_the_check(tmp_path: Path) -> None:
    """Nobody but the writer can say what was meant by them."""
    made = read(tmp_path, "<p>a\ufffd\ue000")
    assert markdown(made) == "a\ufffd\ue000"


@pytest.mark.parametrize("charset", ["gb2312", "gbk", "utf-16", "utf-8-sig", "utf-8"])
def test_html_is_read_in_its_own_charset(tmp_path: Path, charset: str) -> None:
    """Word in China declares GB2312; others begin with a byte order mark."""
    html = f'<meta http-equiv=Content-Type content="text/html; charset={charset}"><p>喆镕</p>'
    body = html.encode("gb18030" if charset.startswith("gb") else charset)
    assert markdown(read(tmp_path, body)) == "喆镕"


WRONG = {
    "old Word": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "This is a document of Word before 2007"),
    "rich text": (b"{\\rtf1 a}", "This is a Rich Text document"),
    "PDF": (b"%PDF-1.7", "This is a PDF"),
    "web archive": (b"MIME-Version: 1.0", "This is a web archive"),
    "plain text": (b"hello", "This is neither a .docx nor HTML."),
    "not UTF-8": (b"<p>\xff", "This is not text in utf-8."),
    "unknown charset": (b"<meta charset=x-none><p>a", "This is not text in x-none."),
    "no text": (b"<p> </p>", "has no text"),
    "only a title": (b"<h1>T</h1>", "has no text"),
    "too deep": (b"<b>" * 500 + b"a<p>", "nested too deeply"),
    "cut off": (docx(paragraph("a"))[:-30], "damaged, or not a Word document"),
    "another ZIP": (docx(parts={"word/document.xml": "<"}), "damaged, or not a Word document"),
    "bomb": (
        docx(parts={"word/document.xml": "<!DOCTYPE a [<!ENTITY b 'b'>]><a>&c;</a>"}),
        "damaged, or not a Word document",
    ),
    "too large": (docx(parts={"word/a.xml": "a" * 5_000_001}), "too large"),
}


@pytest.mark.parametrize(("body", "message"), WRONG.values(), ids=WRONG)
def test_another_kind_of_file_is_rejected(tmp_path: Path, body: bytes, message: str) -> None:
    """The error names the file and says what to do."""
    with pytest.raises(CccrError, match=re.escape(message)) as caught:
        read(tmp_path, body)
    assert str(caught.value).startswith(str(tmp_path / "document"))
    assert caught.value.remedy


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The error says that it is not there."""
    with pytest.raises(CccrError, match="No such file"):
        read_document(tmp_path / "none.docx")
