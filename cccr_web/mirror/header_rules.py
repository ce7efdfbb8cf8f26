"""The headers of a release as configuration for other servers, in several formats.

All rules are made from the headers that our own server sends; there is no second list.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from cccr_web.languages import DEFAULT, ZH_HANS
from cccr_web.release import Release
from cccr_web.serve import (
    NO_CACHE,
    Policy,
    bare_headers,
    clearnet_policy,
    file_addresses,
    file_headers,
    front_headers,
    onion_policy,
)

_INDEX: Final = "index.html"
_CACHE: Final = "Cache-Control"
_TYPE: Final = "Content-Type"
_ONION: Final = "Onion-Location"

# An Accept-Language that begins with Chinese; our own server evaluates the whole header.
_CHINESE: Final = "^zh"

_Headers = Mapping[str, str]
Listener = Literal["clearnet", "onion"]


@dataclass(frozen=True, slots=True)
class _StaticHost:
    """The headers of every file, for a host that serves the files itself.

    ``common`` headers are sent with all responses, ``extensions`` and ``addresses`` by file
    name extension and by address; ``has_index``: the release has a file for ``/``.
    """

    common: _Headers
    addresses: Mapping[str, _Headers]
    extensions: Mapping[str, _Headers]
    onion: str | None
    has_index: bool


@dataclass(frozen=True, slots=True)
class _Proxy:
    """The headers of responses without a page, for a reverse proxy in front of our server."""

    listener: Listener
    headers: _Headers


def header_rules(release: Release, listener: Listener, formats: Collection[str]) -> dict[str, str]:
    """Return format → rules. Raises ``CccrError`` as ``file_headers`` does."""
    facts = release.metadata
    policy = onion_policy(facts) if listener == "onion" else clearnet_policy(facts, facts.onions)
    found: dict[str, Iterable[str]] = {}
    if proxy_formats := _PROXY_FORMATS.keys() & formats:
        proxy = _Proxy(listener, dict(bare_headers(policy)))
        found |= {name: _PROXY_FORMATS[name](proxy) for name in proxy_formats}
    if host_formats := _HOST_FORMATS.keys() & formats:
        host = _static_host(release, policy)
        found |= {name: _HOST_FORMATS[name](host) for name in host_formats}
    return {name: "".join(f"{line}\n" for line in found[name]) for name in formats}


def _static_host(release: Release, policy: Policy) -> _StaticHost:
    everywhere = file_headers(release, policy)
    front = everywhere.pop("/")
    paths = file_addresses(release)
    if _INDEX in release.files:
        everywhere["/"] = front_headers(everywhere)
        paths["/"] = _INDEX
    special = {_CACHE, _TYPE, _ONION}
    return _StaticHost(
        common={name: value for name, value in front.items() if _is_common(name, everywhere)},
        addresses={
            address: {name: headers[name] for name in sorted(special & headers.keys())}
            for address, headers in everywhere.items()
        },
        extensions={_extension(paths[address]): headers for address, headers in everywhere.items()},
        onion=policy.onion_location,
        has_index=_INDEX in release.files,
    )


def _is_common(name: str, everywhere: Mapping[str, _Headers]) -> bool:
    return name not in {_CACHE, _TYPE, _ONION} and all(name in of for of in everywhere.values())


def _extension(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2] if "." in name else ""


def _nginx(host: _StaticHost) -> Iterable[str]:
    yield "# For nginx, inside a server block whose root is the folder site/:"
    yield "#     server { listen …; server_name …; root /…/site; include /…/headers/nginx.conf; }"
    yield "access_log off;"
    yield "error_log /dev/null emerg;"
    yield "server_tokens off;"
    yield "absolute_redirect off;"
    yield "charset off;"
    yield f"index {_INDEX};"
    yield f"error_page 404 /{DEFAULT.slug}/errors/404.html;"
    for name, value in host.common.items():
        yield f"add_header {name} {_quoted(value)} always;"
    # nginx sends no header whose value is empty.
    yield f'set $cccr_cache "{NO_CACHE}";'
    yield 'set $cccr_onion "";'
    yield f"add_header {_CACHE} $cccr_cache always;"
    yield f"add_header {_ONION} $cccr_onion always;"
    yield "types {}"
    for extension, headers in sorted(host.extensions.items()):
        location = rf"~ \.{extension}$" if extension else "/"
        onion = f' set $cccr_onion "{host.onion}$request_uri";' if _ONION in headers else ""
        yield (
            f'location {location} {{ default_type "{headers[_TYPE]}"; '
            f'set $cccr_cache "{headers[_CACHE]}";{onion} }}'
        )
    if not host.has_index:
        yield "location = / {"
        yield f'    if ($http_accept_language ~* "{_CHINESE}") {{ return 302 /{ZH_HANS.slug}/; }}'
        yield f"    return 302 /{DEFAULT.slug}/;"
        yield "}"


def _caddy(host: _StaticHost) -> Iterable[str]:
    yield "# For Caddy, inside a site block whose root is the folder site/:"
    yield "#     example.org { root * /…/site; import /…/headers/Caddyfile }"
    yield "header {"
    for name, value in host.common.items():
        yield f'    {name} "{value}"'
    # A default for responses without rules below: Caddy applies this block last.
    yield f'    ?{_CACHE} "{NO_CACHE}"'
    yield "}"
    for extension, headers in sorted(host.extensions.items()):
        name = f"cccr_{extension or 'plain'}"
        pattern = rf"\.{extension}$" if extension else r"/[^./]+$"
        folder = ("|/$" if host.has_index else "|./$") if extension == "html" else ""
        yield f"@{name} path_regexp {pattern}{folder}"
        yield f"header @{name} {{"
        yield f'    {_TYPE} "{headers[_TYPE]}"'
        yield f'    {_CACHE} "{headers[_CACHE]}"'
        if _ONION in headers:
            yield f'    {_ONION} "{host.onion}{{http.request.orig_uri}}"'
        yield "}"
    if not host.has_index:
        yield "@cccr_chinese {"
        yield "    path /"
        yield f"    header_regexp Accept-Language (?i){_CHINESE}"
        yield "}"
        yield f"redir @cccr_chinese /{ZH_HANS.slug}/ 302"
        yield f"redir / /{DEFAULT.slug}/ 302"
    yield "file_server"


def _netlify(host: _StaticHost) -> Iterable[str]:
    yield "# For hosts that read a file _headers (Netlify, Cloudflare): copy it into site/."
    yield "# No address gets a header from two rules, because such hosts would join the values."
    yield "/*"
    for name, value in host.common.items():
        yield f"  {name}: {value}"
    for address, headers in host.addresses.items():
        yield address
        for name, value in headers.items():
            yield f"  {name}: {value}"


def _redirects(host: _StaticHost) -> Iterable[str]:
    yield "# For hosts that read a file _redirects (Netlify, Cloudflare): copy it into site/."
    yield "# A host that does not support Language= skips that line."
    if not host.has_index:
        yield f"/ /{ZH_HANS.slug}/ 302 Language=zh"
        yield f"/ /{DEFAULT.slug}/ 302"


def _text(proxy: _Proxy) -> Iterable[str]:
    return (f"{name}: {value}" for name, value in proxy.headers.items())


def _json(proxy: _Proxy) -> Iterable[str]:
    yield json.dumps(proxy.headers, indent=2)


def _nginx_proxy_http(proxy: _Proxy) -> Iterable[str]:
    yield "# For nginx as a reverse proxy, inside the http block: the upstream's headers, or ours."
    for name, value in proxy.headers.items():
        upstream = f"$upstream_http_{name.lower().replace('-', '_')}"
        yield f"map {upstream} {_variable(proxy, name)} {{"
        yield f'  "" {_quoted(value)};'
        yield f"  default {upstream};"
        yield "}"


def _nginx_proxy_server(proxy: _Proxy) -> Iterable[str]:
    yield "# For nginx as a reverse proxy, inside a server block: needs the headers-more module."
    yield "more_clear_headers Server;"
    for name in proxy.headers:
        yield f'more_set_headers "{name}: {_variable(proxy, name)}";'


def _variable(proxy: _Proxy, header: str) -> str:
    return f"${proxy.listener}_{header.lower().replace('-', '_')}"


def _quoted(value: str) -> str:
    """Return a string of nginx's configuration."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


# For a reverse proxy in front of our server.
_PROXY_FORMATS: Final[dict[str, Callable[[_Proxy], Iterable[str]]]] = {
    "text": _text,
    "json": _json,
    "nginx-proxy-http": _nginx_proxy_http,
    "nginx-proxy-server": _nginx_proxy_server,
}

# For a host that serves the files of a release itself.
_HOST_FORMATS: Final[dict[str, Callable[[_StaticHost], Iterable[str]]]] = {
    "nginx": _nginx,
    "caddy": _caddy,
    "netlify": _netlify,
    "netlify-redirects": _redirects,
}

FORMATS: Final = (*_PROXY_FORMATS, *_HOST_FORMATS)
