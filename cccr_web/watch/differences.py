"""How a response differs from the signed file and from the header policy.

These headers depend on the connection, the time or how a host stores files. They are
accepted as a plain nginx, Caddy or Apache sends them:

- ``Date``, ``Connection``, ``Keep-Alive``, ``Transfer-Encoding: chunked``, ``Content-Length``,
  ``Accept-Ranges``;
- ``ETag`` and ``Last-Modified``, each the same for all clients (see ``site_check.py``);
- ``Server`` with only the name nginx, Caddy or Apache, no version;
- ``Content-Encoding``, because the bytes are compared after decompression;
- ``Vary: Accept-Encoding``;
- ``Alt-Svc`` (RFC 7838) that offers HTTP/2 or HTTP/3 at the same name and port, or over TLS at
  an onion of ours. Any other place could send browsers what ``watch`` does not see.

Any other header that the policy does not send is an extra header, ``Set-Cookie`` above all.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin

from cccr_web.release import ERROR_PAGES, INDEX, File, Release, printable
from cccr_web.serve import (
    Policy,
    file_addresses,
    file_headers,
    redirect_pages,
    redirect_targets,
    root_headers,
)
from cccr_web.watch.address import Address
from cccr_web.watch.client import Response
from cccr_web.watch.requests import ROOT

_MAX_SHOWN: Final = 100
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# Browsers do not show the body of a redirect, and its sender decides how long to cache it.
_REDIRECT_HEADERS: Final = frozenset({"cache-control", "content-type", "location", "vary"})
_CSP: Final = "Content-Security-Policy"
_ONION: Final = "onion-location"
_EMPTY: Final = File.of(b"").sha256

_ACCEPTED: Final = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "date",
        "etag",
        "keep-alive",
        "last-modified",
    }
)
_SERVICE: Final = re.compile(r'h[23](?:-[0-9]+)?="([^"]*)"(?:; *(?:ma|persist)=[0-9]+)*')
_ACCEPTED_VALUES: Final = {
    "accept-ranges": re.compile(r"bytes|none", re.IGNORECASE),
    "server": re.compile(r"nginx|Caddy|Apache"),
    "transfer-encoding": re.compile(r"chunked", re.IGNORECASE),
    "vary": re.compile(r"accept-encoding", re.IGNORECASE),
}


class DifferenceKind(enum.StrEnum):
    """The kinds of difference. Their values are part of the JSON format."""

    BAD_SIGNATURE = "bad signature"
    OLDER_RELEASE = "older release"
    NEWER_RELEASE = "newer release"
    CHANGED = "changed"
    MISSING = "missing"
    UNLISTED = "unlisted"
    FORK = "fork"
    ROLLBACK = "rollback"
    FREEZE = "freeze"
    UNRECORDED = "unrecorded"
    EXTRA_HEADER = "extra header"
    MISSING_HEADER = "missing header"
    CHANGED_HEADER = "changed header"
    UNREACHABLE = "unreachable"

    @property
    def is_header(self) -> bool:
        """Whether it concerns a header rather than a file."""
        return self in {self.EXTRA_HEADER, self.MISSING_HEADER, self.CHANGED_HEADER}

    @property
    def remedy(self) -> str:
        """What an admin should do about it."""
        return _REMEDIES.get(self, _UNEXPECTED_REMEDY)


_REMEDIES: Final = {
    DifferenceKind.UNREACHABLE: "Check whether the server runs: deploy/deploy.sh status",
    DifferenceKind.OLDER_RELEASE: "Publish the newest release there.",
    DifferenceKind.NEWER_RELEASE: "Publish it at the other addresses, too.",
    DifferenceKind.ROLLBACK: "Publish the newest release there, or a corrected one after it.",
    DifferenceKind.FREEZE: "Publish the newest release there.",
    DifferenceKind.FORK: "Ask every signer which of the two they signed: readers saw both.",
    DifferenceKind.UNRECORDED: "Ask every signer whether they signed it, and correct releases.txt.",
}
_UNEXPECTED_REMEDY: Final = (
    "Look at it from another network. If it is one of your servers, treat it as compromised: "
    "see “Seized or compromised server” in deploy/README.md."
)


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One difference at ``path``, such as ``/en/``; the path is empty for a whole address."""

    path: str
    kind: DifferenceKind
    detail: str


