"""Every way in which an address can differ is found, named, and told from the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.hostile import Answer, Hostile
from support.signed import facts, known_key, organisation_key, signed_release

from cccr_web.release import Release, Signer, make_release
from cccr_web.watch import Address, Difference, Kind, Limits, Report, Seen, Watcher

if TYPE_CHECKING:
    from support.hostile import Twist

PAGE = "/en/who-we-are.html"
QUICK = Limits(file=100_000, total=2_000_000, silence=0.5, whole=4.0)


def look(*servers: Hostile, limits: Limits = QUICK, release: Release | None = None) -> list[Seen]:
    """Look at the servers with the tests' key."""
    watcher = Watcher(organisation_key().public, release=release, limits=limits)
    return list(watcher.look([Address.parse(server.url) for server in servers]).seen)


def at(path: str, change: Callable[[Answer], Answer]) -> Twist:
    """Return a twist of the answer at one path."""
    return lambda asked, answer: change(answer) if asked == path else answer


def whole(answer: Answer, body: bytes, status: int = 200) -> Answer:
    """Return ``answer`` with another body and its right length."""
    kept = tuple(pair for pair in answer.headers if pair[0] != "Content-Length")
    return replace(
        answer, status=status, headers=(*kept, ("Content-Length", str(len(body)))), pieces=(body,)
    )


def flip(answer: Answer) -> Answer:
    """Change one bit of the body."""
    body = b"".join(answer.pieces)
    return whole(answer, bytes([body[0] ^ 1]) + body[1:])


def with_header(name: str, value: str) -> Callable[[Answer], Answer]:
    """Add a header."""
    return lambda answer: replace(answer, headers=(*answer.headers, (name, value)))


def without(name: str) -> Callable[[Answer], Answer]:
    """Leave a header out."""
    return lambda answer: replace(
        answer, headers=tuple(pair for pair in answer.headers if pair[0] != name)
    )


@pytest.fixture
def site() -> Iterator[Hostile]:
    """An honest server of release 2."""
    with Hostile(signed_release(2)) as server:
        yield server


@pytest.fixture
def other() -> Iterator[Hostile]:
    """A second one, to be twisted."""
    with Hostile(signed_release(2)) as server:
        yield server


def test_all_the_same(site: Hostile, other: Hostile) -> None:
    """Where nothing was changed, nothing is found, and every address was asked once."""
    for server, seen in zip((site, other), look(site, other), strict=True):
        assert seen.differences == ()
        assert seen.sequence == 2
        assert seen.files == len(signed_release(2).files)
        assert sorted(server.asked) == sorted(server.answers)


