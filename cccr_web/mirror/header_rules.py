"""The headers of a release as configuration for other servers, in several formats.

All rules are made from the headers that our own server sends; there is no second list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Final

from cccr_web.languages import (
    CHINESE,
    DEFAULT,
    MEANINGS,
    SEGMENT,
    TRADITIONAL,
    negotiate,
    slug_for,
)
from cccr_web.mirror.apache import apache
from cccr_web.mirror.rules import ACCEPTED, CACHE, ONION, REST, SPECIAL, TYPE, Rules
from cccr_web.release import ERROR_PAGES, INDEX, Release
from cccr_web.serve import NO_CACHE, TYPED_TAGS, Listener

_INDEX: Final = re.escape(INDEX)
# Netlify's rules hold no expressions and heed case, so these are the tags that people type.
_TYPED: Final = (*TYPED_TAGS, "zh-TW", "zh-HK", "EN")


def header_rules(
    release: Release, listener: Listener, formats: Iterable[str], *, hsts_preload: bool = False
) -> dict[str, str]:
    """Return format → rules. Raises ``CccrError`` as ``file_headers`` does."""
    rules = Rules(release, listener, hsts_preload=hsts_preload)
    return {name: "".join(f"{line}\n" for line in _FORMATS[name](rules)) for name in formats}


def _nginx(rules: Rules) -> Iterable[str]:
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
    yield f"add_header {CACHE} $cccr_cache always;"
    yield f"add_header {ONION} $cccr_onion always;"
    yield "types {}"
    # The first matching expression decides. A mirror may hold .git and other files of its owner.
    yield r"location ~ /\.(?!well-known/) { return 404; }"
    tag = f"(?!(?-i:{rules.slugs})(?:/|$))(?<cccr_tag>{SEGMENT})"
    yield f'location ~* "^/{tag}(?:/(?<cccr_rest>{REST}?)(?:{_INDEX})?)?\\z" {{'
    yield from _nginx_slug(rules)
    yield "    set $cccr_page $document_root/$cccr_slug/$cccr_rest;"
    for file in ("$cccr_page", f"${{cccr_page}}{INDEX}"):
        yield f'    if (-f "{file}") {{ return 302 /$cccr_slug/$cccr_rest; }}'
    yield "    return 404;"
    yield "}"
    for suffix, headers in sorted(rules.suffixes.items()):
        location = f"~ {re.escape(suffix)}$" if suffix else "/"
        onion = f' set $cccr_onion "{rules.onion}$request_uri";' if ONION in headers else ""
        yield (
            f'location {location} {{ default_type "{headers[TYPE]}"; '
            f'set $cccr_cache "{headers[CACHE]}";{onion} }}'
        )
    if not rules.has_index:
        yield "location = / {"
        yield '    set $cccr_tag "";'
        yield f'    if ($http_accept_language ~* "{ACCEPTED}") {{ set $cccr_tag $1; }}'
        yield from _nginx_slug(rules)
        yield "    return 302 /$cccr_slug/;"
        yield "}"


def _nginx_slug(rules: Rules) -> Iterable[str]:
    """Yield the directives that set ``$cccr_slug`` by ``$cccr_tag``."""
    yield f"    set $cccr_slug {DEFAULT.slug};"
    # The first expression decides on our server; here it is the last.
    for pattern, slug in reversed([*rules.meanings]):
        yield f'    if ($cccr_tag ~* "{pattern}") {{ set $cccr_slug {slug}; }}'


def _caddy(rules: Rules) -> Iterable[str]:
    yield "# For Caddy, inside a site block with the folder site/ as its root:"
    yield "#     example.org { root * /…/site; import /…/headers/Caddyfile }"
    yield "header {"
    for name, value in rules.common.items():
        yield f'    {name} "{value}"'
    # A default for responses without rules below: Caddy applies this block last.
    yield f'    ?{CACHE} "{NO_CACHE}"'
    yield "}"
    for suffix, headers in sorted(rules.suffixes.items()):
        name = f"cccr_{suffix.strip('./').replace('.', '_') or 'plain'}"
        pattern = f"{re.escape(suffix)}$" if suffix else r"/[^./]+$"
        folder = ("|/$" if rules.has_index else "|./$") if suffix == ".html" else ""
        yield f"@{name} path_regexp {pattern}{folder}"
        yield f"header @{name} {{"
        yield f'    {TYPE} "{headers[TYPE]}"'
        yield f'    {CACHE} "{headers[CACHE]}"'
        if ONION in headers:
            yield f'    {ONION} "{rules.onion}{{http.request.orig_uri}}"'
        yield "}"
    # A mirror may hold .git and other files of its owner.
    yield "@cccr_hidden {"
    yield r"    path_regexp (^|/)\."
    yield r"    not path_regexp ^/\.well-known(/[^./][^/]*)*/?$"
    yield "}"
    yield "respond @cccr_hidden 404"
    yield "map {path} {cccr_tag} {cccr_rest} {"
    yield f'    ~^/(?:{rules.slugs})(?:/|$) "" ""'
    yield f"    ~(?i)^/({SEGMENT})(?:/({REST}?)(?:{_INDEX})?)?$ ${{1}} ${{2}}"
    yield '    default "" ""'
    yield "}"
    yield from _caddy_slug(rules, "cccr_tag", "cccr_slug")
    files = " ".join(f"/{{cccr_slug}}/{{cccr_rest}}{name}" for name in ("", INDEX))
    yield "@cccr_page {"
    yield f"    path_regexp (?i)^/{SEGMENT}(?:/{REST})?$"
    yield f"    not path_regexp ^/({rules.slugs})(/|$)"
    yield f"    file {files}"
    yield "}"
    yield "redir @cccr_page /{cccr_slug}/{cccr_rest} 302"
    if not rules.has_index:
        yield "map {header.Accept-Language} {cccr_accepted} {"
        yield f'    "~(?i){ACCEPTED}" ${{1}}'
        yield '    default ""'
        yield "}"
        yield from _caddy_slug(rules, "cccr_accepted", "cccr_home")
        yield "redir / /{cccr_home}/ 302"
    yield "file_server"


def _caddy_slug(rules: Rules, tag: str, slug: str) -> Iterable[str]:
    yield f"map {{{tag}}} {{{slug}}} {{"
    for pattern, its_slug in rules.meanings:
        yield f"    ~(?i){pattern} {its_slug}"
    yield f"    default {DEFAULT.slug}"
    yield "}"


def _netlify(rules: Rules) -> Iterable[str]:
    yield "# For hosts that read a file _headers (Netlify, Cloudflare): copy it into site/."
    yield "# No address gets a header from two rules, because such hosts would join the values."
    yield "/*"
    for name, value in rules.common.items():
        yield f"  {name}: {value}"
    for address, headers in rules.addresses.items():
        yield address
        for name in sorted(SPECIAL & headers.keys()):
            yield f"  {name}: {headers[name]}"


def _netlify_redirects(rules: Rules) -> Iterable[str]:
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


def _text(rules: Rules) -> Iterable[str]:
    return (f"{name}: {value}" for name, value in rules.errors.items())


def _json(rules: Rules) -> Iterable[str]:
    yield json.dumps(rules.errors, indent=2)


def _nginx_proxy_http(rules: Rules) -> Iterable[str]:
    yield "# For nginx as a reverse proxy, inside the http block: the upstream's headers, or ours."
    for name, value in rules.errors.items():
        upstream = f"$upstream_http_{name.lower().replace('-', '_')}"
        yield f"map {upstream} {_variable(rules, name)} {{"
        yield f'  "" {_quoted(value)};'
        yield f"  default {upstream};"
        yield "}"


def _nginx_proxy_server(rules: Rules) -> Iterable[str]:
    yield "# For nginx as a reverse proxy, inside a server block: needs the headers-more module."
    yield "more_clear_headers Server;"
    for name in rules.errors:
        yield f'more_set_headers "{name}: {_variable(rules, name)}";'


def _nginx_proxy_tags(rules: Rules) -> Iterable[str]:
    del rules
    yield "# For nginx as a reverse proxy, inside “map $http_accept_language $TAG {}”."
    yield f'"~*{ACCEPTED}" $1;'


def _nginx_proxy_languages(rules: Rules) -> Iterable[str]:
    del rules
    yield "# For nginx as a reverse proxy, inside “map $TAG $LANGUAGE {}”."
    yield f"default {DEFAULT.slug};"
    for pattern, language in MEANINGS:
        yield f'"~*{pattern}" {language.slug};'


def _variable(rules: Rules, header: str) -> str:
    return f"${rules.listener}_{header.lower().replace('-', '_')}"


def _quoted(value: str) -> str:
    """Return a string of nginx's configuration."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


# The first six are for a reverse proxy in front of our server, the others for a host that
# serves the files itself.
_FORMATS: Final[dict[str, Callable[[Rules], Iterable[str]]]] = {
    "text": _text,
    "json": _json,
    "nginx-proxy-http": _nginx_proxy_http,
    "nginx-proxy-server": _nginx_proxy_server,
    "nginx-proxy-tags": _nginx_proxy_tags,
    "nginx-proxy-languages": _nginx_proxy_languages,
    "nginx": _nginx,
    "apache": apache,
    "caddy": _caddy,
    "netlify": _netlify,
    "netlify-redirects": _netlify_redirects,
}

FORMATS: Final = tuple(_FORMATS)
