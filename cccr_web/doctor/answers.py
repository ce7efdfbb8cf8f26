"""Every kind of answer that is no page: whose headers, and does it say who made it?

Whatever program on the way answers by itself must send the policy too. Not asked for
are answers that only a flood or a failure brings (429, 502).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from cccr_web.doctor.result import Result, ok, some, wrong
from cccr_web.doctor.way import Way
from cccr_web.release import Release
from cccr_web.serve import bare_headers, clearnet_policy, onion_policy
from cccr_web.watch import Reply, UnreachableError, header_differences

_STRANGER: Final = "another.example"
# They are of one kind of answer, and go beside the policy.
BESIDE: Final = frozenset(
    {
        *("allow", "cache-control", "content-encoding", "content-range", "content-type"),
        *("location", "onion-location", "retry-after", "vary"),
    }
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What is asked, and with which status it may be answered.

    ``silence``: whether to hang up without a word is an answer too.
    """

    what: str
    ask: Callable[[Way], Reply]
    status: frozenset[int]
    silence: bool = False


def check_answers(release: Release, way: Way, others: tuple[str, ...]) -> Iterator[Result]:
    """Ask for each kind of answer. ``others`` are the site's names on the other road."""
    facts = release.metadata
    policy = onion_policy(facts) if way.address.is_onion else clearnet_policy(facts, facts.onions)
    wanted = {name: value for name, value in bare_headers(policy) if name.lower() not in BESIDE}
    problems: list[str] = []
    kinds = list(_kinds(release, way, others))
    for kind in kinds:
        try:
            reply = kind.ask(way)
        except UnreachableError as error:
            if not kind.silence:
                problems.append(f"{kind.what}: no answer ({error})")
            continue
        if reply.status not in kind.status:
            status = " or ".join(str(each) for each in sorted(kind.status))
            problems.append(f"{kind.what}: {reply.status}, not {status}")
        found = [
            f"{each.kind} {each.detail}" for each in header_differences("", reply, wanted, BESIDE)
        ]
        if found:
            problems.append(f"{kind.what} ({reply.status}): {some(found, 1)}")
    name = f"{way.name} answers"
    if problems:
        yield wrong(
            name,
            f"{some(problems)}.",
            "See what stands before the server: “cccr-web headers” prints what it must send.",
        )
    else:
        yield ok(name, f"{len(kinds)} kinds of answers, each with its status and the whole policy.")


def _kinds(release: Release, way: Way, others: tuple[str, ...]) -> Iterator[Kind]:
    home = f"/{next(iter(release.metadata.languages))}/"
    yield Kind("a page", lambda way: way.ask(home), frozenset({200}))
    yield Kind("the head of a page", lambda way: way.ask(home, method="HEAD"), frozenset({200}))
    yield Kind("a page that has not changed", lambda way: _unchanged(way, home), frozenset({304}))
    yield Kind("the first address", lambda way: way.ask("/"), frozenset({302}))
    yield Kind("a folder without its slash", lambda way: way.ask(home[:-1]), frozenset({301}))
    yield Kind("a page that is not there", lambda way: way.ask(f"{home}none"), frozenset({404}))
    large = f"/{max(release.files, key=lambda path: len(release.files[path].body))}"
    yield Kind(
        "a part of a file",
        lambda way: way.ask(large, "Range: bytes=0-0"),
        frozenset({200, 206}),
    )
    yield Kind(
        "a part that is not there",
        lambda way: way.ask(large, "Range: bytes=999999999-"),
        frozenset({200, 416}),
    )
    yield Kind("another method", lambda way: way.ask(home, method="DELETE"), frozenset({405}))
    yield Kind(
        "a body",
        lambda way: way.ask(home, "Content-Length: 99999999", method="POST"),
        frozenset({405, 413}),
    )
    for stranger in (_STRANGER, *others):
        # Bound now, not when it is called.
        def asked(way: Way, stranger: str = stranger) -> Reply:
            return way.ask(home, host=stranger)

        yield Kind(f"the name {stranger}", asked, frozenset({421}), silence=True)
    yield Kind(
        "no request", lambda way: way.send(b"nothing\r\n\r\n"), frozenset({400}), silence=True
    )
    yield Kind(
        "a request without a name",
        lambda way: way.send(f"GET {home} HTTP/1.1\r\n\r\n".encode()),
        frozenset({400, 421}),
        silence=True,
    )
    yield Kind(
        "an endless head",
        lambda way: way.ask(home, f"X: {'x' * 40_000}"),
        frozenset({400, 414, 431}),
        silence=True,
    )
    yield Kind(
        "an unknown version",
        lambda way: way.send(f"GET {home} HTTP/9.9\r\nHost: {way.address.netloc}\r\n\r\n".encode()),
        frozenset({400, 505}),
        silence=True,
    )
    if way.address.is_onion:
        yield Kind("a web proxy", lambda way: way.ask(home, "X-Tor2web: 1"), frozenset({403}))
    else:
        yield Kind("http to the port of https", _plainly, frozenset({400}), silence=True)


def _unchanged(way: Way, home: str) -> Reply:
    return way.ask(home, f"If-None-Match: {way.ask(home).header('etag')}")


def _plainly(way: Way) -> Reply:
    plain = way.plainly()
    reply = plain.ask("/")
    way.seen += plain.seen
    return reply
