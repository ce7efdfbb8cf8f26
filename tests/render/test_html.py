"""A text as HTML (``render/html.py``)."""

from __future__ import annotations

import re
from datetime import date

import pytest

from cccr_web.content.links import ToFile
from cccr_web.content.markdown import parse
from cccr_web.render.html import TextRenderer, fill
from cccr_web.render.layout import PageLayout

LAYOUT = PageLayout("base.html", 1, lambda url, fragment: url + fragment)


def render(text: str, *, han_tag: str | None = "zh-Hans") -> str:
    """Render a text; its links and notes show what the callbacks received."""

    def note_title(day: date) -> str:
        return f"<Note> of {day}"

    return str(fill(TextRenderer(note_title, han_tag).page(parse(text), resolve), LAYOUT))


def resolve(target: str) -> ToFile:
    """Return the file of a release to which a link leads."""
    return ToFile(f"to/{target}")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a <b & c", "<p>a &lt;b &amp; c</p>\n"),
        ("*a* **b** `c<`", "<p><em>a</em> <strong>b</strong> <code>c&lt;</code></p>\n"),
        ("## A & b {#c}", '<h2 id="c">A &amp; b</h2>\n'),
        ("[a](b.md)", '<p><a href="to/b.md">a</a></p>\n'),
        ('[a](b.md "c")', '<p><a href="to/b.md">a</a></p>\n'),
        ('![a *b* \\"](c.png)', '<p><img src="to/c.png" alt="a b &quot;"></p>\n'),
        ("    a\n    <b>\n", "<pre><code>a\n&lt;b&gt;\n</code></pre>\n"),
        ("a\nb", "<p>a\nb</p>\n"),
        ("刘晓波 (Liu)", '<p><span lang="zh-Hans">刘晓波</span> (Liu)</p>\n'),
        ("《零八宪章》", '<p><span lang="zh-Hans">《零八宪章》</span></p>\n'),
        ("刘霞 (刘晓波) x", '<p><span lang="zh-Hans">刘霞 (刘晓波)</span> x</p>\n'),
        (
            "𮯰 or 阿不都·热西提",
            '<p><span lang="zh-Hans">𮯰</span> or <span lang="zh-Hans">阿不都·热西提</span></p>\n',
        ),
        ("東京タワー", '<p><span lang="ja">東京タワー</span></p>\n'),
        (
            "They ask: 言论自由，新闻自由、“网络自由”! So",
            '<p>They ask: <span lang="zh-Hans">言论自由，新闻自由、“网络自由</span>”! So</p>\n',
        ),
    ],
)
def test_english_text_is_escaped_and_chinese_is_marked(text: str, html: str) -> None:
    """Text is escaped, links are resolved, and Chinese characters get a language tag."""
    assert render(text) == html


@pytest.mark.parametrize(
    ("text", "html"),
    [("刘晓波", "<p>刘晓波</p>\n"), ("言论\n自由", "<p>言论自由</p>\n")],
)
def test_chinese_text_has_no_marks_or_line_breaks(text: str, html: str) -> None:
    """Chinese text is not marked, and a wrapped line leaves no space."""
    assert render(text, han_tag=None) == html


