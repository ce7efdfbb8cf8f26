"""Every response of a release, made from those of the Flask app, then served by lookup.

Refusals are prepared, too: otherwise a client that floods the server with misses would make
it spend most of its time in Flask.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from cccr_web.errors import CccrError
from cccr_web.languages import LANGUAGES
from cccr_web.release import ERROR_PAGES, Release, is_html, media_type
from cccr_web.serve.app import (
    TOR2WEB,
    accepted_language,
    bare_headers,
    create_app,
    file_addresses,
    path_and_query,
    redirect_of,
)
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
from cccr_web.serve.memo import HeadMemo
from cccr_web.serve.policy import Policy, cache_control
from cccr_web.serve.response import Answer, PreparedResponse, ResponseFactory

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class _Variant:
    """The responses of one address in one coding: 200, 304, a template for 206, and 416."""

    tag: str
    whole: PreparedResponse
    not_modified: PreparedResponse
    part: PreparedResponse | None
    beyond: PreparedResponse | None

    def of(
        self, tag: str, body: bytes, changes: dict[str, str], factory: ResponseFactory
    ) -> _Variant:
        """Return the responses of another file of the same kind: its tag, body and headers."""
        own = {**changes, "ETag": tag}
        length = {"Content-Length": str(len(body))}
        range_ = {"Content-Range": content_range(range(0), len(body))}
        return _Variant(
            tag,
            self.whole.changed(own | length, body, factory),
            self.not_modified.changed(own, b"", factory),
            self.part and self.part.changed(own, b"", factory),
            self.beyond and self.beyond.changed(own | range_, b"", factory),
        )


class ResponseCache:
    """The app of one listener, with its header policy and a prepared response to every request.

    The Flask app made one of each kind, and would give the same answers, byte for byte. Files
    of one kind differ in length, ETag, ranges and ``Onion-Location``. The Host is checked first
    here, too. ``error_headers`` are those of the server's own errors; ``memo`` holds the
    responses to the heads of the latest requests.
    """

    def __init__(
        self, release: Release, policy: Policy, hosts: Hosts, bodies: EncodedBodies
    ) -> None:
        self.policy = policy
        self.memo: HeadMemo[Answer] = HeadMemo()
        self.error_headers = tuple(bare_headers(policy.without_page()))
        self.flask = create_app(release, policy, hosts, bodies)
        self._hosts = hosts
        self._files = release.files
        self._languages = tuple(release.metadata.languages)
        self._variants: dict[str, tuple[tuple[str, ...], dict[str, _Variant]]] = {}
        self._pages = frozenset(
            address for address, path in file_addresses(release).items() if is_html(path)
        )
        factory = ResponseFactory()
        request = _request("/", policy.url_scheme, min(hosts.names))
        self._prepare_files(release, bodies, request, factory)
        self._prepare_others(release, request, factory)

    def lookup(self, environ: WSGIEnvironment) -> PreparedResponse:
        """Return the response to a request."""
        host = self._hosts.match(environ.get("HTTP_HOST"))
        if self.policy.rejects_proxies and (host is HostMatch.PROXY or TOR2WEB in environ):
            return self._refusals[403]
        if host is not HostMatch.OURS:
            return self._refusals[421]
        if environ["REQUEST_METHOD"] not in _METHODS:
            return self._wrong_method
        address = environ["PATH_INFO"]
        found = self._variants.get(address)
        if found is None:
            return self._redirect(address, environ) or self._refusals[404]
        response = self._choose(environ, *found)
        query, onion = environ["QUERY_STRING"], self.policy.onion_location
        if query and onion and address in self._pages:
            repeated = onion + path_and_query(address, query.encode("latin-1"))
            return response.changed({"Onion-Location": repeated}, response.body)
        return response

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as a WSGI app (PEP 3333)."""
        prepared = self.lookup(environ)
        start_response(prepared.status, list(prepared.headers))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [bytes(prepared.body)]

    def _choose(
        self, environ: WSGIEnvironment, offered: tuple[str, ...], variants: dict[str, _Variant]
    ) -> PreparedResponse:
        """Return the response for a file, with the request's coding, preconditions and range."""
        variant = variants[choose(environ.get("HTTP_ACCEPT_ENCODING"), offered)]
        if_match, if_none_match = environ.get("HTTP_IF_MATCH"), environ.get("HTTP_IF_NONE_MATCH")
        precondition = evaluate(if_match, if_none_match, variant.tag)
        if precondition is Precondition.FAILED:
            return self._failed_precondition
        if precondition is Precondition.NOT_MODIFIED:
            return variant.not_modified
        return _partial(environ, variant) if "HTTP_RANGE" in environ else variant.whole

    def _redirect(self, address: str, environ: WSGIEnvironment) -> PreparedResponse | None:
        if address == "/":
            accepted = environ.get("HTTP_ACCEPT_LANGUAGE")
            return self._choices[accepted_language(accepted, self._languages).slug]
        redirect = redirect_of(address[1:], self._files)
        if redirect is None:
            return None
        status, target = redirect
        return self._redirects[status].changed({"Location": target}, b"")

    def _prepare_files(
        self,
        release: Release,
        encoded: EncodedBodies,
        request: WSGIEnvironment,
        factory: ResponseFactory,
    ) -> None:
        kinds: dict[tuple[object, ...], _Variant] = {}
        for address, path in file_addresses(release).items():
            bodies = {
                coding: encoded.get(path, coding) for coding in (*codings(self.policy), IDENTITY)
            }
            offered = {coding: body for coding, body in bodies.items() if body is not None}
            names = tuple(coding for coding in offered if coding != IDENTITY)
            changes = {"Onion-Location": f"{self.policy.onion_location}{path_and_query(address)}"}
            variants = {}
            for coding, body in offered.items():
                tag = etag(release.files[path].sha256, coding)
                large = accepts_ranges(len(body))
                kind = media_type(path), cache_control(path), names, coding, large
                if kind not in kinds:
                    environ = request | {"PATH_INFO": address, "HTTP_ACCEPT_ENCODING": coding}
                    kinds[kind] = _variant(self.flask, environ, body, tag, factory)
                variants[coding] = kinds[kind].of(tag, body, changes, factory)
            self._variants[address] = names, variants

    def _prepare_others(
        self, release: Release, request: WSGIEnvironment, factory: ResponseFactory
    ) -> None:
        def ask(body: bytes = b"", **changes: str) -> PreparedResponse:
            return _ask(self.flask, request | changes, body, factory)

        addresses = list(file_addresses(release))
        self._wrong_method = ask(REQUEST_METHOD="POST")
        self._failed_precondition = ask(PATH_INFO=addresses[0], HTTP_IF_MATCH='""')
        homes = [f"/{language.slug}/" for language in LANGUAGES]
        home = next((address for address in homes if address in addresses), homes[0])
        self._redirects = {
            301: ask(PATH_INFO=home.rstrip("/")),
            302: ask(PATH_INFO=home.upper()),
        }
        self._choices: dict[str, PreparedResponse] = {}
        for language in LANGUAGES:
            chosen = accepted_language(language.tag, self._languages).slug
            self._choices[chosen] = ask(HTTP_ACCEPT_LANGUAGE=language.tag)
        # No file has two slashes in its path.
        causes = {404: {"PATH_INFO": "//"}, 421: {"HTTP_HOST": ""}}
        if self.policy.rejects_proxies:
            causes[403] = {TOR2WEB: "1"}
        self._refusals: dict[int, PreparedResponse] = {}
        for status, cause in causes.items():
            page = release.files.get(ERROR_PAGES[status])
            self._refusals[status] = ask(page.body if page else b"", **cause)


