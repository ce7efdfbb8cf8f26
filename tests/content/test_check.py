"""Each rule of ``cccr-web check``, with a tree that breaks it (``content/check.py``).

Each case changes one thing in a copy of the real texts; the problems must be
these lines and no others.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.command import failure
from support.texts import (
    AT,
    DATED,
    MISSING,
    MISSING_AT,
    TEXTS,
    VERIFY,
    TreeChange,
    add,
    both,
    copy_texts,
    lines,
    problems_after,
    problems_of,
    put,
    remove,
    rename,
    replace_once,
)

from cccr_web import render

UNDATED = "statements/2011-liu-xiaobo-and-chen-guangcheng.md"
CATALOGUE = "LC_MESSAGES/messages.po"
DEFANG = (
    "The former site's address must not be in a form that can be opened: "
    "write it as cfcr2008[.]org."
)
SAME_ORDER = "all languages must have the same headings, notes and photos in the same order."

APP = Path(render.__file__).with_name("template_renderer.py").read_text(encoding="utf-8")
_LINE = APP[: APP.index('gettext("note.title"')].count("\n") + 1
NOTE_TITLE = f"render/template_renderer.py:{_LINE}"

STRAY = (
    "“{}” would appear on the page as typed: add the closing mark, and put punctuation "
    "outside the marks."
)

CASES: dict[str, tuple[TreeChange, list[str]]] = {
    # The languages agree.
    "translation missing in Chinese": (
        remove("zh_Hans/pages/reach-us.md"),
        [
            "en/pages/reach-us.md:1: This text is missing in zh-Hans (zh_Hans).",
        ],
    ),
    "translation missing in English": (
        put("zh_Hans/pages/new.md", (TEXTS / "zh_Hans/pages/errors/421.md").read_bytes()),
        ["zh_Hans/pages/new.md:1: This text is missing in en (en)."],
    ),
    "slug differs": (
        rename(f"zh_Hans/{DATED}", "2013-05-07-liusi.md"),
        [
            (
                "zh_Hans/statements/2013-05-07-liusi.md:1: This text is missing in en (en). "
                "If “2013-05-07-tiananmen-rally” is its translation, the slugs must be the same."
            ),
        ],
    ),
    "heading to which texts link is missing in Chinese": (
        replace_once("zh_Hans/pages/who-we-are.md", "## 旧网站 {#former-site}", "## 旧网站"),
        [
            "zh_Hans/pages/who-we-are.md:12: This is a heading of level 2 without a name, but "
            "translations/en/pages/who-we-are.md:15 has a heading of level 2 named "
            "{#former-site}: " + SAME_ORDER
        ],
    ),
    "date differs": (
        replace_once(f"zh_Hans/{UNDATED}", "[2011..2012-04]", "[2011..2012-05]"),
        [
            (
                f"zh_Hans/{UNDATED}:5: “date” is [2011..2012-05] here, but [2011..2012-04] in "
                f"translations/en/{UNDATED}."
            )
        ],
    ),
    "day of change differs": (
        replace_once("zh_Hans/pages/verify.md", "updated = 2026-11-29", "updated = 2026-11-21"),
        [
            (
                "zh_Hans/pages/verify.md:4: “updated” is 2026-11-21 here, but 2026-11-29 in "
                "translations/en/pages/verify.md."
            )
        ],
    ),
    "place in the menu differs": (
        replace_once("zh_Hans/pages/verify.md", "navigation = 4\n", ""),
        [
            (
                "zh_Hans/pages/verify.md:1: “navigation” is not set here, but 4 in "
                "translations/en/pages/verify.md."
            )
        ],
    ),
    "template differs": (
        replace_once("zh_Hans/pages/index.md", '"home"', '"page"'),
        [
            (
                "zh_Hans/pages/index.md:5: “template” is page here, but home in "
                "translations/en/pages/index.md."
            )
        ],
    ),
    "level of a heading differs": (
        replace_once("zh_Hans/pages/who-we-are.md", "## 现在在哪里", "### 现在在哪里"),
        [
            "zh_Hans/pages/who-we-are.md:21: This is a heading of level 3 named {#now}, but "
            "translations/en/pages/who-we-are.md:30 has a heading of level 2 named {#now}: "
            + SAME_ORDER
        ],
    ),
    "name of a heading differs": (
        replace_once("zh_Hans/pages/who-we-are.md", "{#now}", "{#then}"),
        [
            "zh_Hans/pages/who-we-are.md:21: This is a heading of level 2 named {#then}, but "
            "translations/en/pages/who-we-are.md:30 has a heading of level 2 named {#now}: "
            + SAME_ORDER
        ],
    ),
    "heading missing in Chinese": (
        add(VERIFY, "## More {#more}"),
        [
            (
                f"zh_Hans/pages/verify.md:1: translations/{AT} has "
                "a heading of level 2 named {#more}, which is missing here."
            )
        ],
    ),
    "heading without a name missing in Chinese": (
        add(VERIFY, "## More"),
        [
            (
                f"zh_Hans/pages/verify.md:1: translations/{AT} has "
                "a heading of level 2 without a name, which is missing here."
            )
        ],
    ),
    "note missing in English": (
        add(MISSING, "> [!NOTE 2026-11-22]\n> 注。"),
        [
            (
                f"en/pages/errors/404.md:1: translations/{MISSING_AT} has "
                "a note of 2026-11-22, which is missing here."
            )
        ],
    ),
    "day of a note differs": (
        replace_once(
            "zh_Hans/pages/who-we-are.md",
            "[!NOTE 2026-11-29]\n> 同一年",
            "[!NOTE 2026-11-21]\n> 同一年",
        ),
        [
            "zh_Hans/pages/who-we-are.md:18: This is a note of 2026-11-21, but "
            "translations/en/pages/who-we-are.md:24 has a note of 2026-11-29: " + SAME_ORDER
        ],
    ),
    # The head.
    "key missing": (
        replace_once(VERIFY, 'title = "How to verify"\n', ""),
        [
            (
                f"{VERIFY}:1: The front matter has no “title”: add a text in quotation marks, "
                'such as key = "…".'
            )
        ],
    ),
    "key unknown": (
        replace_once(VERIFY, "navigation = 4", "menu = 4"),
        [
            (
                f"{VERIFY}:5: Unknown key “menu”: this kind of text may have "
                "checked, description, navigation, short_title, template, title, updated."
            )
        ],
    ),
    "type wrong": (
        replace_once(VERIFY, "updated = 2026-11-29", 'updated = "2026-11-29"'),
        [
            (
                f"{VERIFY}:4: “updated” must be a date without quotation marks, "
                "such as key = 2026-11-22."
            )
        ],
    ),
    "date of a statement missing": (
        replace_once(f"en/{DATED}", 'date = "2013-05-07"\n', ""),
        [
            (
                f"en/{DATED}:1: The front matter has no “date”: add a text in quotation marks, "
                'such as key = "…".'
            )
        ],
    ),
    "file's name without its date": (
        both(
            "",
            lambda folder: rename(f"{folder}{DATED}", "2013-05-08-tiananmen-rally.md"),
        ),
        [
            f"{locale}/statements/2013-05-08-tiananmen-rally.md:5: “date” is 2013-05-07: "
            "the file's name must start with 2013-05-07-."
            for locale in ("en", "zh_Hans")
        ],
    ),
    "language marked in a title": (
        replace_once("en/pages/verify.md", '"Verify"', '"[東京]{lang=ja}"'),
        [
            (
                "en/pages/verify.md:8: “{lang=ja}” would appear as typed, because “short_title” is "
                "plain text: delete it."
            )
        ],
    ),
    "template unknown": (
        both(
            "pages/addresses.md",
            lambda file: replace_once(file, 'template = "addresses"', 'template = "other"'),
        ),
        [
            f"{locale}/pages/addresses.md:6: There is no template “other”: "
            "choose addresses, copies, home, page, statements, verify."
            for locale in ("en", "zh_Hans")
        ],
    ),
    "template that is only a part of others": (
        both(
            "pages/addresses.md",
            lambda file: replace_once(file, 'template = "addresses"', 'template = "list"'),
        ),
        [
            f"{locale}/pages/addresses.md:6: There is no template “list”: "
            "choose addresses, copies, home, page, statements, verify."
            for locale in ("en", "zh_Hans")
        ],
    ),
    "no head": (
        put(VERIFY, b"How to verify\n"),
        [f"{VERIFY}:1: The file must start with front matter: TOML between two lines of +++."],
    ),
    "lines around the head are full-width": (
        put(VERIFY, '＋＋＋\ntitle = "x"\n＋＋＋\n'.encode()),
        [f"{VERIFY}:1: The lines of ＋＋＋ are typed full-width: type +++."],
    ),
    "head is not TOML": (
        replace_once(VERIFY, 'title = "How to verify"', "title = How to verify"),
        [f"{VERIFY}:2: Not valid TOML: Invalid value (column 9)."],
    ),
    "text is not UTF-8": (
        put(VERIFY, "+++\n公民".encode("gb18030")),
        [f"{VERIFY}:2: The file is not UTF-8 (byte 5): save it as UTF-8."],
    ),
    # Headings.
    "heading of level 1": (
        both("pages/verify.md", lambda file: add(file, "# Title {#title}")),
        [
            f"{AT}: The title is the only level 1 heading: start with ##.",
            (
                f"zh_Hans/pages/verify.md:{lines('zh_Hans/pages/verify.md') + 2}: "
                "The title is the only level 1 heading: start with ##."
            ),
        ],
    ),
    "level left out": (
        both("pages/errors/404.md", lambda file: add(file, "### Deep {#deep}")),
        [
            f"{file}:{lines(file) + 2}: A level 3 heading follows level 1: skip no level."
            for file in ("en/pages/errors/404.md", MISSING)
        ],
    ),
    "name of a heading twice": (
        both("pages/verify.md", lambda file: add(file, "## Again {#files}")),
        [
            f"{file}:{lines(file) + 2}: The name {{#files}} is used twice in this text: change one."
            for file in (VERIFY, "zh_Hans/pages/verify.md")
        ],
    ),
    "check of no heading": (
        both("pages/reach-us.md", lambda file: replace_once(file, " snowflake =", " slush =")),
        [
            f"{file}:6: “checked” names {{#slush}}, but there is no such heading."
            for file in ("en/pages/reach-us.md", "zh_Hans/pages/reach-us.md")
        ],
    ),
    "check on no day": (
        replace_once("en/pages/reach-us.md", 'webtunnel = "2024-03"', 'webtunnel = "lately"'),
        ["en/pages/reach-us.md:6: “checked”: “lately” for webtunnel is not a date."],
    ),
    # The content of a text.
    "note without its day": (
        both("pages/errors/404.md", lambda file: add(file, "> [!NOTE today]\n> Words.")),
        [
            f"{file}:{lines(file) + 2}: An editor's note must start with its date: "
            "> [!NOTE 2026-11-22]."
            for file in ("en/pages/errors/404.md", MISSING)
        ],
    ),
    "original wording without its language": (
        add(MISSING, "> [!ORIGINAL]\n> Words."),
        [f"{MISSING_AT}: The original wording must start with its language: > [!ORIGINAL en]."],
    ),
    "block of HTML": (
        add(VERIFY, "<div>x</div>"),
        [f"{AT}: Raw HTML is not allowed: use Markdown."],
    ),
    "comment of HTML": (
        add(MISSING, "<!-- 注 -->"),
        [f"{MISSING_AT}: Raw HTML is not allowed: use Markdown."],
    ),
    "HTML in a line": (
        add(VERIFY, "one\ntwo <b>three\nfour</b>"),
        [
            f"{VERIFY}:{lines(VERIFY) + 3}: Raw HTML is not allowed: use Markdown.",
            f"{VERIFY}:{lines(VERIFY) + 4}: Raw HTML is not allowed: use Markdown.",
        ],
    ),
    "mark around a full stop in Chinese": (
        add(MISSING, "一\n**二。**三"),
        [
            f"{MISSING}:{lines(MISSING) + 3}: {STRAY.format('**')}",
        ],
    ),
    "code that is not closed": (
        add(VERIFY, "type `verify.py"),
        [f"{AT}: {STRAY.format('`')}"],
    ),
    "image without words in English": (
        add(VERIFY, "![](/RELEASE.json)"),
        [f"{AT}: The image “/RELEASE.json” has no alternative text."],
    ),
    "image without words in Chinese": (
        add(MISSING, "![ ](/RELEASE.json)"),
        [f"{MISSING_AT}: The image “/RELEASE.json” has no alternative text."],
    ),
    "image of another site": (
        add(VERIFY, "![A dot](https://example.org/dot.png)"),
        [f"{AT}: The image “https://example.org/dot.png” must be a file of this site."],
    ),
    "image that is a text": (
        add(VERIFY, "![Ourselves](who-we-are.md)"),
        [f"{AT}: The image “who-we-are.md” must be a file of this site."],
    ),
    # Markup that is typed in another way than Markdown reads it.
    "prose that would be code": (
        add(MISSING, "    我们呼吁释放他。"),
        [
            (
                f"{MISSING_AT}: Four spaces or a tab at its start make this line code: "
                "delete them. Put real code between two lines of ```."
            )
        ],
    ),
    "full-width marks in a note": (
        add(MISSING, "一\n\n> 引文\n> ［文字］（verify.md）"),
        [
            (
                f"{MISSING}:{lines(MISSING) + 5}: “［文字］（verify.md）” would appear as typed: "
                "write [text](address) with half-width brackets."
            )
        ],
    ),
    "mistake in the second line of a note": (
        both(
            "pages/errors/404.md",
            lambda file: add(file, "> [!NOTE 2026-11-22]\n> one\n> [x](http://example.org/)"),
        ),
        [
            f"{file}:{lines(file) + 4}: “http://example.org/” must use https, like every link "
            "to another site."
            for file in ("en/pages/errors/404.md", MISSING)
        ],
    ),
    # The former site.
    "link to the former site": (
        add(VERIFY, "[x](https://www.cfcr2008.org/)"),
        [f"{AT}: Links to the former site are not allowed.", f"{AT}: {DEFANG}"],
    ),
    "link to a subdomain of the former site": (
        add(VERIFY, "[x](https://user@blog.cfcr2008.org.:443/)"),
        [f"{AT}: Links to the former site are not allowed.", f"{AT}: {DEFANG}"],
    ),
    "link to the former site in capitals": (
        add(VERIFY, "[x](https://CFCR2008.ORG)"),
        [f"{AT}: Links to the former site are not allowed.", f"{AT}: {DEFANG}"],
    ),
    "link to the former site by entity": (
        add(VERIFY, "[x](https://cfcr2008&#46;org/)"),
        [f"{AT}: Links to the former site are not allowed."],
    ),
    "link to the former site by per cent": (
        add(VERIFY, "[x](https://cfcr2008%2Eorg/)"),
        [
            (
                f"{AT}: “https://cfcr2008%2Eorg/” is not a valid URL: "
                "“cfcr2008%2Eorg” is not a host name."
            )
        ],
    ),
    "link to the former site by a Chinese full stop": (
        add(VERIFY, "[x](https://cfcr2008。org/)"),
        [f"{AT}: Links to the former site are not allowed."],
    ),
    "former site in a text": (
        add(MISSING, "一\nwww.Cfcr2008.org"),
        [f"{MISSING}:{lines(MISSING) + 3}: {DEFANG}"],
    ),
    "former site in a head": (
        replace_once(VERIFY, 'title = "How to verify"', 'title = "On cfcr2008.org"'),
        [f"{VERIFY}:2: {DEFANG}"],
    ),
    "former site in a catalogue": (
        replace_once(f"en/{CATALOGUE}", '"Skip to the text"', '"Skip cfcr2008.org"'),
        [f"en/{CATALOGUE}:18: {DEFANG}"],
    ),
    "former site in the facts": (
        replace_once("site.toml", "# Facts", "# Not www.cfcr2008.org. Facts"),
        [f"site.toml:1: {DEFANG}"],
    ),
    # The words of the interface.
    "string not translated": (
        replace_once(f"zh_Hans/{CATALOGUE}", '"跳到正文"', '""'),
        [f"zh_Hans/{CATALOGUE}:17: “skip.to_content” is not translated."],
    ),
    "string fuzzy": (
        replace_once(f"zh_Hans/{CATALOGUE}", 'msgid "skip.to', '#, fuzzy\nmsgid "skip.to'),
        [
            (
                f"zh_Hans/{CATALOGUE}:18: “skip.to_content” is marked fuzzy: "
                "correct the translation and remove the mark."
            )
        ],
    ),
    "string missing": (
        replace_once(f"zh_Hans/{CATALOGUE}", 'msgid "note.title"\nmsgstr "编者注，%(date)s"\n', ""),
        [f"zh_Hans/{CATALOGUE}:1: “note.title” is missing: {NOTE_TITLE} uses it."],
    ),
    "string used nowhere": (
        both(CATALOGUE, lambda file: add(file, 'msgid "old"\nmsgstr "old"')),
        [
            f"{file}:{lines(file) + 2}: “old” is not used: remove it."
            for file in (f"en/{CATALOGUE}", f"zh_Hans/{CATALOGUE}")
        ],
    ),
    "placeholder differs": (
        replace_once(f"zh_Hans/{CATALOGUE}", "编者注，%(date)s", "编者注，%(day)s"),
        [
            (
                f"zh_Hans/{CATALOGUE}:143: “note.title” has the placeholders ['day'] here, "
                "but ['date'] in en."
            )
        ],
    ),
    "page with the template of statements": (
        both(
            "pages/reach-us.md",
            lambda file: replace_once(
                file, "\nnavigation = ", '\ntemplate = "statement"\nnavigation = '
            ),
        ),
        [
            f"{locale}/pages/reach-us.md:5: There is no template “statement”: "
            "choose addresses, copies, home, page, statements, verify."
            for locale in ("en", "zh_Hans")
        ],
    ),
    "error page in the menu": (
        both(
            "pages/errors/404.md",
            lambda file: replace_once(file, "\nupdated = ", "\nnavigation = 9\nupdated = "),
        ),
        [
            f"{locale}/pages/errors/404.md:4: An error page cannot be in the menu: "
            "delete this line."
            for locale in ("en", "zh_Hans")
        ],
    ),
    "per cent sign": (
        replace_once(f"zh_Hans/{CATALOGUE}", '"跳到正文"', '"100% 跳到正文"'),
        [
            (
                f"zh_Hans/{CATALOGUE}:17: “skip.to_content” has a “%” that begins no placeholder: "
                "write %%."
            )
        ],
    ),
    "per cent sign that is doubled": (
        replace_once(f"zh_Hans/{CATALOGUE}", '"跳到正文"', '"100%% 跳到正文"'),
        [],
    ),
    # What a statement demands, and what has happened since.
    "demand too wide": (
        replace_once(f"en/{UNDATED}", '"Release Liu Xiaobo"', f'"{"x" * 45}"'),
        [f"en/{UNDATED}:6: “{'x' * 45}” is 45 columns wide: shorten it to 44."],
    ),
    "demand too wide in Chinese": (
        replace_once(f"zh_Hans/{UNDATED}", '"释放刘晓波"', f'"{"释" * 23}"'),
        [f"zh_Hans/{UNDATED}:6: “{'释' * 23}” is 46 columns wide: shorten it to 44."],
    ),
    "too many demands": (
        both(
            UNDATED,
            lambda file: replace_once(file, "demands = [", 'demands = ["1", "2", '),
        ),
        [
            f"{locale}/{UNDATED}:6: There are 4 demands: choose or join 3 of them."
            for locale in ("en", "zh_Hans")
        ],
    ),
    "demand missing in Chinese": (
        replace_once(f"zh_Hans/{UNDATED}", '"释放刘晓波", ', ""),
        [f"zh_Hans/{UNDATED}:6: “demands” has 1 texts here, but 2 in translations/en/{UNDATED}."],
    ),
    "demand in English on a Chinese page": (
        replace_once(
            f"zh_Hans/{UNDATED}", '["释放刘晓波"', '["Release him from prison, as law demands"'
        ),
        [
            (
                f"zh_Hans/{UNDATED}:6: This is in Latin script, but this folder's texts are in "
                "zh-Hans: translate it, or make it a quotation with > if it is the original "
                "wording."
            )
        ],
    ),
    "since without a year": (
        both(UNDATED, lambda file: replace_once(file, "demands = [", 'since = "2"\ndemands = [')),
        [
            f"{locale}/{UNDATED}:6: “since” must say what has happened since, and in which "
            "year: add it."
            for locale in ("en", "zh_Hans")
        ],
    ),
    "open too wide": (
        replace_once(f"en/{DATED}", 'open = "', 'open = "xxxx'),
        [
            (
                f"en/{DATED}:13: “xxxxThe other demands. As of November 2026 the editors "
                "know of no answer.” is 73 columns wide: shorten it to 72."
            )
        ],
    ),
    "unknown person": (
        both(DATED, lambda file: replace_once(file, '["liu-xiaobo"]', '["liu-xia"]')),
        [
            f"{locale}/{DATED}:12: “people” names {{#liu-xia}}, but no name card is below such a "
            "heading: add one."
            for locale in ("en", "zh_Hans")
        ],
    ),
    "card without what has happened since": (
        both(UNDATED, lambda file: add(file, "> [!PERSON]\n> 刘霞")),
        [
            f"{locale}/{UNDATED}:{lines(f'{locale}/{UNDATED}') + 3}: The last paragraph of a card "
            "must say what has happened since, and in which year: add it."
            for locale in ("en", "zh_Hans")
        ],
    ),
    "card below no named heading": (
        both(
            DATED,
            lambda file: replace_once(
                file, '"\n+++\n', '"\n+++\n> [!PERSON]\n> 刘霞\n>\n> 2018\n\n'
            ),
        ),
        [
            f"{locale}/{DATED}:16: A name card must be below a heading with a name, such as "
            "{#li-lin}."
            for locale in ("en", "zh_Hans")
        ],
    ),
    "catalogue missing": (
        remove(f"zh_Hans/{CATALOGUE}"),
        [f"zh_Hans/{CATALOGUE}:1: The file is missing."],
    ),
    "catalogue broken": (
        replace_once(f"zh_Hans/{CATALOGUE}", 'msgstr "跳到正文"', "msgstr 跳到正文"),
        [f"zh_Hans/{CATALOGUE}:18: The string must be in quotation marks."],
    ),
    "line of no catalogue": (
        replace_once(f"zh_Hans/{CATALOGUE}", 'msgstr "跳到正文"', 'string "跳到正文"'),
        [
            (
                f"zh_Hans/{CATALOGUE}:18: This line is not part of a catalogue: "
                "an entry has a msgid and a msgstr."
            )
        ],
    ),
    "catalogue not UTF-8": (
        put(f"zh_Hans/{CATALOGUE}", 'msgid "a"\nmsgstr "公"\n'.encode("gb18030")),
        [f"zh_Hans/{CATALOGUE}:2: The file is not UTF-8 (byte 19): save it as UTF-8."],
    ),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the real texts, to be broken."""
    return copy_texts(tmp_path)


