"""Repeated requests are answered from a memo, with the same bytes (``serve/response.py``)."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import socket
import time
from typing import TYPE_CHECKING

import pytest
from support.hosting import short_folder
from support.signed import make_apps, signed_release

import cccr_web.serve.server as server_module
from cccr_web.release import File
from cccr_web.serve import AppSwitch
from cccr_web.serve.channel import _RESPONSE_RATE, Channel
from cccr_web.serve.event_loop import Poller, announce_shutdown
from cccr_web.serve.parser import StrictRequestParser
from cccr_web.serve.prepared import ResponseCache
from cccr_web.serve.response import Answer, HeadMemo, PreparedResponse
from cccr_web.systemd import SystemdNotifier

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = b"GET /en/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
TAG = signed_release(1).files["en/index.html"].sha256


class Loop:
    """A server of release 1 in this thread; ``parsed`` counts the heads that were parsed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stack: contextlib.ExitStack) -> None:
        self._path = str(stack.enter_context(short_folder()) / "socket")
        self._stack = stack
        self.parsed = 0
        parse = StrictRequestParser.parse_header

        def count(parser: StrictRequestParser, head: bytes) -> None:
            self.parsed += 1
            parse(parser, head)

        monkeypatch.setattr(StrictRequestParser, "parse_header", count)
        monkeypatch.setattr(server_module, "build_http_date", lambda _: "Thu, 01 Jan 1970")
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(self._path)
        listener.listen(1024)
        self.sockets = Poller()
        release = signed_release(1)
        # Only large files have ranges.
        files = {**release.files, "large.zip": File.of(bytes(50_000))}
        self.apps = AppSwitch(make_apps(dataclasses.replace(release, files=files)))
        self.server = server_module._create_server(listener, self.apps, 0, self.sockets, 1000)
        self.server.notifier, self.server.is_healthy = SystemdNotifier({}), lambda: True
        stack.callback(self.sockets.close)

    def connect(self) -> socket.socket:
        """Open a connection."""
        link = self._stack.enter_context(socket.socket(socket.AF_UNIX))
        link.connect(self._path)
        link.setblocking(False)
        return link

    def ask(self, *parts: bytes, link: socket.socket | None = None) -> bytes:
        """Send a head in parts, on a new connection if none is given; return the response."""
        link = link or self.connect()
        found = b""
        for part in parts:
            link.sendall(part)
            for _ in range(4):
                self.sockets.turn(0)
        with contextlib.suppress(BlockingIOError):
            while more := link.recv(1 << 20):
                found += more
                self.sockets.turn(0)
        return found


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    """Such a server."""
    with contextlib.ExitStack() as stack:
        yield Loop(monkeypatch, stack)


def head(line: str = "GET /en/", *more: str, host: str = "localhost") -> bytes:
    """Return a request head."""
    return "\r\n".join([f"{line} HTTP/1.1", f"Host: {host}", *more, "", ""]).encode()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (PAGE, 200),
        (head("HEAD /en/"), 200),
        (head("GET /en/", "Accept-Encoding: gzip"), 200),
        (head("GET /large.zip", "Range: bytes=50000-"), 416),
        (head("GET /en/", f'If-None-Match: "{TAG}"'), 304),
        (head("GET /"), 302),
        (head("GET /none"), 404),
        (head("POST /en/"), 405),
        (head("GET /en/", 'If-Match: "x"'), 412),
        (head("GET /en/", host="evil.example"), 421),
        (head("GET /en/", "Connection: close"), 200),
    ],
)
def test_a_repeated_head_gets_the_same_response_without_being_parsed(
    loop: Loop, request_: bytes, status: int
) -> None:
    """The second request is not parsed, on the same connection or another; the bytes are equal."""
    first = loop.ask(request_)
    assert first.startswith(f"HTTP/1.1 {status} ".encode()), first[:80]
    assert loop.parsed == 1
    link = loop.connect()
    assert loop.ask(request_, link=link) == first
    if b"Connection: close" not in request_:
        assert loop.ask(request_, link=link) == first
    assert loop.parsed == 1


def test_only_the_same_bytes_are_known(loop: Loop) -> None:
    """Each change of a head is parsed, even if it does not matter."""
    loop.ask(PAGE)
    for other in (head("GET /en/", "A: b"), head("GET /zh-hans/"), PAGE.replace(b"Host", b"host")):
        before = loop.parsed
        assert loop.ask(other).startswith(b"HTTP/1.1 200 ")
        assert loop.parsed == before + 1


@pytest.mark.parametrize(
    "parts",
    [(PAGE[:9], PAGE[9:]), (PAGE * 2,), (b"\r\n", PAGE[:30], PAGE[30:])],
)
def test_a_head_that_does_not_come_at_once_and_alone_is_not_remembered(
    loop: Loop, parts: tuple[bytes, ...]
) -> None:
    """A memo of a part of a head, or of two, would answer with something else."""
    once = loop.ask(*parts)
    assert once.startswith(b"HTTP/1.1 200 ")
    assert len(loop.apps.current[0].memo) == 0
    assert loop.ask(PAGE) == once[: len(once) // (2 if parts == (PAGE * 2,) else 1)]


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /en/ HTTP/1.0\r\n\r\n",
        b"?\r\n\r\n",
        head("GET /large.zip", "Range: bytes=3-9"),
        head("GET /EN/none"),
        head("GET /en"),
    ],
)
def test_what_is_made_for_one_request_is_not_remembered(loop: Loop, request_: bytes) -> None:
    """Ranges and redirects would fill the memo with responses that nobody asks for again."""
    assert loop.ask(request_) == loop.ask(request_) != b""
    remembered = len(loop.apps.current[0].memo)
    assert remembered == (request_ == head("GET /EN/none"))  # a prepared 404


