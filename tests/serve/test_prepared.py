"""Prepared responses equal Flask's, byte for byte (``serve/prepared.py``)."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import itertools
import sys
from typing import TYPE_CHECKING

import brotli
import pytest
from flask import Flask
from support.serving import DOMAIN, ONION, Server, Where, ask, read_answer, talk
from werkzeug.test import run_wsgi_app

from cccr_web.release import make_release
from cccr_web.serve import encoding
from cccr_web.serve.encoding import EncodedBodies
from cccr_web.serve.hosts import clearnet_hosts, onion_hosts
from cccr_web.serve.policy import clearnet_policy, onion_policy
from cccr_web.serve.prepared import prepare
from cccr_web.serve.response import Answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from cccr_web.release import Release
    from cccr_web.serve.prepared import ResponseCache

LISTENERS = ("clearnet", "onion")
CODINGS = (None, "", "gzip", "br", "gzip, br, zstd", "identity", "*", "gzip;q=0", "identity;q=0")
RANGES = ("bytes=0-9", "bytes=-7", "bytes=14000-", "bytes=999999-", "bytes=0-1,4-5", "lines=1-2")


@pytest.fixture(scope="module")
def listeners(release: Release) -> dict[str, ResponseCache]:
    """The two apps of the real release."""
    clearnet = clearnet_policy(release.metadata, (ONION,)), clearnet_hosts([DOMAIN], loopback=True)
    onion = onion_policy(release.metadata), onion_hosts([ONION])
    return dict(zip(LISTENERS, prepare(release, [clearnet, onion]), strict=True))


def request_(name: str, path: str, method: str = "GET", **changes: str) -> WSGIEnvironment:
    """Return a request as a WSGI server passes it (PEP 3333)."""
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": DOMAIN if name == "clearnet" else ONION,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https" if name == "clearnet" else "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **changes,
    }


def both(app: ResponseCache, environ: WSGIEnvironment) -> tuple[object, object]:
    """Return the responses of the app and of Flask alone."""
    fast, slow = (
        (status, list(headers), b"".join(body))
        for body, status, headers in (
            run_wsgi_app(each, dict(environ), buffered=True) for each in (app, app.flask)
        )
    )
    return fast, slow


def paths(release: Release) -> list[str]:
    """Return every address: files, folders, folders without the slash, and unknown paths."""
    folders = {path.removesuffix("index.html") for path in release.files if "index.html" in path}
    bare = {folder.rstrip("/") for folder in folders}
    return sorted(f"/{path}" for path in {"", "none", "en/none", *release.files, *folders, *bare})


@pytest.mark.parametrize("name", LISTENERS)
def test_prepared_responses_equal_those_of_flask(
    listeners: dict[str, ResponseCache], release: Release, name: str
) -> None:
    """A prepared response equals Flask's for every address, method, coding and condition."""
    app = listeners[name]
    conditions: list[dict[str, str]] = [{}, {"HTTP_IF_NONE_MATCH": '"x"'}]
    conditions += [{key: "*"} for key in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH")]
    conditions += [{"HTTP_RANGE": value} for value in RANGES]
    asked = 0
    for path, method, coding in itertools.product(paths(release), ("GET", "HEAD", "POST"), CODINGS):
        accept = {} if coding is None else {"HTTP_ACCEPT_ENCODING": coding}
        ready = app.lookup(request_(name, path, method, **accept))
        tag = dict(ready.headers).get("ETag", '"none"')
        own = [{key: tag} for key in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH")]
        parts = [{"HTTP_RANGE": "bytes=3-", "HTTP_IF_RANGE": value} for value in (tag, '"x"')]
        parts += [{"HTTP_RANGE": "bytes=3-", "HTTP_IF_NONE_MATCH": tag}]
        for condition in (*conditions, *own, *parts):
            fast, slow = both(app, request_(name, path, method, **accept, **condition))
            assert fast == slow, (path, method, coding, condition)
            asked += 1
    assert asked > 10_000


@pytest.mark.parametrize("name", LISTENERS)
@pytest.mark.parametrize(
    "change",
    [
        {"HTTP_HOST": "evil.example"},
        {"HTTP_HOST": ""},
        {"HTTP_HOST": f"{ONION}.example"},
        {"HTTP_HOST": f"{DOMAIN}:8443"},
        {"HTTP_HOST": f"www.{ONION}"},
        {"HTTP_X_TOR2WEB": "1"},
        {"QUERY_STRING": "a=b&c=%20"},
        {"HTTP_COOKIE": "a=b"},
        {"QUERY_STRING": "\xe9", "HTTP_RANGE": "bytes=3-9"},
        {"HTTP_ACCEPT_LANGUAGE": "fr;q=0.9,zh-TW;q=0.8"},
        {"HTTP_ACCEPT_LANGUAGE": "zh-CN", "HTTP_HOST": "evil.example"},
        {"HTTP_ACCEPT_LANGUAGE": "zh", "HTTP_X_TOR2WEB": "1", "REQUEST_METHOD": "POST"},
        {"HTTP_ACCEPT_LANGUAGE": ",".join(["fr"] * 100 + ["zh"])},
    ],
)
def test_errors_redirects_and_queries_equal_those_of_flask(
    listeners: dict[str, ResponseCache], name: str, change: dict[str, str]
) -> None:
    """Errors, redirects and pages with a query get Flask's response, but not from Flask."""
    paths = ["/en/", "/SHA256SUMS", "/", "/none", "//", "//en/", "/en//", "/en", "/zh-hant/none"]
    paths += ["/en/\xe9", "/EN/", "/en/statements/index.html"]
    for path in paths:
        fast, slow = both(listeners[name], request_(name, path) | change)
        assert fast == slow, path


def test_a_folder_of_no_language_gets_its_redirect(release: Release) -> None:
    """A release without a home page in any language has prepared responses for its folders."""
    small = make_release({"x/index.html": b"<p>x"}, release.metadata)
    (app,) = prepare(small, [(onion_policy(release.metadata), onion_hosts([ONION]))])
    for path in ("/x", "/x/", "/X/", "/zh/", "/"):
        fast, slow = both(app, request_("onion", path))
        assert fast == slow, path
    assert app.lookup(request_("onion", "/x")).status == "301 MOVED PERMANENTLY"


def test_flask_answers_no_request(
    listeners: dict[str, ResponseCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every response is prepared, also 301, 302, 403, 404, 405, 412, 416 and 421."""
    statuses = set()
    for name, app in listeners.items():
        monkeypatch.setattr(app, "flask", None)
        for change in (
            {"PATH_INFO": "/"},
            {"PATH_INFO": "/en"},
            {"PATH_INFO": "/none"},
            {"PATH_INFO": "//"},
            {"HTTP_HOST": "evil.example"},
            {"HTTP_HOST": f"{ONION}.example"},
            {"HTTP_IF_MATCH": '"x"'},
            {"REQUEST_METHOD": "POST"},
            {"QUERY_STRING": "a=b"},
            {"PATH_INFO": "/cccr-web.zip", "HTTP_RANGE": "bytes=99999999-"},
        ):
            _, status, _ = run_wsgi_app(app, request_(name, "/en/") | change, buffered=True)
            statuses.add(int(status.split()[0]))
    assert statuses == {200, 301, 302, 403, 404, 405, 412, 416, 421}


def test_flask_makes_one_response_of_each_kind(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of Flask's responses depends on the kinds of files, not on their number."""
    asked: list[str] = []
    app = Flask.wsgi_app

    def counted(self: Flask, environ: WSGIEnvironment, start_response: StartResponse) -> object:
        asked.append(environ["PATH_INFO"])
        return app(self, environ, start_response)

    monkeypatch.setattr(Flask, "wsgi_app", counted)
    counts = []
    for copies in (0, 50):
        page = release.files["en/index.html"]
        more = {f"en/{number}.html": page for number in range(copies)}
        larger = dataclasses.replace(release, files={**release.files, **more})
        prepare(larger, [(onion_policy(release.metadata), onion_hosts([ONION]))])
        counts.append(len(asked))
        asked.clear()
    assert 0 < counts[0] == counts[1] < 2 * len(release.files)


def test_every_file_has_a_prepared_response(
    listeners: dict[str, ResponseCache], release: Release
) -> None:
    """Every file has a prepared response, so that Flask is not needed for it."""
    for name, app in listeners.items():
        for path, file in release.files.items():
            ready = app.lookup(request_(name, f"/{path}"))
            assert ready is not None
            assert ready.body is file.body, "one copy in memory"


def test_listeners_share_compressed_bodies(listeners: dict[str, ResponseCache]) -> None:
    """Both listeners share one copy of each compressed body."""
    first, second = (
        app.lookup(request_(name, "/en/index.html", HTTP_ACCEPT_ENCODING="gzip"))
        for name, app in listeners.items()
    )
    assert first is not None
    assert second is not None
    assert first.body is second.body


def test_only_large_files_are_compressed_before_a_request(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the start large files and one page of each kind are compressed; other pages on request."""
    compressed: list[int] = []
    for coding, encode in list(encoding._ENCODERS.items()):

        def noted(body: bytes, encode: Callable[[bytes], bytes] = encode) -> bytes:
            compressed.append(len(body))
            return encode(body)

        monkeypatch.setitem(encoding._ENCODERS, coding, noted)
    page = release.files["en/index.html"].body
    counts = []
    for copies in (1, 50):
        pages = {f"en/{number}.html": page + b"%d" % number for number in range(copies)}
        large = make_release({**pages, "en/large.xml": page * 20}, release.metadata)
        (app,) = prepare(large, [(onion_policy(release.metadata), onion_hosts([ONION]))])
        counts.append(len(compressed))
        assert compressed.count(len(page * 20)) == 1
        compressed.clear()
        for _ in range(2):
            app.lookup(request_("onion", "/en/large.xml", HTTP_ACCEPT_ENCODING="gzip"))
            app.lookup(request_("onion", f"/en/{copies - 1}.html", HTTP_ACCEPT_ENCODING="gzip"))
        assert len(compressed) == (copies > 1), "the single page was compressed at the start"
        compressed.clear()
    assert counts[0] == counts[1]


def test_pages_compressed_on_request_take_limited_memory(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the limit all are dropped, by the memo, too; the next answer has the same bytes."""
    monkeypatch.setattr(encoding, "_MAX_RECENT", 10_000)
    policy = onion_policy(release.metadata)
    bodies = EncodedBodies(release)
    dropped: list[str] = []
    bodies.when_dropped.append(lambda: dropped.append(""))
    pages = [path for path in release.files if path.endswith(".html")]
    first = [bodies.body(path, "gzip") for path in pages if bodies.offered(path, policy)]
    assert len(first) > len(dropped) > 2
    assert first == [bodies.body(path, "gzip") for path in pages if bodies.offered(path, policy)]
    assert sum(map(len, bodies._recent.values())) <= 10_000


def test_dropped_pages_do_not_stay_in_the_memo(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When compressed pages are dropped, the memos of both listeners forget them."""
    monkeypatch.setattr(encoding, "_MAX_RECENT", 1)
    policy, hosts = onion_policy(release.metadata), onion_hosts([ONION])
    apps = prepare(release, [(policy, hosts), (policy, hosts)])
    for app in apps:
        response = app.lookup(request_("onion", "/en/"))
        app.memo.add(b"head", Answer(response, head_only=False, close=False))
    apps[0].lookup(request_("onion", "/en/verify.html", HTTP_ACCEPT_ENCODING="gzip"))
    assert [len(app.memo) for app in apps] == [0, 0]


def test_compressed_bodies_decompress_to_the_file(server: Server, release: Release) -> None:
    """A compressed body decompresses to the file; brotli is used on the clearnet only."""
    where: dict[str, tuple[Where, str]]
    where = {"clearnet": (server.clearnet, DOMAIN), "onion": (server.onion, ONION)}
    for name, (there, host) in where.items():
        for path, file in release.files.items():
            plain = ask(there, f"/{path}", host)
            answer = ask(there, f"/{path}", host, ("Accept-Encoding", "gzip, deflate, br, zstd"))
            coding = answer.header("Content-Encoding")
            if path.endswith((".zip", ".epub")):
                assert (coding, answer.header("Vary")) == (None, None)
                continue
            assert answer.header("Vary") == plain.header("Vary")
            # A body that compression does not make smaller has one coding for all clients.
            assert answer.header("Vary") in ({"Accept-Encoding"} if coding else {None})
            if coding is None:
                assert answer.body == file.body
                continue
            assert coding == ("br" if name == "clearnet" else "gzip"), path
            unpack = brotli.decompress if coding == "br" else gzip.decompress
            assert unpack(answer.body) == file.body
            assert answer.header("ETag") == f'"{file.sha256}-{coding}"' != plain.header("ETag")
            assert len(answer.body) < len(file.body)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_http_1_1_head_equals_that_of_waitress(server: Server, method: str) -> None:
    """Our HTTP/1.1 head equals waitress's HTTP/1.0 head except for the version."""
    for target in ("/en/", "/cccr-web.zip", "/SHA256SUMS"):
        for coding in ("", "gzip"):
            head = f"Host: {DOMAIN}\r\nConnection: close\r\nAccept-Encoding: {coding}\r\n\r\n"
            while True:
                old, new = (
                    talk(server.clearnet, f"{method} {target} HTTP/1.{minor}\r\n{head}".encode())
                    for minor in (0, 1)
                )
                dates = {
                    read_answer(each, bodiless=True).header("Date")
                    for each in (
                        old.partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
                        new.partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
                    )
                }
                if len(dates) == 1:
                    break
            assert old.replace(b"HTTP/1.0", b"HTTP/1.1", 1) == new


def test_an_interrupted_download_resumes_with_ranges(server: Server, release: Release) -> None:
    """Ranges of a large file add up to the file; one past the end gets 416."""
    body = release.files["cccr-web.zip"].body
    tag = f'"{hashlib.sha256(body).hexdigest()}"'
    got = b""
    while len(got) < len(body):
        wanted = ("Range", f"bytes={len(got)}-{len(got) + 49_999}"), ("If-Range", tag)
        answer = ask(server.onion, "/cccr-web.zip", ONION, *wanted)
        end = min(len(got) + 50_000, len(body)) - 1
        assert answer.status == 206
        assert answer.header("Content-Range") == f"bytes {len(got)}-{end}/{len(body)}"
        got += answer.body
    assert got == body
    beyond = ask(server.onion, "/cccr-web.zip", ONION, ("Range", f"bytes={len(body)}-"))
    assert (beyond.status, beyond.header("Content-Range")) == (416, f"bytes */{len(body)}")
