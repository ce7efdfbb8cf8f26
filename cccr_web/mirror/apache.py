"""The headers of a release as configuration for Apache 2.4 and later."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from cccr_web.languages import DEFAULT, SEGMENT
from cccr_web.mirror.rules import ACCEPTED, CACHE, ONION, REST, TYPE, Rules
from cccr_web.release import ERROR_PAGES, INDEX
from cccr_web.serve import NO_CACHE

_INDEX: Final = re.escape(INDEX)


def apache(rules: Rules) -> Iterable[str]:
    """Yield the lines of a file to include in a virtual host."""
    yield "# For Apache with mod_headers and mod_rewrite, inside a virtual host:"
    yield "#     DocumentRoot /…/site"
    yield "#     Include /…/headers/apache.conf"
    yield "# “ServerTokens Prod” belongs outside, because a virtual host cannot hide the version."
    # A virtual host with a log of its own gets no line in Debian's log of all others.
    yield 'CustomLog "/dev/null" "-"'
    yield "ErrorLog /dev/null"
    yield "ServerSignature Off"
    yield "AddDefaultCharset Off"
    yield f"DirectoryIndex {INDEX}"
    yield '<Location "/">'
    yield "    Require all granted"
    yield "</Location>"
    for status, page in ERROR_PAGES.items():
        if page in rules.files:
            yield f"ErrorDocument {status} /{page}"
    # A mirror may hold .git and other files of its owner.
    yield r'RedirectMatch 404 "/\.(?!well-known/)"'
    for name, value in rules.common.items():
        yield f"Header always set {name} {_quoted(value)}"
    yield f'Header always set {CACHE} "{NO_CACHE}"'
    if rules.onion is not None:
        # DirectoryIndex changes the path; the first line of the request keeps it.
        yield r'SetEnvIfExpr "%{THE_REQUEST} =~ m#^[A-Z]+ (/[^ ]*)#" cccr_uri=$1'
    for suffix, headers in sorted(rules.suffixes.items()):
        yield f'<FilesMatch "{_file_pattern(suffix)}">'
        yield f'    ForceType "{headers[TYPE]}"'
        yield f'    Header always set {CACHE} "{headers[CACHE]}"'
        if ONION in headers:
            yield f'    Header always set {ONION} "{rules.onion}%{{cccr_uri}}e" env=cccr_uri'
        yield "</FilesMatch>"
    yield "RewriteEngine On"
    if not rules.has_index:
        yield f'SetEnvIfNoCase Accept-Language "{ACCEPTED}" cccr_accepted=$1'
        yield from _slug(rules, "cccr_accepted", "cccr_home")
        yield "RewriteRule ^/$ /%{ENV:cccr_home}/ [R=302,L]"
    tag = f"(?!(?-i:{rules.slugs})(?:/|$))({SEGMENT})"
    yield f'SetEnvIfNoCase Request_URI "^/{tag}(?:/{REST})?$" cccr_tag=$1'
    yield from _slug(rules, "cccr_tag", "cccr_slug")
    # Not the variable's own path, which is as it was sent: /zh-tw/../en/ is /en/ by now.
    yield f'RewriteCond %{{REQUEST_URI}} "^/{tag}(?:/({REST}?)(?:{_INDEX})?)?$" [NC]'
    page = "%{DOCUMENT_ROOT}/%{ENV:cccr_slug}/%2"
    yield f"RewriteCond {page} -f [OR]"
    yield f"RewriteCond {page}{INDEX} -f"
    yield "RewriteRule ^ /%{ENV:cccr_slug}/%2 [R=302,L]"


def _slug(rules: Rules, tag: str, slug: str) -> Iterable[str]:
    """Yield the directives that set the variable ``slug`` by ``tag``."""
    yield f'SetEnvIf Request_URI "^" {slug}={DEFAULT.slug}'
    # The first expression decides on our server; here it is the last.
    for pattern, its_slug in reversed([*rules.meanings]):
        yield f'SetEnvIfNoCase {tag} "{pattern}" {slug}={its_slug}'


def _file_pattern(suffix: str) -> str:
    if suffix.startswith("/"):
        return f"^{re.escape(suffix[1:])}$"
    return f"{re.escape(suffix)}$" if suffix else "^[^.]+$"


def _quoted(value: str) -> str:
    """Return an argument of ``Header``, in which ``%`` begins a variable."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