def test_a_reload_forgets_every_response(loop: Loop) -> None:
    """After a reload the same head gets the new release."""
    first = loop.ask(PAGE)
    loop.apps.replace(make_apps(signed_release(2)))
    second = loop.ask(PAGE)
    assert re.search(rb"release 1\b", first)
    assert re.search(rb"release 2\b", second)


def test_a_reload_during_a_lookup_remembers_nothing_old(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer is remembered with the release that gave it."""
    lookup = ResponseCache.lookup

    def replace(app: ResponseCache, environ: dict[str, object]) -> object:
        found = lookup(app, environ)
        loop.apps.replace(make_apps(signed_release(2)))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(ResponseCache, "lookup", replace)
        assert b"release 1" in loop.ask(PAGE)
    assert b"release 2" in loop.ask(PAGE)


@pytest.mark.parametrize("options", ["close", "TE, close", "Close,TE"])
def test_a_connection_is_closed_if_one_of_its_options_says_so(loop: Loop, options: str) -> None:
    """``Connection`` is a list (RFC 9112, section 9.6)."""
    assert b"\r\nConnection: close\r\n" in loop.ask(head("GET /en/", f"Connection: {options}"))


def test_a_client_that_still_reads_is_not_cut_off(loop: Loop) -> None:
    """The kernel may hold a whole response that the client reads within its time."""
    link = loop.connect()
    link.sendall(head("GET /large.zip"))
    for _ in range(3):
        loop.sockets.turn(0)
    (channel,) = (one for one in loop.sockets.values() if isinstance(one, Channel))
    assert not channel.is_sending
    channel.expire(time.monotonic())
    assert channel.connected
    assert channel.deadline > time.monotonic() + 50_000 / _RESPONSE_RATE
    with contextlib.suppress(BlockingIOError):
        while link.recv(65_536):
            pass
    channel.expire(time.monotonic())
    assert not channel.connected


def test_every_connection_that_waits_at_a_shutdown_is_accepted(loop: Loop) -> None:
    """Also if more wait than are accepted in one turn."""
    links = [loop.connect() for _ in range(150)]
    for link in links:
        link.sendall(PAGE)
    loop.server.stop_accepting()
    for _ in range(3):
        loop.sockets.turn(0)
    assert all(link.recv(12) == b"HTTP/1.1 200" for link in links)


def test_the_last_response_before_a_shutdown_closes_the_connection(loop: Loop) -> None:
    """During a shutdown a known head is parsed, so that its response can say “close”."""
    link = loop.connect()
    loop.ask(PAGE, link=link)
    announce_shutdown(loop.sockets)
    last = loop.ask(PAGE, link=link)
    assert b"\r\nConnection: close\r\n" in last
    assert loop.parsed == 2


def test_a_full_memo_starts_again_and_holds_no_head() -> None:
    """The memo is bounded, and nothing that a client sent is in it."""
    memo, answers = HeadMemo(limit=3), []
    for number in range(7):
        response = PreparedResponse.of("200 OK", (), b"%d" % number)
        answers.append(Answer(response, head_only=False, close=False))
        memo.add(b"GET /%d" % number, answers[-1])
        assert len(memo) <= 3
    assert memo.get(b"GET /6") is answers[6]
    assert memo.get(b"GET /0") is None
    assert b"GET" not in b"".join(memo._answers)


def test_a_reused_descriptor_gets_no_stale_event(
    monkeypatch: pytest.MonkeyPatch, loop: Loop
) -> None:
    """An event of a closed connection is not taken for one of a new connection."""
    first, second = loop.connect(), loop.connect()
    loop.sockets.turn(0)
    channels = [each for each in loop.sockets.values() if isinstance(each, Channel)]
    assert len(channels) == 2
    for link in (first, second):
        link.sendall(PAGE)
    handled: list[object] = []

    def replace(channel: Channel) -> None:
        """Close both connections, and put a third in the place of the one not yet handled."""
        handled.append(channel)
        other = channels[0] if channel is channels[1] else channels[1]
        place = other._fileno
        other.handle_close()
        loop.sockets[place] = Stranger(place)

    class Stranger:
        """What has the number now."""

        def __init__(self, number: int) -> None:
            self.link = socket.socket(socket.AF_UNIX)
            assert self.link.fileno() == number

        def handle_read_event(self) -> None:
            handled.append(self)

        def close(self) -> None:
            self.link.close()

    monkeypatch.setattr(Channel, "handle_read", replace)
    loop.sockets.turn(0)
    assert len(handled) == 1
