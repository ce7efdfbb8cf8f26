"""Every response of a release, made once by the Flask app, then served by lookup."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING

from cccr_web.release import Release
from cccr_web.serve.app import TOR2WEB, bare_headers, create_app, file_addresses
from cccr_web.serve.conditional import (
    Precondition,
    accepts_ranges,
    content_range,
    etag,
    evaluate,
    read_range,
)
from cccr_web.serve.encoding import IDENTITY, EncodedBodies, choose, codings
from cccr_web.serve.hosts import HostMatch, Hosts
from cccr_web.serve.policy import Policy, is_html

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_Header = tuple[str, str]

_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class PreparedResponse:
    """A response: its headers in Flask's order, and the lines of its head in waitress's.

    ``lines`` are sorted by name; ``connection`` and ``date`` are the indexes at which the
    ``Connection`` and ``Date`` lines are inserted. ``body`` is shared with the release.
    """

    status: str
    headers: tuple[_Header, ...]
    body: bytes | memoryview
    lines: tuple[bytes, ...]
    connection: int
    date: int

    def head(self, date: bytes, *, close: bool) -> bytes:
        """Return the status line and headers of an HTTP/1.1 response (RFC 9112, section 2.1)."""
        lines = self.lines
        return b"".join(
            (
                *lines[: self.connection],
                b"Connection: close\r\n" if close else b"",
                *lines[self.connection : self.date],
                b"Date: ",
                date,
                b"\r\n",
                *lines[self.date :],
                b"\r\n",
            )
        )

    def changed(self, changes: dict[str, str], body: bytes | memoryview) -> PreparedResponse:
        """Return this response with another body and other values of some of its headers."""
        headers = tuple((name, changes.get(name, value)) for name, value in self.headers)
        return replace(_ResponseFactory().make(self.status, headers), body=body)


class _ResponseFactory:
    """Makes responses that share equal headers, which most files have in common."""

    def __init__(self) -> None:
        self._headers: dict[_Header, _Header] = {}
        self._lines: dict[bytes, bytes] = {}

    def make(
        self, status: str, headers: Iterable[_Header], body: bytes | memoryview = b""
    ) -> PreparedResponse:
        """Return the response, with its head as waitress itself would write it."""
        shared = tuple(self._headers.setdefault(header, header) for header in headers)
        named = (("-".join(map(str.capitalize, name.split("-"))), value) for name, value in shared)
        ordered = sorted(named, key=lambda header: header[0])
        names = [name for name, _ in ordered]
        lines = [f"HTTP/1.1 {status}\r\n", *(f"{name}: {value}\r\n" for name, value in ordered)]
        encoded = (line.encode("latin-1") for line in lines)
        return PreparedResponse(
            status,
            shared,
            body,
            tuple(self._lines.setdefault(line, line) for line in encoded),
            connection=1 + sum(name < "Connection" for name in names),
            date=1 + sum(name < "Date" for name in names),
        )


@dataclass(frozen=True, slots=True)
class _Variant:
    """The responses of one address in one coding: 200, 304, and a template for 206."""

    tag: str
    whole: PreparedResponse
    not_modified: PreparedResponse
    part: PreparedResponse | None


class ResponseCache:
    """The app of one listener, with its header policy and a prepared response for every file.

    It answers GET and HEAD of the release's files; the Flask app answers all other requests,
    and would give the same answers, byte for byte. The Host is checked first here, too.
    ``error_headers`` are those of the server's own errors.
    """

    def __init__(
        self, release: Release, policy: Policy, hosts: Hosts, bodies: EncodedBodies
    ) -> None:
        self.policy = policy
        self.error_headers = tuple(bare_headers(policy))
        self.flask = create_app(release, policy, hosts, bodies)
        self._hosts = hosts
        self._rejects_proxies = policy.rejects_proxies
        # Onion-Location repeats the query.
        self._pages_depend_on_query = policy.onion_location is not None
        self._variants: dict[str, tuple[tuple[str, ...], dict[str, _Variant]]] = {}
        self._pages = frozenset(
            address for address, path in file_addresses(release).items() if is_html(path)
        )
        if hosts.names:
            self._prepare(release, policy, bodies)

    def lookup(self, environ: WSGIEnvironment) -> PreparedResponse | None:
        """Return the prepared response to a request, or ``None`` if there is none."""
        address = environ["PATH_INFO"]
        found = self._variants.get(address)
        if (
            found is None
            or environ["REQUEST_METHOD"] not in _METHODS
            or "HTTP_IF_MATCH" in environ
            or self._hosts.match(environ.get("HTTP_HOST")) is not HostMatch.OURS
            or (self._rejects_proxies and TOR2WEB in environ)
            or (self._pages_depend_on_query and environ["QUERY_STRING"] and address in self._pages)
        ):
            return None
        offered, variants = found
        variant = variants[choose(environ.get("HTTP_ACCEPT_ENCODING"), offered)]
        if_none_match = environ.get("HTTP_IF_NONE_MATCH")
        if (
            if_none_match is not None
            and evaluate(None, if_none_match, variant.tag) is Precondition.NOT_MODIFIED
        ):
            return variant.not_modified
        if variant.part is not None and "HTTP_RANGE" in environ:
            return _partial(environ, variant, variant.part)
        return variant.whole

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as a WSGI app (PEP 3333)."""
        prepared = self.lookup(environ)
        if prepared is None:
            return self.flask(environ, start_response)
        start_response(prepared.status, list(prepared.headers))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [bytes(prepared.body)]

    def _prepare(self, release: Release, policy: Policy, encoded: EncodedBodies) -> None:
        host = min(self._hosts.names)
        factory = _ResponseFactory()
        for address, path in file_addresses(release).items():
            bodies = {coding: encoded.get(path, coding) for coding in (*codings(policy), IDENTITY)}
            offered = {coding: body for coding, body in bodies.items() if body is not None}
            names = tuple(coding for coding in offered if coding != IDENTITY)
            environ = _request(address, policy.url_scheme, host)
            sha256 = release.files[path].sha256
            self._variants[address] = (
                names,
                {
                    coding: _variant(
                        self.flask, environ, coding, body, etag(sha256, coding), factory
                    )
                    for coding, body in offered.items()
                },
            )


