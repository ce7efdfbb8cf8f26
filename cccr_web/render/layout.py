"""The layout that a text is given: a page of its own, or a part of a copy to take away."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass

from cccr_web.content import Text
from cccr_web.errors import CccrError


def _same_name(fragment: str) -> str:
    return fragment


@dataclass(frozen=True, slots=True)
class PageLayout:
    """How one text is set.

    ``template`` is the one around it; ``level`` the level of its title's heading.
    ``href(url, fragment)`` leads to a file of the release, or to the heading named
    ``fragment`` of a page in it; ``None`` where no way leads there from this layout.
    ``name`` turns the name of one of the text's own headings into its ``id``.
    ``xhtml``: whether empty elements are closed, as XML wants. ``pictures``: whether
    they are shown, which are files of their own.
    """

    template: str
    level: int
    href: Callable[[str, str], str | None]
    name: Callable[[str], str] = _same_name
    xhtml: bool = False
    pictures: bool = False

    def link(self, url: str) -> str:
        """Return the way to ``url``, for a template, which must not ask for what is not there."""
        href = self.href(url, "")
        if href is None:
            raise CccrError(f"{self.template} cannot link to {url}.", "Link to pages only.")
        return href


def page_layout(text: Text) -> PageLayout:
    """Return the layout of a page of its own."""

    def href(url: str, fragment: str) -> str:
        anchor = f"#{fragment}" if fragment else ""
        return anchor if anchor and url == text.url else relative_link(url, text) + anchor

    return PageLayout("base.html", 1, href, pictures=True)


def relative_link(url: str, source: Text) -> str:
    """Return the way from the page of ``source`` to ``url``, a path in the release.

    It ends in a file name, so that it works from a disk. A page that is shown at
    other addresses than its own gets the way from the root.
    """
    if source.is_error_page:
        return f"/{url}"
    return posixpath.relpath(url, posixpath.dirname(source.url))
