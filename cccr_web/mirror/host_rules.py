"""The headers of a release as files for static hosts, so that a mirror sends what we send.

All are made from ``file_headers``: there is no second list of them. Each function
returns the text of one file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from cccr_web.languages import DEFAULT, ZH_HANS
from cccr_web.release import Release
from cccr_web.serve import NO_CACHE, Policy, file_addresses, file_headers, front_headers

_INDEX: Final = "index.html"
_CACHE: Final = "Cache-Control"
_TYPE: Final = "Content-Type"
_ONION: Final = "Onion-Location"

# An Accept-Language that begins with Chinese; our own server also reads the rest of it.
_CHINESE: Final = "^zh"

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Rules:
    """``common`` to all answers; what goes with files of each ending; whether ``/`` is a file."""

    common: Headers
    addresses: Mapping[str, Headers]
    suffixes: Mapping[str, Headers]
    onion: str | None
    has_index: bool


def host_files(release: Release, policy: Policy) -> dict[str, bytes]:
    """Return name → content of each host's file. Raises ``CccrError`` as ``file_headers`` does."""
    everywhere = file_headers(release, policy)
    front = everywhere.pop("/")
    paths = file_addresses(release)
    if _INDEX in release.files:
        everywhere["/"] = front_headers(everywhere)
        paths["/"] = _INDEX
    special = {_CACHE, _TYPE, _ONION}
    rules = _Rules(
        common={name: value for name, value in front.items() if _is_common(name, everywhere)},
        addresses={
            address: {name: headers[name] for name in sorted(special & headers.keys())}
            for address, headers in everywhere.items()
        },
        suffixes=_by_suffix(paths, everywhere),
        onion=policy.onion_location,
        has_index=_INDEX in release.files,
    )
    made: dict[str, Callable[[_Rules], Iterable[str]]] = {
        "nginx.conf": _nginx,
        "Caddyfile": _caddy,
        "_headers": _headers,
        "_redirects": _redirects,
    }
    return {
        name: "".join(f"{line}\n" for line in make(rules)).encode() for name, make in made.items()
    }


def _is_common(name: str, everywhere: Mapping[str, Headers]) -> bool:
    return name not in {_CACHE, _TYPE, _ONION} and all(name in of for of in everywhere.values())


def _by_suffix(
    paths: Mapping[str, str], everywhere: Mapping[str, Headers]
) -> Mapping[str, Headers]:
    """Return suffix of a path → headers: an extension, or a name if its extension has two types."""
    found: dict[str, Headers] = {}
    types: dict[str, set[str]] = {}
    for address, headers in everywhere.items():
        types.setdefault(_extension(paths[address]), set()).add(headers[_TYPE])
    for address, headers in everywhere.items():
        extension = _extension(paths[address])
        name = paths[address].rpartition("/")[2]
        found[extension if len(types[extension]) == 1 else f"/{name}"] = headers
    return found


def _extension(path: str) -> str:
    name = path.rpartition("/")[2]
    return f".{name.rpartition('.')[2]}" if "." in name else ""


def _nginx(rules: _Rules) -> Iterable[str]:
    yield "# For nginx, inside a server block that has the folder site/ for its root:"
    yield "#     server { listen …; server_name …; root /…/site; include /…/headers/nginx.conf; }"
    yield "access_log off;"
    yield "error_log /dev/null emerg;"
    yield "server_tokens off;"
    yield "absolute_redirect off;"
    yield "charset off;"
    yield f"index {_INDEX};"
    yield f"error_page 404 /{DEFAULT.slug}/errors/404.html;"
    for name, value in rules.common.items():
        yield f'add_header {name} "{value}" always;'
    # nginx sends no header whose value is empty.
    yield f'set $cccr_cache "{NO_CACHE}";'
    yield 'set $cccr_onion "";'
    yield f"add_header {_CACHE} $cccr_cache always;"
    yield f"add_header {_ONION} $cccr_onion always;"
    yield "types {}"
    for suffix, headers in sorted(rules.suffixes.items()):
        place = f"~ {re.escape(suffix)}$" if suffix else "/"
        onion = f' set $cccr_onion "{rules.onion}$request_uri";' if _ONION in headers else ""
        yield (
            f'location {place} {{ default_type "{headers[_TYPE]}"; '
            f'set $cccr_cache "{headers[_CACHE]}";{onion} }}'
        )
    if not rules.has_index:
        yield "location = / {"
        yield f'    if ($http_accept_language ~* "{_CHINESE}") {{ return 302 /{ZH_HANS.slug}/; }}'
        yield f"    return 302 /{DEFAULT.slug}/;"
        yield "}"


def _caddy(rules: _Rules) -> Iterable[str]:
    yield "# For Caddy, inside a site block that has the folder site/ for its root:"
    yield "#     example.org { root * /…/site; import /…/headers/Caddyfile }"
    yield "header {"
    for name, value in rules.common.items():
        yield f'    {name} "{value}"'
    # Only where none is set below: Caddy puts this block last.
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


def _headers(rules: _Rules) -> Iterable[str]:
    yield "# For hosts that read a file _headers (Netlify, Cloudflare): copy it into site/."
    yield "# No header stands in two rules for one address: such hosts would join the values."
    yield "/*"
    for name, value in rules.common.items():
        yield f"  {name}: {value}"
    for address, headers in rules.addresses.items():
        yield address
        for name, value in headers.items():
            yield f"  {name}: {value}"


def _redirects(rules: _Rules) -> Iterable[str]:
    yield "# For hosts that read a file _redirects (Netlify, Cloudflare): copy it into site/."
    yield "# Where a host knows no Language= it skips that line."
    if not rules.has_index:
        yield f"/ /{ZH_HANS.slug}/ 302 Language=zh"
        yield f"/ /{DEFAULT.slug}/ 302"