@pytest.mark.parametrize(
    "name",
    [
        "王○明",
        "李□□",
        "□晓波",
        "□·晓波",
        "伊×·□□",
        "阿不都·热西提",
        "阿不都•热西提",
        "阿不都・热西提",
        "余\U00030edd",
        "刘葛\U000e0100×",
    ],
)
def test_a_chinese_name_of_every_kind_is_one_run_in_english(name: str) -> None:
    """Neither a dot nor the sign for a redacted character splits it."""
    html = f'<p>a <span lang="zh-Hans">{name}</span> (2×3) b</p>\n'
    assert render(f"a {name} (2×3) b", han_tag="zh-Hans") == html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a ئۇيغۇر 1989 (تىل) b", 'a <bdi lang="ug" dir="rtl">ئۇيغۇر 1989 (تىل)</bdi> b'),
        (
            "(ئۇيغۇر) & تىل",
            '(<bdi lang="ug" dir="rtl">ئۇيغۇر</bdi>) &amp; <bdi lang="ug" dir="rtl">تىل</bdi>',
        ),
        ("ئىلھام 2014-يىلى توختى", '<bdi lang="ug" dir="rtl">ئىلھام 2014-يىلى توختى</bdi>'),
        ("在 2014-يىلى 年", '在 <bdi lang="ug" dir="rtl">2014-يىلى</bdi> 年'),
        ("ئۇيغۇر-خەنزۇ", '<bdi lang="ug" dir="rtl">ئۇيغۇر-خەنزۇ</bdi>'),
        ("ئىلھام, توختى. A", '<bdi lang="ug" dir="rtl">ئىلھام, توختى</bdi>. A'),
        ("تىل: خەت! ۋە/ياكى?", '<bdi lang="ug" dir="rtl">تىل: خەت! ۋە/ياكى</bdi>?'),
        ("ئىلھام–توختى; a", '<bdi lang="ug" dir="rtl">ئىلھام–توختى</bdi>; a'),
        ('צה"ל ב-2014', '<bdi lang="he" dir="rtl">צה&quot;ל ב-2014</bdi>'),
        ("한국, 말", '<span lang="ko">한국</span>, <span lang="ko">말</span>'),
        ("`ls ئىلھام-توختى <`", '<code>ls <bdi lang="ug" dir="rtl">ئىلھام-توختى</bdi> &lt;</code>'),
        ("`文件夹`", "<code>文件夹</code>"),
        ("x [فارسی]{lang=fa}", 'x <bdi lang="fa" dir="rtl">فارسی</bdi>'),
        ("שלום", '<bdi lang="he" dir="rtl">שלום</bdi>'),
        ("བོད་ཡིག", '<span lang="bo">བོད་ཡིག</span>'),
        ("한국 2008 말", '<span lang="ko">한국 2008 말</span>'),
        ("东京、とう 京", '东京、<span lang="ja">とう</span> 京'),
        ("[東京]{lang=ja}", '<span lang="ja">東京</span>'),
        ("**[東京]{lang=ja}**", '<strong><span lang="ja">東京</span></strong>'),
    ],
)
def test_words_in_another_script_have_their_language(text: str, html: str) -> None:
    """A run includes digits, blanks and brackets; from right to left, it is isolated."""
    assert render(text, han_tag=None) == f"<p>{html}</p>\n"


def test_words_in_a_code_block_have_their_language() -> None:
    """They are isolated, so that the rest of their line stays in its order."""
    assert render("```\nls تىل <\n```\n") == (
        '<pre><code>ls <bdi lang="ug" dir="rtl">تىل</bdi> &lt;\n</code></pre>\n'
    )
    assert render("> [!ORIGINAL ug]\n> `تىل`\n").count("lang=") == 1


def test_a_note_is_named_by_its_title() -> None:
    """An editor's note has its own element, which its escaped title names."""
    assert render("> [!NOTE 2026-11-22]\n> He died.\n") == (
        '<aside class="note" role="note" aria-labelledby="note.1">\n'
        '<p class="by" id="note.1">&lt;Note&gt; of 2026-11-22</p>\n'
        "<p>He died.</p>\n</aside>\n"
    )
    assert render("> [!NOTE 2026-11-22]\n>\n> He died.\n").count("<p>") == 1


def test_every_note_has_an_id_of_its_own() -> None:
    """The notes of a text are numbered, and the count begins again with each text."""
    two = "> [!NOTE 2026-11-22]\n> He died.\n\n> [!NOTE 2026-11-23]\n> She is free.\n"
    for html in (render(two), render(two)):
        assert re.findall(r'id="(.*?)"', html) == ["note.1", "note.2"]


def test_a_name_card_starts_with_the_name() -> None:
    """A name card has its own element, and so has the name."""
    card = "> [!PERSON]\n> 刘晓波\n>\n> Nobel Peace Prize 2010\n"
    opening = '<div class="card" role="group" aria-label="">\n'
    rest = "<p>Nobel Peace Prize 2010</p>\n</div>\n"
    name = '<div class="name">刘晓波</div>\n'
    assert render(card, han_tag=None) == opening + name + rest
    english = render(f"## Liu Xiaobo\n\n{card}", han_tag=None)
    assert english.endswith("</h2>\n" + opening + name + rest)
    # A name that follows the same heading would be read twice.
    chinese = render(f"## 刘晓波 {{#liu}}\n\n{card}", han_tag=None)
    assert chinese.endswith("</h2>\n" + opening + rest)


