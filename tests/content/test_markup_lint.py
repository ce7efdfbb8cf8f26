"""Markup that a writer meant and the parser did not see (``content/markup_lint.py``)."""

from __future__ import annotations

import pytest

from cccr_web.content.body import StrayMark
from cccr_web.content.markdown import parse

CODE = (
    "Four spaces or a tab at its start make this line code: delete them. "
    "Put real code between two lines of ```."
)
HEADING = "a heading starts with half-width # and a space."
ITEM = "a list item starts with a half-width - and a space."
NUMBER = "a numbered item starts with half-width digits, a full stop and a space, such as “1. ”."
UNDERSCORES = "write *text* or **text**, with quotation marks outside, such as “**text**”."
LINK = "write [text](address) with half-width brackets."
NAME = "the name of a heading has lower-case letters, digits and hyphens, such as {#our-demands}."


def slips(text: str) -> list[tuple[int, str]]:
    """Return the slips in a text."""
    return list(parse(text + "\n").slips)


@pytest.mark.parametrize(
    "text",
    [
        "    我们呼吁释放他",
        "\t我们呼吁释放他",
        "> 引\n>\n>     一，二",
        "- 一\n\n      他说，二",
        "    “自由”",
        "    2013年5月7日本组织举行集会",
        "    CCCR呼吁释放刘晓波",
        "    (CCCR) 呼吁释放",
        "    （一）释放",
        "    ——刘晓波",
        "    **释放刘晓波**",
        "    请看[声明](https://a.org/)",
        "    请看 `verify.py` 文件",
        "    释放刘晓波 https://a.org/?x=1",
        "    我们和他们/她们都要求自由",
        "    第一段\n\n    第二段",
        "    Dear friends and colleagues,",
        "    In 1989, the army killed people",
        "    See [the statement](https://a.org/).",
        "\t- 项目\n\t- 项目",
        "    1. 项目",
        "    ## 标题",
        "    > 引文",
        "    minisign -VHm SHA256SUMS -P 公钥",
    ],
)
def test_a_block_that_an_indent_makes_code_is_reported_once(text: str) -> None:
    """Whatever it contains: nothing but a fence shows that code was meant."""
    assert [message for _, message in slips(text)] == [CODE]


@pytest.mark.parametrize(
    "text",
    [
        "```\n我们呼吁释放他。\n    minisign\n```",
        "- 一\n\n  ```\n  minisign\n  ```",
        "一\n    二",
        "　　我们呼吁释放他。",
        "- 一\n    - 二\n\t- 三",
        "- 一\n\n  二",
    ],
)
def test_fences_and_nested_lists_are_accepted(text: str) -> None:
    """Fenced blocks, wrapped lines, full-width indents and nested lists are what they look like."""
    assert slips(text) == []


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("我们要求：\n\t- 一", "-"),
        ("我们要求：\n　　- 一", "-"),
        ("We ask:\n    * one", "*"),
        ("我们要求：\n\t1. 一", "1."),
    ],
)
def test_a_list_item_that_its_indent_joins_to_a_paragraph_is_reported(text: str, mark: str) -> None:
    """A list does not start where a tab or too many spaces precede its mark."""
    assert slips(text) == [
        (
            2,
            (
                f"The blanks before “{mark}” make this list item a part of the paragraph above: "
                "delete them."
            ),
        )
    ]


