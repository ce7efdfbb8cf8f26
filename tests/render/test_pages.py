"""What every page of the built site has, and what none has (``templates/``, ``render/app.py``)."""

from __future__ import annotations

import base64
import hashlib
import itertools
import posixpath
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from support.headers import stored
from support.pages import Element, pages
from support.signed import organisation_key
from support.texts import texts_with_key

from cccr_web.config import find_tree
from cccr_web.content import Addresses, SourceTree, read_site
from cccr_web.content.reader import read_content
from cccr_web.languages import LANGUAGES
from cccr_web.release import ERROR_PAGES, Release
from cccr_web.render import build_release
from cccr_web.render.onion_code import grouped
from cccr_web.render.traditional import with_derived

DEFANGED = "hxxp://www[.]cfcr2008[.]org/"
# What not to do, and the reason.
WARNINGS = {
    "en": ("Do not open", "malicious code"),
    "zh-hans": ("请勿打开", "恶意代码"),
    "zh-hant": ("請勿打開", "惡意程式碼"),
}
# On most pages one line: what precedes the address, and the reason, which is a link.
WARNING_LINES = {
    "en": ("Do not open ", ": ", "hacked"),
    "zh-hans": ("请勿打开", "：", "曾遭入侵"),
    "zh-hant": ("請勿打開", "：", "曾遭入侵"),
}

TREE = SourceTree(find_tree("translations"))
SITE = read_site(TREE)[0]
WRITTEN, _ = read_content(TREE, SITE)
assert WRITTEN is not None
PATHS = sorted(
    text.url
    for texts in with_derived(WRITTEN).for_signers(policy=False).texts.values()
    for text in texts.values()
    if not text.is_error_page
)

# Where each language's pages may lead a reader outside, and nowhere else.
ALLOWED = {
    "https://gongminziyoulianmeng.blogspot.com/",
    "https://www.torproject.org/download/",
    "https://www.weather.com.cn/",
}


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> str:
    """The address of each page."""
    address: str = request.param
    return address


@pytest.fixture
def page(path: str, single_pages: dict[str, Element]) -> Element:
    """Each page in turn."""
    return single_pages[path]


def slug_of(path: str) -> str:
    """Return the language's slug, with which every path begins."""
    return path.partition("/")[0]


def test_a_release_has_a_page_for_each_text(single_pages: dict[str, Element]) -> None:
    """A release has no other pages."""
    assert sorted(single_pages) == PATHS


def test_a_page_declares_its_language(path: str, page: Element) -> None:
    """A page has its BCP 47 tag and the direction of its script."""
    tags = {language.slug: language.tag for language in LANGUAGES}
    root = page.one("html")
    assert root.attributes == {"lang": tags[slug_of(path)], "dir": "ltr"}


def test_a_page_has_title_description_charset_and_viewport(page: Element) -> None:
    """A page has these and a policy that sends no referrer."""
    head = page.one("head")
    assert head.one("title").text
    assert head.one("meta", name="description").attributes["content"].strip()
    metas = [element.attributes for element in head.all("meta")]
    assert metas[0] == {"charset": "utf-8"}
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in metas
    assert {"name": "referrer", "content": "no-referrer"} in metas
    assert {"name": "color-scheme", "content": "light dark"} in metas


def test_titles_and_descriptions_are_unique(single_pages: dict[str, Element]) -> None:
    """No two pages of a language have the same title or description."""
    for slug in (f"{language.slug}/" for language in LANGUAGES):
        heads = [page.one("head") for path, page in single_pages.items() if path.startswith(slug)]
        titles = [head.one("title").text for head in heads]
        words = [head.one("meta", name="description").attributes["content"] for head in heads]
        assert len(set(titles)) == len(titles)
        assert len(set(words)) == len(words)


