"""Redirects as pages, for static hosts that cannot redirect ``/zh/`` to ``/zh-hans/``.

No release contains them. ``mirror`` writes them, and ``watch`` knows their bytes.
"""

from __future__ import annotations

from typing import Final

from cccr_web.languages import LANGUAGES
from cccr_web.release import INDEX, Release
from cccr_web.serve.app import redirect_of

# What readers type, and what other sites call their folders. In lower case only: a file system
# that ignores case would mix ``zh-CN`` with ``zh-cn``, and ``EN`` with the language's own folder.
_TAGS: Final = ("en-gb", "en-us", "zh", "zh-cn", "zh-hk", "zh-mo", "zh-sg", "zh-tw")

_PAGE: Final = """<!doctype html>
<html lang="{tag}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'">
<meta http-equiv="refresh" content="0; url={link}">
<meta name="viewport" content="width=device-width">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<title>{name}</title>
</head>
<body>
<main>
<p><a href="{link}">{name}</a></p>
</main>
</body>
</html>
"""


def redirect_targets(release: Release) -> dict[str, str]:
    """Return address (``/zh/``) → the folder (``/zh-hans/``) to which our server redirects it."""
    found = {f"/{tag}/": redirect_of(f"{tag}/", release.files) for tag in _TAGS}
    return {address: redirect[1] for address, redirect in found.items() if redirect is not None}


def redirect_pages(release: Release) -> dict[str, bytes]:
    """Return path (``zh/index.html``) → page. Links are relative, so any folder can hold them."""
    folders = {f"/{language.slug}/": language for language in LANGUAGES}
    pages = {}
    for address, target in redirect_targets(release).items():
        tag, name = folders[target].tag, folders[target].own_name
        page = _PAGE.format(tag=tag, name=name, link=f"..{target}{INDEX}")
        pages[f"{address[1:]}{INDEX}"] = page.encode()
    return pages
