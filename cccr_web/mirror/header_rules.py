"""The headers of a release as configuration for other servers, in several formats.

All rules are made from the headers that our own server sends; there is no second list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from posixpath import basename, splitext
from typing import Final, Literal

from cccr_web.languages import DEFAULT, ZH_HANS
from cccr_web.release import ERROR_PAGES, INDEX, Release
from cccr_web.serve import (
    NO_CACHE,
    bare_headers,
    clearnet_policy,
    file_addresses,
    file_headers,
    onion_policy,
    root_headers,
)

_CACHE: Final = "Cache-Control"
_TYPE: Final = "Content-Type"
_ONION: Final = "Onion-Location"
# These differ between files.
_SPECIAL: Final = frozenset({_CACHE, _TYPE, _ONION})

# An Accept-Language that begins with Chinese; our own server evaluates the whole header.
_CHINESE: Final = "^zh"

_Headers = Mapping[str, str]
Listener = Literal["clearnet", "onion"]


class _Rules:
    """The headers of one listener's responses, computed when a format needs them."""

    def __init__(self, release: Release, listener: Listener, *, hsts_preload: bool) -> None:
        self._release = release
        facts = release.metadata
        self._policy = (
            onion_policy(facts)
            if listener == "onion"
            else clearnet_policy(facts, facts.onions, hsts_preload=hsts_preload)
        )
        self.listener = listener
        self.onion = self._policy.onion_location
        self.has_index = INDEX in release.files

    @cached_property
    def errors(self) -> _Headers:
        """The headers of responses without a page."""
        return dict(bare_headers(self._policy))

    @cached_property
    def addresses(self) -> Mapping[str, _Headers]:
        """Address → headers of every file, and of ``/`` if the release has a file for it."""
        found = file_headers(self._release, self._policy)
        if self.has_index:
            found["/"] = root_headers(found)
        else:
            del found["/"]
        return found

    @cached_property
    def common(self) -> _Headers:
        """The headers that all files have in common."""
        everywhere = list(self.addresses.values())
        return {
            name: value
            for name, value in everywhere[0].items()
            if name not in _SPECIAL and all(name in headers for headers in everywhere)
        }

    @cached_property
    def suffixes(self) -> Mapping[str, _Headers]:
        """Suffix → headers: an extension, or a file name if its extension has two types."""
        paths = {"/": INDEX, **file_addresses(self._release)}
        types: dict[str, set[str]] = {}
        for address, headers in self.addresses.items():
            types.setdefault(splitext(paths[address])[1], set()).add(headers[_TYPE])
        found = {}
        for address, headers in self.addresses.items():
            extension = splitext(paths[address])[1]
            is_clear = len(types[extension]) == 1
            found[extension if is_clear else f"/{basename(paths[address])}"] = headers
        return found


def header_rules(
    release: Release, listener: Listener, formats: Iterable[str], *, hsts_preload: bool = False
) -> dict[str, str]:
    """Return format → rules. Raises ``CccrError`` as ``file_headers`` does."""
    rules = _Rules(release, listener, hsts_preload=hsts_preload)
    return {name: "".join(f"{line}\n" for line in _FORMATS[name](rules)) for name in formats}


def _nginx(rules: _Rules) -> Iterable[str]:
    yield "# For nginx, inside a server block with the folder site/ as its root:"
    yield "#     server { listen …; server_name …; root /…/site; include /…/headers/nginx.conf; }"
    yield "access_log off;"
    yield "error_log /dev/null emerg;"
    yield "server_tokens off;"
    yield "absolute_redirect off;"
    yield "charset off;"
    yield f"index {INDEX};"
    yield f"error_page 404 /{ERROR_PAGES[404]};"
    for name, value in rules.common.items():
        yield f"add_header {name} {_quoted(value)} always;"
    # nginx omits headers with an empty value.
    yield f'set $cccr_cache "{NO_CACHE}";'
    yield 'set $cccr_onion "";'
    yield f"add_header {_CACHE} $cccr_cache always;"
    yield f"add_header {_ONION} $cccr_onion always;"
    yield "types {}"
    for suffix, headers in sorted(rules.suffixes.items()):
        location = f"~ {re.escape(suffix)}$" if suffix else "/"
        onion = f' set $cccr_onion "{rules.onion}$request_uri";' if _ONION in headers else ""
        yield (
            f'location {location} {{ default_type "{headers[_TYPE]}"; '
            f'set $cccr_cache "{headers[_CACHE]}";{onion} }}'
        )
    if not rules.has_index:
        yield "location = / {"
        yield f'    if ($http_accept_language ~* "{_CHINESE}") {{ return 302 /{ZH_HANS.slug}/; }}'
        yield f"    return 302 /{DEFAULT.slug}/;"
        yield "}"