@pytest.mark.parametrize(("change", "problems"), CASES.values(), ids=CASES)
def test_a_broken_rule_is_reported_with_file_line_and_remedy(
    tmp_path: Path, change: TreeChange, problems: list[str]
) -> None:
    """A tree with one change reports exactly the expected problems."""
    assert problems_after(change, tmp_path) == problems


def test_the_real_texts_have_no_problems(tree: Path) -> None:
    """The real texts break no rule, wherever they are."""
    assert problems_of(tree) == []


def test_all_problems_are_reported_at_once(tree: Path) -> None:
    """Problems of several kinds and files are in one list, sorted by file and line."""
    remove(f"zh_Hans/{CATALOGUE}")(tree)
    add(VERIFY, "<b>\n\n![](/RELEASE.json)")(tree)
    add("en/pages/who-we-are.md", "[x](http://example.org/)")(tree)
    assert [line.split(": ")[0] for line in problems_of(tree)] == [
        AT,
        f"{VERIFY}:{lines(VERIFY) + 4}",
        f"en/pages/who-we-are.md:{lines('en/pages/who-we-are.md') + 2}",
        f"zh_Hans/{CATALOGUE}:1",
    ]


def test_a_repeated_mistake_in_a_line_is_reported_once(tree: Path) -> None:
    """Two mistakes of a kind in one line are one problem."""
    add(VERIFY, "<b> <i>")(tree)
    assert problems_of(tree) == [f"{AT}: Raw HTML is not allowed: use Markdown."]