@pytest.mark.parametrize(
    ("text", "mark", "advice"),
    [
        ("＃＃ 标题", "＃＃", HEADING),
        ("#＃ 标题", "#＃", HEADING),
        ("##标题", "##", HEADING),
        ("##　标题", "##", HEADING),
        ("＞ 引文", "＞", "a quotation starts with a half-width > and a space."),
        ("－ 项目", "－", ITEM),
        ("－项目", "－", ITEM),
        ("-项目", "-", ITEM),
        ("-　项目", "-", ITEM),
        ("• 项目", "•", ITEM),
        ("· 项目", "·", ITEM),
        ("– 项目", "–", ITEM),
        ("１．项目", "１．", NUMBER),
        ("1．项目", "1．", NUMBER),
        ("1.项目", "1.", NUMBER),
        ("｜ 甲 ｜ 乙 ｜", "｜", "the cells of a table are separated by a half-width |."),
        ("这是__重点__后面", "__重点__", UNDERSCORES),
        ("这是_重点_后面", "_重点_", UNDERSCORES),
        ("_重点_后面", "_重点_", UNDERSCORES),
        ("后面_重点_", "_重点_", UNDERSCORES),
        ("这是_important_后面", "_important_", UNDERSCORES),
        ("这是＿重点＿后面", "＿重点＿", UNDERSCORES),
        ("＿＿重点＿＿", "＿＿重点＿＿", UNDERSCORES),
        ("这是__重点", "__", UNDERSCORES),
        ("重点__后面", "__", UNDERSCORES),
        ("_“重点”_是", "_“重点”_", UNDERSCORES),
        ("## 是__重点__的", "__重点__", UNDERSCORES),
        ("－－－", "－－－", "a line across the page is ---."),
        ("一｀verify.py｀二", "｀", "write code between half-width `."),
        (
            "请＊＊不要＊＊打开",
            "＊＊",
            "write **text** with half-width marks, or × for a redacted character.",
        ),
        ("［文字］（verify.md）", "［文字］（verify.md）", LINK),
        ("！［图］（square.jpg）", "［图］（square.jpg）", LINK),
        ("![图]（photos/square.png）", "[图]（photos/square.png）", LINK),
        ("[文字]（https://example.org/）", "[文字]（https://example.org/）", LINK),
        ("【文字】(../a.md)", "【文字】(../a.md)", LINK),
        ("[text] (verify.md)", "[text] (verify.md)", LINK),
        ("见《https://example.org/》", "《https://example.org/》", LINK),
        ("## 标题 ｛#a｝", "｛#a｝", NAME),
        ("## 标题 {＃a}", "{＃a}", NAME),
        ("## Title {#Our Demands}", "{#Our Demands}", NAME),
    ],
)
def test_marks_that_markdown_does_not_know_are_reported(text: str, mark: str, advice: str) -> None:
    """Full-width marks, and marks without the space that Markdown needs, are named."""
    assert slips(f"一\n\n{text}") == [(3, f"“{mark}” would appear as typed: {advice}")]


@pytest.mark.parametrize(
    "typed", ["|——|——|", "|－－－|－－－|", "|---｜---|", "——|——", "|：－|－：|", "|─|─|", "|---|"]
)
def test_a_table_that_its_second_line_prevents_is_reported_once(typed: str) -> None:
    """Full-width dashes, bars and colons, or too few cells, make the table a paragraph."""
    advice = "below the first line of a table is |---|---|, in half-width and with as many cells."
    text = f"| 甲 | 乙 |\n{typed}\n| 1 | 2 |"
    assert slips(text) == [(2, f"“{typed}” would appear as typed: {advice}")]


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("[東京]｛lang=ja｝", "｛lang=ja｝"),
        ("[東京]{lang＝ja}", "{lang＝ja}"),
        ("[東京]{ lang=ja }", "{ lang=ja }"),
        ("[東京] {lang=ja}", "{lang=ja}"),
        ("［東京］{lang=ja}", "{lang=ja}"),
        ("東京{lang=ja}", "{lang=ja}"),
        ("[東京]{LANG=ja}", "{LANG=ja}"),
        ("[東京]{lang=}", "{lang=}"),
        ('[東京]{lang="ja"}', '{lang="ja"}'),
        ("[東京]{lang=japanese}", "{lang=japanese}"),
        ("[東京]{lang=ja", "{lang=ja"),
        ("## [東京]{lang= ja}", "{lang= ja}"),
        ("- [東京]{lang= ja}", "{lang= ja}"),
        ("| [東京]{lang= ja} |\n|---|", "{lang= ja}"),
    ],
)
def test_a_language_that_marks_no_words_is_reported(text: str, mark: str) -> None:
    """A mark that was typed in another way is named, in every kind of block."""
    advice = "mark the language of words as [words]{lang=ja}, in half-width."
    assert slips(text) == [(1, f"“{mark}” would appear as typed: {advice}")]


