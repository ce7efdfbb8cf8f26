"""Property tests of any path, Host and Accept-Language.

No response is a 500, lacks a header of the policy or repeats a part of the request. Many
requests go to the app itself, some over real sockets.
"""

from __future__ import annotations

import io
import re
import sys
from urllib.parse import unquote_to_bytes

import pytest
from flask import Flask
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.headers import LISTENERS, name_of, stored, template
from support.serving import DOMAIN, ONION, ReceivedResponse, Server, Where, ask
from werkzeug.test import run_wsgi_app

from cccr_web.release import Release
from cccr_web.serve.hosts import clearnet_hosts, onion_hosts
from cccr_web.serve.policy import clearnet_policy, onion_policy
from cccr_web.serve.prepared import prepare

# Bytes allowed in a line of a request head, and some strings close to known paths.
ANY = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0#?"), max_size=40)
NAMES = ["/", "en", "zh-hans", "index.html", "statements", "404.html", "SHA256SUMS"]
ODD = ["//", "..", ".", "%2e", "%2F", "%00", "%ff", "%", "\\", ";", "%0d%0aX: y", "<b>"]
PIECES = st.one_of(st.sampled_from(NAMES), st.sampled_from(ODD), ANY)
PATHS = st.lists(PIECES, max_size=6).map(lambda pieces: "/" + "".join(pieces))
QUERIES = st.one_of(st.just(""), st.just("?a=%0d%0aX:%20y"), ANY.map(lambda text: f"?{text}"))
HOSTS = st.one_of(
    st.sampled_from([DOMAIN, ONION, f"{ONION}.example", f"www.{ONION}", "127.0.0.1", "other"]),
    ANY,
    ANY.map(lambda text: DOMAIN + text),
    ANY.map(lambda text: ONION + text),
)
TAGS = st.sampled_from(["en", "zh", "zh-TW", "*", "x", ";q=0", ";q=0.5", ";q=", ",", ";", "-", "_"])
LANGUAGES = st.one_of(st.lists(TAGS, max_size=8).map("".join), ANY)


class RunningListener:
    """One listener of the site: where it listens, and an app that answers the same."""

    def __init__(self, name: str, server: Server, release: Release) -> None:
        self.release = release
        self.sets = stored()[name]["headers"]
        if name == "onion":
            self.where: Where = server.onion
            policy, hosts = onion_policy(release.metadata), onion_hosts([ONION])
        else:
            self.where = server.clearnet
            policy = clearnet_policy(release.metadata, (ONION,))
            hosts = clearnet_hosts([DOMAIN], loopback=True)
        self.app = prepare(release, [(policy, hosts)])[0].flask


@pytest.fixture(scope="module", params=LISTENERS)
def listener(request: pytest.FixtureRequest, server: Server, release: Release) -> RunningListener:
    """Each of the two."""
    return RunningListener(request.param, server, release)


def hand_to(app: Flask, path: str, query: str, host: str, accept: str) -> ReceivedResponse:
    """Hand a request to an app as a WSGI server does (PEP 3333)."""
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path.encode("latin-1")).decode("latin-1"),
        "QUERY_STRING": query.removeprefix("?"),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": host,
        "HTTP_ACCEPT_LANGUAGE": accept,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    body, status, headers = run_wsgi_app(app, environ, buffered=True)
    # waitress writes each name so, and adds what is missing.
    named = [(name.title(), value) for name, value in headers]
    named = [*dict([("Date", "Sun, 22 Nov 2026 00:00:00 GMT"), *named]).items()]
    return ReceivedResponse(
        int(status.split()[0]), (*named, ("Connection", "close")), b"".join(body)
    )


def check(answer: ReceivedResponse, listener: RunningListener, query: str) -> None:
    """Make sure that an answer is one of those that there are, and repeats nothing."""
    files = listener.release.files
    assert answer.body in {file.body for file in files.values()} | {b""}
    headers = template(answer, listener.release)
    expected = dict(listener.sets[name_of(answer)])
    if answer.status in {301, 302}:
        del expected["Location"]
        there = headers.pop("Location").removeprefix("/")
        assert there in files or f"{there}index.html" in files
    elif "Onion-Location" in expected:
        del expected["Onion-Location"]
        there = headers.pop("Onion-Location")
        assert re.fullmatch(r"[!-~]*", there)
        path, _, rest = (answer.header("Onion-Location") or "").partition("?")
        path = path.removeprefix(f"http://{ONION}/")
        assert (path + "index.html" if path.endswith("/") else path) in files
        assert unquote_to_bytes(rest) == unquote_to_bytes(query[1:].encode("latin-1"))
    assert headers == expected


@given(path=PATHS, query=QUERIES, host=HOSTS, accept=LANGUAGES)
@example(path="/", query="", host=DOMAIN, accept="zh")
@example(path="/en/", query="?<b>\xe9%", host=DOMAIN, accept="")
@example(path="//evil.example/", query="", host=ONION, accept="")
@example(path="/en%2F", query="", host=ONION, accept="")
@example(path="/lzh/addresses.html", query="", host=ONION, accept="")
@settings(max_examples=300, deadline=None)
def test_any_request_to_the_app_gets_the_stored_headers(
    listener: RunningListener, path: str, query: str, host: str, accept: str
) -> None:
    """The app answers any request with one of its own bodies and exactly the stored headers."""
    answer = hand_to(listener.app, path, query, host, accept)
    assert answer.status in {200, 301, 302, 403, 404, 421}
    check(answer, listener, query)


@given(path=PATHS, query=QUERIES, host=HOSTS, accept=LANGUAGES)
@settings(max_examples=150, deadline=None)
def test_any_request_to_the_server_gets_the_stored_headers(
    listener: RunningListener, path: str, query: str, host: str, accept: str
) -> None:
    """The server does the same, and also rejects malformed requests with the stored headers."""
    answer = ask(listener.where, path + query, host, ("Accept-Language", accept))
    assert answer.status in {200, 301, 302, 400, 403, 404, 421}
    check(answer, listener, query)