CASES: dict[str, tuple[str, Callable[[Answer], Answer], Kind, str]] = {
    "one bit": (PAGE, flip, Kind.CHANGED, "SHA-256 "),
    "one bit of the ZIP": ("/cccr-web.zip", flip, Kind.CHANGED, "SHA-256 "),
    "a folder's page": ("/en/", flip, Kind.CHANGED, "SHA-256 "),
    "the facts": ("/RELEASE.json", flip, Kind.CHANGED, "SHA-256 "),
    "not there": (PAGE, lambda a: whole(a, b"", 404), Kind.MISSING, "answered with 404"),
    "gone": (PAGE, lambda a: whole(a, b"", 410), Kind.MISSING, "answered with 410"),
    "refused": (PAGE, lambda a: whole(a, b"", 403), Kind.MISSING, "answered with 403"),
    "no list": ("/SHA256SUMS", lambda a: whole(a, b"", 404), Kind.MISSING, "answered with 404"),
    "failing": (PAGE, lambda a: whole(a, b"", 503), Kind.UNREACHABLE, "answered with 503"),
    "a part": (PAGE, lambda a: whole(a, b"", 206), Kind.CHANGED, "answered with 206"),
    "a redirect to the right bytes": (
        PAGE,
        lambda a: with_header("Location", "/en/index.html")(replace(a, status=301)),
        Kind.CHANGED,
        "it leads to /en/index.html",
    ),
    "a redirect to nowhere": (
        PAGE,
        lambda a: replace(a, status=302),
        Kind.CHANGED,
        "it leads to nowhere",
    ),
    "a cookie": (PAGE, with_header("Set-Cookie", "id=1"), Kind.EXTRA_HEADER, "Set-Cookie: id=1"),
    "a cookie at the front": (
        "/",
        with_header("Set-Cookie", "id=1"),
        Kind.EXTRA_HEADER,
        "Set-Cookie: id=1",
    ),
    "a version": (
        PAGE,
        with_header("Server", "nginx/1.22.1"),
        Kind.EXTRA_HEADER,
        "Server: nginx/1.22.1",
    ),
    "a refresh": (
        PAGE,
        with_header("Refresh", "0; url=https://x.example"),
        Kind.EXTRA_HEADER,
        "Refresh: 0; url=https://x.example",
    ),
    "a second policy": (
        PAGE,
        with_header("Content-Security-Policy", "default-src *"),
        Kind.EXTRA_HEADER,
        "Content-Security-Policy: default-src *",
    ),
    "another service's name": (
        PAGE,
        with_header("Alt-Svc", 'h3="x.example:443"'),
        Kind.EXTRA_HEADER,
        'Alt-Svc: h3="x.example:443"',
    ),
    "unprintable": (
        PAGE,
        with_header("X-Note", "\x1b[2J"),
        Kind.EXTRA_HEADER,
        r"X-Note: '\x1b[2J'",
    ),
    "no policy": (
        PAGE,
        without("Content-Security-Policy"),
        Kind.MISSING_HEADER,
        "Content-Security-Policy",
    ),
    "no HSTS at the front": (
        "/",
        without("Strict-Transport-Security"),
        Kind.MISSING_HEADER,
        "Strict-Transport-Security",
    ),
    "another onion": (
        PAGE,
        lambda a: with_header("Onion-Location", "http://x.onion/")(without("Onion-Location")(a)),
        Kind.CHANGED_HEADER,
        "Onion-Location: http://x.onion/",
    ),
    "a download": (
        PAGE,
        lambda a: with_header("Content-Type", "application/x-sh")(without("Content-Type")(a)),
        Kind.CHANGED_HEADER,
        "Content-Type: application/x-sh",
    ),
    "a front that leads away": (
        "/",
        lambda a: with_header("Location", "https://x.example/en/")(without("Location")(a)),
        Kind.CHANGED,
        "it leads to https://x.example/en/",
    ),
    "a front with a page": (
        "/",
        lambda a: whole(a, b"<p>hello", 200),
        Kind.CHANGED,
        "a page that is not in the release",
    ),
    "too long": (
        PAGE,
        lambda a: whole(a, bytes(QUICK.file + 1)),
        Kind.CHANGED,
        "it has more bytes than the file may have",
    ),
    "cut off": (
        PAGE,
        lambda a: replace(a, pieces=(b"<!",), hang_up=True),
        Kind.UNREACHABLE,
        "it hung up in the middle",
    ),
    "silence": (
        PAGE,
        lambda a: replace(a, pieces=_slowly(b"<!", 1.0)),
        Kind.UNREACHABLE,
        "no byte came for 0.5 s",
    ),
    "a broken chunk": (
        PAGE,
        lambda a: replace(
            with_header("Transfer-Encoding", "chunked")(without("Content-Length")(a)),
            pieces=(b"zz\r\n",),
            hang_up=True,
        ),
        Kind.UNREACHABLE,
        "it hung up in the middle",
    ),
    "an empty signature": (
        "/SHA256SUMS.minisig",
        lambda a: whole(a, b""),
        Kind.BAD_SIGNATURE,
        "SHA256SUMS.minisig is empty.",
    ),
    "no SSH signature": (
        "/SHA256SUMS.sshsig",
        lambda a: whole(a, b"", 404),
        Kind.MISSING,
        "answered with 404",
    ),
}


def _slowly(body: bytes, pause: float) -> Iterator[bytes]:
    for byte in body:
        time.sleep(pause)
        yield bytes([byte])


@pytest.mark.parametrize("case", CASES)
def test_one_difference(site: Hostile, other: Hostile, case: str) -> None:
    """One thing changed at one path is found there, under its own kind, and nothing else is."""
    path, change, kind, detail = CASES[case]
    other.twist = at(path, change)
    honest, seen = look(site, other)
    assert honest.differences == ()
    told = [found for found in seen.differences if (found.path, found.kind) == (path, kind)]
    assert len(told) == 1, seen.differences
    assert told[0].detail.startswith(detail)
    # The headers of an answer that is not the file are of no account.
    same_path = {found.path for found in seen.differences}
    signature_too = {path, "/SHA256SUMS.minisig", "/SHA256SUMS.sshsig"}
    assert same_path <= (signature_too if path.startswith("/SHA256SUMS") else {path})


