"""Whatever an address sends, its check ends in time and reads a bounded number of bytes."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from support.hostile import Hostile, HostileResponse
from support.signed import organisation_key, signed_release

from cccr_web.watch import Address, DifferenceKind, Report, RequestLimits, Settings, check_sites

LIMITS = RequestLimits(file=50_000, total=500_000, idle_timeout=1.0, timeout=3.0)


@pytest.fixture
def site() -> Iterator[Hostile]:
    """A server that a test makes hostile."""
    with Hostile(signed_release(2)) as server:
        yield server


def check(server: Hostile) -> tuple[Report, float]:
    """Check it; return the report and how many seconds that took."""
    begin = time.monotonic()
    # Always the same order, so that the other pages come before all connections wait.
    chance = random.Random(1)  # noqa: S311
    settings = Settings(organisation_key().public, limits=LIMITS, chance=chance)
    report = check_sites([Address.parse(server.url)], settings, signed_release(2))
    return report, time.monotonic() - begin


def drip(server: Hostile, pause: float = 0.02) -> Iterator[bytes]:
    """Yield a byte every ``pause`` seconds until the test ends."""
    while not server.ended.wait(pause):
        yield b"x"


def without_length(answer: HostileResponse, pieces: Iterator[bytes]) -> HostileResponse:
    """Return ``answer`` with a body that ends when the connection does."""
    kept = tuple(pair for pair in answer.headers if pair[0] != "Content-Length")
    return replace(answer, headers=kept, pieces=pieces, hang_up=True)


def endless(_server: Hostile, answer: HostileResponse) -> HostileResponse:
    """Return a body without end."""
    return without_length(answer, itertools.repeat(bytes(1000)))


def dripping(server: Hostile, answer: HostileResponse) -> HostileResponse:
    """Return a body that arrives a byte at a time, each within the idle timeout."""
    return without_length(answer, drip(server))


def huge(_server: Hostile, answer: HostileResponse) -> HostileResponse:
    """Return a body of 10²⁰ bytes, as its Content-Length says."""
    answer = without_length(answer, itertools.repeat(bytes(1000)))
    return replace(answer, headers=(*answer.headers, ("Content-Length", "1" + "0" * 20)))


def endless_heads(_server: Hostile, _answer: HostileResponse) -> HostileResponse:
    """Return interim responses without end (RFC 9110, section 15.2)."""
    return HostileResponse(
        100, (), itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"), hang_up=True
    )


def many_headers(_server: Hostile, answer: HostileResponse) -> HostileResponse:
    """Return more headers than any server sends."""
    more = tuple((f"X-{number}", "x") for number in range(300))
    return replace(answer, headers=(*answer.headers, *more))


@pytest.mark.parametrize("harm", [endless, dripping, huge, endless_heads, many_headers])
@pytest.mark.parametrize("everywhere", [False, True], ids=["one page", "everywhere"])
def test_an_endless_or_slow_response_is_cut_off(
    site: Hostile, harm: Callable[[Hostile, HostileResponse], HostileResponse], *, everywhere: bool
) -> None:
    """An endless or slow body or header section is cut off and is a difference."""
    site.tamper = lambda path, answer: (
        harm(site, answer) if everywhere or path == "/en/index.html" else answer
    )
    report, seconds = check(site)
    assert not report.same
    assert {found.kind for found in report.sites[0].differences} <= {
        DifferenceKind.CHANGED,
        DifferenceKind.UNREACHABLE,
    }
    paths = {found.path for found in report.sites[0].differences}
    if not everywhere and harm is not endless_heads:
        assert paths == {"/en/index.html"}
    # That response may have used up the byte budget of the others as well.
    assert everywhere or "/en/index.html" in paths
    # A quarter of the time for the manifest, all of it for the files, and a margin.
    assert seconds < 1.25 * LIMITS.timeout + 1.0


def test_a_stalled_response_ends_at_the_idle_timeout(site: Hostile) -> None:
    """A response that stalls ends at the idle timeout, long before the whole timeout."""
    limits = RequestLimits(idle_timeout=0.5, timeout=60.0)
    site.tamper = lambda path, answer: (
        replace(answer, pieces=drip(site, 60.0)) if path == "/en/index.html" else answer
    )
    begin = time.monotonic()
    settings = Settings(organisation_key().public, limits=limits)
    (found,) = check_sites([Address.parse(site.url)], settings).sites[0].differences
    assert (found.path, found.detail) == ("/en/index.html", "no byte arrived for 0.5 s")
    assert time.monotonic() - begin < 10


def test_a_slow_response_ends_at_the_whole_timeout(site: Hostile) -> None:
    """A response that arrives byte by byte ends at the whole timeout and is reported so."""
    site.tamper = lambda path, answer: (
        dripping(site, answer) if path == "/en/index.html" else answer
    )
    (found,) = check(site)[0].sites[0].differences
    assert found.detail == "not finished after 3 s"


def test_the_sum_of_all_responses_is_limited(site: Hostile) -> None:
    """Bodies within their own limits may not exceed the limit on the total."""
    lengthen = (bytes(LIMITS.file - 1),)
    site.tamper = lambda _path, answer: replace(
        answer,
        headers=(
            *(pair for pair in answer.headers if pair[0] != "Content-Length"),
            ("Content-Length", str(LIMITS.file - 1)),
        ),
        pieces=lengthen,
    )
    report, _ = check(site)
    details = {found.detail for found in report.sites[0].differences}
    assert "it sent more than 500,000 bytes" in details
