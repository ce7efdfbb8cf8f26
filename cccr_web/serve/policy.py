"""The header policy as data: the headers of every response, for each kind of listener.

Sources: OWASP Secure Headers Project; MDN HTTP Observatory; RFC 6797 (HSTS);
the Tor Project's "Onion-Location"; Fetch and HTML standards (CORP, COEP, COOP).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from posixpath import splitext
from typing import Literal

from cccr_web.release import Metadata, media_type, page_policy

Listener = Literal["clearnet", "onion"]

_TWO_YEARS = 2 * 365 * 24 * 60 * 60

# Without scripts and frames no page can use any feature. If a browser ever has a bug, these
# would reveal who and where a reader is. OWASP's full list would add 600 bytes to every
# response: a sixth of a page and more than one Tor cell; and nginx, which parses the head of
# every cached response, would serve a tenth fewer. Chromium logs a console warning for each
# unknown name (tests/browser/).
_DENIED_FEATURES = (
    "browsing-topics",
    "camera",
    "display-capture",
    "geolocation",
    "microphone",
    "usb",
)

# A page may be some minutes old; SHA256SUMS must never be.
_PAGE_CACHE = "public, max-age=300"
NO_CACHE = "no-cache"
_CACHE = dict.fromkeys((".html", ".ico", ".jpg", ".png"), _PAGE_CACHE)


@dataclass(frozen=True, slots=True)
class Policy:
    """The headers of one listener.

    ``content_security_policy``, ``permissions_policy``, ``hsts_seconds`` and ``hsts_preload``
    are applied by Talisman; ``other`` holds the headers that it does not support.
    ``onion_location`` is the address (``http://….onion``) that clearnet pages announce to
    Tor Browser. ``rejects_proxies``: requests through a tor2web proxy get 403.
    ``url_scheme`` is the scheme that readers use, even if TLS ends at a reverse proxy.
    """

    url_scheme: Literal["http", "https"]
    content_security_policy: dict[str, str]
    hsts_seconds: int | None
    onion_location: str | None
    rejects_proxies: bool
    hsts_preload: bool = False
    permissions_policy: dict[str, str] = field(
        default_factory=lambda: dict.fromkeys(_DENIED_FEATURES, "()")
    )
    other: dict[str, str] = field(
        default_factory=lambda: {
            "Cross-Origin-Embedder-Policy": "require-corp",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-DNS-Prefetch-Control": "off",
            "X-Permitted-Cross-Domain-Policies": "none",
        }
    )

    def without_page(self) -> Policy:
        """Return the policy of a response without a page, which loads nothing, not even a style.

        It is the same for every release.
        """
        csp = self.content_security_policy
        nothing = {name: value for name, value in csp.items() if value == "'none'"}
        return replace(self, content_security_policy=nothing)


def listener_policy(
    listener: Listener,
    metadata: Metadata,
    onions: Sequence[str] = (),
    *,
    hsts_preload: bool = False,
) -> Policy:
    """Return the policy of a listener of a release.

    The clearnet announces the first of ``onions``, or else the release's own first one.
    ``hsts_preload`` extends HSTS to all subdomains and lets browsers preload it (section 14.4),
    which cannot be undone for months. HSTS is also sent where the listener itself speaks plain
    HTTP: in production TLS ends at nginx, and browsers ignore HSTS on plain HTTP (RFC 6797, 8.1).
    """
    csp = {**page_policy(metadata.style_hashes), "frame-ancestors": "'none'"}
    if listener == "onion":
        return Policy("http", csp, hsts_seconds=None, onion_location=None, rejects_proxies=True)
    announced = next(iter((*onions, *metadata.onions)), None)
    return Policy(
        url_scheme="https",
        content_security_policy=csp,
        hsts_seconds=_TWO_YEARS,
        onion_location=f"http://{announced}" if announced else None,
        rejects_proxies=False,
        hsts_preload=hsts_preload,
    )


def cache_control(path: str) -> str:
    """Return the Cache-Control (RFC 9111, section 5.2) of a file of a release."""
    return _CACHE.get(splitext(path)[1].lower(), NO_CACHE)


def is_compressible(path: str) -> bool:
    """Whether a file is worth compressing: it is neither an image nor compressed already.

    An EPUB is a ZIP, but what it holds is stored (``render/epub.py``).
    """
    kind = media_type(path) or ""
    return not kind.startswith("image/") and kind != "application/zip"