@pytest.mark.parametrize(
    "text",
    ["[東京]{lang=ja}", "**[東京]{lang=zh-Hant-TW}**", "`[東京]{lang=}`", "## [東京]{lang=ja}"],
)
def test_a_language_that_marks_words_is_accepted(text: str) -> None:
    """A mark that works, and one in code, is no slip."""
    assert slips(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "> [！NOTE 2026-11-22]\n> 注。",
        "> 【!NOTE 2026-11-22】\n> 注。",
        "> [！ORIGINAL zh-Hans]\n> 原文。",
        "> [!ORIGINAL zh-Hans] 原文。",
        "> [!note 2026-11-22]\n> 注。",
        "> [!NOTE 2026-11-22] 注。",
        "> ［!PERSON］\n> 刘晓波",
    ],
)
def test_a_note_that_is_only_a_quotation_is_reported(text: str) -> None:
    """The mark of a note or card that was typed in another way is named."""
    ((line, message),) = slips(text)
    assert line == 1
    assert "a note starts with a line “> [!NOTE 2026-11-22]”" in message


@pytest.mark.parametrize(
    "text",
    [
        "【注】（见下文）",
        "[注]（见下文）",
        "王＊＊和他的妻子",
        "2．5％的人",
        "3.15晚会",
        "-5℃",
        "#六四# 话题",
        "（一）项目",
        "一、项目",
        "甲｜乙",
        "甲|乙",
        "|甲|乙|\n|---|---|\n|—|—|",
        "姓名____，年龄____",
        "姓名＿＿＿＿，年龄＿＿＿＿",
        "文件_名",
        "见a_b_c和 __init__",
        "_重点_，**重点**",
        "`这是__重点__`",
        "> [!NOTE 2026-11-22]\n> 注。",
        "> [!PERSON]\n> 刘晓波",
        "## 标题 {#a}",
        "`［文字］（verify.md）`",
        "2013年\n2014. 年",
    ],
)
def test_ordinary_chinese_punctuation_is_accepted(text: str) -> None:
    """Brackets, numbers and dashes that are no markup are accepted."""
    assert slips(text) == []


@pytest.mark.parametrize(
    "text",
    ["**“甲”**与**“乙”**。", "*“甲”*与*“乙”*。", "一\n**“甲”**与**“乙”**。"],
)
def test_emphasis_of_the_wrong_words_is_reported(text: str) -> None:
    """Marks next to Chinese quotation marks can pair so that the words between are emphasised."""
    ((line, message),) = slips(text)
    mark = "**" if "**" in text else "*"
    assert line == text.count("\n") + 1
    assert message == (
        f"“{mark}” emphasises other words than were meant: put quotation marks outside the "
        f"marks, such as “{mark}text{mark}”."
    )


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("**“重点”**是", "**"),
        ("是**“重点”**，", "**"),
        ("*“重点”*是", "*"),
        ("*《重点》*是", "*"),
        ("*重点。*是", "*"),
        ("**重点*", "*"),
        ("*重点**", "*"),
        ("**重点***", "*"),
        ("***重点**，", "*"),
    ],
)
def test_emphasis_that_does_not_close_is_reported(text: str, mark: str) -> None:
    """A mark next to Chinese punctuation, or one more than on the other side, stays as typed."""
    assert StrayMark(mark, 1) in parse(text + "\n").items


@pytest.mark.parametrize(
    "text",
    [
        "“**重点**”是",
        "**重点**，然后",
        "**“重点”**，然后",
        "5 * 3 * 2",
        "王*明",
        "a_b_c",
        "***a***",
    ],
)
def test_emphasis_that_markdown_sees_is_accepted(text: str) -> None:
    """Emphasis within quotation marks, and signs that are no marks, are accepted."""
    body = parse(text + "\n")
    assert [*body.slips] == []
    assert [item for item in body.items if isinstance(item, StrayMark)] == []
