"""The header policy as data: what goes with every response, on which listener.

Sources: OWASP Secure Headers Project; MDN HTTP Observatory; RFC 6797 (HSTS);
the Tor Project's "Onion-Location"; Fetch and HTML standards (CORP, COEP, COOP).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cccr_web.release import Metadata, page_policy

_TWO_YEARS = 2 * 365 * 24 * 60 * 60

# Without script and frames a page can use no feature, whatever is said here. Should a browser
# ever err, these would tell who and where a reader is and what is around. The full list
# (OWASP's) would be 600 bytes with every answer: a sixth of a page, more than a cell of
# Tor's; and nginx, which reads the head of each cached answer anew, would give a tenth fewer.
# Chromium warns on a page's console of each name that it does not know (tests/browser/).
_DENIED_FEATURES = (
    "browsing-topics",
    "camera",
    "display-capture",
    "geolocation",
    "microphone",
    "usb",
)

_HTML = "text/html; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"

# By a file's ending; what is not listed has no place in a release.
_MEDIA_TYPES = {
    "": _TEXT,
    "asc": _TEXT,
    "atom": "application/atom+xml",
    "epub": "application/epub+zip",
    "html": _HTML,
    "ico": "image/x-icon",
    "jpg": "image/jpeg",
    "json": "application/json",
    "minisig": _TEXT,
    "png": "image/png",
    "pub": _TEXT,
    "py": _TEXT,
    "sshsig": _TEXT,
    "txt": _TEXT,
    "xml": "application/xml",
    "zip": "application/zip",
}

# By a file's name, where its ending says less.
_NAMED_TYPES = {"feed.xml": "application/atom+xml"}

# A page may be some minutes old; the list that checks it must never be.
_PAGE_CACHE = "public, max-age=300"
NO_CACHE = "no-cache"
_CACHE = dict.fromkeys(("html", "ico", "jpg", "png"), _PAGE_CACHE)


@dataclass(frozen=True, slots=True)
class Policy:
    """The headers of one listener.

    ``content_security_policy``, ``permissions_policy`` and ``hsts_seconds`` are
    for Talisman to apply; ``other`` holds what it does not know. ``onion_location``
    is the address (``http://….onion``) that clearnet pages point Tor Browser to.
    ``proxies_refused``: whether requests that came through a tor2web proxy get 403.
    ``url_scheme`` is how readers reach this listener, whatever it speaks itself.
    """

    url_scheme: Literal["http", "https"]
    content_security_policy: dict[str, str]
    permissions_policy: dict[str, str]
    hsts_seconds: int | None
    onion_location: str | None
    proxies_refused: bool
    other: dict[str, str] = field(
        default_factory=lambda: {
            "Cross-Origin-Embedder-Policy": "require-corp",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-DNS-Prefetch-Control": "off",
            "X-Permitted-Cross-Domain-Policies": "none",
        }
    )


def clearnet_policy(metadata: Metadata, onions: tuple[str, ...]) -> Policy:
    """Return the policy of the clearnet listener; ``onions`` are the site's, the first is shown.

    HSTS also goes out where the listener itself speaks plain HTTP: in production
    TLS ends at nginx, and a browser ignores it on plain HTTP (RFC 6797, 8.1).
    """
    return Policy(
        url_scheme="https",
        content_security_policy=_csp(metadata),
        permissions_policy=dict.fromkeys(_DENIED_FEATURES, "()"),
        hsts_seconds=_TWO_YEARS,
        onion_location=f"http://{onions[0]}" if onions else None,
        proxies_refused=False,
    )


def onion_policy(metadata: Metadata) -> Policy:
    """Return the policy of the onion listener: no HSTS and no Onion-Location there."""
    return Policy(
        url_scheme="http",
        content_security_policy=_csp(metadata),
        permissions_policy=dict.fromkeys(_DENIED_FEATURES, "()"),
        hsts_seconds=None,
        onion_location=None,
        proxies_refused=True,
    )


def _csp(metadata: Metadata) -> dict[str, str]:
    return {**page_policy(metadata.style_hashes), "frame-ancestors": "'none'"}


def _ending(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name else ""


def media_type(path: str) -> str | None:
    """Return the Content-Type of a file of a release; ``None`` if it should not be there."""
    return _NAMED_TYPES.get(path.rpartition("/")[2]) or _MEDIA_TYPES.get(_ending(path))


def cache_control(path: str) -> str:
    """Return the Cache-Control (RFC 9111, section 5.2) of a file of a release."""
    return _CACHE.get(_ending(path), NO_CACHE)


def is_text(path: str) -> bool:
    """Whether a file is worth packing for the way: all but what is packed or a picture."""
    return not (media_type(path) or "").endswith(("zip", "png", "x-icon"))


def is_html(path: str) -> bool:
    """Whether the file at ``path`` is a page."""
    return media_type(path) == _HTML
