"""The headers of a release as configuration for other servers, in several formats.

All rules are made from the headers that our own server sends; there is no second list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from posixpath import basename, splitext
from typing import Final

from cccr_web.languages import (
    CHINESE,
    DEFAULT,
    MEANINGS,
    RANGE,
    SEGMENT,
    TRADITIONAL,
    available,
    negotiate,
    slug_for,
)
from cccr_web.release import ERROR_PAGES, INDEX, Release
from cccr_web.serve import (
    NO_CACHE,
    TYPED_TAGS,
    Listener,
    bare_headers,
    file_addresses,
    file_headers,
    listener_policy,
    root_headers,
)

_CACHE: Final = "Cache-Control"
_TYPE: Final = "Content-Type"
_ONION: Final = "Onion-Location"
# These differ between files.
_SPECIAL: Final = frozenset({_CACHE, _TYPE, _ONION})

# The first language of an Accept-Language for which we have one: browsers send the preferred
# first. Our own server evaluates the qualities as well.
_ACCEPTED: Final = rf"^(?:[^,]*,)*?[ \t]*({RANGE})(?:[^0-9a-z]|$)"
# A path below a language tag. nginx would copy a control character into the header.
_INDEX: Final = re.escape(INDEX)
_REST: Final = "[0-9A-Za-z._/-]*"
# Netlify's rules hold no expressions and heed case, so these are the tags that people type.
_TYPED: Final = (*TYPED_TAGS, "zh-TW", "zh-HK", "EN")

_Headers = Mapping[str, str]


class _Rules:
    """The headers of one listener's responses, computed when a format needs them."""

    def __init__(self, release: Release, listener: Listener, *, hsts_preload: bool) -> None:
        self._release = release
        self._policy = listener_policy(listener, release.metadata, hsts_preload=hsts_preload)
        self.listener = listener
        self.onion = self._policy.onion_location
        self.has_index = INDEX in release.files
        self.offered = tuple(release.metadata.languages)
        self.slugs = "|".join(self.offered)

    @property
    def meanings(self) -> Iterable[tuple[str, str]]:
        """Expression → slug of the language that the release has for such a tag."""
        for pattern, language in MEANINGS:
            yield pattern, (available(language, self.offered) or DEFAULT).slug

    @cached_property
    def errors(self) -> _Headers:
        """The headers of responses without a page."""
        return dict(bare_headers(self._policy.without_page()))

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
    # The first matching expression decides. A mirror may hold .git and other files of its owner.
    yield r"location ~ /\.(?!well-known/) { return 404; }"
    tag = f"(?!(?-i:{rules.slugs})(?:/|$))(?<cccr_tag>{SEGMENT})"
    yield f'location ~* "^/{tag}(?:/(?<cccr_rest>{_REST}?)(?:{_INDEX})?)?\\z" {{'
    yield from _nginx_slug(rules)
    yield "    set $cccr_page $document_root/$cccr_slug/$cccr_rest;"
    for file in ("$cccr_page", f"${{cccr_page}}{INDEX}"):
        yield f'    if (-f "{file}") {{ return 302 /$cccr_slug/$cccr_rest; }}'
    yield "    return 404;"
    yield "}"
    for suffix, headers in sorted(rules.suffixes.items()):
        location = f"~ {re.escape(suffix)}$" if suffix else "/"
        onion = f' set $cccr_onion "{rules.onion}$request_uri";' if _ONION in headers else ""
        yield (
            f'location {location} {{ default_type "{headers[_TYPE]}"; '
            f'set $cccr_cache "{headers[_CACHE]}";{onion} }}'
        )
    if not rules.has_index:
        yield "location = / {"
        yield '    set $cccr_tag "";'
        yield f'    if ($http_accept_language ~* "{_ACCEPTED}") {{ set $cccr_tag $1; }}'
        yield from _nginx_slug(rules)
        yield "    return 302 /$cccr_slug/;"
        yield "}"