def file_difference(
    target: str, response: Response, sha256: str | None = None
) -> Difference | None:
    """Compare ``response`` with the file of that hash, or without one with any file."""
    kind, detail = DifferenceKind.CHANGED, f"responded with {response.status}"
    if response.status in range(400, 500):
        kind = DifferenceKind.MISSING
    elif response.status >= 500:
        kind = DifferenceKind.UNREACHABLE
    elif response.status in range(300, 400):
        detail = f"it redirects to {_shown(response.header('location'))}"
    elif response.status == 200 and response.too_long:
        detail = "it is longer than the file may be"
    elif response.status == 200:
        if sha256 is None or response.sha256 == sha256:
            return None
        return changed_file(target, response.sha256, sha256)
    return Difference(target, kind, detail)


def changed_file(target: str, sha256: str, expected: str) -> Difference:
    """Return the difference of a file with the wrong hash."""
    return Difference(target, DifferenceKind.CHANGED, f"SHA-256 {sha256}, not {expected}")


class ExpectedSite:
    """What ``address`` must serve: the files of ``release`` with the headers of ``policy``.

    ``allowed`` are further lower-case names of headers that any response may have.
    """

    def __init__(
        self, address: Address, release: Release, policy: Policy, allowed: Collection[str]
    ) -> None:
        self._address = address
        self._release = release
        self._allowed = allowed
        self._headers = file_headers(release, policy)
        self._without_page = file_headers(release, policy.without_page())[ROOT]
        self._onion = policy.onion_location
        own = (f"{host}:{address.port}" for host in ("", address.host))
        self._services = {*own, *(f"{onion}:443" for onion in release.metadata.onions)}
        self._paths = file_addresses(release)
        self._redirects = redirect_targets(release)

    def differences(self, target: str, response: Response) -> Iterator[Difference]:
        """Compare the response to any target with what the site must send."""
        if target == ROOT:
            yield from self._root(response)
        elif target in self._paths:
            file = self._release.files[self._paths[target]]
            if found := file_difference(target, response, file.sha256):
                yield found
            if response.status == 200:
                yield from self._header_differences(target, response, self._headers[target])
        elif f"{target}/" in self._paths:
            yield from self._folder(target, response)
        elif target in self._redirects:
            yield from self._redirect(target, response)
        else:
            yield from self._unlisted(target, response)

    def _root(self, response: Response) -> Iterator[Difference]:
        """Compare the response to ``/``, which must lead to one of the site's languages.

        Our own server redirects by the reader's language; a static host may send the
        release's ``index.html``, if it has one.
        """
        if response.status in _REDIRECTS:
            folders = {f"/{slug}/" for slug in self._release.metadata.languages}
            yield from self._location(ROOT, response, folders)
            yield from self._bare_headers(ROOT, response)
            return
        index = self._release.files.get(INDEX)
        if index is None and response.status == 200:
            yield Difference(ROOT, DifferenceKind.CHANGED, "a page that is not in the release")
            return
        if found := file_difference(ROOT, response, index.sha256 if index else None):
            yield found
        if index and response.status == 200:
            yield from self._header_differences(ROOT, response, root_headers(self._headers))

    def _folder(self, path: str, response: Response) -> Iterator[Difference]:
        """Compare the response to a folder without its final slash, which must redirect to it."""
        if response.status == 200:
            yield Difference(path, DifferenceKind.UNLISTED, "responded with 200, not a redirect")
        elif response.status in _REDIRECTS:
            yield from self._location(path, response, {f"{path}/"})
            yield from self._bare_headers(path, response)
        elif found := file_difference(path, response):
            yield found

    def _redirect(self, path: str, response: Response) -> Iterator[Difference]:
        """Compare the response to a path that our server redirects to a language, like ``/zh/``.

        A static host may send the page that ``mirror`` writes for it, or have nothing there.
        """
        page = File.of(redirect_pages(self._release)[f"{path[1:]}{INDEX}"])
        if response.status in _REDIRECTS:
            yield from self._location(path, response, {self._redirects[path]})
        elif response.status != 200 or response.sha256 != page.sha256:
            yield from self._unlisted(path, response)
            return
        yield from self._bare_headers(path, response)

    def _unlisted(self, path: str, response: Response) -> Iterator[Difference]:
        """Compare the response to a path that no release has: an error page of ours, or none."""
        if response.status == 200:
            yield Difference(path, DifferenceKind.UNLISTED, "responded with 200")
            return
        if response.status not in range(400, 500):
            if found := file_difference(path, response):
                yield found
            return
        files = map(self._release.files.get, ERROR_PAGES.values())
        pages = {file.sha256 for file in files if file is not None}
        if response.sha256 not in pages | {_EMPTY}:
            detail = "an error page that is not in the release"
            yield Difference(path, DifferenceKind.CHANGED, detail)
        yield from self._bare_headers(path, response)

    def _location(
        self, path: str, response: Response, folders: Collection[str]
    ) -> Iterator[Difference]:
        """Compare where a redirect leads with the ``folders`` to which it may lead."""
        # If there are several, programs disagree on which to follow.
        locations: Sequence[str | None] = response.values("location") or [None]
        targets = {f"{self._address}{folder}{name}" for folder in folders for name in ("", INDEX)}
        for location in locations:
            if location is None or _joined(f"{self._address}{path}", location) not in targets:
                detail = f"it redirects to {_shown(location)}"
                yield Difference(path, DifferenceKind.CHANGED, detail)

    def _bare_headers(self, path: str, response: Response) -> Iterator[Difference]:
        """Compare the headers of a redirect or an error with those of our own redirect.

        A static host may announce our onion there too. A reverse proxy that answers itself,
        because our server is down, sends no page and the policy for that.
        """
        own = self._headers[ROOT]
        if response.sha256 == _EMPTY and response.header(_CSP.lower()) == self._without_page[_CSP]:
            own = self._without_page
        expected = {
            name: value for name, value in own.items() if name.lower() not in _REDIRECT_HEADERS
        }
        allowed = set(_REDIRECT_HEADERS)
        if response.values(_ONION) == [f"{self._onion}{path}"]:
            allowed.add(_ONION)
        yield from self._header_differences(path, response, expected, allowed)

    def _header_differences(
        self,
        path: str,
        response: Response,
        expected: Mapping[str, str],
        also_allowed: Collection[str] = (),
    ) -> Iterator[Difference]:
        allowed = {*self._allowed, *also_allowed}
        return header_differences(path, response, expected, allowed, self._services)


