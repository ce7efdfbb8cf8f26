"""Every response of a release, made from those of the Flask app, then served by lookup.

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
from cccr_web.serve.decision import TOR2WEB, Decision, ServedSite
from cccr_web.serve.encoding import EncodedBodies
from cccr_web.serve.hosts import Hosts
from cccr_web.serve.policy import Policy
from cccr_web.serve.request_headers import content_range
from cccr_web.serve.response import HeadMemo, PreparedResponse, ResponseFactory

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
    """The app of one listener, with its header policy and a prepared response to every request.

    The Flask app made one of each kind, and would give the same answers, byte for byte. Files
    of one kind differ in length, ETag, ranges and ``Onion-Location``. ``error_headers`` are those
    of the server's own errors; ``memo`` holds the responses to the heads of the latest requests.
    """

    def __init__(self, site: ServedSite) -> None:
        self.policy = site.policy
        self.memo = HeadMemo()
        self.error_headers = tuple(bare_headers(site.policy.without_page()))
        self.flask = create_app(site)
        self._site = site
        self._prepared: dict[Decision, PreparedResponse] = {}
        factory = ResponseFactory()
        request = _request("/", site.policy.url_scheme, min(site.hosts.names))
        self._prepare_files(request, factory)
        self._prepare_others(request, factory)

    def lookup(self, environ: WSGIEnvironment) -> PreparedResponse:
        """Return the response to a request."""
        decision = self._site.decide(environ)
        return self._prepared.get(decision) or self._made_for(decision)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as a WSGI app (PEP 3333)."""
        prepared = self.lookup(environ)
        start_response(prepared.status, list(prepared.headers))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [bytes(prepared.body)]

    def _made_for(self, decision: Decision) -> PreparedResponse:
        """Return a response that repeats a part of its request."""
        prepared, part = self._prepared[decision.prepared], decision.part
        changes = {"Location": decision.location}
        body = prepared.body
        if decision.onion_location:
            changes["Onion-Location"] = decision.onion_location
        if decision.representation and part:
            whole = memoryview(decision.representation.body)
            body = whole[part.start : part.stop]
            changes["Content-Length"] = str(len(body))
            changes["Content-Range"] = content_range(part, len(whole))
        return prepared.changed(changes, body)

    def _prepare_files(self, request: WSGIEnvironment, factory: ResponseFactory) -> None:
        kinds: dict[tuple[object, ...], PreparedResponse] = {}
        for chosen in self._site.representations:
            own = {"ETag": chosen.tag, "Content-Range": content_range(range(0), len(chosen.body))}
            if chosen.onion_address:
                own["Onion-Location"] = chosen.onion_address
            for status, cause in (_CAUSES if chosen.accepts_ranges else _SMALL_CAUSES).items():
                kind = status, chosen.kind
                if kind not in kinds:
                    there = {"PATH_INFO": chosen.address, "HTTP_ACCEPT_ENCODING": chosen.coding}
                    kinds[kind] = _ask(self.flask, request | there | cause, factory)
                body = chosen.body if status == 200 else b""
                changes = own | {"Content-Length": str(len(body))}
                like = kinds[kind]
                headers = ((name, changes.get(name, value)) for name, value in like.headers)
                made = factory.make(like.status, headers, body)
                self._prepared[Decision(status, chosen)] = made

    def _prepare_others(self, request: WSGIEnvironment, factory: ResponseFactory) -> None:
        addresses = {one.address for one in self._site.representations}
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
            decision = self._site.decide(request | cause).prepared
            if decision not in self._prepared:
                self._prepared[decision] = _ask(self.flask, request | cause, factory)


def prepare(release: Release, listeners: Sequence[tuple[Policy, Hosts]]) -> list[ResponseCache]:
    """Return the app of each listener; the apps share all bodies.

    Raises ``CccrError`` as ``create_app`` does.
    """
    bodies = EncodedBodies(release)
    return [
        ResponseCache(ServedSite(release, policy, hosts, bodies)) for policy, hosts in listeners
    ]


def _ask(
    app: WSGIApplication, environ: WSGIEnvironment, factory: ResponseFactory
) -> PreparedResponse:
    """Return the app's response."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> None:
        started.append((status, headers))

    # A copy, because the app writes into it.
    body = b"".join(app({**environ, "wsgi.input": BytesIO()}, start_response))  # type: ignore[arg-type]
    return factory.make(*started[0], body)


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