def _nginx_slug(rules: _Rules) -> Iterable[str]:
    """Yield the directives that set ``$cccr_slug`` by ``$cccr_tag``."""
    yield f"    set $cccr_slug {DEFAULT.slug};"
    # The first expression decides on our server; here it is the last.
    for pattern, slug in reversed([*rules.meanings]):
        yield f'    if ($cccr_tag ~* "{pattern}") {{ set $cccr_slug {slug}; }}'


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
    # A mirror may hold .git and other files of its owner.
    yield "@cccr_hidden {"
    yield r"    path_regexp (^|/)\."
    yield "    not path /.well-known/*"
    yield "}"
    yield "respond @cccr_hidden 404"
    yield "map {path} {cccr_tag} {cccr_rest} {"
    yield f'    ~^/(?:{rules.slugs})(?:/|$) "" ""'
    yield f"    ~(?i)^/({SEGMENT})(?:/({_REST}?)(?:{_INDEX})?)?$ ${{1}} ${{2}}"
    yield '    default "" ""'
    yield "}"
    yield from _caddy_slug(rules, "cccr_tag", "cccr_slug")
    files = " ".join(f"/{{cccr_slug}}/{{cccr_rest}}{name}" for name in ("", INDEX))
    yield "@cccr_page {"
    yield f"    path_regexp (?i)^/{SEGMENT}(?:/{_REST})?$"
    yield f"    not path_regexp ^/({rules.slugs})(/|$)"
    yield f"    file {files}"
    yield "}"
    yield "redir @cccr_page /{cccr_slug}/{cccr_rest} 302"
    if not rules.has_index:
        yield "map {header.Accept-Language} {cccr_accepted} {"
        yield f'    "~(?i){_ACCEPTED}" ${{1}}'
        yield '    default ""'
        yield "}"
        yield from _caddy_slug(rules, "cccr_accepted", "cccr_home")
        yield "redir / /{cccr_home}/ 302"
    yield "file_server"


def _caddy_slug(rules: _Rules, tag: str, slug: str) -> Iterable[str]:
    yield f"map {{{tag}}} {{{slug}}} {{"
    for pattern, its_slug in rules.meanings:
        yield f"    ~(?i){pattern} {its_slug}"
    yield f"    default {DEFAULT.slug}"
    yield "}"


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
    # The programs that upload a folder to such hosts leave .git out.
    if not rules.has_index:
        by_slug: dict[str, list[str]] = {}
        regions = [f"zh-{subtag}" for subtag in TRADITIONAL.split("|")]
        for tag in (*regions, "yue", *CHINESE.split("|")):
            tags = by_slug.setdefault(negotiate([(tag, 1.0)], rules.offered).slug, [])
            tags += [tag] if tag not in tags else []
        for slug, tags in by_slug.items():
            yield f"/ /{slug}/ 302 Language={','.join(tags)}"
        yield f"/ /{DEFAULT.slug}/ 302"
    for tag in _TYPED:
        typed = slug_for(tag, rules.offered)
        if typed is not None:
            yield f"/{tag}/* /{typed}/:splat 302"
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


def _nginx_proxy_tags(rules: _Rules) -> Iterable[str]:
    del rules
    yield "# For nginx as a reverse proxy, inside “map $http_accept_language $TAG {}”."
    yield f'"~*{_ACCEPTED}" $1;'


def _nginx_proxy_languages(rules: _Rules) -> Iterable[str]:
    del rules
    yield "# For nginx as a reverse proxy, inside “map $TAG $LANGUAGE {}”."
    yield f"default {DEFAULT.slug};"
    for pattern, language in MEANINGS:
        yield f'"~*{pattern}" {language.slug};'


def _variable(rules: _Rules, header: str) -> str:
    return f"${rules.listener}_{header.lower().replace('-', '_')}"


def _quoted(value: str) -> str:
    """Return a string of nginx's configuration."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


# The first six are for a reverse proxy in front of our server, the others for a host that
# serves the files itself.
_FORMATS: Final[dict[str, Callable[[_Rules], Iterable[str]]]] = {
    "text": _text,
    "json": _json,
    "nginx-proxy-http": _nginx_proxy_http,
    "nginx-proxy-server": _nginx_proxy_server,
    "nginx-proxy-tags": _nginx_proxy_tags,
    "nginx-proxy-languages": _nginx_proxy_languages,
    "nginx": _nginx,
    "caddy": _caddy,
    "netlify": _netlify,
    "netlify-redirects": _netlify_redirects,
}

FORMATS: Final = tuple(_FORMATS)
