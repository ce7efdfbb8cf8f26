"""Every kind of difference is found and reported under its own name."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.hostile import Hostile, HostileResponse
from support.signed import facts, known_key, organisation_key, signed_release

from cccr_web.release import Release, Signer, make_release
from cccr_web.serve import file_headers, listener_policy
from cccr_web.watch import (
    Address,
    CheckSettings,
    Difference,
    DifferenceKind,
    Report,
    RequestLimits,
    SiteResult,
    check_sites,
)

if TYPE_CHECKING:
    from support.hostile import Tamper

PAGE = "/en/who-we-are.html"
QUICK = RequestLimits(file=100_000, total=2_000_000, idle_timeout=3.0, timeout=15.0)


def check(
    *servers: Hostile, limits: RequestLimits = QUICK, release: Release | None = None
) -> list[SiteResult]:
    """Check the servers with the tests' key."""
    settings = CheckSettings(organisation_key().public, limits=limits)
    addresses = [Address.parse(server.url) for server in servers]
    return list(check_sites(addresses, settings, release).sites)


def at(path: str, change: Callable[[HostileResponse], HostileResponse]) -> Tamper:
    """Return a function that changes the response at one path."""
    return lambda asked, answer: change(answer) if asked == path else answer


def whole(answer: HostileResponse, body: bytes, status: int = 200) -> HostileResponse:
    """Return ``answer`` with another body and its right length."""
    kept = tuple(pair for pair in answer.headers if pair[0] != "Content-Length")
    return replace(
        answer, status=status, headers=(*kept, ("Content-Length", str(len(body)))), pieces=(body,)
    )


def flip(answer: HostileResponse) -> HostileResponse:
    """Change one bit of the body."""
    body = b"".join(answer.pieces)
    return whole(answer, bytes([body[0] ^ 1]) + body[1:])


def with_header(name: str, value: str) -> Callable[[HostileResponse], HostileResponse]:
    """Add a header."""
    return lambda answer: replace(answer, headers=(*answer.headers, (name, value)))


def without(name: str) -> Callable[[HostileResponse], HostileResponse]:
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


def test_unchanged_sites_have_no_difference(site: Hostile, other: Hostile) -> None:
    """Unchanged sites have no differences, and each of their paths is requested."""
    for server, seen in zip((site, other), check(site, other), strict=True):
        assert seen.differences == ()
        assert seen.sequence == 2
        assert seen.files == len(signed_release(2).files)
        assert {*server.asked} > server.answers.keys()


