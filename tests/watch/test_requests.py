"""``watch`` requests a site as browsers do, and as every other client."""

from __future__ import annotations

import gzip
import random
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import brotli
import pytest
from support.hostile import Hostile, HostileResponse
from support.signed import organisation_key, signed_release
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from cccr_web.languages import LANGUAGES, negotiate
from cccr_web.serve import file_addresses
from cccr_web.watch import (
    Address,
    CheckSettings,
    Difference,
    DifferenceKind,
    RequestLimits,
    check_sites,
)
from cccr_web.watch.requests import BROWSERS, plan

PAGE = "/en/who-we-are.html"
RELEASE = signed_release(2)
LISTED = {"/", *file_addresses(RELEASE)}
CODINGS = {"", "identity", "gzip", "br", "deflate"}
LIMITS = RequestLimits(30.0)


def check(server: Hostile, limits: RequestLimits = LIMITS) -> tuple[Difference, ...]:
    """Check a server with the tests' key."""
    settings = CheckSettings(organisation_key().public, limits=limits)
    return check_sites([Address.parse(server.url)], settings).sites[0].differences


@pytest.fixture
def site() -> Iterator[Hostile]:
    """An honest server of release 2."""
    with Hostile(RELEASE) as server:
        yield server


def is_browser(asked: Mapping[str, str]) -> bool:
    """Whether a request looks like a browser's."""
    return "Firefox/" in asked.get("user-agent", "")


def changed(answer: HostileResponse) -> HostileResponse:
    """Return the page of a forger, which is as long as the real one."""
    return replace(answer, pieces=[b"x" * len(piece) for piece in answer.pieces])


