"""Catalogues that other programs wrote (``content/catalogue.py``)."""

from __future__ import annotations

from pathlib import Path

import pytest

from cccr_web.content import SourceTree
from cccr_web.content.catalogue import check_catalogues, load_translations

HEADER = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n'
ENTRY = '\nmsgid "a"\nmsgstr "A"\n'
NO_CHARSET = (
    "The header does not say how the file is encoded: add the line "
    '"Content-Type: text/plain; charset=UTF-8\\n" below its msgstr.'
)
CONFLICT = (
    "“<<<<<<<” is left from a merge: keep one version, and delete the lines with <<<<<<<, "
    "======= and >>>>>>>."
)


def tree_with(folder: Path, catalogue: bytes) -> SourceTree:
    """Return a tree whose English catalogue is this one; the code uses one string."""
    for locale, body in (("en", catalogue), ("zh_Hans", (HEADER + ENTRY).encode())):
        file = folder / "translations" / locale / "LC_MESSAGES" / "messages.po"
        file.parent.mkdir(parents=True)
        file.write_bytes(body)
    (folder / "code").mkdir()
    (folder / "code" / "x.py").write_text('gettext("a")\n', encoding="utf-8")
    return SourceTree(folder / "translations")


def problems_of(folder: Path, catalogue: str | bytes) -> list[str]:
    """Return the line and the message of each problem of an English catalogue."""
    body = catalogue.encode() if isinstance(catalogue, str) else catalogue
    tree = tree_with(folder, body)
    found = check_catalogues(tree, [folder / "code"], lambda _language, _words: None)
    return [
        str(problem).removeprefix("translations/en/LC_MESSAGES/messages.po:")
        for problem in sorted(set(found))
    ]


def test_a_complete_catalogue_has_no_problem(tmp_path: Path) -> None:
    """A header, comments and one entry are in order."""
    source = f"# A comment.\n#, python-format\n{HEADER}\n#. For translators.\n#: x.py:1{ENTRY}"
    assert problems_of(tmp_path, source) == []


@pytest.mark.parametrize("charset", ["UTF-8", "utf-8", "utf8"])
def test_utf8_is_known_by_every_spelling(tmp_path: Path, charset: str) -> None:
    """Programs write the charset in different ways."""
    assert problems_of(tmp_path, HEADER.replace("UTF-8", charset) + ENTRY) == []


@pytest.mark.parametrize(
    ("catalogue", "problems"),
    [
        (
            HEADER.replace("UTF-8", "CHARSET") + ENTRY,
            ["3: The charset is “CHARSET”: write charset=UTF-8."],
        ),
        (HEADER.replace("UTF-8", "GBK") + ENTRY, ["3: The charset is “GBK”: write charset=UTF-8."]),
        (HEADER.replace("; charset=UTF-8", "") + ENTRY, [f"1: {NO_CHARSET}"]),
        ('msgid ""\nmsgstr ""\n' + ENTRY, [f"1: {NO_CHARSET}"]),
        (ENTRY.lstrip(), [f"1: {NO_CHARSET}"]),
        (
            "\ufeff" + HEADER + ENTRY,
            ["1: The catalogue starts with a byte order mark: save it as UTF-8 without one."],
        ),
        (
            (HEADER + '\nmsgid "a"\nmsgstr "公民"\n').encode("gb18030"),
            ["6: The file is not UTF-8 (byte 83): save it as UTF-8."],
        ),
        (
            HEADER + '\nmsgid "a"\n<<<<<<< HEAD\nmsgstr "A"\n=======\nmsgstr "B"\n>>>>>>> b\n',
            [f"6: {CONFLICT}"],
        ),
        (
            HEADER + ENTRY + 'msgstr "B"\n',
            ["7: This msgstr has no msgid of its own: add it, or delete the line."],
        ),
        (
            HEADER + '\nmsgid "b"' + ENTRY,
            ["5: This msgid has no msgstr of its own: add it, or delete the line."],
        ),
        (HEADER + ENTRY + ENTRY, ["8: “a” is already in line 5: keep one of the two."]),
        (
            HEADER + "\n" + HEADER + ENTRY,
            ["5: The header is already in line 1: keep one of the two."],
        ),
        (
            HEADER + ENTRY + '\n#~ msgid "b"\n#~ msgstr "B"\n',
            ["8: “#~” marks a string that is no longer used: delete the entry."],
        ),
        (
            HEADER + '\n#| msgid "b"' + ENTRY,
            ["5: “#|” marks what a string was before a merge: delete the line."],
        ),
        (
            HEADER + '\nmsgid "a"\nmsgstr ""\n"#-#-#-#-#  a.po  #-#-#-#-#\\n"\n"A"\n',
            ["7: “#-#-#-#-#” is left from a merge: keep one of the translations."],
        ),
        (
            HEADER + '"Content-Type: text/plain; charset=GBK\\n"\n' + ENTRY,
            ["4: The header has a second “Content-Type”: keep one of the two."],
        ),
        (
            HEADER.replace('\\n"', '\\ncontent-type: text/plain; charset=GBK\\n"') + ENTRY,
            ["3: The header has a second “content-type”: keep one of the two."],
        ),
        (
            HEADER + '"Language: en\\n"\n"Language: zh\\n"\n' + ENTRY,
            ["5: The header has a second “Language”: keep one of the two."],
        ),
        (
            HEADER.replace("UTF-8", "UTF-8; charset=GBK") + ENTRY,
            ["3: The charset is “GBK”: write charset=UTF-8."],
        ),
        ("#, fuzzy\n" + HEADER + ENTRY, ["1: The header is marked fuzzy: remove the mark."]),
        (HEADER + '\nmsgid "a"\nmsgstr “A”\n', ["6: The string must be in quotation marks."]),
        (HEADER + '\nmsgid "a"\nmsgstr "A"\n"B\n', ["7: The string must be in quotation marks."]),
        (
            HEADER + ENTRY + "text\n",
            ["7: This line is not part of a catalogue: an entry has a msgid and a msgstr."],
        ),
    ],
)
def test_a_damaged_catalogue_is_reported_once(
    tmp_path: Path, catalogue: str | bytes, problems: list[str]
) -> None:
    """What a merge or another encoding leaves has one message with its line and remedy."""
    assert problems_of(tmp_path, catalogue) == problems


def test_a_catalogue_is_decoded_as_utf8_whatever_its_header_says(tmp_path: Path) -> None:
    """A wrong charset cannot end a build with a traceback."""
    for number, charset in enumerate(("CHARSET", "GBK")):
        body = HEADER.replace("UTF-8", charset) + '\nmsgid "a"\nmsgstr "公民"\n'
        tree = tree_with(tmp_path / str(number), body.encode())
        assert load_translations(tree, "en").gettext("a") == "公民"