CASES: dict[str, tuple[str, Callable[[HostileResponse], HostileResponse], DifferenceKind, str]] = {
    "one bit": (PAGE, flip, DifferenceKind.CHANGED, "SHA-256 "),
    "one bit of the ZIP": ("/cccr-web.zip", flip, DifferenceKind.CHANGED, "SHA-256 "),
    "a folder's page": ("/en/", flip, DifferenceKind.CHANGED, "SHA-256 "),
    "the facts": ("/RELEASE.json", flip, DifferenceKind.CHANGED, "SHA-256 "),
    "not there": (PAGE, lambda a: whole(a, b"", 404), DifferenceKind.MISSING, "responded with 404"),
    "gone": (PAGE, lambda a: whole(a, b"", 410), DifferenceKind.MISSING, "responded with 410"),
    "forbidden": (PAGE, lambda a: whole(a, b"", 403), DifferenceKind.MISSING, "responded with 403"),
    "no list": (
        "/SHA256SUMS",
        lambda a: whole(a, b"", 404),
        DifferenceKind.MISSING,
        "responded with 404",
    ),
    "failing": (
        PAGE,
        lambda a: whole(a, b"", 503),
        DifferenceKind.UNREACHABLE,
        "responded with 503",
    ),
    "a part": (PAGE, lambda a: whole(a, b"", 206), DifferenceKind.CHANGED, "responded with 206"),
    "a redirect to the right bytes": (
        PAGE,
        lambda a: with_header("Location", "/en/index.html")(replace(a, status=301)),
        DifferenceKind.CHANGED,
        "it redirects to /en/index.html",
    ),
    "a redirect to nowhere": (
        PAGE,
        lambda a: replace(a, status=302),
        DifferenceKind.CHANGED,
        "it redirects to nowhere",
    ),
    "a cookie": (
        PAGE,
        with_header("Set-Cookie", "id=1"),
        DifferenceKind.EXTRA_HEADER,
        "Set-Cookie: id=1",
    ),
    "a cookie at the root": (
        "/",
        with_header("Set-Cookie", "id=1"),
        DifferenceKind.EXTRA_HEADER,
        "Set-Cookie: id=1",
    ),
    "a version": (
        PAGE,
        with_header("Server", "nginx/1.22.1"),
        DifferenceKind.EXTRA_HEADER,
        "Server: nginx/1.22.1",
    ),
    "a refresh": (
        PAGE,
        with_header("Refresh", "0; url=https://x.example"),
        DifferenceKind.EXTRA_HEADER,
        "Refresh: 0; url=https://x.example",
    ),
    "a second policy": (
        PAGE,
        with_header("Content-Security-Policy", "default-src *"),
        DifferenceKind.EXTRA_HEADER,
        "Content-Security-Policy: default-src *",
    ),
    "another service's name": (
        PAGE,
        with_header("Alt-Svc", 'h3="x.example:443"'),
        DifferenceKind.EXTRA_HEADER,
        'Alt-Svc: h3="x.example:443"',
    ),
    "unprintable": (
        PAGE,
        with_header("X-Note", "\x1b[2J"),
        DifferenceKind.EXTRA_HEADER,
        r"X-Note: '\x1b[2J'",
    ),
    "no policy": (
        PAGE,
        without("Content-Security-Policy"),
        DifferenceKind.MISSING_HEADER,
        "Content-Security-Policy",
    ),
    "no HSTS at the root": (
        "/",
        without("Strict-Transport-Security"),
        DifferenceKind.MISSING_HEADER,
        "Strict-Transport-Security",
    ),
    "another onion": (
        PAGE,
        lambda a: with_header("Onion-Location", "http://x.onion/")(without("Onion-Location")(a)),
        DifferenceKind.CHANGED_HEADER,
        "Onion-Location: http://x.onion/",
    ),
    "a download": (
        PAGE,
        lambda a: with_header("Content-Type", "application/x-sh")(without("Content-Type")(a)),
        DifferenceKind.CHANGED_HEADER,
        "Content-Type: application/x-sh",
    ),
    "a root that redirects to no URL": (
        "/",
        lambda a: with_header("Location", "http://[x")(without("Location")(a)),
        DifferenceKind.CHANGED,
        "it redirects to http://[x",
    ),
    "a folder that redirects to no URL": (
        "/en",
        lambda a: with_header("Location", "//[")(without("Location")(a)),
        DifferenceKind.CHANGED,
        "it redirects to //[",
    ),
    "a root that redirects elsewhere": (
        "/",
        lambda a: with_header("Location", "https://x.example/en/")(without("Location")(a)),
        DifferenceKind.CHANGED,
        "it redirects to https://x.example/en/",
    ),
    "a folder without its slash that is a page": (
        "/en",
        lambda a: whole(a, b"<p>hello", 200),
        DifferenceKind.UNLISTED,
        "responded with 200, not a redirect",
    ),
    "a folder without its slash that leads elsewhere": (
        "/en",
        lambda a: with_header("Location", "//x.example/en/")(without("Location")(a)),
        DifferenceKind.CHANGED,
        "it redirects to //x.example/en/",
    ),
    "a folder without its slash that is missing": (
        "/en",
        lambda a: whole(a, b"", 404),
        DifferenceKind.MISSING,
        "responded with 404",
    ),
    "a cookie of a folder without its slash": (
        "/en",
        with_header("Set-Cookie", "id=1"),
        DifferenceKind.EXTRA_HEADER,
        "Set-Cookie: id=1",
    ),
    "an app": (
        "/app.apk",
        lambda a: whole(a, b"PK", 200),
        DifferenceKind.UNLISTED,
        "responded with 200",
    ),
    "an error page of somebody else": (
        "/app.apk",
        lambda a: whole(a, b"<p>Type your password", 404),
        DifferenceKind.CHANGED,
        "an error page that is not in the release",
    ),
    "a cookie of an error page": (
        "/app.apk",
        with_header("Set-Cookie", "id=1"),
        DifferenceKind.EXTRA_HEADER,
        "Set-Cookie: id=1",
    ),
    "a page that leads elsewhere": (
        "/app.apk",
        lambda a: with_header("Location", "https://x.example/")(replace(a, status=302)),
        DifferenceKind.CHANGED,
        "it redirects to https://x.example/",
    ),
    "a redirect of a tag that leads elsewhere": (
        "/zh/",
        lambda a: with_header("Location", "https://x.example/")(replace(a, status=302)),
        DifferenceKind.CHANGED,
        "it redirects to https://x.example/",
    ),
    "a redirect of a tag to another language": (
        "/zh/",
        lambda a: with_header("Location", "/en/")(replace(a, status=302)),
        DifferenceKind.CHANGED,
        "it redirects to /en/",
    ),
    "a page of somebody else that redirects": (
        "/zh-tw/",
        lambda a: whole(a, b"<p>Type your password", 200),
        DifferenceKind.UNLISTED,
        "responded with 200",
    ),
    "a root with a page": (
        "/",
        lambda a: whole(a, b"<p>hello", 200),
        DifferenceKind.CHANGED,
        "a page that is not in the release",
    ),
    "too long": (
        PAGE,
        lambda a: whole(a, bytes(QUICK.file + 1)),
        DifferenceKind.CHANGED,
        "it is longer than the file may be",
    ),
    "cut off": (
        PAGE,
        lambda a: replace(a, pieces=(b"<!",), hang_up=True),
        DifferenceKind.UNREACHABLE,
        "it closed the connection before the end of the response",
    ),
    "silence": (
        PAGE,
        lambda a: replace(a, pieces=_slowly(b"<!", 4.0)),
        DifferenceKind.UNREACHABLE,
        "no byte arrived for 3 s",
    ),
    "a broken chunk": (
        PAGE,
        lambda a: replace(
            with_header("Transfer-Encoding", "chunked")(without("Content-Length")(a)),
            pieces=(b"zz\r\n",),
            hang_up=True,
        ),
        DifferenceKind.UNREACHABLE,
        "it closed the connection before the end of the response",
    ),
    "a second place to go to": (
        "/",
        with_header("Location", "https://x.example/"),
        DifferenceKind.CHANGED,
        "it redirects to https://x.example/",
    ),
    "another transfer coding": (
        PAGE,
        with_header("Transfer-Encoding", "gzip, chunked"),
        DifferenceKind.EXTRA_HEADER,
        "Transfer-Encoding: gzip, chunked",
    ),
    "an empty signature": (
        "/SHA256SUMS.minisig",
        lambda a: whole(a, b""),
        DifferenceKind.BAD_SIGNATURE,
        "SHA256SUMS.minisig is empty.",
    ),
    "no SSH signature": (
        "/SHA256SUMS.sshsig",
        lambda a: whole(a, b"", 404),
        DifferenceKind.MISSING,
        "responded with 404",
    ),
}


