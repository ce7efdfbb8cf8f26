"""Suggestions for Chinese typography and English spelling, which never fail a check."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.texts import add, copy_texts

from cccr_web.config import find_tree
from cccr_web.content import SourceTree
from cccr_web.preview.suggestions import suggestions
from cccr_web.render import check_trees

CHINESE = "zh_Hans/pages/verify.md"
ENGLISH = "en/pages/verify.md"


def found_after(tree: Path, chinese: str = "没有。", english: str = "Nothing.") -> list[str]:
    """Return the suggestions after a paragraph in each language, of which none is a problem."""
    add(CHINESE, chinese)(tree)
    add(ENGLISH, english)(tree)
    content, _, problems = check_trees(SourceTree(tree), find_tree("templates"))
    assert problems == []
    assert content is not None
    return [one.message for one in suggestions(content)]


@pytest.fixture(autouse=True)
def no_hunspell(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result does not depend on what this machine has."""
    monkeypatch.setenv("PATH", "/nowhere")


def test_the_texts_of_the_site_need_none(tmp_path: Path) -> None:
    """So each suggestion that appears is about what somebody has just written."""
    assert found_after(copy_texts(tmp_path)) == []


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            "我们要求释放,立即释放。",
            "“要求释放,立即释放”: Chinese sentences have full-width marks: write ，.",
        ),
        (
            "谁负责?我们要求释放。",
            "“谁负责?我们要求”: Chinese sentences have full-width marks: write ？.",
        ),
        ("我们要求释放.", "“要求释放.”: A Chinese sentence ends with 。"),
        ("我们(要求)释放。", "“我们(要求)释”: Chinese has full-width brackets: （）"),
        ("我们要求...释放。", "“我们要求...释放。”: An ellipsis in Chinese is ……, six dots."),
        ("我们要求--释放。", "“我们要求--释放。”: A dash in Chinese is ——, two ems."),
        (
            "我们在 Tor 上。",
            "“我们在 Tor”: No space is typed between Chinese and Latin: browsers add it.",
        ),
        ("我们要求释放。。", "“要求释放。。”: Two marks in a row: keep one."),
    ],
)
def test_chinese_typography_has_a_reason(words: str, reason: str, tmp_path: Path) -> None:
    """It shows the place and what to write."""
    assert reason in found_after(copy_texts(tmp_path), chinese=words)


@pytest.mark.parametrize(
    "words",
    [
        "我们要求……释放。",
        "我们要求——释放。",
        "地址是https://example.org/，时间是12:30，共3.5万人。",
        "我们（要求）释放：见《声明》！",
        "> 我们要求释放,立即释放...",
    ],
)
def test_correct_chinese_and_quotations_get_none(words: str, tmp_path: Path) -> None:
    """Numbers, addresses and what somebody else wrote stay as they are."""
    english = "> Quoted." if ">" in words else "Nothing."
    assert found_after(copy_texts(tmp_path), chinese=words, english=english) == []


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("We demand the the release.", "The same word twice"),
        ("We demand , at last, the release.", "No space is before a comma"),
        ("We demand - at last - the release.", "A dash between words is –"),
    ],
)
def test_english_typography_has_a_reason(words: str, reason: str, tmp_path: Path) -> None:
    """It shows the place, too."""
    assert any(reason in one for one in found_after(copy_texts(tmp_path), english=words))


def test_unknown_english_words_come_from_hunspell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it is installed, lower-case words that it does not know are suggestions."""
    program = tmp_path / "bin" / "hunspell"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\n[ "$*" = "-i UTF-8 -d en_GB -l" ] && exec /bin/grep -x relaese\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    found = found_after(copy_texts(tmp_path), english="We demand their relaese, says Lixia.")
    assert found == ["“relaese” is not in hunspell's dictionary (en_GB)."]
    program.write_text("#!/bin/sh\necho 'no dictionary' >&2; exit 1\n")
    assert found_after(copy_texts(tmp_path / "again"), english="We demand their relaese.") == []