@pytest.mark.parametrize("name", [VERIFY, "site.toml", "names.toml", "photos.toml"])
def test_a_byte_order_mark_is_accepted(tree: Path, name: str) -> None:
    """A file that an editor started with a byte order mark is read like any other."""
    file = tree / name
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert problems_of(tree) == []


@pytest.mark.parametrize("command", ["check", "build"])
def test_what_is_no_regular_file_is_named_and_not_opened(
    tree: Path, tmp_path: Path, command: str
) -> None:
    """A named pipe would block when it is opened, a device can have no end."""
    files = (VERIFY, f"zh_Hans/{CATALOGUE}", "names.toml", "photos/a.jpg")
    pipes = [tree / file for file in files]
    for pipe in pipes:
        pipe.parent.mkdir(exist_ok=True)
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe)
    (tree / "en/pages/zero.md").symlink_to("/dev/zero")
    out = ["--out", str(tmp_path / "release")] if command == "build" else []
    said = failure(command, "--translations", tree, *out).splitlines()
    wrong = "The file cannot be read: it is a named pipe, a socket or a device."
    named = {line.removesuffix(f":1: {wrong}") for line in said if wrong in line}
    assert named == {f"translations/{file}" for file in (*files[:-1], "en/pages/zero.md")}
    assert (
        "translations/photos/a.jpg:1: “a.jpg” cannot be read: "
        "it is a named pipe, a socket or a device."
    ) in said