def test_a_page_has_one_h1_and_skips_no_level(page: Element) -> None:
    """Each heading is at most one level below the heading before it."""
    levels = [int(el.name[1]) for el in page.walk() if re.fullmatch(r"h[1-6]", el.name)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(below <= above + 1 for above, below in itertools.pairwise(levels))


def test_a_page_has_each_landmark_once(page: Element) -> None:
    """Header, two named menus, main and footer appear once each, in order (WCAG 1.3.1)."""
    body = page.one("body")
    names = [child.name for child in body.children if isinstance(child, Element)]
    assert names == ["a", "header", "main", "footer"]
    labels = [nav.attributes["aria-label"] for nav in page.one("header").all("nav")]
    assert len(set(labels)) == 2
    assert page.one("main").one("h1").text


def test_the_first_keyboard_stop_skips_to_the_text(page: Element) -> None:
    """The first keyboard stop leads to the text (WCAG 2.4.1)."""
    first = page.one("body").all("a")[0]
    assert first.attributes == {"class": "skip", "href": "#main"}
    assert first.text
    assert page.one("main").attributes == {"id": "main"}


def test_a_page_names_its_alternates_in_every_language(path: str, page: Element) -> None:
    """The alternates include the page itself."""
    links = {
        link.attributes["hreflang"]: target(path, link.attributes["href"])
        for link in page.one("head").all("link", rel="alternate")
        if "hreflang" in link.attributes
    }
    rest = path.split("/", 1)[1]
    assert links == {language.tag: f"{language.slug}/{rest}" for language in LANGUAGES}


def test_the_language_switch_links_to_the_other_languages(path: str, page: Element) -> None:
    """Each other language is a plain link in its own name; the current one is marked."""
    here = slug_of(path)
    items = page.one("nav", class_="languages").all("li")
    for item, language in zip(items, LANGUAGES, strict=True):
        assert item.text == language.own_name
        if language.slug == here:
            assert item.one("span").attributes == {"lang": language.tag, "aria-current": "true"}
        else:
            link = item.one("a").attributes
            assert (link["lang"], link["hreflang"]) == (language.tag, language.tag)
            assert target(path, link["href"]) == f"{language.slug}/{path.split('/', 1)[1]}"


def test_the_menu_is_the_same_on_every_page(path: str, single_pages: dict[str, Element]) -> None:
    """The menu marks the current page and is otherwise the same throughout a language."""
    menus = [
        [target(here, link.attributes["href"]) for link in menu_of(here, single_pages).all("a")]
        for here in (path, f"{slug_of(path)}/index.html")
    ]
    assert menus[0] == menus[1]
    assert len(menus[0]) == 4
    words = {link.text for link in menu_of("en/index.html", single_pages).all("a")}
    assert words >= {"Who we are", "If blocked", "Verify"}
    marked = menu_of(path, single_pages).all("a", aria_current="page")
    assert [target(path, link.attributes["href"]) for link in marked] == (
        [path] if path in menus[0] else []
    )


def test_the_foot_links_to_the_rest_of_the_menu(page: Element) -> None:
    """The pages that do not fit into one line on a phone are linked in the footer."""
    assert len(page.one("footer").one("nav", class_="more").all("a")) == 2


def menu_of(path: str, single_pages: dict[str, Element]) -> Element:
    """Return the menu of a page."""
    return single_pages[path].one("nav", class_="menu")


def test_every_page_warns_of_the_former_site(path: str, page: Element) -> None:
    """The warning has the reason and the defanged address; in one line, it links to what happened.

    The home page has the whole warning instead.
    """
    warning = page.one("main").one("p", class_="warning")
    slug = slug_of(path)
    if path == f"{slug}/index.html":
        assert all(part in warning.text for part in (*WARNINGS[slug], DEFANGED))
        assert warning.all("a") == []
    else:
        before, after, reason = WARNING_LINES[slug]
        assert warning.text == f"{before}{DEFANGED}{after}{reason}"
        # A link on “Do not open” would invite a reader to do just that.
        assert warning.one("a").text == reason
        href = warning.one("a").attributes["href"]
        assert href.endswith("#former-site")
        own = href.startswith("#")
        assert (path if own else target(path, href)) == f"{slug}/who-we-are.html"


def test_the_former_site_is_always_defanged(release: Release) -> None:
    """No file of the release contains the former host undefanged, in any case."""
    for path, file in release.files.items():
        words = unquote(file.body.decode("utf-8", "replace")).lower()
        assert "cfcr2008.org" not in words, path
        plain = words.replace("cfcr2008[.]org", "").replace("cfcr2008&#91;.&#93;org", "")
        assert "cfcr2008" not in plain, path


def test_no_link_names_the_former_site(page: Element) -> None:
    """No attribute of any element contains the former site's address, not even defanged."""
    for element in page.one("body").walk():
        assert "cfcr2008" not in str(element.attributes).lower()


def test_a_page_runs_and_loads_nothing(page: Element) -> None:
    """A page has no script, event handler, other style or element that loads something."""
    allowed = {
        *("html", "head", "meta", "title", "link", "style", "body", "header", "main", "footer"),
        *("nav", "article", "aside", "div", "span", "p", "h1", "h2", "h3", "ul", "ol", "li"),
        *("dl", "dt", "dd", "a", "strong", "em", "code", "pre", "img"),
        *("figure", "figcaption", "blockquote"),
    }
    for element in page.walk():
        assert element.name in allowed | {""}
        for name in element.attributes:
            assert name not in {"style", "src", "srcset", "action", "background", "ping", "target"}
            assert not name.startswith("on")
    assert {link.attributes["rel"] for link in page.all("link")} == {"alternate"}
    page.one("style")


def test_the_style_sheet_loads_nothing(page: Element) -> None:
    """The style sheet contains no URL but the QR code itself: no font, no image, no import."""
    sheet, codes = re.subn(r"url\(data:image/png;base64,[\w+/=]+\)", "", page.one("style").text)
    assert codes == 1
    assert re.search(r"url\(|@import|@font-face|//|expression|\\", sheet) is None


def test_the_policy_in_the_page_matches_the_header(page: Element) -> None:
    """The policy in the page is the header's, less frame-ancestors.

    In a ``<meta>`` that directive has no effect, and browsers complain of it on
    their console (CSP level 3, section 3.3).
    """
    in_page = page.one("meta", http_equiv="Content-Security-Policy").attributes["content"]
    sets = stored()["clearnet"]["headers"]
    header = sets["200 text/html public, max-age=300 packed or not"]["Content-Security-Policy"]
    sheet = "".join(str(child) for child in page.one("style").children)
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    assert header.endswith("; frame-ancestors 'none'")
    assert in_page + "; frame-ancestors 'none'" == header.replace("{style}", f"sha256-{digest}")


def test_external_links_lead_only_to_allowed_sites(page: Element) -> None:
    """Pages link only to the organisation's blog, the Tor Project and the quick exit."""
    targets = [link.attributes["href"] for link in page.all("a")]
    outside = {link for link in targets if urlsplit(link).scheme or urlsplit(link).netloc}
    assert outside <= ALLOWED
    assert not any(".onion" in link for link in targets)


def target(path: str, href: str) -> str:
    """Return the file of the release to which a link of the page at ``path`` leads."""
    target = urlsplit(href).path
    if path.split("/")[1] == "errors":
        assert target == "" or target.startswith("/")
        return target.removeprefix("/") or path
    assert not target.startswith("/"), f"{href} does not open from a disk"
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) if target else path


