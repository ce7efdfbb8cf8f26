"""Text in another script than its folder's, and names on cards (``content/scripts.py``)."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.texts import copy_texts, problems_of, replace_once

from cccr_web.content.scripts import wrong_script
from cccr_web.languages import EN, ZH_HANS
from cccr_web.render.traditional import simplify

REMEDY = "translate it, or make it a quotation with > if it is the original wording."
ENGLISH = "We call on the Chinese government to release all political prisoners at once."
CHINESE = "我们呼吁中国政府立即释放所有政治犯。"
TRADITIONAL = "我們呼籲臺灣"
MISSING = "pages/errors/404.md"


def judged(words: str, *, chinese: bool = True, names: tuple[str, ...] = ()) -> str | None:
    """Return what is wrong with a passage in one of the folders."""
    return wrong_script(words, ZH_HANS if chinese else EN, simplify, names)


@pytest.mark.parametrize(
    ("words", "chinese", "script"),
    [
        (ENGLISH, True, "in Latin script"),
        ("Liu Xiaobo (刘晓波) was awarded the Nobel Peace Prize of 2010.", True, "in Latin script"),
        (CHINESE, False, "in Chinese"),
        ("我们呼吁中国政府立即释放刘晓波 (Liu Xiaobo)。", False, "in Chinese"),
        ("Мы призываем правительство Китая освободить всех.", False, "in Cyrillic script"),
        ("Мы призываем правительство Китая освободить всех.", True, "in Cyrillic script"),
    ],
)
def test_a_passage_in_another_script_is_reported(words: str, chinese: bool, script: str) -> None:
    """A whole sentence in another script is in the wrong file."""
    tag = "zh-Hans" if chinese else "en"
    message = f"This is {script}, but this folder's texts are in {tag}: {REMEDY[:-1]}"
    assert str(judged(words, chinese=chinese)).startswith(message)


def test_a_long_name_in_another_script_can_be_marked(tmp_path: Path) -> None:
    """Words that are marked with their language are where the writer wants them."""
    tree = copy_texts(tmp_path)
    title = "ئۇيغۇر كىشىلىك ھوقۇق ۋە دېموكراتىيە جەمئىيىتى"
    append(tree, "zh_Hans", f"[{title}]{{lang=ug}}")
    assert problems_of(tree) == []
    where = append(tree, "zh_Hans", title)
    (problem,) = problems_of(tree)
    assert problem == (
        f"{where}: This is in Arabic script, but this folder's texts are in zh-Hans: "
        f"{REMEDY[:-1]}; mark a long name or title as [words]{{lang=ug}}."
    )


@pytest.mark.parametrize(
    ("words", "tag"),
    [
        ("북경에서 열린 인권 회의에 참석한 모든 변호사들이 함께 성명을 발표하였습니다", "ko"),
        ("Мы призываем правительство Китая освободить всех.", "ru"),
        ("བོད་རང་སྐྱོང་ལྗོངས་ཀྱི་མི་དམངས་ཀྱི་ཐོབ་ཐང་དང་རང་དབང་གི་དོན་ལུ", "bo"),
    ],
)
def test_the_advice_names_the_language_of_the_script(words: str, tag: str) -> None:
    """Words that are marked with another script's language would be read out wrongly."""
    assert str(judged(words)).endswith(f"as [words]{{lang={tag}}}.")


def test_japanese_is_not_taken_for_traditional_chinese() -> None:
    """Its characters are not to be simplified, but its language is to be marked."""
    assert judged("東京で集会が開かれた。") == (
        "Japanese in a Chinese text: mark it as [words]{lang=ja}."
    )
    assert str(judged("約翰・史密斯先生")).startswith("Traditional characters")


def test_traditional_characters_in_a_simplified_text_are_named() -> None:
    """Each is shown with its Simplified form."""
    assert judged("我們去臺灣。") == (
        "Traditional characters in a Simplified text: write 们 for 們, 台 for 臺, 湾 for 灣. "
        "Add a name that has them to names.toml."
    )


@pytest.mark.parametrize(
    ("words", "chinese"),
    [
        ("Liu Xiaobo · 2010年诺贝尔和平奖", True),
        ("Cui Yuhua", True),
        ("Chinese Coalition for Citizens Rights", True),
        ("用minisign、ssh-keygen、gpg或Kleopatra核对SHA256SUMS和SHA256SUMS.minisig。", True),
        ("乾隆年间的著名瞭望塔，反复答复，了解干部。", True),
        ("他为台湾、香港和澳门的人权说话；后来只剩下几里路。", True),
        ("", True),
        ("1989 · 2013", True),
        ("Charter 08 (《零八宪章》) was published in 2008 by Liu Xiaobo (刘晓波).", False),
        ("公民自由联盟", False),
        ("Нобель, 刘晓波 and Liu Xia", False),
    ],
)
def test_names_and_terms_in_another_script_are_accepted(words: str, chinese: bool) -> None:
    """What a sentence needs from another script is not a wrong language."""
    assert judged(words, chinese=chinese) is None