def _slowly(body: bytes, pause: float) -> Iterator[bytes]:
    for byte in body:
        time.sleep(pause)
        yield bytes([byte])


@pytest.mark.parametrize("case", CASES)
def test_one_change_is_reported_at_its_path_under_its_kind(
    site: Hostile, other: Hostile, case: str
) -> None:
    """One change at one path is reported there under its own kind, and nothing else is."""
    path, change, kind, detail = CASES[case]
    other.tamper = at(path, change)
    honest, seen = check(site, other)
    assert honest.differences == ()
    reported = [found for found in seen.differences if (found.path, found.kind) == (path, kind)]
    assert len(reported) == 1, seen.differences
    assert reported[0].detail.startswith(detail)
    # The headers of a response that is not the file do not count.
    same_path = {found.path for found in seen.differences}
    signature_too = {path, "/SHA256SUMS.minisig", "/SHA256SUMS.sshsig"}
    assert same_path <= (signature_too if path.startswith("/SHA256SUMS") else {path})


@pytest.mark.parametrize("line", ["X Y: 1", "X : 1", "no colon", "X\xe9: 1", ": 1"])
def test_a_malformed_line_hides_no_header(site: Hostile, line: str) -> None:
    """Python reads no header after such a line, but a browser reads the cookie."""
    site.tamper = at(PAGE, with_header(f"{line}\r\nSet-Cookie", "reader=1"))
    (found,) = check(site)[0].differences
    assert (found.path, found.kind) == (PAGE, DifferenceKind.UNREACHABLE)
    assert found.detail == "a line of its headers is malformed and may hide others"


