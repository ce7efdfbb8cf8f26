"""Whatever an address sends, looking at it ends in time and takes a bounded number of bytes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from support.hostile import Answer, Hostile
from support.signed import organisation_key, signed_release

from cccr_web.watch import Address, Kind, Limits, Report, Watcher

LIMITS = Limits(file=50_000, total=500_000, silence=1.0, whole=2.0)


@pytest.fixture
def site() -> Iterator[Hostile]:
    """A server that will do harm."""
    with Hostile(signed_release(2)) as server:
        yield server


def look(server: Hostile) -> tuple[Report, float]:
    """Look at it; return what was seen and how many seconds that took."""
    begin = time.monotonic()
    watcher = Watcher(organisation_key().public, release=signed_release(2), limits=LIMITS)
    return watcher.look([Address.parse(server.url)]), time.monotonic() - begin


def drip(server: Hostile, pause: float = 0.02) -> Iterator[bytes]:
    """Yield a byte now and then, until the test ends."""
    while not server.ended.wait(pause):
        yield b"x"


def without_length(answer: Answer, pieces: Iterator[bytes]) -> Answer:
    """Return ``answer`` with a body that ends when the connection does."""
    kept = tuple(pair for pair in answer.headers if pair[0] != "Content-Length")
    return replace(answer, headers=kept, pieces=pieces, hang_up=True)


def endless(_server: Hostile, answer: Answer) -> Answer:
    """A body without end."""
    return without_length(answer, itertools.repeat(bytes(1000)))


def dripping(server: Hostile, answer: Answer) -> Answer:
    """A body that comes a byte at a time, each soon enough."""
    return without_length(answer, drip(server))


def huge(_server: Hostile, answer: Answer) -> Answer:
    """A body that says it has 10²⁰ bytes, and has them."""
    answer = without_length(answer, itertools.repeat(bytes(1000)))
    return replace(answer, headers=(*answer.headers, ("Content-Length", "1" + "0" * 20)))


def endless_heads(_server: Hostile, _answer: Answer) -> Answer:
    """An interim answer, again and again (RFC 9110, section 15.2)."""
    return Answer(100, (), itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"), hang_up=True)


def many_headers(_server: Hostile, answer: Answer) -> Answer:
    """More headers than anybody sends."""
    more = tuple((f"X-{number}", "x") for number in range(300))
    return replace(answer, headers=(*answer.headers, *more))


@pytest.mark.parametrize("harm", [endless, dripping, huge, endless_heads, many_headers])
@pytest.mark.parametrize("everywhere", [False, True], ids=["one page", "everywhere"])
def test_harm_is_bounded(
    site: Hostile, harm: Callable[[Hostile, Answer], Answer], *, everywhere: bool
) -> None:
    """A body or a head without end, or one that drips, is cut off, and is a difference."""
    site.twist = lambda path, answer: (
        harm(site, answer) if everywhere or path == "/en/index.html" else answer
    )
    report, seconds = look(site)
    assert not report.same
    assert {found.kind for found in report.seen[0].differences} <= {Kind.CHANGED, Kind.UNREACHABLE}
    paths = {found.path for found in report.seen[0].differences}
    if not everywhere and harm is not endless_heads:
        assert paths == {"/en/index.html"}
    # That one has used up the bytes of all the others as well.
    assert everywhere or "/en/index.html" in paths
    # A quarter of the time for the list, all of it for the files, and a little for us.
    assert seconds < 1.25 * LIMITS.whole + 1.0


def test_silence_is_bounded(site: Hostile) -> None:
    """An answer that stops in the middle is not waited for until all the time is over."""
    limits = Limits(silence=0.5, whole=60.0)
    site.twist = lambda path, answer: (
        replace(answer, pieces=drip(site, 60.0)) if path == "/en/index.html" else answer
    )
    begin = time.monotonic()
    watcher = Watcher(organisation_key().public, limits=limits)
    (found,) = watcher.look([Address.parse(site.url)]).seen[0].differences
    assert (found.path, found.detail) == ("/en/index.html", "no byte came for 0.5 s")
    assert time.monotonic() - begin < 10


def test_dripping_is_told_as_such(site: Hostile) -> None:
    """An answer whose bytes come one by one is left when all the time is over, and told so."""
    site.twist = lambda path, answer: dripping(site, answer) if path == "/en/index.html" else answer
    (found,) = look(site)[0].seen[0].differences
    assert found.detail == "not done after 2 s"


def test_total_is_bounded(site: Hostile) -> None:
    """Many bodies, each within its limit, may not have more bytes together than the whole may."""
    lengthen = (bytes(LIMITS.file - 1),)
    site.twist = lambda _path, answer: replace(
        answer,
        headers=(
            *(pair for pair in answer.headers if pair[0] != "Content-Length"),
            ("Content-Length", str(LIMITS.file - 1)),
        ),
        pieces=lengthen,
    )
    report, _ = look(site)
    details = {found.detail for found in report.seen[0].differences}
    assert "it sent more than 500,000 bytes" in details
