"""Traditional Chinese, made of the Simplified (``render/traditional.py``)."""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from support.pages import SHARED, Element
from support.pages import parse as parse_page
from support.texts import copy_texts

from cccr_web.config import find_tree
from cccr_web.content import SourceTree
from cccr_web.content.body import Parsed
from cccr_web.content.catalogue import load_translations
from cccr_web.content.markdown import parse
from cccr_web.content.site import read_names
from cccr_web.languages import ZH_HANS, ZH_HANT
from cccr_web.release import Release
from cccr_web.render import build_release
from cccr_web.render.copies import epub_url, single_url
from cccr_web.render.html import TextRenderer, mark_languages
from cccr_web.render.segmentation import terms
from cccr_web.render.template_renderer import feed_url
from cccr_web.render.traditional import convert_tokens, converter, kept_names, site_converter

NAMES, _ = read_names(SourceTree(find_tree("translations")))
LABEL = "本頁由程式從簡體自動轉換"

# Text next to everything else that a file may contain.
HARD = """+++
title = "余杰与软件"
description = "岳昕发布了声明。"
updated = 2026-11-22
date = "2014-06-04"
place = "联合国广场"
+++
游精佑说：**网络**和`code 网络`，见[《我们是谁》](../pages/who-we-are.md#former-site)、
[外面](https://example.org/网络)。

于浩成住在余
杰家。郭于华和范木根也在，还有余华。

```
内容 = 网络
```

| 头发 | 发现 |
|---|---|
| 里面 | 公里 |

## 后来 {#later}

> [!NOTE 2026-11-22]
> 皇后在后面。

> [!ORIGINAL zh-Hans]
> “网络”和里面的[头发]{lang=ja}、`网络`。
"""
IN_ENGLISH = """+++
title = "A test"
description = "A test of conversion."
updated = 2026-11-22
date = "2014-06-04"
place = "United Nations Square"
+++
Words.

## Later {#later}

> [!NOTE 2026-11-22]
> A note.
"""


@pytest.fixture(scope="module")
def hard_release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """A release with a page that is hard to convert."""
    tree = copy_texts(tmp_path_factory.mktemp("hard"))
    for locale, text in (("zh_Hans", HARD), ("en", IN_ENGLISH)):
        (tree / locale / "statements" / "2014-06-04-hard.md").write_text(text, encoding="utf-8")
    return build_release(tree, find_tree("templates"))


@pytest.fixture(scope="module")
def hard(hard_release: Release) -> str:
    """The page."""
    return hard_release.files["zh-hant/statements/2014-06-04-hard.html"].body.decode()


CORPUS = [
    tuple(line.split("\t"))
    for line in Path(__file__).with_suffix(".tsv").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


def test_words_and_sentences_are_converted_as_their_sources_have_them() -> None:
    """Every row of the corpus is converted as its dictionary or publisher writes it."""
    assert len(CORPUS) >= 950
    assert len({simplified for simplified, *_ in CORPUS}) == len(CORPUS)
    convert = converter(NAMES)
    wrong = {
        simplified: (convert(simplified), traditional)
        for simplified, traditional, _source in CORPUS
        if convert(simplified) != traditional
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("余**杰**和*于*浩成", "余<strong>杰</strong>和<em>于</em>浩成"),
        ("一**个**中国", "一<strong>個</strong>中國"),
        ("头**发**、发*展*", "頭<strong>髮</strong>、發<em>展</em>"),
        ("头`x`发", "頭<code>x</code>發"),
        ("阿不都·**热西提**", "阿不都·<strong>热西提</strong>"),
        ("[东京国会]{lang=ja}国会", '<span lang="ja">东京国会</span>國會'),
    ],
)
def test_markup_splits_no_name_and_no_word(markdown: str, html: str) -> None:
    """A paragraph is converted as a whole, except code and words in another language."""
    convert = converter({**NAMES, "阿不都·热西提": "阿不都·热西提"})
    body = parse(markdown)
    converted = Parsed(tuple(convert_tokens(body.tokens, convert)), ())
    body = replace(body, load=lambda: converted)
    assert TextRenderer(str).page(body) == f"<p>{html}</p>\n"