def test_a_reverse_proxy_without_its_server_has_the_policy_without_a_page(site: Hostile) -> None:
    """nginx redirects “/” itself then. With a page, or on one, that policy is a difference."""
    name = "Content-Security-Policy"
    policy = listener_policy("clearnet", signed_release(2).metadata).without_page()
    strict = with_header(name, file_headers(signed_release(2), policy)["/"][name])

    def change(answer: HostileResponse) -> HostileResponse:
        return strict(without(name)(answer))

    site.tamper = at("/", change)
    assert check(site)[0].differences == ()
    for path, changed in (
        ("/", lambda answer: whole(change(answer), b"a page", 302)),
        (PAGE, change),
    ):
        site.tamper = at(path, changed)
        (found,) = check(site)[0].differences
        assert (found.path, found.kind) == (path, DifferenceKind.CHANGED_HEADER)


@pytest.mark.parametrize("name", ["ETag", "Last-Modified"])
def test_a_mark_for_each_reader_is_reported(site: Hostile, name: str) -> None:
    """A browser sends it back like a cookie. One for all readers is that of a plain server."""
    count = itertools.count()
    site.tamper = lambda _path, answer: with_header(name, f'"{next(count)}"')(answer)
    seen = check(site)[0].differences
    assert {(found.kind, found.detail) for found in seen} == {
        (
            DifferenceKind.CHANGED_HEADER,
            f"{name}: another value in each response, which can mark readers",
        )
    }
    allowed = CheckSettings(organisation_key().public, limits=QUICK, allowed_headers={name.lower()})
    assert check_sites([Address.parse(site.url)], allowed).same


@pytest.mark.parametrize("status", [302, 404])
def test_an_error_or_redirect_may_announce_only_our_onion(site: Hostile, status: int) -> None:
    """Tor Browser may go to it, whatever the page."""

    def announce(onion: str) -> Tamper:
        def tamper(path: str, answer: HostileResponse) -> HostileResponse:
            header = with_header("Onion-Location", f"http://{onion}{path}")
            return header(answer) if answer.status == status else answer

        return tamper

    site.tamper = announce(facts().onions[0])
    assert check(site)[0].differences == ()
    site.tamper = announce(f"{'b' * 56}.onion")
    kinds = {found.kind for found in check(site)[0].differences}
    assert kinds == {DifferenceKind.EXTRA_HEADER}


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
        ("Alt-Svc", 'h3=":PORT"; ma=2592000'),
        ("Alt-Svc", 'h3="127.0.0.1:PORT"; ma=86400; persist=1,h2=":PORT", h3-29=":PORT"'),
        ("Alt-Svc", f'h2="{facts().onions[0]}:443"; ma=86400; persist=1'),
        ("X-Of-The-Host", "1"),
    ],
)
def test_headers_of_a_plain_server_or_allowed_by_name_are_accepted(
    site: Hostile, header: tuple[str, str]
) -> None:
    """Headers that a plain nginx or Caddy adds are accepted, and those allowed by name."""
    address = Address.parse(site.url)
    name, value = header[0], header[1].replace("PORT", str(address.port))
    site.tamper = lambda _path, answer: with_header(name, value)(answer)
    settings = CheckSettings(
        organisation_key().public, limits=QUICK, allowed_headers={"x-of-the-host"}
    )
    assert check_sites([address], settings).same


@pytest.mark.parametrize(
    "value",
    [
        'h3=":8443"',
        'h3=":443"',  # the site has another port
        'h3="x.example:PORT"',
        'h3=":PORT", h3=":8443"',
        'h3=":8443", h3=":PORT"',
        'h2="x.example:443,:PORT"',
        f'h2="{"b" * 56}.onion:443"',
        f'h2="{facts().onions[0]}:8443"',
        f'h2="www.{facts().onions[0]}:443"',
        'http/1.1=":PORT"',
        'h3=":PORT"; v="x.example"',
        'h3=":PORT",',
        "",
    ],
)
@pytest.mark.parametrize("path", [PAGE, "/", "/en"])
def test_alt_svc_may_name_only_the_same_port_and_our_onions(
    site: Hostile, path: str, value: str
) -> None:
    """Browsers would go to any other place, which a check does not see, for later pages."""
    offered = value.replace("PORT", str(Address.parse(site.url).port))
    site.tamper = at(path, with_header("Alt-Svc", offered))
    (found,) = check(site)[0].differences
    assert (found.path, found.kind) == (path, DifferenceKind.EXTRA_HEADER)
    assert found.detail == f"Alt-Svc: {offered}"


