"""Every response of a release, made once by the Flask app, then handed out by look-up."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from cccr_web.release import Release
from cccr_web.serve.app import INDEX, TOR2WEB, create_app
from cccr_web.serve.conditions import Outcome, etag, evaluate
from cccr_web.serve.encoding import IDENTITY, Encoded, choose, codings
from cccr_web.serve.hosts import Hosts, Verdict
from cccr_web.serve.policy import Policy, is_html
from cccr_web.serve.ranges import content_range, read_range, takes_ranges
from cccr_web.serve.ready import Press, Ready

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


@dataclass(frozen=True, slots=True)
class _Variant:
    """One address in one coding: the whole, “you have it already”, and a part of it."""

    tag: str
    whole: Ready
    not_modified: Ready
    part: Ready | None


class Prepared:
    """A listener's app, with the answers for all its files ready.

    It answers what a release holds, to GET and HEAD; all else falls through to the Flask
    app, which gives the same answers, to the byte and the header. So that no reader's
    Host or proxy gets past, the Host is judged first here too.
    """

    def __init__(self, release: Release, policy: Policy, hosts: Hosts, encoded: Encoded) -> None:
        self.flask = create_app(release, policy, hosts, encoded)
        self._hosts = hosts
        self._proxies_refused = policy.proxies_refused
        # There the answer depends on the query.
        self._pages_take_query = policy.onion_location is not None
        self._variants: dict[str, tuple[tuple[str, ...], dict[str, _Variant]]] = {}
        self._pages = frozenset(
            address for path in release.files if is_html(path) for address in _addresses(path)
        )
        if hosts.names:
            self._prepare(release, policy, encoded, Press())

    def ready(self, environ: WSGIEnvironment) -> Ready | None:
        """Return the prepared answer to a request, if there is one."""
        address = environ["PATH_INFO"]
        found = self._variants.get(address)
        if (
            found is None
            or environ["REQUEST_METHOD"] not in _METHODS
            or "HTTP_IF_MATCH" in environ
            or self._hosts.judge(environ.get("HTTP_HOST")) is not Verdict.OURS
            or (self._proxies_refused and TOR2WEB in environ)
            or (self._pages_take_query and environ["QUERY_STRING"] and address in self._pages)
        ):
            return None
        offered, variants = found
        variant = variants[choose(environ.get("HTTP_ACCEPT_ENCODING"), offered)]
        if_none_match = environ.get("HTTP_IF_NONE_MATCH")
        if (
            if_none_match is not None
            and evaluate(None, if_none_match, variant.tag) is Outcome.NOT_MODIFIED
        ):
            return variant.not_modified
        if variant.part is not None and "HTTP_RANGE" in environ:
            return _part(environ, variant, variant.part)
        return variant.whole

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as any WSGI app (PEP 3333)."""
        ready = self.ready(environ)
        if ready is None:
            return self.flask(environ, start_response)
        start_response(ready.status, list(ready.headers))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [bytes(ready.body)]

    def _prepare(self, release: Release, policy: Policy, encoded: Encoded, press: Press) -> None:
        host = min(self._hosts.names)
        for path, file in release.files.items():
            bodies = {coding: encoded.get(path, coding) for coding in (*codings(policy), IDENTITY)}
            offered = {coding: body for coding, body in bodies.items() if body is not None}
            names = tuple(coding for coding in offered if coding != IDENTITY)
            for address in _addresses(path):
                environ = _request(address, policy.url_scheme, host)
                self._variants[address] = (
                    names,
                    {
                        coding: _variant(
                            self.flask, environ, coding, body, etag(file.sha256, coding), press
                        )
                        for coding, body in offered.items()
                    },
                )


_METHODS = frozenset({"GET", "HEAD"})


def prepare(release: Release, listeners: Sequence[tuple[Policy, Hosts]]) -> list[Prepared]:
    """Return the app of each listener; they share every body.

    Raises ``CccrError`` as ``create_app`` does.
    """
    encoded = Encoded(release)
    return [Prepared(release, policy, hosts, encoded) for policy, hosts in listeners]


def _addresses(path: str) -> list[str]:
    """Return the paths at which a file is had: an index is also its folder (``/`` is not one)."""
    folder, _, name = path.rpartition("/")
    return [f"/{path}", f"/{folder}/"] if folder and name == INDEX else [f"/{path}"]


def _variant(
    app: WSGIApplication,
    environ: WSGIEnvironment,
    coding: str,
    body: bytes,
    tag: str,
    press: Press,
) -> _Variant:
    asked = environ | {"HTTP_ACCEPT_ENCODING": coding}
    ranged = takes_ranges(len(body))
    return _Variant(
        tag,
        _ask(app, asked, body, press),
        _ask(app, asked | {"HTTP_IF_NONE_MATCH": tag}, b"", press),
        _ask(app, asked | {"HTTP_RANGE": "bytes=0-0"}, body[:1], press) if ranged else None,
    )


def _ask(app: WSGIApplication, environ: WSGIEnvironment, body: bytes, press: Press) -> Ready:
    """Let the app answer, and keep that with our own ``body``, which must be the same."""
    answers: list[Ready] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> None:
        answers.append(press.make(status, headers, body))

    # A mapping of its own: the app writes into it.
    given = b"".join(app({**environ, "wsgi.input": BytesIO()}, start_response))  # type: ignore[arg-type]
    if given != body:
        raise AssertionError(f"{environ['PATH_INFO']} was answered with other bytes")
    return answers[0]


def _part(environ: WSGIEnvironment, variant: _Variant, part: Ready) -> Ready | None:
    """Return a part of a large file. HEAD has no parts (RFC 9110, section 14.2)."""
    if environ["REQUEST_METHOD"] == "HEAD":
        return variant.whole
    body = variant.whole.body
    length = len(body)
    wanted = read_range(environ["HTTP_RANGE"], environ.get("HTTP_IF_RANGE"), variant.tag, length)
    if wanted is None:
        return variant.whole
    if not wanted:
        return None
    changes = {
        "Content-Length": str(len(wanted)),
        "Content-Range": content_range(wanted, length),
    }
    return part.changed(changes, memoryview(body)[wanted.start : wanted.stop])


def _request(address: str, scheme: str, host: str) -> WSGIEnvironment:
    """Return the plainest request for an address that a WSGI server can bring."""
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
