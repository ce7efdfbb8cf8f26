"""Every response of a release, made from one of its kind that the Flask app has made.

Error responses are prepared, too: otherwise a client that floods the server with misses would make
it spend most of its time in Flask.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Final

from cccr_web.languages import LANGUAGES
from cccr_web.release import Release
from cccr_web.serve.app import bare_headers, create_app
from cccr_web.serve.decision import TOR2WEB, Decision, Kind, Representation, ServedSite
from cccr_web.serve.encoding import EncodedBodies
from cccr_web.serve.hosts import Hosts
from cccr_web.serve.policy import Policy
from cccr_web.serve.request_headers import content_range
from cccr_web.serve.response import HeadMemo, PreparedResponse

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

# Status of a file's response → headers of a request that gets it; a small file has no ranges.
_SMALL_CAUSES: Final[Mapping[int, dict[str, str]]] = {200: {}, 304: {"HTTP_IF_NONE_MATCH": "*"}}
_CAUSES: Final = {
    **_SMALL_CAUSES,
    206: {"HTTP_RANGE": "bytes=0-0"},
    416: {"HTTP_RANGE": "bytes=-0"},
}


class ResponseCache:
    """The app of one listener, with its header policy and a prepared response of every kind.

    The Flask app made them, and would give the same answers, byte for byte. Files
    of one kind differ in length, ETag, ranges and ``Onion-Location``. ``error_headers`` are those
    of the server's own errors; ``memo`` holds the responses to the heads of the latest requests.
    """

    def __init__(self, site: ServedSite) -> None:
        self.policy = site.policy
        self.memo = HeadMemo()
        self.error_headers = tuple(bare_headers(site.policy.without_page()))
        self.flask = create_app(site)
        self._site = site
        self._prepared: dict[Kind, PreparedResponse] = {}
        request = _request("/", site.policy.url_scheme, min(site.hosts.names))
        self._prepare_files(request)
        self._prepare_others(request)

    def lookup(self, environ: WSGIEnvironment) -> PreparedResponse:
        """Return the response to a request."""
        decision = self._site.decide(environ)
        prepared = self._prepared[decision.kind]
        if decision.location:
            return prepared.changed({"Location": decision.location}, prepared.body, for_one=True)
        chosen = decision.representation
        return _of_file(prepared, decision, chosen) if chosen else prepared

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as a WSGI app (PEP 3333)."""
        prepared = self.lookup(environ)
        start_response(prepared.status, list(prepared.headers))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [bytes(prepared.body)]

    def _prepare_files(self, request: WSGIEnvironment) -> None:
        for chosen in self._site.representations:
            for status, cause in (_CAUSES if chosen.accepts_ranges else _SMALL_CAUSES).items():
                kind = Decision(status, chosen).kind
                if kind not in self._prepared:
                    there = {"PATH_INFO": chosen.address, "HTTP_ACCEPT_ENCODING": chosen.coding}
                    self._prepared[kind] = _ask(self.flask, request | there | cause)

    def _prepare_others(self, request: WSGIEnvironment) -> None:
        addresses = self._site.addresses
        folders = {address for address in addresses if address.endswith("/")}
        causes = [
            {"HTTP_HOST": ""},
            {TOR2WEB: "1"},
            {"REQUEST_METHOD": "POST"},
            # No file has two slashes in its path.
            {"PATH_INFO": "//"},
            {"PATH_INFO": min(addresses), "HTTP_IF_MATCH": '""'},
            *({"PATH_INFO": folder.rstrip("/")} for folder in folders),
            *({"PATH_INFO": folder.upper()} for folder in folders),
            *({"HTTP_ACCEPT_LANGUAGE": language.tag} for language in LANGUAGES),
        ]
        for cause in causes:
            kind = self._site.decide(request | cause).kind
            if kind not in self._prepared:
                self._prepared[kind] = _ask(self.flask, request | cause)


def prepare(release: Release, listeners: Sequence[tuple[Policy, Hosts]]) -> list[ResponseCache]:
    """Return the app of each listener; the apps share all bodies.

    Raises ``CccrError`` as ``create_app`` does.
    """
    bodies = EncodedBodies(release)
    apps = []
    for policy, hosts in listeners:
        bodies.compress_large(policy)
        apps.append(ResponseCache(ServedSite(release, policy, hosts, bodies)))
        bodies.when_dropped.append(apps[-1].memo.clear)
    return apps


def _of_file(
    prepared: PreparedResponse, decision: Decision, chosen: Representation
) -> PreparedResponse:
    """Return the response with this file, from a response of its kind."""
    changes = {"ETag": chosen.tag}
    if decision.onion_location:
        changes["Onion-Location"] = decision.onion_location
    body: bytes | memoryview = b""
    if decision.status != 304:
        whole = chosen.body
        part = range(0) if decision.status == 416 else decision.part
        if part is not None:
            changes["Content-Range"] = content_range(part, len(whole))
        body = whole if part is None else memoryview(whole)[part.start : part.stop]
        changes["Content-Length"] = str(len(body))
    repeats = bool(decision.query) or decision.part is not None
    return prepared.changed(changes, body, for_one=repeats)


def _ask(app: WSGIApplication, environ: WSGIEnvironment) -> PreparedResponse:
    """Return the app's response."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> None:
        started.append((status, headers))

    # A copy, because the app writes into it.
    body = b"".join(app({**environ, "wsgi.input": BytesIO()}, start_response))  # type: ignore[arg-type]
    return PreparedResponse.of(*started[0], body)


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
