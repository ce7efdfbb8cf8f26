"""Titles, descriptions and places in another script, wherever they appear (``templates/``)."""

from __future__ import annotations

import io
import re
import zipfile

import pytest
from support.texts import copy_texts, replace_once

from cccr_web.config import find_tree
from cccr_web.languages import EN, WRITTEN
from cccr_web.render import build_release
from cccr_web.render.copies import epub_url, single_url

RALLY = "statements/2013-05-07-tiananmen-rally"
# In front matter, and as HTML.
TITLE = "ئۇيغۇر 1989 تىل & 六四"
MARKED = '<bdi lang="ug" dir="rtl">ئۇيغۇر 1989 تىل</bdi> &amp; <span lang="zh-Hans">六四</span>'
ESCAPED = "ئۇيغۇر 1989 تىل &amp; 六四"
WORDS = {"description": "In 한국 2008 말, again.", "place": "ལྷ་ས", "short_title": "ཞིབ་བཤེར"}
IN_HTML = {
    "description": 'In <span lang="ko">한국 2008 말</span>, again.',
    "place": '<span lang="bo">ལྷ་ས</span>',
    "short_title": '<span lang="bo">ཞིབ་བཤེར</span>',
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The text files of a release with such a statement and page, and those in its EPUB."""
    tree = copy_texts(tmp_path_factory.mktemp("titles"))
    page, rally = "en/pages/verify.md", f"en/{RALLY}.md"
    replace_once(page, "How to verify", TITLE)(tree)
    replace_once(page, '"Verify"', f'"{WORDS["short_title"]}"')(tree)
    replace_once(rally, "Rally: Remember the Tiananmen Square Democracy Movement", TITLE)(tree)
    replace_once(rally, '"United Nations Square"', f'"{WORDS["place"]}"')(tree)
    text = (tree / rally).read_text(encoding="utf-8")
    before, _, rest = text.partition('description = "')
    rest = f'{before}description = "{WORDS["description"]}"\n' + rest.partition('"\n')[2]
    (tree / rally).write_text(rest, encoding="utf-8")
    # The description is shown where a statement names no demands.
    for language in WRITTEN:
        file = tree / language.locale / f"{RALLY}.md"
        text = file.read_text(encoding="utf-8")
        file.write_text(re.sub(r"(?ms)^demands = .*?\]\n", "", text), encoding="utf-8")
    made = build_release(tree, find_tree("templates")).files
    found = {
        path: file.body.decode() for path, file in made.items() if path.endswith((".html", ".xml"))
    }
    with zipfile.ZipFile(io.BytesIO(made[epub_url(EN)].body)) as book:
        names = [name for name in book.namelist() if name.endswith((".xhtml", ".ncx"))]
        return found | {name: book.read(name).decode() for name in names}


@pytest.mark.parametrize(
    ("path", "html"),
    [
        ("en/verify.html", f"<h1>{MARKED}</h1>"),
        (f"en/{RALLY}.html", f"<h1>{MARKED}</h1>"),
        (f"en/{RALLY}.html", f" · {IN_HTML['place']}</p>"),
        (f"en/{RALLY}.html", f'<a href="../verify.html">{IN_HTML["short_title"]}</a>'),
        ("en/index.html", f'<a href="verify.html">{MARKED}</a>'),
        ("en/index.html", f'<a href="{RALLY}.html">{MARKED}</a>'),
        ("en/index.html", f" · {IN_HTML['place']}</p>"),
        ("en/index.html", f"<p>{IN_HTML['description']}</p>"),
        ("en/statements/index.html", f">{MARKED}</a>"),
        (single_url(EN), f'<a href="#en/verify">{MARKED}</a>'),
        (single_url(EN), f"<h2>{MARKED}</h2>"),
        ("en/feed.xml", f" · {IN_HTML['place']}</p>"),
        ("EPUB/nav.xhtml", f'<a href="text/verify.xhtml">{MARKED}</a>'),
        ("EPUB/text/verify.xhtml", f"<h1>{MARKED}</h1>"),
    ],
)
def test_words_in_another_script_are_marked_as_in_running_text(
    files: dict[str, str], path: str, html: str
) -> None:
    """In headings, links, menus and contents, each run has its language and direction."""
    assert html in files[path]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (f"en/{RALLY}.html", f"<title>{ESCAPED} · "),
        (f"en/{RALLY}.html", f'<meta property="og:title" content="{ESCAPED}">'),
        (f"en/{RALLY}.html", f'<meta name="description" content="{WORDS["description"]}">'),
        ("en/feed.xml", f"<title>{ESCAPED}</title>"),
        ("en/feed.xml", f"<summary>{WORDS['description']}\n"),
        ("EPUB/toc.ncx", f"<text>{ESCAPED}</text>"),
        ("EPUB/text/verify.xhtml", f"<title>{ESCAPED}</title>"),
    ],
)
def test_plain_text_stays_plain(files: dict[str, str], path: str, text: str) -> None:
    """Attributes, titles of documents and the feed's own texts can hold no markup."""
    assert text in files[path]


def test_no_title_is_left_unmarked(files: dict[str, str]) -> None:
    """In the body of every page in another language, the title has its marks wherever it is."""
    seen = 0
    for path, text in files.items():
        if path.startswith("en/") and path.endswith(".html"):
            body = text.partition("<body>")[2]
            assert ESCAPED not in body, path
            seen += body.count(MARKED)
    assert seen > 5
