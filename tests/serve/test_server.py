"""The server process: malformed and slow requests, logs, memory (``serve/server.py``)."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.headers import LISTENERS, name_of, stored, template
from support.hosting import short_folder
from support.serving import DOMAIN, ONION, Server, ask, read_answer, talk

from cccr_web.release import Release

if TYPE_CHECKING:
    from support.measurements import Recorder

HEAD = f"Host: {DOMAIN}\r\nConnection: close\r\n"

EVILS = "EVIL: x\r\n" * 99

# name: (what is sent, the status it gets)
MALFORMED: dict[str, tuple[str, int]] = {
    "no request": ("EVIL<b>\r\n\r\n", 400),
    "no method": (f" /EVIL HTTP/1.1\r\n{HEAD}\r\n", 400),
    "method in small letters": (f"evil /en/ HTTP/1.1\r\n{HEAD}\r\n", 400),
    "no version": (f"GET /en/ EVIL/1.1\r\n{HEAD}\r\n", 400),
    "TLS on a plain port": ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "SSH": ("SSH-2.0-EVIL\r\n\r\n", 400),
    "header without a colon": (f"GET /en/ HTTP/1.1\r\n{HEAD}EVIL\r\n\r\n", 400),
    "blank before the colon": (f"GET /en/ HTTP/1.1\r\n{HEAD}X : EVIL\r\n\r\n", 400),
    "bare CR": (f"GET /en/ HTTP/1.1\r\n{HEAD}X: a\rEVIL: b\r\n\r\n", 400),
    "bare LF": (f"GET /en/ HTTP/1.1\r\n{HEAD}X: a\nEVIL: b\r\n\r\n", 400),
    "NUL in a header": (f"GET /en/ HTTP/1.1\r\n{HEAD}X: EVIL\0\r\n\r\n", 400),
    "byte that is no ASCII in the query": (f"GET /en/?\xe9 HTTP/1.1\r\n{HEAD}\r\n", 400),
    "length that is no number": (f"GET /en/ HTTP/1.1\r\n{HEAD}Content-Length: EVIL\r\n\r\n", 400),
    "length below zero": (f"GET /en/ HTTP/1.1\r\n{HEAD}Content-Length: -1\r\n\r\n", 400),
    "two lengths": (
        f"GET /en/ HTTP/1.1\r\n{HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        400,
    ),
    "body": (f"POST /en/ HTTP/1.1\r\n{HEAD}Content-Length: 4\r\n\r\nEVIL", 413),
    "body of a GET": (f"GET /en/ HTTP/1.1\r\n{HEAD}Content-Length: 4\r\n\r\nEVIL", 413),
    "body in chunks": (
        f"GET /en/ HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        413,
    ),
    "length and coding": (
        f"GET /en/ HTTP/1.1\r\n{HEAD}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\nEVIL",
        400,
    ),
    "length of nothing and coding": (
        f"GET /en/ HTTP/1.1\r\n{HEAD}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    "coding in HTTP/1.0": (
        f"GET /en/ HTTP/1.0\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "HTTP/0.9": ("GET /EVIL\r\n\r\n", 400),
    "HTTP/1.2": (f"GET /en/ HTTP/1.2\r\n{HEAD}\r\n", 505),
    "HTTP/9.9": (f"GET /en/ HTTP/9.9\r\n{HEAD}\r\n", 505),
    "HTTP/2": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "folded header": (f"GET /en/ HTTP/1.1\r\n{HEAD}X: a\r\n EVIL\r\n\r\n", 400),
    "no Host": ("GET /EVIL HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
    "two Hosts": (f"GET /en/ HTTP/1.1\r\n{HEAD}hOsT: {DOMAIN}\r\n\r\n", 400),
    "other scheme": (f"GET evil://{DOMAIN}/en/ HTTP/1.1\r\n{HEAD}\r\n", 400),
    "asterisk": (f"OPTIONS * HTTP/1.1\r\n{HEAD}\r\n", 400),
    "relative target": (f"GET EVIL HTTP/1.1\r\n{HEAD}\r\n", 400),
    "query alone": (f"GET ?EVIL HTTP/1.1\r\n{HEAD}\r\n", 400),
    "no target": (f"GET  HTTP/1.1\r\n{HEAD}\r\n", 400),
    "half an IPv6 address": (f"GET http://[EVIL/ HTTP/1.1\r\n{HEAD}\r\n", 400),
    "fragment": (f"GET /en/#EVIL HTTP/1.1\r\n{HEAD}\r\n", 400),
    "tab in the target": (f"GET /e\tn/ HTTP/1.1\r\n{HEAD}\r\n", 400),
    "NUL in the target": (f"GET /en/\0 HTTP/1.1\r\n{HEAD}\r\n", 400),
    "byte that is no ASCII in the path": (f"GET //\xe9 HTTP/1.1\r\n{HEAD}\r\n", 400),
    "101 headers": (f"GET /en/ HTTP/1.1\r\n{HEAD}{EVILS}\r\n", 431),
    "unknown coding": (f"GET /en/ HTTP/1.1\r\n{HEAD}Transfer-Encoding: EVIL\r\n\r\n", 501),
    "head of 16 KiB": (f"GET /en/ HTTP/1.1\r\n{HEAD}X: {'EVIL' * 4096}\r\n\r\n", 431),
    "address of 16 KiB": (f"GET /{'EVIL' * 4096} HTTP/1.1\r\n{HEAD}\r\n", 431),
}


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize(("sent", "status"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_gets_an_empty_error_with_the_policy(
    server: Server, release: Release, listener: str, sent: str, status: int
) -> None:
    """A malformed request is rejected with the whole policy, and nothing of it is repeated."""
    where = server.clearnet if listener == "clearnet" else server.onion
    answer = read_answer(talk(where, sent.encode("latin-1")))
    assert answer.status == status
    assert answer.body == b""
    assert template(answer, release) == stored()[listener]["headers"][name_of(answer)]
    assert "evil" not in str(answer).lower()


@pytest.mark.parametrize(
    ("target", "host", "page"),
    [
        ("/SHA256SUMS", DOMAIN, "SHA256SUMS"),
        (f"http://{DOMAIN}/SHA256SUMS", "evil.example", "SHA256SUMS"),
        (f"HTTPS://{DOMAIN}:443/SHA256SUMS", "evil.example", "SHA256SUMS"),
        ("http://evil.example/SHA256SUMS", DOMAIN, "421.html"),
        (f"http://evil@{DOMAIN}/SHA256SUMS", DOMAIN, "421.html"),
        ("http:///SHA256SUMS", DOMAIN, "421.html"),
        ("//evil.example/SHA256SUMS", DOMAIN, "404.html"),
        ("/en/%2e%2e/SHA256SUMS", DOMAIN, "404.html"),
        ("/%c0%ae%c0%ae/SHA256SUMS", DOMAIN, "404.html"),
        ("/en/%00", DOMAIN, "404.html"),
    ],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_name_in_an_absolute_target_replaces_the_host(
    server: Server, release: Release, version: str, target: str, host: str, page: str
) -> None:
    """The authority of an absolute target replaces the Host (RFC 9112, section 3.2.2)."""
    head = f"GET {target} HTTP/{version}\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    answer = read_answer(talk(server.clearnet, head.encode("ascii"), timeout=3))
    assert answer.body == release.files[page].body
    assert answer.status == (200 if page == "SHA256SUMS" else int(page[-8:-5]))
    assert "evil" not in str(answer.headers).lower()


def test_an_absolute_target_without_a_path_is_the_root(server: Server) -> None:
    """An absolute target without a path is “/” (RFC 9110, section 4.2.3)."""
    for target in (f"http://{DOMAIN}", f"http://{DOMAIN}?a=b"):
        answer = ask(server.clearnet, target, DOMAIN)
        assert (answer.status, answer.header("Location")) == (302, "/en/")


def test_expect_100_continue_is_answered_at_once(server: Server, release: Release) -> None:
    """A request that expects 100-continue is answered at once (RFC 9110, section 10.1.1)."""
    expect = "Expect: 100-continue\r\n"
    plain = f"GET /SHA256SUMS HTTP/1.1\r\n{HEAD}{expect}\r\n".encode("ascii")
    assert read_answer(talk(server.clearnet, plain)).body == release.files["SHA256SUMS"].body
    post = f"POST /en/ HTTP/1.1\r\n{HEAD}{expect}Content-Length: 9\r\n\r\n".encode("ascii")
    assert read_answer(talk(server.clearnet, post)).status == 413


def test_pipelined_requests_are_answered_in_order(server: Server, release: Release) -> None:
    """Pipelined requests are answered in order."""
    first = f"GET /SHA256SUMS HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n"
    second = f"GET /RELEASE.json HTTP/1.1\r\n{HEAD}\r\n"
    received = talk(server.clearnet, (first + second).encode("ascii"))
    bodies = [release.files[name].body for name in ("SHA256SUMS", "RELEASE.json")]
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.index(bodies[0]) < received.index(bodies[1])
    assert received.endswith(bodies[1])


def test_idle_connections_do_not_block_readers(server: Server) -> None:
    """While 300 connections send nothing more, a reader is answered at once."""
    idle = [socket.create_connection(server.clearnet) for _ in range(300)]
    try:
        for connection in idle:
            connection.sendall(b"GET /en/ HTTP/1.1\r\nHo")
        assert ask(server.clearnet, "/en/", DOMAIN).status == 200
        assert ask(server.onion, "/en/", ONION).status == 200
    finally:
        for connection in idle:
            connection.close()


def test_concurrent_readers_get_their_own_pages(server: Server, release: Release) -> None:
    """Concurrent readers of both listeners each get their own complete page."""
    paths = [path for path in release.files if path.endswith(".html")] * 5

    def right(number: int) -> bool:
        path = paths[number]
        where, host = ((server.clearnet, DOMAIN), (server.onion, ONION))[number % 2]
        return ask(where, f"/{path}", host).body == release.files[path].body

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(right, range(len(paths))))


def test_no_response_has_a_cookie_or_server_name(server: Server, release: Release) -> None:
    """No response names the program or sets a cookie."""
    answers = [
        ask(where, target, host, method=method)
        for where, host in ((server.clearnet, DOMAIN), (server.onion, ONION))
        for target in ("/", "/en", "/none", *(f"/{path}" for path in release.files))
        for method in ("GET", "HEAD", "POST")
    ]
    names = {name.lower() for answer in answers for name, _ in answer.headers}
    assert names.isdisjoint({"server", "set-cookie", "via", "x-powered-by"})
    assert "waitress" not in str(answers).lower()


def test_logs_hold_no_data_of_readers(release_folder: Path) -> None:
    """After requests of every kind the log holds no address, path or header."""
    with short_folder() as folder:
        with Server(folder, release_folder) as server:
            for sent, _ in MALFORMED.values():
                talk(server.clearnet, sent.encode("latin-1"))
                talk(server.onion, sent.encode("latin-1"))
            for target in ("/", "/en/", "/SECRET", "/%ff"):
                ask(server.clearnet, target, DOMAIN)
                ask(server.clearnet, target, "SECRET.example")
            for _ in range(20):
                # A reader who hangs up before, and one who hangs up during an answer.
                socket.create_connection(server.clearnet).close()
                with socket.create_connection(server.clearnet) as link:
                    link.sendall(f"GET /en/ HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n".encode() * 50)
            with ThreadPoolExecutor(32) as pool:
                list(pool.map(lambda _: ask(server.clearnet, "/SECRET", DOMAIN), range(200)))
            assert ask(server.clearnet, "/en/", DOMAIN).status == 200
            assert server.end() == 0
        (line,) = server.errors.read_text().splitlines()
        assert "No --public-key" in line


def test_a_server_uses_less_than_55_mb(release_folder: Path, note: Recorder) -> None:
    """A server process that has answered 2,000 requests uses less than 55 MB.

    Most of it is Flask and cryptography: 44 MB with Python 3.11, 49 MB with 3.13.
    """
    with short_folder() as folder, Server(folder, release_folder) as server:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: ask(server.clearnet, "/en/", DOMAIN), range(2000)))
        size = server.resident_megabytes()
    note("a server process at its most", size, "MB")
    assert size < 55


@pytest.mark.long
def test_sigterm_ends_the_server_and_removes_its_socket(release_folder: Path) -> None:
    """After SIGTERM the server ends soon, even with open connections, and removes its socket."""
    with short_folder() as folder:
        with Server(folder, release_folder) as server:
            assert server.onion.stat().st_mode & 0o777 == 0o600
            with socket.create_connection(server.clearnet) as idle:
                idle.sendall(b"GET /en/")
                assert server.end() == 0
        assert not server.onion.exists()