def test_a_listed_name_may_have_traditional_characters() -> None:
    """A person decides how their name is written."""
    assert judged("作家洪昇说。", names=("洪昇",)) is None
    assert judged("作家洪昇说。") is not None


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the real texts."""
    return copy_texts(tmp_path)


def append(tree: Path, locale: str, text: str) -> str:
    """Add a paragraph to a page; return its place."""
    file = tree / locale / MISSING
    before = file.read_text(encoding="utf-8")
    file.write_text(f"{before}\n{text}\n", encoding="utf-8")
    return f"{locale}/{MISSING}:{before.count(chr(10)) + 2}"


@pytest.mark.parametrize(
    ("locale", "text"), [("zh_Hans", ENGLISH), ("en", CHINESE), ("zh_Hans", TRADITIONAL)]
)
def test_a_paragraph_is_reported_and_its_quotation_is_not(
    tree: Path, locale: str, text: str
) -> None:
    """The original wording can be quoted in its own script."""
    append(tree, locale, f"> {text}")
    where = append(tree, locale, text)
    (problem,) = problems_of(tree)
    assert problem.startswith(f"{where}: T")


@pytest.mark.parametrize(
    ("file", "old", "new", "line"),
    [
        ("zh_Hans/pages/verify.md", 'title = "如何核对"', 'title = "如何核對"', 2),
        ("zh_Hans/LC_MESSAGES/messages.po", '"跳到正文"', '"跳到內文"', 17),
        ("en/pages/verify.md", 'title = "How to verify"', f'title = "{CHINESE}"', 2),
    ],
)
def test_titles_and_strings_are_judged_as_well(
    tree: Path, file: str, old: str, new: str, line: int
) -> None:
    """The rule holds for front matter and for the interface."""
    replace_once(file, old, new)(tree)
    (problem,) = problems_of(tree)
    assert problem.startswith(f"{file}:{line}: ")


@pytest.mark.parametrize(
    ("card", "name"),
    [
        ("> [!PERSON]\n> 周后松\n>\n> 律师", "周后松"),
        ("> [!PERSON]\n>\n> 周后松", "周后松"),
        ("> [!PERSON]\n> 刘晓波和周后松", "刘晓波和周后松"),
        ("> [!PERSON]\n> 阿不都·热西提", "阿不都·热西提"),
        ("> [!PERSON]\n> 李□□", "李□□"),
        ("> [!PERSON]\n> ×晓波", "×晓波"),
        ("> [!PERSON]\n> 余杰云", "余杰云"),
        ("> [!PERSON]\n> 李林翔", "李林翔"),
        ("> [!PERSON]\n> 刘晓波、周后松（2018）", "周后松"),
        ("> [!PERSON]\n> **余杰**云", "余杰云"),
    ],
)
def test_a_name_on_a_card_must_be_listed(tree: Path, card: str, name: str) -> None:
    """The message has the command that adds it; one name gives one message for all languages."""
    append(tree, "en", card)
    where = append(tree, "zh_Hans", card)
    line = int(where.rpartition(":")[2]) + (2 if card.startswith("> [!PERSON]\n>\n") else 1)
    assert problems_of(tree) == [
        (
            f"zh_Hans/{MISSING}:{line}: “{name}” is not in names.toml: add it with "
            f"“cccr-web new --name {name}”, or separate two names by 、."
        )
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("刘 晓 波", "has blanks: delete them, or separate two names by 、."),
        ("周　后松", "has blanks: delete them, or separate two names by 、."),
        ("刘晓波 刘霞", "has blanks: delete them, or separate two names by 、."),
        ("云", "is a single character: write the whole name."),
    ],
)
def test_what_is_no_whole_name_on_a_card_is_reported_once(tree: Path, name: str, said: str) -> None:
    """The remedy is one that names.toml accepts."""
    append(tree, "en", f"> [!PERSON]\n> {name}")
    where = append(tree, "zh_Hans", f"> [!PERSON]\n> {name}")
    file, line = where.rsplit(":", 1)
    assert problems_of(tree) == [f"{file}:{int(line) + 1}: “{name}” {said}"]


def test_a_listed_or_latin_name_on_a_card_is_accepted(tree: Path) -> None:
    """A name that is listed needs nothing, and a Latin one is not converted."""
    for locale in ("en", "zh_Hans"):
        append(tree, locale, "> [!PERSON]\n> 刘晓波")
        append(tree, locale, "> [!PERSON]\n> Cui Yuhua")
    assert problems_of(tree) == []


def test_a_card_without_a_name_is_reported(tree: Path) -> None:
    """A card's first paragraph is the name."""
    english = append(tree, "en", "> [!PERSON]")
    where = append(tree, "zh_Hans", "> [!PERSON]")
    said = "The card has no name: its first paragraph must be the person's name."
    assert problems_of(tree) == [f"{english}: {said}", f"{where}: {said}"]