@pytest.mark.parametrize(
    ("names", "text", "converted"),
    [
        ({"阿不都·热西提": "阿不都·熱西提"}, "阿不都·热西提说", "阿不都·熱西提說"),
        ({"李□□": "李□□", "于××": "于××"}, "于××与李□□", "于××與李□□"),
        ({"余\U00030edd": "余\U00030edd"}, "余\U00030edd说", "余\U00030edd說"),
        ({"余葛": "余葛"}, "余葛\U000e0100说", "余葛\U000e0100說"),
        ({"刘葛\U000e0100": "劉葛\U000e0100"}, "刘葛说", "劉葛\U000e0100說"),
    ],
)
def test_a_name_of_every_kind_takes_its_listed_form(
    names: dict[str, str], text: str, converted: str
) -> None:
    """A name can have dots, redacted or rare characters, and variation selectors."""
    assert converter(names)(text) == converted


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("余杰", "余杰"),
        ("于浩成", "于浩成"),
        ("郭于华", "郭于華"),
        ("范木根", "范木根"),
        ("岳昕", "岳昕"),
        ("游精佑", "游精佑"),
    ],
)
def test_a_listed_name_is_not_guessed(name: str, form: str) -> None:
    """A listed name takes its form between converted text; unlisted, it would be another."""
    assert converter(NAMES)(f"网络上，{name}说过这个词") == f"網絡上，{form}說過這個詞"
    assert converter({})(name) != form


def test_a_name_takes_its_listed_form() -> None:
    """A name is written as on the right side of the list."""
    convert = converter({"刘霞": "劉霞", "刘霞客": "刘霞客"})
    assert convert("刘霞与刘霞客，刘晓波") == "劉霞與刘霞客，劉曉波"


def test_characters_follow_taiwans_standard() -> None:
    """Without terms only characters are converted, and no word is replaced."""
    assert converter(NAMES)("这里的软件、网络、群众，里面为什么干净") == (
        "這裡的軟件、網絡、群眾，裡面為什麼乾淨"
    )


@pytest.mark.parametrize(
    ("text", "in_statements", "on_the_site"),
    [
        ("网络自由、软件和服务器", "網路自由、軟體和伺服器", "網路自由、軟體和伺服器"),
        ("网络审查的链接", "網路審查的連結", "網路審查的連結"),
        ("司法程序的文件", "司法程序的文件", "司法程式的檔案"),
        ("文件夹和文件名", "資料夾和文件名", "資料夾和檔名"),
        ("扫描二维码，看博客", "掃描QR碼，看部落格", "掃描QR碼，看部落格"),
        ("官方地址和网络地址", "官方地址和網路位址", "官方網址和網路位址"),
        ("不运行脚本", "不運行腳本", "不執行指令碼"),
        ("您的IP地址和域名", "您的IP位址和網域名稱", "您的IP位址和網域名稱"),
        ("另存为“网页，仅HTML”", "另存為「網頁，僅HTML」", "另存為「網頁，只存HTML」"),
    ],
)
def test_taiwans_terms_replace_others(text: str, in_statements: str, on_the_site: str) -> None:
    """A term is replaced also within a word; one of several meanings, only on the site."""
    assert converter(NAMES, terms("statements"))(text) == in_statements
    assert site_converter(NAMES)(text) == on_the_site


def test_every_term_is_replaced() -> None:
    """No term is out of reach, because it has other letters or another term has its words."""
    convert = site_converter({})
    found = {term: convert(f"看{term}，") for term in terms("site")}
    assert found == {term: f"看{form}，" for term, form in terms("site").items()}


def test_quotation_marks_are_those_of_traditional_chinese() -> None:
    """Double and single marks become corner brackets; an apostrophe stays."""
    assert converter({})("“他说‘不’”，Workers’ Day") == "「他說『不』」，Workers’ Day"


def test_a_name_that_nobody_can_write_in_traditional_is_marked() -> None:
    """With the same on both sides it stays; marked, unless Traditional has its characters."""
    names = {"刘某某": "刘某某", "余杰": "余杰", "陈某": "陳某"}
    assert kept_names(names) == ("刘某某",)
    kept = kept_names(names)
    html = mark_languages(converter(names)("刘某某、余杰和陈某"), None, kept)
    assert html == '<span lang="zh-Hans">刘某某</span>、余杰和陳某'


# Characters of GB 2312 that Big5 does not have, and some that Big5 has for another, rare word.
SIMPLIFIED = {
    char
    for row in range(0xB0, 0xF8)
    for cell in range(0xA1, 0xFF)
    for char in bytes((row, cell)).decode("gb2312", "ignore")
    if not char.encode("big5", "ignore")
} | {*"与个万体么党冲价广厂尽虫听适胜蜡证"}
# The attributes that readers see or hear.
SHOWN = {"alt", "aria-label", "content", "title"}


