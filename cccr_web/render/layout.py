"""How pages look: where a text goes on a page or in a copy, and the style sheet."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cccr_web.content import Text
from cccr_web.errors import CccrError
from cccr_web.render import onion_code


@dataclass(frozen=True, slots=True)
class PageLayout:
    """How one text is laid out.

    ``template`` is the outer template; ``level`` is the heading level of the title.
    ``href(url, heading)`` returns the link to a file of the release, or to a heading of a
    page in it; ``None`` if this layout cannot link there. ``heading_id`` turns the name of
    one of the text's own headings into its ``id``. ``xhtml`` closes empty elements, as XML
    requires. ``image(url)`` returns the ``src`` of an image file of the release; where it is
    ``None``, images are shown as text. ``place`` is the same for layouts with the same links;
    it is ``None`` where links depend on which texts there are.
    """

    template: str
    level: int
    href: Callable[[str, str], str | None]
    heading_id: Callable[[str], str] = str
    xhtml: bool = False
    image: Callable[[str], str] | None = None
    place: str | None = None

    def link(self, url: str) -> str:
        """Return the link to ``url`` for a template that needs one. Raises ``CccrError``."""
        href = self.href(url, "")
        if href is None:
            raise CccrError(f"{self.template} cannot link to {url}.", "Link only to pages.")
        return href


def page_layout(text: Text) -> PageLayout:
    """Return the layout of ``text`` as its own page."""

    def href(url: str, heading: str) -> str:
        anchor = f"#{heading}" if heading else ""
        return anchor if anchor and url == text.url else relative_link(url, text) + anchor

    return PageLayout(
        "base.html", 1, href, image=lambda url: relative_link(url, text), place=text.url
    )


def relative_link(url: str, source: Text) -> str:
    """Return the link from the page of ``source`` to ``url``, a path in the release.

    It ends in a file name, so that it works from a disk. Error pages are shown at other
    URLs than their own, so their links start at the root.
    """
    if source.is_error_page:
        return f"/{url}"
    return relative(url, source.url)


def relative(target: str, source: str) -> str:
    """Return the link from the file at ``source`` to ``target``; both are paths in the release.

    ``posixpath.relpath`` takes ten times as long, and asks for the current folder.
    """
    ours, theirs = target.split("/"), source.split("/")
    same = 0
    while same < min(len(ours), len(theirs)) - 1 and ours[same] == theirs[same]:
        same += 1
    return "/".join([".."] * (len(theirs) - same - 1) + ours[same:])


@dataclass(frozen=True, slots=True)
class Style:
    """The text between ``<style>`` and ``</style>``, and its CSP hash source."""

    text: str
    hash: str


def read_style(templates: Path, onion: str | None = None) -> Style:
    """Read the style sheet of the pages, with the QR code of ``onion`` for printing in it."""
    code = f"url({onion_code.data_uri(onion)})" if onion else "none"
    text = read_sheet(templates / "style.css").replace(f"url({onion_code.FILE})", code)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Style(text, f"sha256-{digest}")


def read_sheet(file: Path) -> str:
    """Read a style sheet without its comments and indentation."""
    text = file.read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"\s*([{};,>])\s*", r"\1", text)
    text = re.sub(r":\s+", ":", text)
    return re.sub(r"\s+", " ", text).strip().replace(";}", "}")
