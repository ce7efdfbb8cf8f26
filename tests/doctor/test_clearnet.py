"""What the doctor finds on the clearnet: a real nginx with TLS before our own server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from support.doctored import Place, real_release
from support.front import Authority, Front
from support.hosting import short_folder
from support.running import Running
from support.serving import DOMAIN, ONION
from support.signed import Room, organisation_key

from cccr_web.doctor import Case, Result, Verdict
from cccr_web.doctor.answers import check_answers
from cccr_web.doctor.banners import check_banners
from cccr_web.doctor.certificate import check_certificate
from cccr_web.doctor.machine import check_machine
from cccr_web.doctor.redirect import check_redirect
from cccr_web.doctor.same import check_same
from cccr_web.doctor.status_pages import check_status_pages
from cccr_web.doctor.way import Way
from cccr_web.listen import Tcp
from cccr_web.watch import Address, Road


@pytest.fixture(scope="module")
def clear() -> Iterator[Place]:
    """The real site for the clearnet, without a tor."""
    with short_folder() as folder:
        release = real_release(folder, ONION)
        room = Room(folder)
        room.point(folder / "release")
        with Running(room, "--onion-socket", f"unix:{folder}/onion.sock") as server:
            nowhere = folder / "none"
            yield Place(folder, release, ONION, "", nowhere, Authority(folder), server)


def way_to(place: Place, front: Front, *, trusted: bool = True) -> Way:
    """Return the way by https."""
    road = Road(None, Tcp("127.0.0.1", front.ports[0]), place.authority.file if trusted else None)
    return Way("clearnet", Address("https", DOMAIN, 443), road, 30.0)


def seen(place: Place, check: str, **changes: Any) -> Result:
    """Change nginx so, and return what one check finds."""
    with place.front(**changes).running() as front:
        way = way_to(place, front)
        plain = Road(None, Tcp("127.0.0.1", front.ports[1]))
        http = Way("clearnet", Address("http", DOMAIN, 80), plain, 30.0)
        match check:
            case "certificate":
                (result,) = check_certificate(way)
            case "redirect":
                (result,) = check_redirect(place.release, http)
            case "answers":
                (result,) = check_answers(place.release, way, (ONION,))
            case "pages":
                (result,) = check_status_pages(way)
            case "banners":
                list(check_answers(place.release, way, (ONION,)))
                (result,) = check_banners(way)
            case _:
                raise AssertionError(check)
    return result


def test_all_is_well(clear: Place) -> None:
    """A clearnet in order is found in order by every check."""
    for check in ("certificate", "redirect", "answers", "pages", "banners"):
        result = seen(clear, check)
        assert result.verdict is Verdict.OK, result


@pytest.mark.parametrize(
    ("days", "verdict", "words"),
    [
        (22, "ok", "in 22 days"),
        (20, "wrong", "in 20 days"),
        (5, "wrong", "in 5 days"),
        (-1, "wrong", "certificate has expired"),
    ],
)
def test_certificate(clear: Place, days: int, verdict: str, words: str) -> None:
    """A certificate that ends within three weeks, or has ended, is wrong."""
    result = seen(clear, "certificate", days=days)
    assert (result.verdict.value, words in result.sentence) == (verdict, True), result
    if verdict == "wrong":
        assert result.remedy.startswith("Renew it: certbot renew")


def test_certificate_of_nobody_known(clear: Place) -> None:
    """A certificate that no known authority has signed is wrong."""
    with clear.front().running() as front:
        (result,) = check_certificate(way_to(clear, front, trusted=False))
    assert result.verdict is Verdict.WRONG
    assert "unable to get local issuer certificate" in result.sentence


def test_certificate_of_another_name(clear: Place) -> None:
    """A certificate for another name is wrong."""
    with clear.front().running() as front:
        way = way_to(clear, front)
        way.address = Address("https", "www.cccr.example", 443)
        (result,) = check_certificate(way)
    assert result.verdict is Verdict.WRONG
    assert "not valid for 'www.cccr.example'" in result.sentence


def test_nobody_at_home(clear: Place) -> None:
    """Where nothing listens, each check says so, and none is left out."""
    way = way_to(clear, clear.front())
    case = Case(clear.folder / "release", organisation_key().public, seconds=10.0)
    results = [
        *check_certificate(way),
        *check_redirect(clear.release, way),
        *check_same(case, clear.release, way, (), lambda _done, _total: None),
        *check_answers(clear.release, way, ()),
        *check_status_pages(way),
    ]
    assert [each.verdict.value for each in results] == ["wrong"] * 6
    assert all("Connection refused" in each.sentence for each in [*results[:3], *results[4:]])
    (banners,) = check_banners(way)
    assert banners.verdict is Verdict.WRONG
    assert banners.sentence == "No answer came that could hold one."


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"leads_to": "http://$host"}, "it leads to http://cccr.example/a/page.html?a=b, not"),
        ({"leads_to": "https://www.$host"}, "it leads to https://www.cccr.example/"),
        ({"leads_to": "https://$host/en"}, "it leads to https://cccr.example/en/a/page"),
        ({"own": False}, "Port 80: extra header Server: nginx/1."),
        ({"strangers": "return 301 https://$host/;"}, "it leads to another.example whoever asks"),
    ],
)
def test_redirect(clear: Place, changes: dict[str, Any], words: str) -> None:
    """Port 80 that leads elsewhere, or without the policy, is wrong."""
    result = seen(clear, "redirect", **changes)
    assert result.verdict is Verdict.WRONG
    assert words in result.sentence


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"own": False, "clear": "more_clear_headers Server;"},
            "a body (413): missing header Cross-Origin-Embedder-Policy (and ",
        ),
        (
            {"extra": 'more_clear_headers "Referrer-Policy";'},
            "a page (200): missing header Referrer-Policy",
        ),
        (
            {"extra": 'more_set_headers "X-Powered-By: PHP";'},
            "a page (200): extra header X-Powered-By: PHP",
        ),
        (
            {"extra": 'more_set_headers "Referrer-Policy: origin";'},
            "a page (200): changed header Referrer-Policy: origin",
        ),
        (
            {"extra": f"proxy_set_header Host {DOMAIN}; proxy_set_header Connection close;"},
            f"the name another.example: 200, not 421; the name {ONION}: 200, not 421",
        ),
    ],
)
def test_answers(clear: Place, changes: dict[str, Any], words: str) -> None:
    """A header that is missing, other or too many, and a foreign name answered, are wrong."""
    result = seen(clear, "answers", **changes)
    assert result.verdict is Verdict.WRONG
    assert words in result.sentence


def test_banners(clear: Place) -> None:
    """nginx's name and version in a header, or on its own page, is wrong."""
    result = seen(clear, "banners", own=False)
    assert result.verdict is Verdict.WRONG
    assert "Server: nginx/1." in result.sentence
    hidden = seen(clear, "banners", own=False, clear="more_clear_headers Server;")
    assert hidden.verdict is Verdict.WRONG
    assert "nginx" in hidden.sentence


