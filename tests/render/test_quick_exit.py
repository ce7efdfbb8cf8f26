"""The quick exit, and what a page reveals about its reader (``templates/parts/exit.html``)."""

from __future__ import annotations

from pathlib import Path

from support.pages import SHARED, Element, pages
from support.texts import copy_texts

from cccr_web.config import find_tree
from cccr_web.render import build_release

WORDS = {"en": "Quick exit", "zh-hans": "快速离开", "zh-hant": "快速離開"}


def outside(page: Element) -> list[str]:
    """Return the external links of a page, in order."""
    links = [link.attributes["href"] for link in page.all("a") if "href" in link.attributes]
    return [link for link in links if link.startswith(("http:", "https:", "//"))]


def test_every_page_has_a_quick_exit(every_page: dict[str, Element]) -> None:
    """After the skip link comes a link to a harmless page, which gets no referrer."""
    for path, page in every_page.items():
        found = page.all("p", class_="exit")
        if "/cccr-" in path:
            assert found == []
            continue
        # The pages that all languages share have no menus to skip.
        link = page.one("body").all("a")[path not in SHARED]
        assert found[0].one("a") is link
        assert link.attributes == {
            "href": "https://www.weather.com.cn/",
            "rel": "noreferrer nofollow",
        }
        languages = ("zh-hans", "zh-hant", "en") if path in SHARED else [path.partition("/")[0]]
        assert link.text == " · ".join(WORDS[slug] for slug in languages)


def test_external_links_are_the_same_in_every_language(every_page: dict[str, Element]) -> None:
    """External links must not reveal which language was read."""
    for path, page in every_page.items():
        if path.startswith("en/"):
            for slug in ("zh-hans", "zh-hant"):
                assert outside(page) == outside(
                    every_page[
                        path.replace("en/", f"{slug}/", 1).replace("cccr-en", f"cccr-{slug}")
                    ]
                ), path


def test_nothing_is_loaded_from_another_site(every_page: dict[str, Element]) -> None:
    """No element makes a browser contact another site before the reader clicks."""
    for path, page in every_page.items():
        for element in page.walk():
            for name in ("src", "srcset", "action", "data", "ping", "poster", "cite"):
                value = element.attributes.get(name, "")
                assert value.startswith("data:image/png;base64,") or "//" not in value, path
            if element.name == "link":
                assert "//" not in element.attributes["href"], path
                assert element.attributes["rel"] in {"alternate", "icon", "apple-touch-icon"}


def test_without_an_exit_there_is_no_link(tmp_path: Path) -> None:
    """If site.toml names no exit page, no page has a quick exit."""
    tree = copy_texts(tmp_path)
    file = tree / "site.toml"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith("exit =")))
    release = build_release(tree, find_tree("templates"))
    assert all(page.all("p", class_="exit") == [] for page in pages(release).values())
