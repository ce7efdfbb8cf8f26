"""Redirects to folders and languages, and those to languages as pages for static hosts.

No release contains such pages. ``mirror`` writes them, and ``watch`` knows their bytes.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from cccr_web.languages import LANGUAGES, slug_for
from cccr_web.release import INDEX, Release

# What readers type, and what other sites call their folders. In lower case only: a file system
# that ignores case would mix ``zh-CN`` with ``zh-cn``, and ``EN`` with the language's own folder.
TYPED_TAGS: Final = ("en-gb", "en-us", "zh", "zh-cn", "zh-hk", "zh-mo", "zh-sg", "zh-tw")

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


def redirect_of(path: str, files: Container[str]) -> tuple[int, str] | None:
    """Return the status and the address of the redirect of a path without a file, if any.

    A folder's is 301, with its slash. A path below another tag of a language, such as
    ``zh-tw/`` or ``EN``, is a 302 to the page below that language's slug. There is no end
    of such paths, and nginx caches each 301.
    """
    if f"{path}/{INDEX}" in files:
        return 301, f"/{path}/"
    first, _, rest = path.partition("/")
    slug = slug_for(first, [one.slug for one in LANGUAGES if f"{one.slug}/{INDEX}" in files])
    target = f"{slug}/{rest.removesuffix(INDEX)}"
    if slug and (target in files or f"{target}{INDEX}" in files):
        return 302, f"/{target}"
    return None


def redirect_targets(release: Release) -> dict[str, str]:
    """Return address (``/zh/``) → the folder (``/zh-hans/``) to which our server redirects it."""
    found = {f"/{tag}/": redirect_of(f"{tag}/", release.files) for tag in TYPED_TAGS}
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