def header_differences(
    path: str,
    response: Response,
    expected: Mapping[str, str],
    allowed: Collection[str] = (),
    services: Collection[str] = (),
) -> Iterator[Difference]:
    """Compare the headers of ``response`` with the ``expected`` ones.

    ``allowed`` are further lower-case names that may be present, ``services`` what ``Alt-Svc``
    may name, as ``HOST:PORT`` or ``:PORT``.
    """
    policy = {name.lower(): (name, value) for name, value in expected.items()}
    seen: set[str] = set()
    for name, value in response.headers:
        key = name.lower()
        if key in policy and key not in seen:
            own_name, own_value = policy[key]
            if _normal(key, value) != _normal(key, own_value):
                detail = f"{own_name}: {_shown(value)}"
                yield Difference(path, DifferenceKind.CHANGED_HEADER, detail)
        elif key not in {*_ACCEPTED, *allowed} and not _is_accepted(key, value, services):
            detail = f"{_shown(name)}: {_shown(value)}"
            yield Difference(path, DifferenceKind.EXTRA_HEADER, detail)
        seen.add(key)
    for key, (name, _) in policy.items():
        if key not in seen:
            yield Difference(path, DifferenceKind.MISSING_HEADER, name)


def _joined(base: str, location: str) -> str:
    """Return where a ``Location`` leads (RFC 9110, section 10.2.2); nowhere if it is no URL."""
    try:
        return urljoin(base, location)
    except ValueError:
        return ""


def _shown(text: str | None) -> str:
    """Return untrusted text in a form that is safe for a terminal and not too long."""
    if text is None:
        return "nowhere"
    plain = printable(text)
    return plain if len(plain) <= _MAX_SHOWN else plain[:_MAX_SHOWN] + "…"


def _is_accepted(key: str, value: str, services: Collection[str]) -> bool:
    if key == "alt-svc":
        offered = map(_SERVICE.fullmatch, re.split(", *", value))
        return all(each is not None and each[1].lower() in services for each in offered)
    return key in _ACCEPTED_VALUES and _ACCEPTED_VALUES[key].fullmatch(value) is not None


def _normal(key: str, value: str) -> str:
    # A site may extend HSTS; it must not shorten it.
    if key == "strict-transport-security":
        return value.removesuffix("; preload").removesuffix("; includeSubDomains")
    # A media type and its charset ignore case (RFC 9110, section 8.3.1).
    return value.lower().replace(" ", "") if key == "content-type" else value