@pytest.mark.parametrize(
    "header",
    [
        ("Server", "nginx"),
        ("Server", "Caddy"),
        ("Last-Modified", "Sun, 22 Nov 2026 08:00:00 GMT"),
        ("ETag", '"6b02a6d7-2d"'),
        ("Accept-Ranges", "bytes"),
        ("Keep-Alive", "timeout=5"),
        ("Vary", "Accept-Encoding"),
        ("Alt-Svc", 'h3=":443"; ma=2592000'),
        ("X-Of-The-Host", "1"),
    ],
)
def test_harmless_headers(site: Hostile, header: tuple[str, str]) -> None:
    """What a plain nginx or Caddy adds is let through, and what the admin allows by name."""
    site.twist = lambda _path, answer: with_header(*header)(answer)
    watcher = Watcher(organisation_key().public, allowed={"x-of-the-host"}, limits=QUICK)
    assert watcher.look([Address.parse(site.url)]).same


def test_charset_in_capitals(site: Hostile) -> None:
    """A media type is the same in capitals."""
    upper = with_header("Content-Type", "text/html;charset=UTF-8")
    site.twist = at(PAGE, lambda answer: upper(without("Content-Type")(answer)))
    assert look(site)[0].differences == ()


def test_older_release(site: Hostile) -> None:
    """An address that is behind is told apart from one that was changed, file by file."""
    with Hostile(signed_release(1)) as old:
        assert [seen.differences for seen in look(old, site)] == [
            (Difference("", Kind.OLDER_RELEASE, "release 1, not 2"),),
            (),
        ]
        old.twist = at(PAGE, flip)
        kinds = {(found.path, found.kind) for found in look(old, site)[0].differences}
        assert kinds == {("", Kind.OLDER_RELEASE), (PAGE, Kind.CHANGED)}


def test_release_given(site: Hostile) -> None:
    """With a release given, an address that has gone beyond it differs, and so does one behind."""
    with Hostile(signed_release(3)) as new:
        seen = look(site, new, release=signed_release(2))
    assert [seen.differences for seen in seen] == [
        (),
        (Difference("", Kind.NEWER_RELEASE, "release 3, not 2"),),
    ]


def test_two_lists_of_one_number(site: Hostile) -> None:
    """Two releases of one number, both signed, are not the same, though each is whole."""
    twin = Signer(organisation_key()).sign(make_release({"en/index.html": b"x"}, facts(2)))
    with Hostile(twin) as other:
        seen = look(site, other)[1]
    assert [(found.path, found.kind) for found in seen.differences] == [
        ("/SHA256SUMS", Kind.CHANGED)
    ]


def test_foreign_signature(site: Hostile) -> None:
    """A release signed with another key is no release: told so, and compared with the true one."""
    stranger = known_key(b"a stranger")
    forged = facts(9, fingerprint=stranger.public.fingerprint)
    signed = Signer(stranger).sign(make_release({"en/who-we-are.html": b"x"}, forged))
    with Hostile(signed) as other:
        honest, seen = look(site, other)
    assert honest.differences == ()
    assert seen.sequence is None
    found = {(found.path, found.kind) for found in seen.differences}
    assert ("/SHA256SUMS.minisig", Kind.BAD_SIGNATURE) in found
    assert (PAGE, Kind.CHANGED) in found
    assert ("/zh-hans/index.html", Kind.MISSING) in found


def test_nothing_trusted(site: Hostile) -> None:
    """Without one good signature anywhere nothing is the same, and nothing else is claimed."""
    watcher = Watcher(known_key(b"a stranger").public, limits=QUICK)
    report = watcher.look([Address.parse(site.url)])
    assert report.reference is None
    assert not report.same
    (found,) = report.seen[0].differences
    assert (found.path, found.kind) == ("/SHA256SUMS.minisig", Kind.BAD_SIGNATURE)


def test_no_reference_is_never_the_same() -> None:
    """A report that had nothing to compare with does not call anything the same."""
    seen = Seen("https://cccr.example", None, 0, 0.0, ())
    assert not Report(None, (seen,)).same
    assert Report(signed_release(2), (seen,)).same


def test_nobody_there(site: Hostile) -> None:
    """An address where nobody answers is told once, not for every file."""
    with Hostile(signed_release(2)) as gone:
        pass
    honest, seen = look(site, gone)
    assert honest.differences == ()
    assert seen.differences == (Difference("", Kind.UNREACHABLE, "Connection refused"),)