@pytest.mark.parametrize(
    ("text", "quotation"),
    [
        ("en]\n> a **b**\n> 刘霞 <c", 'lang="en">\n<p>a <strong>b</strong>\n刘霞 &lt;c</p>'),
        ("zh-Hans]\n> 言论\n> 自由 (a)", 'lang="zh-Hans">\n<p>言论自由 (a)</p>'),
        ("fa]\n> فارسی", 'lang="fa" dir="rtl">\n<p>فارسی</p>'),
    ],
)
def test_original_wording_is_quoted_in_its_language(text: str, quotation: str) -> None:
    """It is a figure with a label; its words are marked as a whole, and not one by one."""
    renderer = TextRenderer(str, "zh-Hans", original_title=lambda tag: f"<{tag}>")
    tag = text.partition("]")[0]
    assert renderer.page(parse(f"> [!ORIGINAL {text}\n\n刘霞\n")) == (
        f'<figure class="original">\n<figcaption class="by">&lt;{tag}&gt;</figcaption>\n'
        f"<blockquote {quotation}\n</blockquote>\n</figure>\n"
        '<p><span lang="zh-Hans">刘霞</span></p>\n'
    )


def test_a_line_below_a_heading_is_escaped() -> None:
    """The line for a named heading follows it, escaped."""
    marked = TextRenderer(str).page(
        parse("## A {#a}\n\n## B {#b}\n\n## C\n"),
        below_heading=lambda name: f"<{name}>" if name == "a" else "",
    )
    assert fill(marked, LAYOUT) == (
        '<h2 id="a">A</h2>\n<p class="facts">&lt;a&gt;</p>\n<h2 id="b">B</h2>\n<h2>C</h2>\n'
    )


def test_a_long_list_has_columns() -> None:
    """A list of nine or more items gets columns, whatever lists its items contain."""
    assert "columns" not in render("- a\n" * 8)
    assert render("- a\n" * 9).startswith('<ul class="columns">')
    assert "columns" not in render("- a\n" * 4 + "  - b\n" * 5)


def test_rendering_twice_gives_the_same_html() -> None:
    """Rendering does not change the text."""
    body = parse("- [a](b.md)\n" * 9 + "\n![a](b.png)\n")
    renderer = TextRenderer(str)
    assert renderer.page(body) == renderer.page(body)


def test_a_text_is_rendered_once_for_every_layout() -> None:
    """What a place decides is filled in later: levels, ids, links, photos and empty elements."""
    text = "## A {#a}\n\n---\n\n[b](c) [d](e)\n\n![](/photos/f.jpg)\n\n![g](h)\n"
    marked = TextRenderer(str).page(parse(text), resolve)
    assert fill(marked, LAYOUT) == (
        '<h2 id="a">A</h2>\n<hr>\n<p><a href="to/c">b</a> <a href="to/e">d</a></p>\n'
        'f.jpg\n<p><img src="to/h" alt="g"></p>\n'
    )
    links = {"to/c": None, "to/e": "?&", "to/h": "<.png"}
    book = PageLayout("", 6, lambda url, _: links[url], lambda name: f"<{name}>", xhtml=True)
    assert fill(marked, book, lambda name: f"<{name}/>") == (
        '<h6 id="&lt;a&gt;">A</h6>\n<hr />\n<p>b <a href="?&amp;">d</a></p>\n'
        '<f.jpg/>\n<p><img src="&lt;.png" alt="g" /></p>\n'
    )


def test_a_link_to_another_site_is_the_same_in_every_layout() -> None:
    """Its URL is escaped, and no layout is asked for it."""
    marked = TextRenderer(str).page(parse("[a](https://example.org/?b&c)"))
    assert marked == '<p><a href="https://example.org/?b&amp;c">a</a></p>\n'
