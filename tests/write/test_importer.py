"""The text of a document in a text of the site: in the right file, and never over another text."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from support.texts import copy_texts, problems_of
from support.word import docx, paragraph

from cccr_web.content.dates import parse_date
from cccr_web.errors import CccrError
from cccr_web.write import import_document, new_text

DAY = date(2026, 11, 29)
NAME = "2013-05-07-free-the-lawyers"
ENGLISH = docx(
    paragraph("Free the Lawyers", style="a"),
    paragraph("They are in prison."),
    paragraph("What we demand", style="1"),
    paragraph("Free them."),
)
CHINESE = docx(
    paragraph("释放律师", style="a"),
    paragraph("他们在狱中。"),
    paragraph("我们的要求", style="1"),
    paragraph("释放他们。"),
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the real texts with a new statement that has no title yet."""
    tree = copy_texts(tmp_path)
    new_text(tree, ["Free the Lawyers"], None, parse_date("2013-05-07"), DAY)
    return tree


def document(tmp_path: Path, body: bytes) -> Path:
    """Return a file with this content."""
    file = tmp_path / "document.docx"
    file.write_bytes(body)
    return file


def text(tree: Path, locale: str, name: str = NAME) -> str:
    """Return the statement in one language."""
    return (tree / locale / "statements" / f"{name}.md").read_text(encoding="utf-8")


def test_each_document_gets_into_the_text_of_its_language(tree: Path, tmp_path: Path) -> None:
    """Title and text are filled in, headings have the same names, and the rest stays."""
    made = import_document(tree, document(tmp_path, ENGLISH))
    assert (made.file.name, made.paragraphs, made.headings) == (f"{NAME}.md", 2, 1)
    assert text(tree, "en").endswith(
        "\n+++\nThey are in prison.\n\n## What we demand {#what-we-demand}\n\nFree them.\n"
    )
    assert 'place = "{{' in text(tree, "en")
    import_document(tree, document(tmp_path, CHINESE))
    chinese = text(tree, "zh_Hans")
    assert chinese.startswith('+++\ntitle = "释放律师"\ndescription = "{{')
    assert chinese.endswith(
        "\n+++\n他们在狱中。\n\n## 我们的要求 {#what-we-demand}\n\n释放他们。\n"
    )
    problems = [line for line in problems_of(tree) if "is a placeholder" not in line]
    assert problems == []


def test_headings_agree_whichever_language_comes_first(tree: Path, tmp_path: Path) -> None:
    """Without a name in Chinese, a heading has none in English."""
    import_document(tree, document(tmp_path, CHINESE))
    import_document(tree, document(tmp_path, ENGLISH))
    assert "\n## 我们的要求\n" in text(tree, "zh_Hans")
    assert "\n## What we demand\n" in text(tree, "en")


def test_headings_that_differ_have_no_names(tree: Path, tmp_path: Path) -> None:
    """If the languages have other headings, names would be guesses."""
    import_document(tree, document(tmp_path, CHINESE))
    more = docx(paragraph("Some text."), paragraph("A", style="1"), paragraph("B", style="2"))
    import_document(tree, document(tmp_path, more))
    assert text(tree, "en").endswith("\nSome text.\n\n## A\n\n### B\n")


def test_two_headings_of_the_same_words_have_two_names_or_none(tree: Path, tmp_path: Path) -> None:
    """The name of a heading is unique in its text."""
    twice = docx(paragraph("A", style="1"), paragraph("x"), paragraph("A", style="1"))
    import_document(tree, document(tmp_path, twice))
    assert re.findall("^## .*", text(tree, "en"), re.MULTILINE) == ["## A {#a}", "## A"]


def test_a_title_that_somebody_wrote_stays(tree: Path, tmp_path: Path) -> None:
    """Only a placeholder is replaced; another title is named among what was left out."""
    other = docx(paragraph("Another Title", style="a"), paragraph("They are in prison."))
    made = import_document(tree, document(tmp_path, other))
    assert 'title = "Free the Lawyers"' in text(tree, "en")
    assert made.dropped == ("the title “Another Title”, because the text has one",)


def test_a_text_that_somebody_wrote_is_never_overwritten(tree: Path, tmp_path: Path) -> None:
    """A text with one changed word is not blank; nothing changes."""
    file = tree / "en/statements" / f"{NAME}.md"
    file.write_text(text(tree, "en") + "A word.\n", encoding="utf-8")
    before = file.read_bytes()
    with pytest.raises(CccrError, match="has a text already"):
        import_document(tree, document(tmp_path, ENGLISH), NAME)
    with pytest.raises(CccrError, match="no text in en is blank"):
        import_document(tree, document(tmp_path, ENGLISH))
    assert file.read_bytes() == before


def test_the_text_must_be_named_if_several_are_blank(tree: Path, tmp_path: Path) -> None:
    """The error lists them; a name, a file name or a path decides."""
    new_text(tree, ["About us"], None, None, DAY)
    with pytest.raises(CccrError, match=f"Several texts are blank: about-us, {NAME}"):
        import_document(tree, document(tmp_path, ENGLISH))
    made = import_document(tree, document(tmp_path, ENGLISH), f"translations/en/x/{NAME}.md")
    assert made.file.name == f"{NAME}.md"
    made = import_document(tree, document(tmp_path, ENGLISH), "about-us")
    assert made.file == tree / "en/pages/about-us.md"


def test_a_text_that_does_not_exist_is_named(tree: Path, tmp_path: Path) -> None:
    """Nothing is created by an import."""
    with pytest.raises(CccrError, match="There is no text “none” in en"):
        import_document(tree, document(tmp_path, ENGLISH), "none")


@pytest.mark.parametrize("name", ["**", "*", "[", "", "../..", "a" * 5_000, "\udcff"])
def test_a_name_of_no_text_is_quoted(tree: Path, tmp_path: Path, name: str) -> None:
    """Whatever it is, it is no pattern and no path."""
    with pytest.raises(CccrError, match="There is no text “"):
        import_document(tree, document(tmp_path, ENGLISH), name)


def test_what_cannot_be_read_is_not_blank(tree: Path, tmp_path: Path) -> None:
    """A folder, a broken link and a text in another charset are for ``check`` to report."""
    folder = tree / "en/statements"
    (folder / "a.md").mkdir()
    (folder / "b.md").symlink_to("b.md")
    (folder / "c.md").write_bytes(b"\xff" + (folder / f"{NAME}.md").read_bytes())
    (tree / f"zh_Hans/statements/{NAME}.md").write_bytes(b"\xff")
    assert import_document(tree, document(tmp_path, ENGLISH)).file.stem == NAME