def test_every_path_is_requested_once_as_a_browser_and_a_tenth_in_every_other_way(
    site: Hostile,
) -> None:
    """All paths are requested as a browser does, and each other client requests a tenth."""
    assert check(site) == ()
    browsers = Counter(path for path, asked in site.headers if is_browser(asked))
    assert set(browsers.values()) == {1}
    assert browsers.keys() > LISTED | {"/en", "/zh-hans"}
    sent = {
        tuple(f"{name}: {value}" for name, value in asked.items() if name != "host")
        for _, asked in site.headers
        if is_browser(asked)
    }
    known = {tuple(_lower(line) for line in client.lines) for client in BROWSERS}
    assert sent <= known
    assert len(sent) > 1
    others = [(path, asked) for path, asked in site.headers if not is_browser(asked)]
    codings = Counter(asked.get("accept-encoding", "") for _, asked in others)
    assert codings == dict.fromkeys(CODINGS, -(-len(LISTED) // 10))
    assert {path for path, _ in others} <= LISTED
    assert {name for _, asked in others for name in asked} == {"host", "accept-encoding"}


def _lower(line: str) -> str:
    name, separator, value = line.partition(":")
    return name.lower() + separator + value


def test_browsers_ask_for_every_language_of_the_site() -> None:
    """A forger who wants only the readers of one language is found out, in both scripts."""
    accepted = [
        parse_accept_header(line.partition(": ")[2], LanguageAccept)
        for client in BROWSERS
        for line in client.lines
        if line.startswith("Accept-Language: ")
    ]
    assert len(accepted) == len(BROWSERS)
    assert {negotiate(each) for each in accepted} == {*LANGUAGES}


def test_each_check_has_its_own_order_tenth_and_unknown_pages() -> None:
    """No two checks have the same order, the same tenth or the same unknown pages."""
    first, second = (plan(RELEASE, random.SystemRandom()) for _ in range(2))
    paths = [
        [path for client, path in requests if client.is_browser] for requests in (first, second)
    ]
    assert paths[0] != paths[1]
    assert paths[0] != sorted(paths[0])
    tenths = [
        {(client, path) for client, path in requests if client.name} for requests in (first, second)
    ]
    assert tenths[0] != tenths[1]
    names = [client.name for client, _ in first]
    assert names != sorted(names)
    unlisted = [{*each} - LISTED for each in paths]
    assert {"/en", "/zh-hans", "/app.apk", "/login"} <= unlisted[0] & unlisted[1]
    assert all(path.removesuffix(".html")[-12:].isalnum() for path in unlisted[0] - unlisted[1])
    assert len(unlisted[0] - unlisted[1]) == 6


CHEATS: dict[str, tuple[Callable[[Mapping[str, str]], bool], str]] = {
    "browsers": (is_browser, "only for browsers"),
    "Chinese readers": (
        lambda asked: "zh" in asked.get("accept-language", ""),
        "only for browsers",
    ),
    "readers in Taiwan": (
        lambda asked: asked.get("accept-language", "").startswith("zh-TW"),
        "only for browsers",
    ),
    "programs": (lambda asked: not is_browser(asked), "without headers"),
    "one coding": (
        lambda asked: asked.get("accept-encoding") == "gzip",
        "with Accept-Encoding: gzip",
    ),
}


@pytest.mark.parametrize("case", CHEATS)
def test_other_bytes_for_some_clients_are_reported(site: Hostile, case: str) -> None:
    """A site that sends some clients other pages is reported, with the client that shows it."""
    cheats, note = CHEATS[case]
    site.tamper = lambda path, answer: (
        changed(answer) if path.endswith((".html", "/")) and cheats(answer.asked) else answer
    )
    # A tenth of the files may hold no page, so one check may show nothing with this client.
    checks = (check(site) for _ in range(20))
    found = next(one for one in checks if any(each.detail.endswith(f"({note})") for each in one))
    assert {each.kind for each in found} == {DifferenceKind.CHANGED}
    assert {each.path for each in found} <= LISTED


CODERS: dict[str, Callable[[bytes], bytes]] = {
    "br": brotli.compress,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


def encoded(
    answer: HostileResponse, coding: str, coder: Callable[[bytes], bytes]
) -> HostileResponse:
    """Return ``answer`` in a coding."""
    body = coder(b"".join(answer.pieces))
    kept = tuple(pair for pair in answer.headers if pair[0] != "Content-Length")
    more = (("Content-Length", str(len(body))), ("Content-Encoding", coding))
    return replace(answer, headers=(*kept, *more), pieces=(body,))


@pytest.mark.parametrize("coding", CODERS)
def test_a_compressed_file_is_compared_after_decompression(site: Hostile, coding: str) -> None:
    """The right file in any coding that was offered is no difference."""
    site.tamper = lambda _path, answer: (
        encoded(answer, coding, CODERS[coding])
        if answer.status == 200 and coding in answer.asked.get("accept-encoding", "")
        else answer
    )
    assert check(site) == ()
    site.tamper = lambda path, answer: (
        encoded(changed(answer) if path == PAGE else answer, coding, CODERS[coding])
        if answer.status == 200 and coding in answer.asked.get("accept-encoding", "")
        else answer
    )
    assert PAGE in {each.path for each in check(site)}


DAMAGE: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "cut off": ("gzip", lambda body: gzip.compress(body)[:-9], "its coding gzip is damaged"),
    "more": ("gzip", lambda body: gzip.compress(body) + b"x", "its coding gzip is damaged"),
    "plain": ("gzip", lambda body: body, "its coding gzip is damaged"),
    "brotli cut off": ("br", lambda body: brotli.compress(body)[:-3], "its coding br is damaged"),
    "brotli, plain": ("br", lambda body: body, "its coding br is damaged"),
    "zstd": ("zstd", lambda body: body, "its coding 'zstd' cannot be read"),
    "a gzip bomb": ("gzip", lambda _: gzip.compress(bytes(50_000_000)), "it is longer than"),
    "a brotli bomb": (
        "br",
        lambda _: brotli.compress(bytes(50_000_000), quality=1),
        "it is longer",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_or_endless_coding_is_reported(site: Hostile, case: str) -> None:
    """A body that its coding does not describe is a difference, and never fills the memory."""
    coding, coder, problem = DAMAGE[case]
    site.tamper = lambda path, answer: encoded(answer, coding, coder) if path == PAGE else answer
    found = [each for each in check(site, RequestLimits(30.0, file=200_000)) if each.path == PAGE]
    assert any(each.detail.startswith(problem) for each in found), found