def test_status_page(clear: Place) -> None:
    """A status page that anybody may see is wrong."""
    page = "location = /nginx_status { stub_status; }"
    result = seen(clear, "pages", clear=page)
    assert result.verdict is Verdict.WRONG
    assert result.sentence == "Not 404: /nginx_status: 200."


def test_address_in_a_header(clear: Place) -> None:
    """An address of the machine in a header of any answer is wrong."""
    with clear.front(extra='more_set_headers "X-Backend: 192.0.2.7:80";').running() as front:
        way = way_to(clear, front)
        list(check_answers(clear.release, way, ()))
        (result,) = check_machine(clear.release, [way], [], {"192.0.2.7"})
    assert result.verdict is Verdict.WRONG
    assert "on the clearnet holds 192.0.2.7" in result.sentence


def test_onion_that_the_release_does_not_name(clear: Place) -> None:
    """An onion that only the server was told of must be told to the doctor as well."""
    other = "e" * 55 + "d.onion"
    case = Case(clear.folder / "release", organisation_key().public, seconds=30.0)
    room = Room(clear.folder)
    with Running(room, "--onion-address", other) as server:
        place = replace(clear, server=server)
        with place.front().running() as front:
            way = way_to(place, front)
            found = [
                list(check_same(case, clear.release, way, onions, lambda _done, _total: None))[1]
                for onions in ((other,), ())
            ]
    assert [each.verdict for each in found] == [Verdict.OK, Verdict.WRONG]
    assert f"changed header (Onion-Location: http://{other}/" in found[1].sentence


def test_bytes(clear: Place) -> None:
    """A page with a word more is wrong, and named; the headers are judged apart."""
    case = Case(clear.folder / "release", organisation_key().public, seconds=30.0)
    page = "location = /en/who-we-are.html { return 200 other; }"
    with clear.front(clear=page).running() as front:
        way = way_to(clear, front)
        compared = check_same(case, clear.release, way, (), lambda _done, _total: None)
        same, headers = compared
    assert same.verdict is Verdict.WRONG
    assert "/en/who-we-are.html: changed (SHA-256 " in same.sentence
    assert headers.verdict is Verdict.WRONG
    assert "/en/who-we-are.html: missing header" in headers.sentence
