"""What differs from the release before: texts, links, names and photos."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final

from cccr_web.release import is_html
from cccr_web.render import SiteFiles

_BLOCKS: Final = re.compile(r"h[1-6]|p|li|dt|dd|td|th|figcaption|blockquote|div|title")
# Below these, every page differs from release to release.
_SAME_EVERYWHERE: Final = {"header", "footer", "nav", "style"}


@dataclass(frozen=True, slots=True)
class Change:
    """What differs in one file, or in the names: ``what`` in words, and kinds with their values."""

    name: str
    what: str
    gone: tuple[tuple[str, str], ...] = ()
    new: tuple[tuple[str, str], ...] = ()
    is_page: bool = False


class _PageReader(HTMLParser):
    """Collects paragraphs, links and photos of a page, as kinds with their values."""

    def __init__(self, *, is_error_page: bool = False) -> None:
        super().__init__()
        self._is_error_page = is_error_page
        self.found: Counter[tuple[str, str]] = Counter()
        self._words = ""
        self._skipped = 0
        self._is_release_line = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in _SAME_EVERYWHERE:
            self._skipped += 1
        if self._skipped:
            return
        if _BLOCKS.fullmatch(tag):
            self.end()
            # An error page has it in each language; other pages have it in their footer.
            self._is_release_line = self._is_error_page and values.get("class") == "facts"
        if tag == "a":
            self.found["link", values.get("href") or ""] += 1
        if tag == "img":
            self.found["photo", f"{values.get('src')} ({values.get('alt')})"] += 1

    def handle_endtag(self, tag: str) -> None:
        if tag in _SAME_EVERYWHERE:
            self._skipped -= 1
        elif _BLOCKS.fullmatch(tag):
            self.end()

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self._words += data

    def end(self) -> None:
        """End a paragraph."""
        words = " ".join(self._words.split())
        if words and not self._is_release_line:
            self.found["text", words] += 1
        self._words, self._is_release_line = "", False


def _read(page: bytes, *, is_error_page: bool = False) -> Counter[tuple[str, str]]:
    parser = _PageReader(is_error_page=is_error_page)
    parser.feed(page.decode("utf-8", "replace"))
    parser.close()
    parser.end()
    return parser.found


def find_changes(previous: Mapping[str, bytes], site: SiteFiles) -> Iterator[Change]:
    """Yield what differs between the files of a release and the site, page by page."""
    pages = {text.url: text for text in site.content.all_texts}
    before = {path for path in previous if is_html(path)}
    names: Counter[str] = Counter()
    for path in sorted(pages):
        old, new = previous.get(path), site[path]
        if old is None:
            yield Change(path, "A new page.", new=_texts(_read(new)), is_page=True)
            names.update(_names(new, site.content.names))
            continue
        if old == new:
            continue
        was, now = (_read(one, is_error_page=pages[path].is_error_page) for one in (old, new))
        if was != now:
            yield Change(
                path,
                "Changed.",
                gone=tuple((was - now).elements()),
                new=tuple((now - was).elements()),
                is_page=True,
            )
        names.update(_names(new, site.content.names))
        names.subtract(_names(old, site.content.names))
    others = {path for path in before if "/" in path} - {*site}
    for path in sorted(others):
        yield Change(path, "This page is missing: a published address must stay.")
    photos = {path: body for path, body in previous.items() if path.startswith("photos/")}
    ours = {path: site[path] for path in site if path.startswith("photos/")}
    for path in sorted(photos.keys() | ours.keys()):
        if photos.get(path) != ours.get(path):
            what = "new" if path not in photos else "removed" if path not in ours else "changed"
            yield Change(path, f"The photo is {what}.")
    more = tuple(("names more often", name) for name, number in names.items() if number > 0)
    less = tuple(("names less often", name) for name, number in names.items() if number < 0)
    if more or less:
        yield Change("Names", "How often people are named has changed.", gone=less, new=more)


def _texts(found: Counter[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(one for one in found.elements() if one[0] != "link")


def _names(page: bytes, names: Iterable[str]) -> Counter[str]:
    words = "\n".join(value for kind, value in _read(page).elements() if kind == "text")
    return Counter({name: words.count(name) for name in names if name in words})