def prepare(release: Release, listeners: Sequence[tuple[Policy, Hosts]]) -> list[ResponseCache]:
    """Return the app of each listener; the apps share all bodies.

    Raises ``CccrError`` as ``create_app`` does.
    """
    bodies = EncodedBodies(release)
    return [ResponseCache(release, policy, hosts, bodies) for policy, hosts in listeners]


def _variant(
    app: WSGIApplication,
    environ: WSGIEnvironment,
    coding: str,
    body: bytes,
    tag: str,
    factory: _ResponseFactory,
) -> _Variant:
    request = environ | {"HTTP_ACCEPT_ENCODING": coding}
    return _Variant(
        tag,
        _ask(app, request, body, factory),
        _ask(app, request | {"HTTP_IF_NONE_MATCH": tag}, b"", factory),
        _ask(app, request | {"HTTP_RANGE": "bytes=0-0"}, body[:1], factory)
        if accepts_ranges(len(body))
        else None,
    )


def _ask(
    app: WSGIApplication, environ: WSGIEnvironment, body: bytes, factory: _ResponseFactory
) -> PreparedResponse:
    """Return the app's response with our own ``body``, which must equal the app's."""
    responses: list[PreparedResponse] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> None:
        responses.append(factory.make(status, headers, body))

    # A copy, because the app writes into it.
    own = {**environ, "wsgi.input": BytesIO()}
    if b"".join(app(own, start_response)) != body:  # type: ignore[arg-type]
        raise AssertionError(f"{environ['PATH_INFO']}: the app sent other bytes")
    return responses[0]


def _partial(
    environ: WSGIEnvironment, variant: _Variant, template: PreparedResponse
) -> PreparedResponse | None:
    """Return a range of a large file. HEAD has no ranges (RFC 9110, section 14.2)."""
    if environ["REQUEST_METHOD"] == "HEAD":
        return variant.whole
    body = variant.whole.body
    length = len(body)
    part = read_range(environ["HTTP_RANGE"], environ.get("HTTP_IF_RANGE"), variant.tag, length)
    if part is None:
        return variant.whole
    if not part:
        return None
    changes = {"Content-Length": str(len(part)), "Content-Range": content_range(part, length)}
    return template.changed(changes, memoryview(body)[part.start : part.stop])


def _request(address: str, scheme: str, host: str) -> WSGIEnvironment:
    """Return the simplest request for an address that a WSGI server can pass on."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": address,
        "QUERY_STRING": "",
        "SERVER_NAME": host,
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": host,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