def _caddy(rules: _Rules) -> Iterable[str]:
    yield "# For Caddy, inside a site block with the folder site/ as its root:"
    yield "#     example.org { root * /…/site; import /…/headers/Caddyfile }"
    yield "header {"
    for name, value in rules.common.items():
        yield f'    {name} "{value}"'
    # A default for responses without rules below: Caddy applies this block last.
    yield f'    ?{_CACHE} "{NO_CACHE}"'
    yield "}"
    for suffix, headers in sorted(rules.suffixes.items()):
        name = f"cccr_{suffix.strip('./').replace('.', '_') or 'plain'}"
        pattern = f"{re.escape(suffix)}$" if suffix else r"/[^./]+$"
        folder = ("|/$" if rules.has_index else "|./$") if suffix == ".html" else ""
        yield f"@{name} path_regexp {pattern}{folder}"
        yield f"header @{name} {{"
        yield f'    {_TYPE} "{headers[_TYPE]}"'
        yield f'    {_CACHE} "{headers[_CACHE]}"'
        if _ONION in headers:
            yield f'    {_ONION} "{rules.onion}{{http.request.orig_uri}}"'
        yield "}"
    if not rules.has_index:
        yield "@cccr_chinese {"
        yield "    path /"
        yield f"    header_regexp Accept-Language (?i){_CHINESE}"
        yield "}"
        yield f"redir @cccr_chinese /{ZH_HANS.slug}/ 302"
        yield f"redir / /{DEFAULT.slug}/ 302"
    yield "file_server"


def _netlify(rules: _Rules) -> Iterable[str]:
    yield "# For hosts that read a file _headers (Netlify, Cloudflare): copy it into site/."
    yield "# No address gets a header from two rules, because such hosts would join the values."
    yield "/*"
    for name, value in rules.common.items():
        yield f"  {name}: {value}"
    for address, headers in rules.addresses.items():
        yield address
        for name in sorted(_SPECIAL & headers.keys()):
            yield f"  {name}: {headers[name]}"


def _netlify_redirects(rules: _Rules) -> Iterable[str]:
    yield "# For hosts that read a file _redirects (Netlify, Cloudflare): copy it into site/."
    yield "# A host that does not support Language= or the status 404 skips that line."
    if not rules.has_index:
        yield f"/ /{ZH_HANS.slug}/ 302 Language=zh"
        yield f"/ /{DEFAULT.slug}/ 302"
    yield f"/* /{ERROR_PAGES[404]} 404"


def _text(rules: _Rules) -> Iterable[str]:
    return (f"{name}: {value}" for name, value in rules.errors.items())


def _json(rules: _Rules) -> Iterable[str]:
    yield json.dumps(rules.errors, indent=2)


def _nginx_proxy_http(rules: _Rules) -> Iterable[str]:
    yield "# For nginx as a reverse proxy, inside the http block: the upstream's headers, or ours."
    for name, value in rules.errors.items():
        upstream = f"$upstream_http_{name.lower().replace('-', '_')}"
        yield f"map {upstream} {_variable(rules, name)} {{"
        yield f'  "" {_quoted(value)};'
        yield f"  default {upstream};"
        yield "}"


def _nginx_proxy_server(rules: _Rules) -> Iterable[str]:
    yield "# For nginx as a reverse proxy, inside a server block: needs the headers-more module."
    yield "more_clear_headers Server;"
    for name in rules.errors:
        yield f'more_set_headers "{name}: {_variable(rules, name)}";'


def _variable(rules: _Rules, header: str) -> str:
    return f"${rules.listener}_{header.lower().replace('-', '_')}"


def _quoted(value: str) -> str:
    """Return a string of nginx's configuration."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


# The first four are for a reverse proxy in front of our server, the others for a host that
# serves the files itself.
_FORMATS: Final[dict[str, Callable[[_Rules], Iterable[str]]]] = {
    "text": _text,
    "json": _json,
    "nginx-proxy-http": _nginx_proxy_http,
    "nginx-proxy-server": _nginx_proxy_server,
    "nginx": _nginx,
    "caddy": _caddy,
    "netlify": _netlify,
    "netlify-redirects": _netlify_redirects,
}

FORMATS: Final = tuple(_FORMATS)