def test_internal_links_end_in_a_file_name(
    path: str, page: Element, single_pages: dict[str, Element], release: Release
) -> None:
    """Every link inside is relative and ends in a file's name, so that it opens from a disk.

    An error's page is shown at any address, so that its links begin at the root.
    """
    for link in [*page.all("a"), *page.all("link")]:
        parts = urlsplit(link.attributes["href"])
        if parts.scheme:
            continue
        assert not parts.query
        there = target(path, link.attributes["href"])
        assert there in release.files, f"{path} links to {there}"
        if parts.fragment:
            ids = [element.attributes.get("id") for element in single_pages[there].walk()]
            assert ids.count(parts.fragment) == 1, f"{path} links to {there}#{parts.fragment}"


def test_ids_are_unique(page: Element) -> None:
    """No id is used twice on a page."""
    ids = [el.attributes["id"] for el in page.walk() if "id" in el.attributes]
    assert len(ids) == len(set(ids))


def test_chinese_on_english_pages_is_marked(path: str, page: Element) -> None:
    """On an English page all Chinese text has a language tag (WCAG 3.1.2)."""

    def unmarked(element: Element) -> str:
        if element.attributes.get("lang", "en") != "en":
            return ""
        return "".join(
            child if isinstance(child, str) else unmarked(child) for child in element.children
        )

    if path.startswith("en/"):
        assert re.findall(r"[\u3400-\u9fff]+", unmarked(page.one("body"))) == []


def test_only_error_pages_ask_not_to_be_indexed(every_page: dict[str, Element]) -> None:
    """Only the error pages have noindex."""
    for path, page in every_page.items():
        robots = [el.attributes["content"] for el in page.all("meta", name="robots")]
        assert robots == (["noindex"] if path in ERROR_PAGES.values() else []), path