def prepare(release: Release, listeners: Sequence[tuple[Policy, Hosts]]) -> list[ResponseCache]:
    """Return the app of each listener; the apps share all bodies.

    Raises ``CccrError`` as ``create_app`` does.
    """
    bodies = EncodedBodies(release)
    return [ResponseCache(release, policy, hosts, bodies) for policy, hosts in listeners]


def _variant(
    app: WSGIApplication, request: WSGIEnvironment, body: bytes, tag: str, factory: ResponseFactory
) -> _Variant:
    large = accepts_ranges(len(body))
    return _Variant(
        tag,
        _ask(app, request, body, factory),
        _ask(app, request | {"HTTP_IF_NONE_MATCH": tag}, b"", factory),
        _ask(app, request | {"HTTP_RANGE": "bytes=0-0"}, body[:1], factory) if large else None,
        _ask(app, request | {"HTTP_RANGE": f"bytes={len(body)}-"}, b"", factory) if large else None,
    )


def _ask(
    app: WSGIApplication, environ: WSGIEnvironment, body: bytes, factory: ResponseFactory
) -> PreparedResponse:
    """Return the app's response with our own ``body``, which must equal the app's."""
    responses: list[PreparedResponse] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> None:
        responses.append(factory.make(status, headers, body))

    # A copy, because the app writes into it.
    own = {**environ, "wsgi.input": BytesIO()}
    if b"".join(app(own, start_response)) != body:  # type: ignore[arg-type]
        raise CccrError(
            f"{environ['PATH_INFO']}: the app answers with other bytes than the release has.",
            "Build the release with the same version of cccr-web.",
        )
    return responses[0]


def _partial(environ: WSGIEnvironment, variant: _Variant) -> PreparedResponse:
    """Return a range of a large file. HEAD has no ranges (RFC 9110, section 14.2)."""
    if variant.part is None or variant.beyond is None or environ["REQUEST_METHOD"] == "HEAD":
        return variant.whole
    body = variant.whole.body
    length = len(body)
    part = read_range(environ["HTTP_RANGE"], environ.get("HTTP_IF_RANGE"), variant.tag, length)
    if part is None:
        return variant.whole
    if not part:
        return variant.beyond
    changes = {"Content-Length": str(len(part)), "Content-Range": content_range(part, length)}
    return variant.part.changed(changes, memoryview(body)[part.start : part.stop])


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