def simplified_on(element: Element, lang: str = "") -> list[str]:
    """Return the texts of a page in Traditional Chinese that have Simplified characters."""
    lang = element.attributes.get("lang", lang)
    texts = [value for name, value in element.attributes.items() if name in SHOWN]
    texts += [child for child in element.children if isinstance(child, str)]
    wrong = [text for text in texts if lang == "zh-Hant" and {*text} & SIMPLIFIED]
    parts = (child for child in element.children if isinstance(child, Element))
    return wrong + [text for part in parts for text in simplified_on(part, lang)]


def test_a_traditional_page_is_entirely_traditional(
    every_page: dict[str, Element], release: Release
) -> None:
    """No text, title, description or code has a Simplified character that is not marked."""
    traditional = {path: page for path, page in every_page.items() if path.startswith("zh-hant/")}
    assert len(traditional) >= 11
    for path, page in {**traditional, **{path: every_page[path] for path in SHARED}}.items():
        assert simplified_on(page) == [], path
    book = io.BytesIO(release.files[epub_url(ZH_HANT)].body)
    with zipfile.ZipFile(book) as archive:
        for name in archive.namelist():
            if name.endswith(".png"):
                continue
            text = archive.read(name).decode()
            marked = r'(?s)<(\w+)[^>]* lang="(?!zh-Hant).*?</\1>'
            assert not {*re.sub(marked, "", text)} & SIMPLIFIED, name


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("公民自由聯盟</h1>", "公民自由联盟</h1>"),
        ('<meta name="description" content="', '<meta name="description" content="组织'),
        ("</main>", "<pre><code>文件夹</code></pre></main>"),
        ("</main>", '<p lang="zh-Hans">无<span lang="zh-Hant">无</span></p></main>'),
    ],
)
def test_an_unmarked_simplified_character_is_found(release: Release, old: str, new: str) -> None:
    """One in a heading, a description, a code sample or within marked words is enough."""
    page = release.files["zh-hant/who-we-are.html"].body.decode()
    page = page.replace("<h1>關於我們</h1>", "<h1>公民自由聯盟</h1>")
    assert simplified_on(parse_page(page.encode())) == []
    assert page.count(old) == 1
    assert len(simplified_on(parse_page(page.replace(old, new).encode()))) == 1


def test_every_simplified_page_has_a_traditional_one(every_page: dict[str, Element]) -> None:
    """A Traditional page has the links and headings of the Simplified one."""
    paths = {path.partition("/")[2] for path in every_page if path.startswith("zh-hans/")}
    paths -= {"cccr-zh-hans.html"}
    assert "statements/2013-05-07-tiananmen-rally.html" in paths
    for path in paths:
        one, other = (every_page[f"{slug}/{path}"].one("main") for slug in ("zh-hans", "zh-hant"))
        if path == "copies.html":
            continue  # Each language's own copies come first.
        label = [link for part in other.all("p", class_="derived") for link in part.all("a")]
        for tag, attribute in (("h2", "id"), ("h3", "id"), ("a", "href")):
            ours, theirs = (
                [one.attributes.get(attribute, "") for one in part.all(tag) if one not in label]
                for part in (one, other)
            )
            # Error pages are shown anywhere, so their links begin at the root.
            assert [value.replace("/zh-hans/", "/zh-hant/") for value in ours] == theirs


def test_every_name_has_its_form_on_each_page(
    release: Release, every_page: dict[str, Element]
) -> None:
    """The form of each listed name is on a page as often as the name on the Simplified one."""
    seen = set()
    for path, page in every_page.items():
        if path.startswith("zh-hant/"):
            simplified = path.replace("zh-hant", "zh-hans")
            for name, form in NAMES.items():
                count = page.text.count(form)
                seen |= {form} if count else set()
                assert count >= every_page[simplified].text.count(name), f"{name} on {path}"
    assert {"劉曉波", "陳光誠", "崔永祿", "鄭京華", "公民自由聯盟"} <= seen
    book = io.BytesIO(release.files[epub_url(ZH_HANT)].body)
    with zipfile.ZipFile(book) as archive:
        text = archive.read("EPUB/text/statements/2013-05-07-tiananmen-rally.xhtml").decode()
    assert "崔永祿" in text
    assert "聯合國廣場" in text