def test_an_error_page_is_in_every_language_and_has_one_heading(
    every_page: dict[str, Element],
) -> None:
    """Some hosts allow one error page, shown at any URL: it has all languages and root links."""
    titles = {
        "403.html": ["您没有使用Tor浏览器", "您沒有使用Tor瀏覽器", "You are not in Tor Browser"],
        "404.html": ["没有这个页面", "沒有這個頁面", "There is no such page"],
        "421.html": ["这不是我们的地址", "這不是我們的網址", "This is not an address of ours"],
    }
    assert set(titles) == set(ERROR_PAGES.values())
    for path, words in titles.items():
        page = every_page[path]
        assert page.one("title").text == " · ".join(words)
        assert len(page.all("h1")) == 1
        sections = page.all("section")
        assert [section.attributes["lang"] for section in sections] == ["zh-Hans", "zh-Hant", "en"]
        assert [section.one("h2").text for section in sections] == words
        for section in sections:
            assert section.one("div", class_="warning", role="note").text.count("[.]") > 0
        links = [link.attributes["href"] for link in page.one("main").all("a")]
        assert {"/zh-hans/index.html", "/zh-hant/index.html", "/en/index.html"} <= set(links)
        assert all(link.startswith(("/", "#")) for link in links)


def test_editors_notes_are_dated_asides(single_pages: dict[str, Element]) -> None:
    """Each editor's note is an aside that starts with its author and date."""
    titles = {"en/": "Editor’s note, 29 November 2026", "zh-hans/": "编者注，2026年11月29日"}
    titles["zh-hant/"] = "編者註，2026年11月29日"
    for slug, title in titles.items():
        notes = [
            note
            for path, page in single_pages.items()
            if path.startswith(slug)
            for note in page.all("aside")
        ]
        assert len(notes) == 10
        for note in notes:
            first = note.all("p")[0]
            assert first.text == title
            label = {"role": "note", "aria-labelledby": first.attributes["id"]}
            assert note.attributes == {"class": "note", **label}
            assert len(note.all("p")) > 1


def test_the_addresses_page_links_only_to_the_blog(
    single_pages: dict[str, Element], release: Release
) -> None:
    """The page shows the onion and the domain without a link."""
    (onion,) = release.metadata.onions
    for slug in ("en", "zh-hans", "zh-hant"):
        main = single_pages[f"{slug}/addresses.html"].one("main")
        shown = [code.text for code in main.one("dl").all("code")]
        assert shown == [f"http://{onion}/", grouped(onion), f"{release.metadata.clearnet}/"]
        code, blog = main.one("dl").all("a")
        assert code.attributes["href"] == "../onion.png"
        assert blog.text == "https://gongminziyoulianmeng.blogspot.com/"


def test_without_addresses_the_page_shows_only_the_blog() -> None:
    """Without a domain or an onion, the page shows the blog, and that there is no contact."""
    trees = find_tree("translations"), find_tree("templates")
    release = build_release(*trees, addresses=Addresses(None, ()))
    rendered = pages(release)
    for slug in ("en", "zh-hans", "zh-hant"):
        listed = rendered[f"{slug}/addresses.html"].one("main").one("dl")
        assert [part.name for part in listed.children if isinstance(part, Element)] == [
            *("dt", "dd") * 2
        ]
        words = {"en": "publishes no contact", "zh-hans": "没有", "zh-hant": "沒有"}
        assert words[slug] in listed.all("dd")[1].text


def test_the_promise_is_made_only_of_a_signed_release(
    single_pages: dict[str, Element], tmp_path: Path
) -> None:
    """The home page promises what a signature proves; without a key it says that there is none."""
    texts = texts_with_key(tmp_path, organisation_key().public)
    with_key = pages(build_release(texts, find_tree("templates")))
    for slug, promise, warning in (
        ("en", "exactly what the organisation signed", "not signed yet"),
        ("zh-hans", "就是本组织签署的内容", "还没有签名"),
        ("zh-hant", "就是本組織簽署的內容", "還沒有簽章"),
    ):
        signed = with_key[f"{slug}/index.html"].one("p", class_="genuine").text
        without = single_pages[f"{slug}/index.html"].one("p", class_="genuine").text
        assert (promise in signed, warning in signed) == (True, False)
        assert (promise in without, warning in without) == (False, True)


def test_the_former_host_is_read_from_its_defanged_address() -> None:
    """The host name is taken from site.toml."""
    assert SITE is not None
    assert SITE.former_host == "cfcr2008.org"
