"""Whatever an address sends, its check ends in time and reads a bounded number of bytes."""

from __future__ import annotations

import email.utils
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from support.hostile import Hostile, HostileResponse
from support.signed import organisation_key, signed_release

from cccr_web.watch import (
    Address,
    CheckSettings,
    DifferenceKind,
    Report,
    RequestLimits,
    check_sites,
    client,
    site_check,
)

PAGE = "/en/index.html"
# In the clock's seconds. A read waits as long in real time, which is ample.
LIMITS = RequestLimits(file=50_000, total=500_000, idle_timeout=30.0, timeout=60.0)


@dataclass
class Clock:
    """The client's clock: it moves only when a test moves it, or the client waits.

    So it does not matter how fast the machine is. ``done`` and ``total`` are the responses so
    far, and all; ``late`` are the seconds beyond its limit that a read may wait.
    """

    now: float = 1000.0
    done: int = 0
    total: int = 0
    waits: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        """Return the time."""
        return self.now

    def time(self) -> float:
        """Return the time of day, which is the same."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let this time pass."""
        self.now += seconds
        if seconds:
            self.waits.append(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The client's clock, in each test."""
    clock = Clock()

    class Budget(client.RequestBudget):
        """A budget that notes how late a read may end."""

        def __init__(self, limits: RequestLimits) -> None:
            super().__init__(limits)
            self._last = clock.now + limits.timeout

        def timeout(self) -> float:
            before = clock.now
            allowed = super().timeout()
            clock.late.append(before + allowed - self._last)
            return allowed

    monkeypatch.setattr(client, "time", clock)
    monkeypatch.setattr(site_check, "RequestBudget", Budget)
    return clock


@pytest.fixture
def site() -> Iterator[Hostile]:
    """A server that a test makes hostile."""
    with Hostile(signed_release(2)) as server:
        yield server


def check(server: Hostile, clock: Clock) -> Report:
    """Check it; return the report."""

    def progress(done: int, total: int) -> None:
        clock.done, clock.total = done, total

    # Always the same order, so that the other pages come before all connections wait.
    rng = random.Random(1)  # noqa: S311
    settings = CheckSettings(organisation_key().public, limits=LIMITS, rng=rng)
    return check_sites([Address.parse(server.url)], settings, signed_release(2), progress)


def drip(server: Hostile, pause: float = 0.001) -> Iterator[bytes]:
    """Yield a byte every ``pause`` seconds until the test ends."""
    while not server.ended.wait(pause):
        yield b"x"


def without_length(answer: HostileResponse, pieces: Iterator[bytes]) -> HostileResponse:
    """Return ``answer`` with a body that ends when the connection does."""
    kept = tuple(pair for pair in answer.headers if pair[0] != "Content-Length")
    return replace(answer, headers=kept, pieces=pieces, hang_up=True)


def endless(_server: Hostile, _clock: Clock, answer: HostileResponse) -> HostileResponse:
    """Return a body without end."""
    return without_length(answer, itertools.repeat(bytes(1000)))


def dripping(server: Hostile, clock: Clock, answer: HostileResponse) -> HostileResponse:
    """Return a body that arrives a byte at a time, each within the idle timeout.

    The time runs out once every other response has arrived.
    """

    def pieces() -> Iterator[bytes]:
        for piece in drip(server):
            yield piece
            if clock.done + server.asked.count(PAGE) >= clock.total:
                clock.now += LIMITS.timeout / 10

    return without_length(answer, pieces())


def huge(_server: Hostile, _clock: Clock, answer: HostileResponse) -> HostileResponse:
    """Return a body of 10²⁰ bytes, as its Content-Length says."""
    answer = without_length(answer, itertools.repeat(bytes(1000)))
    return replace(answer, headers=(*answer.headers, ("Content-Length", "1" + "0" * 20)))


def endless_heads(_server: Hostile, _clock: Clock, _answer: HostileResponse) -> HostileResponse:
    """Return interim responses without end (RFC 9110, section 15.2)."""
    return HostileResponse(
        100, (), itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"), hang_up=True
    )


def many_headers(_server: Hostile, _clock: Clock, answer: HostileResponse) -> HostileResponse:
    """Return more headers than any server sends."""
    more = tuple((f"X-{number}", "x") for number in range(300))
    return replace(answer, headers=(*answer.headers, *more))


@pytest.mark.parametrize("harm", [endless, dripping, huge, endless_heads, many_headers])
@pytest.mark.parametrize("everywhere", [False, True], ids=["one page", "everywhere"])
def test_an_endless_or_slow_response_is_cut_off(
    site: Hostile,
    clock: Clock,
    harm: Callable[[Hostile, Clock, HostileResponse], HostileResponse],
    *,
    everywhere: bool,
) -> None:
    """An endless or slow body or header section is cut off and is a difference."""
    site.tamper = lambda path, answer: (
        harm(site, clock, answer) if everywhere or path == PAGE else answer
    )
    report = check(site, clock)
    assert not report.same
    assert {found.kind for found in report.sites[0].differences} <= {
        DifferenceKind.CHANGED,
        DifferenceKind.UNREACHABLE,
    }
    paths = {found.path for found in report.sites[0].differences}
    if not everywhere and harm is not endless_heads:
        assert paths == {PAGE}
    # That response may have used up the byte budget of the others as well.
    assert everywhere or PAGE in paths
    # No read may end after the time is over: of the manifest's quarter, and of the files.
    assert max(clock.late) <= 0


def test_a_stalled_response_ends_at_the_idle_timeout(site: Hostile) -> None:
    """A response that stalls ends at the idle timeout, and not at the whole timeout."""
    limits = RequestLimits(idle_timeout=0.5, timeout=600.0)
    site.tamper = lambda path, answer: (
        replace(answer, pieces=drip(site, 600.0)) if path == PAGE else answer
    )
    settings = CheckSettings(organisation_key().public, limits=limits)
    differences = check_sites([Address.parse(site.url)], settings).sites[0].differences
    # On a busy machine other responses can stall as well.
    assert (PAGE, "no byte arrived for 0.5 s") in {
        (found.path, found.detail) for found in differences
    }


def test_a_slow_response_ends_at_the_whole_timeout(site: Hostile, clock: Clock) -> None:
    """A response that arrives byte by byte ends at the whole timeout and is reported so."""
    site.tamper = lambda path, answer: dripping(site, clock, answer) if path == PAGE else answer
    (found,) = check(site, clock).sites[0].differences
    assert (found.path, found.detail) == (PAGE, "not finished after 60 s")


def test_the_sum_of_all_responses_is_limited(site: Hostile, clock: Clock) -> None:
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
    details = {found.detail for found in check(site, clock).sites[0].differences}
    assert "it sent more than 500,000 bytes" in details


def too_many(answer: HostileResponse, **headers: Any) -> HostileResponse:
    """Return the response to too many requests (RFC 6585, section 4)."""
    kept = tuple(pair for pair in answer.headers if pair[0] == "Cache-Control")
    more = tuple((name.replace("_", "-"), str(value)) for name, value in headers.items())
    return replace(answer, status=429, headers=(*kept, ("Content-Length", "0"), *more), pieces=())


@pytest.mark.parametrize("how", ["seconds", "date"])
def test_a_server_that_wants_fewer_requests_is_asked_again_later(
    site: Hostile, clock: Clock, how: str
) -> None:
    """After 429 with Retry-After no connection asks before that time, and nothing is wrong."""

    def limit(path: str, answer: HostileResponse) -> HostileResponse:
        if path not in {PAGE, "/SHA256SUMS"} or site.asked.count(path) % 2:
            return answer
        date = email.utils.formatdate(clock.now + 7, usegmt=True)
        return too_many(answer, Retry_After=7 if how == "seconds" else date)

    site.tamper = limit
    report = check(site, clock)
    assert report.sites[0].differences == ()
    assert len(clock.waits) >= 2
    assert 7 < sum(clock.waits) <= LIMITS.timeout


@pytest.mark.parametrize(
    ("after", "asked"), [(1, 4), (61, 1), (59.5, 1), ("soon", 1), ("-1", 1), (None, 1)]
)
def test_waiting_has_limits(site: Hostile, clock: Clock, after: object, asked: int) -> None:
    """A server that wants no requests at all is reported, after a few tries or at once."""
    headers = {} if after is None else {"Retry_After": after}
    site.tamper = lambda path, answer: (
        too_many(answer, **headers) if path == "/SHA256SUMS" else answer
    )
    details = {(found.path, found.detail) for found in check(site, clock).sites[0].differences}
    assert ("/SHA256SUMS", "responded with 429") in details
    assert site.asked.count("/SHA256SUMS") % asked == 0
    assert (clock.waits == []) is (asked == 1)