def test_only_traditional_pages_say_that_they_were_converted(
    every_page: dict[str, Element],
) -> None:
    """Each Traditional page has a label and links to the Simplified one."""
    for path, page in every_page.items():
        labels = page.all("p", class_="derived")
        if path in SHARED:
            (label,) = labels
            assert label.one("a").attributes["href"] == "#zh-hans"
        elif "/cccr-zh-hant" in path:
            # It can be alone, so it links to no other file.
            assert all(label.all("a") == [] for label in labels)
            assert labels
        elif path.startswith("zh-hant/"):
            (label,) = labels
            assert label.text.startswith(LABEL)
            link = label.one("a").attributes
            assert link["hreflang"] == "zh-Hans"
            target = posixpath.join(posixpath.dirname(path), link["href"])
            simplified = path.replace("zh-hant", "zh-hans")
            assert posixpath.normpath(target).lstrip("/") == simplified
        else:
            assert labels == []


def test_every_chapter_says_that_it_was_converted(release: Release) -> None:
    """Each chapter has the label, but no book to link to."""
    with zipfile.ZipFile(io.BytesIO(release.files[epub_url(ZH_HANT)].body)) as archive:
        chapters = [name for name in archive.namelist() if name.startswith("EPUB/text/")]
        assert len(chapters) > 5
        for name in [*chapters, "EPUB/front.xhtml"]:
            assert LABEL in archive.read(name).decode()


def test_the_catalogue_is_converted(every_page: dict[str, Element]) -> None:
    """Interface strings are converted, and their placeholders stay."""
    tree = SourceTree(find_tree("translations"))
    simplified = load_translations(tree, "zh_Hans")
    converted = load_translations(tree, "zh_Hans", converter(NAMES))
    assert simplified.gettext("languages.label") == "语言"
    assert converted.gettext("languages.label") == "語言"
    assert "%(date)s" in converted.gettext("page.updated")
    assert every_page["zh-hant/index.html"].one("a", class_="skip").text == "跳到正文"
    assert not (tree.folder / ZH_HANT.locale).exists()
    assert ZH_HANT.source is ZH_HANS


def test_only_text_is_converted(hard: str) -> None:
    """Text, titles, descriptions and code change; URLs, names and original wording do not."""
    for words in (
        "<h1>余杰與軟體</h1>",
        '<meta name="description" content="岳昕發布了聲明。">',
        " · 聯合國廣場</p>",
        "游精佑說：<strong>網路</strong>和<code>code 網路</code>",
        '<a href="../who-we-are.html#former-site">《我們是誰》</a>',
        ">外面</a>",
        "<pre><code>內容 = 網路\n</code></pre>",
        "<th>頭髮</th>",
        "<th>發現</th>",
        "<td>裡面</td>",
        "<td>公里</td>",
        '<h2 id="later">後來</h2>',
        "<p>皇后在後面。</p>",
        ">編者註，2026年11月22日</p>",
        '<figcaption class="by">最初發表的原文：簡體中文</figcaption>',
        (
            '<blockquote lang="zh-Hans">\n<p>“网络”和里面的<span lang="ja">头发</span>、'
            "<code>网络</code>。</p>"
        ),
    ):
        assert words in hard
    assert re.search(r'href="https://example\.org/(网络|%E7%BD%91%E7%BB%9C)"', hard)


def test_original_wording_is_the_same_in_every_copy(hard_release: Release) -> None:
    """The feed, the book and the single file have the label and the unchanged words."""
    with zipfile.ZipFile(io.BytesIO(hard_release.files[epub_url(ZH_HANT)].body)) as archive:
        chapter = archive.read("EPUB/text/statements/2014-06-04-hard.xhtml")
    others = (hard_release.files[url].body for url in (feed_url(ZH_HANT), single_url(ZH_HANT)))
    for body in (chapter, *others):
        assert "最初發表的原文：簡體中文</figcaption>" in body.decode()
        assert '<blockquote lang="zh-Hans">\n<p>“网络”和里面的' in body.decode()


def test_a_name_across_a_line_end_is_found(hard: str) -> None:
    """A name that a line break splits is still a name."""
    assert "于浩成住在余杰家。郭于華和范木根也在，還有餘華。" in hard


def test_a_build_writes_nothing_into_the_texts(tmp_path: Path) -> None:
    """The folder of texts is the same after a build."""
    tree = copy_texts(tmp_path)
    before = sorted(tree.rglob("*"))
    build_release(tree, find_tree("templates"))
    assert sorted(tree.rglob("*")) == before
