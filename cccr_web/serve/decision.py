"""The decision on a request: which response it gets.

It is made here only. The Flask app turns a decision into a response, and ``prepared.py`` finds
the response that Flask has made for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from cccr_web.release import INDEX, Release, is_html, media_type
from cccr_web.serve.encoding import IDENTITY, EncodedBodies
from cccr_web.serve.hosts import HostMatch, Hosts
from cccr_web.serve.policy import Policy, cache_control
from cccr_web.serve.redirects import redirect_of
from cccr_web.serve.request_headers import (
    Precondition,
    accepted_coding,
    accepted_language,
    accepts_ranges,
    etag,
    evaluate,
    read_range,
)

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

TOR2WEB: Final = "HTTP_X_TOR2WEB"

_METHODS: Final = frozenset({"GET", "HEAD"})
# What the headers of a file depend on, and its status.
Kind = tuple[object, ...]
# Every character allowed in a query (RFC 3986, section 3.4), and “%” itself.
_QUERY_SAFE: Final = "!$&'()*+,;=:@/?-._~%"


@dataclass(frozen=True, slots=True, eq=False)
class Representation:
    """A file at one of its addresses, in one content coding (RFC 9110, section 3.2).

    ``offered`` are the codings that the client can choose from. ``onion_address`` is that of a
    page on the onion, if the clearnet announces it. ``bodies`` has its bytes.
    """

    address: str
    path: str
    coding: str
    offered: tuple[str, ...]
    tag: str
    accepts_ranges: bool
    onion_address: str | None
    bodies: EncodedBodies

    @property
    def body(self) -> bytes:
        """Its bytes, which may be compressed only now."""
        return self.bodies.body(self.path, self.coding)

    @property
    def kind(self) -> Kind:
        """What its headers depend on, except for its address, tag and length."""
        of_path = media_type(self.path), cache_control(self.path)
        return *of_path, self.offered, self.coding, self.accepts_ranges


class Decision(NamedTuple):
    """Which response a request gets.

    ``representation`` is that of a 200, 206, 304 or 416, ``part`` the range of a 206, and
    ``query`` what ``Onion-Location`` repeats. ``location`` is where a redirect leads, or
    ``language`` the slug to which ``/`` does. All other responses have only a status.
    """

    status: int
    representation: Representation | None = None
    part: range | None = None
    query: str = ""
    location: str = ""
    language: str = ""

    @property
    def kind(self) -> Kind:
        """What the response depends on, except for what it repeats of the request or the file."""
        of_file = self.representation.kind if self.representation else ()
        return self.status, self.language, *of_file

    @property
    def onion_location(self) -> str | None:
        """The address of a page and its query on the onion, as ASCII."""
        address = self.representation.onion_address if self.representation else None
        query = quote(self.query.encode("latin-1"), safe=_QUERY_SAFE)
        return f"{address}?{query}" if address and query else address


class ServedSite:
    """A release as one listener serves it, and the decision on each of its requests.

    It answers GET and HEAD for every file; a folder is its ``index.html``; ``/`` redirects to a
    language. ``bodies`` is shared with the other listener.
    """

    def __init__(
        self, release: Release, policy: Policy, hosts: Hosts, bodies: EncodedBodies
    ) -> None:
        self.release = release
        self.policy = policy
        self.hosts = hosts
        self.addresses = file_addresses(release)
        self._bodies = bodies
        self._languages = tuple(release.metadata.languages)
        self._offered = {path: bodies.offered(path, policy) for path in release.files}

    @property
    def representations(self) -> Iterator[Representation]:
        """Every representation of every file, at each of its addresses."""
        for address, path in self.addresses.items():
            for coding in (*self._offered[path], IDENTITY):
                yield self._representation(address, path, coding)

    def decide(self, environ: WSGIEnvironment) -> Decision:
        """Return the decision on a request (PEP 3333). The Host is checked first."""
        host = self.hosts.match(environ.get("HTTP_HOST"))
        if self.policy.rejects_proxies and (host is HostMatch.PROXY or TOR2WEB in environ):
            return Decision(403)
        if host is not HostMatch.OURS:
            return Decision(421)
        if environ["REQUEST_METHOD"] not in _METHODS:
            return Decision(405)
        address = environ["PATH_INFO"]
        path = self.addresses.get(address)
        if path is None:
            return self._without_file(address, environ)
        coding = accepted_coding(environ.get("HTTP_ACCEPT_ENCODING"), self._offered[path])
        chosen = self._representation(address, path, coding)
        if_match, if_none_match = environ.get("HTTP_IF_MATCH"), environ.get("HTTP_IF_NONE_MATCH")
        precondition = evaluate(if_match, if_none_match, chosen.tag)
        if precondition is Precondition.FAILED:
            return Decision(412)
        query = environ["QUERY_STRING"] if chosen.onion_address else ""
        if precondition is Precondition.NOT_MODIFIED:
            return Decision(304, chosen, query=query)
        if "HTTP_RANGE" in environ:
            return _range(environ, chosen, query)
        return Decision(200, chosen, query=query)

    def _without_file(self, address: str, environ: WSGIEnvironment) -> Decision:
        if address == "/":
            language = accepted_language(environ.get("HTTP_ACCEPT_LANGUAGE"), self._languages)
            return Decision(302, language=language.slug)
        redirect = redirect_of(address[1:], self.release.files)
        if redirect is None:
            return Decision(404)
        status, location = redirect
        return Decision(status, location=location)

    def _representation(self, address: str, path: str, coding: str) -> Representation:
        file = self.release.files[path]
        onion = self.policy.onion_location
        return Representation(
            address,
            path,
            coding,
            self._offered[path],
            etag(file.sha256, coding),
            accepts_ranges(len(file.body)),
            onion + quote(address) if onion and is_html(path) else None,
            self._bodies,
        )


def _range(environ: WSGIEnvironment, chosen: Representation, query: str) -> Decision:
    """Return the decision on a range of a file. HEAD has no ranges (RFC 9110, section 14.2)."""
    if not chosen.accepts_ranges or environ["REQUEST_METHOD"] == "HEAD":
        return Decision(200, chosen, query=query)
    header, if_range = environ["HTTP_RANGE"], environ.get("HTTP_IF_RANGE")
    part = read_range(header, if_range, chosen.tag, len(chosen.body))
    if part is None:
        return Decision(200, chosen, query=query)
    return Decision(206, chosen, part, query) if part else Decision(416, chosen)


def file_addresses(release: Release) -> dict[str, str]:
    """Return address → path of every file, and of every folder that has an index page."""
    files = {f"/{path}": path for path in release.files}
    folders = {
        f"/{path.removesuffix(INDEX)}": path for path in release.files if path.endswith(f"/{INDEX}")
    }
    return {**files, **folders}