def test_media_types_ignore_case(site: Hostile) -> None:
    """A media type in capitals is not a difference."""
    upper = with_header("Content-Type", "text/html;charset=UTF-8")
    site.tamper = at(PAGE, lambda answer: upper(without("Content-Type")(answer)))
    assert check(site)[0].differences == ()


def test_an_older_release_is_distinguished_from_changed_files(site: Hostile) -> None:
    """An address with an older release is reported as such; its changed files separately."""
    with Hostile(signed_release(1)) as old:
        assert [seen.differences for seen in check(old, site)] == [
            (Difference("", DifferenceKind.OLDER_RELEASE, "release 1, not 2"),),
            (),
        ]
        old.tamper = at(PAGE, flip)
        kinds = {(found.path, found.kind) for found in check(old, site)[0].differences}
        assert kinds == {("", DifferenceKind.OLDER_RELEASE), (PAGE, DifferenceKind.CHANGED)}


def test_a_newer_release_than_the_given_one_is_a_difference(site: Hostile) -> None:
    """With a release given, an address that serves a newer one differs."""
    with Hostile(signed_release(3)) as new:
        seen = check(site, new, release=signed_release(2))
    assert [seen.differences for seen in seen] == [
        (),
        (Difference("", DifferenceKind.NEWER_RELEASE, "release 3, not 2"),),
    ]


def test_two_signed_releases_with_one_sequence_differ(site: Hostile) -> None:
    """Two signed releases with the same sequence differ, though each is complete."""
    twin = Signer(organisation_key()).sign(make_release({"en/index.html": b"x"}, facts(2)))
    with Hostile(twin) as other:
        seen = check(site, other)[1]
    assert [(found.path, found.kind) for found in seen.differences] == [
        ("/SHA256SUMS", DifferenceKind.CHANGED)
    ]


def test_a_release_signed_with_another_key_is_compared_with_the_true_one(site: Hostile) -> None:
    """A release signed with another key is a bad signature and is compared with the true one."""
    stranger = known_key(b"a stranger")
    forged = facts(9, fingerprint=stranger.public.fingerprint)
    signed = Signer(stranger).sign(make_release({"en/who-we-are.html": b"x"}, forged))
    with Hostile(signed) as other:
        honest, seen = check(site, other)
    assert honest.differences == ()
    assert seen.sequence is None
    found = {(found.path, found.kind) for found in seen.differences}
    assert ("/SHA256SUMS.minisig", DifferenceKind.BAD_SIGNATURE) in found
    assert (PAGE, DifferenceKind.CHANGED) in found
    assert ("/zh-hans/index.html", DifferenceKind.MISSING) in found


def test_without_a_good_signature_only_that_is_reported(site: Hostile) -> None:
    """Without a good signature at any address, the report says that and nothing else."""
    settings = CheckSettings(known_key(b"a stranger").public, limits=QUICK)
    report = check_sites([Address.parse(site.url)], settings)
    assert report.reference is None
    assert not report.same
    (found,) = report.sites[0].differences
    assert (found.path, found.kind) == ("/SHA256SUMS.minisig", DifferenceKind.BAD_SIGNATURE)


def test_a_report_without_a_reference_is_never_the_same() -> None:
    """A report with nothing to compare with is not “same”."""
    seen = SiteResult("https://cccr.example", None, 0, 0.0, ())
    assert not Report(None, (seen,)).same
    assert Report(signed_release(2), (seen,)).same


def test_an_unreachable_address_is_reported_once(site: Hostile) -> None:
    """An unreachable address is one difference, not one for every file."""
    with Hostile(signed_release(2)) as gone:
        pass
    honest, seen = check(site, gone)
    assert honest.differences == ()
    assert seen.differences == (Difference("", DifferenceKind.UNREACHABLE, "Connection refused"),)
