"""What the doctor finds on the clearnet: a real nginx with TLS in front of our server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from support.hosting import short_folder
from support.live_site import PublishedSite, real_release
from support.reverse_proxy import CertificateAuthority, ReverseProxy
from support.running import Running
from support.serving import DOMAIN, ONION
from support.signed import ServerFolder

from cccr_web.doctor import CheckResult, CheckVerdict
from cccr_web.doctor.clearnet import check_certificate, check_redirect
from cccr_web.doctor.leaks import check_leaks
from cccr_web.doctor.probe import Probe
from cccr_web.doctor.release import check_served_files
from cccr_web.doctor.responses import check_banners, check_responses, check_status_pages
from cccr_web.listen import Tcp
from cccr_web.watch import Address, Route


@pytest.fixture(scope="module")
def clearnet() -> Iterator[PublishedSite]:
    """The real site for the clearnet, without a tor."""
    with short_folder() as folder:
        release = real_release(folder, ONION)
        server_folder = ServerFolder(folder)
        server_folder.point(folder / "release")
        with Running(server_folder, "--onion-socket", f"unix:{folder}/onion.sock") as server:
            nowhere = folder / "none"
            yield PublishedSite(
                folder, release, ONION, "", "", nowhere, CertificateAuthority(folder), server
            )


def probe_of(site: PublishedSite, proxy: ReverseProxy, *, trusted: bool = True) -> Probe:
    """Return a probe over https."""
    route = Route(None, Tcp("127.0.0.1", proxy.ports[0]), site.authority.file if trusted else None)
    return Probe("clearnet", Address("https", DOMAIN, 443), route, 30.0)


def check_result(site: PublishedSite, check: str, **changes: Any) -> CheckResult:
    """Change nginx's configuration, and return the result of one check."""
    with site.proxy(**changes).running() as proxy:
        probe = probe_of(site, proxy)
        plain = Route(None, Tcp("127.0.0.1", proxy.ports[1]))
        http = Probe("clearnet", Address("http", DOMAIN, 80), plain, 30.0)
        match check:
            case "certificate":
                (result,) = check_certificate(probe)
            case "redirect":
                (result,) = check_redirect(site.release, http)
            case "responses":
                (result,) = check_responses(site.release, probe, (ONION,))
            case "pages":
                (result,) = check_status_pages(probe)
            case "banners":
                list(check_responses(site.release, probe, (ONION,)))
                (result,) = check_banners(probe)
            case _:
                raise AssertionError(check)
    return result


def test_a_correct_clearnet_passes_every_check(clearnet: PublishedSite) -> None:
    """A correctly configured clearnet passes every check."""
    for check in ("certificate", "redirect", "responses", "pages", "banners"):
        result = check_result(clearnet, check)
        assert result.verdict is CheckVerdict.OK, result


@pytest.mark.parametrize(
    ("lifetime", "days", "verdict", "words"),
    [
        (365, 22, "ok", "(in 22 days). Its lifetime is 365 days."),
        (365, 20, "wrong", "in 20 days"),
        (90, 22, "ok", "in 22 days"),
        (90, 20, "wrong", "in 20 days"),
        (64, 17, "ok", "in 17 days"),
        (64, 15, "wrong", "in 15 days"),
        (45, 12, "ok", "in 12 days"),
        (45, 10, "wrong", "in 10 days"),
        (6, 2, "ok", "(in 2 days). Its lifetime is 6 days."),
        (6, 1, "wrong", "in 1 day)"),
        (90, -1, "wrong", "certificate has expired"),
    ],
)
def test_a_certificate_is_judged_by_how_much_of_its_lifetime_is_left(
    clearnet: PublishedSite, lifetime: int, days: int, verdict: str, words: str
) -> None:
    """With less than a quarter of its lifetime left, or three weeks, a certificate is wrong."""
    result = check_result(clearnet, "certificate", days=days, lifetime=lifetime)
    assert (result.verdict.value, words in result.sentence) == (verdict, True), result
    if verdict == "wrong":
        assert result.remedy.startswith("Renew it: certbot renew")


def test_a_certificate_that_is_not_valid_yet_points_to_the_clock(clearnet: PublishedSite) -> None:
    """A certificate from the future is no reason to renew it, but to check the clock."""
    result = check_result(clearnet, "certificate", days=90, lifetime=89)
    assert result.verdict is CheckVerdict.WRONG
    assert "certificate is not yet valid" in result.sentence
    assert "certbot" not in result.remedy
    assert "timedatectl" in result.remedy


def test_an_untrusted_certificate_is_wrong(clearnet: PublishedSite) -> None:
    """A certificate that no trusted authority has signed is wrong."""
    with clearnet.proxy().running() as proxy:
        (result,) = check_certificate(probe_of(clearnet, proxy, trusted=False))
    assert result.verdict is CheckVerdict.WRONG
    assert "unable to get local issuer certificate" in result.sentence
    assert "certbot" not in result.remedy


def test_a_certificate_for_another_name_is_wrong(clearnet: PublishedSite) -> None:
    """A certificate for another name is wrong."""
    with clearnet.proxy().running() as proxy:
        probe = probe_of(clearnet, proxy)
        probe.address = Address("https", "www.cccr.example", 443)
        (result,) = check_certificate(probe)
    assert result.verdict is CheckVerdict.WRONG
    assert "not valid for 'www.cccr.example'" in result.sentence
    assert "DOMAIN" in result.remedy


def test_each_check_reports_an_unreachable_server(clearnet: PublishedSite) -> None:
    """When nothing listens, each check reports that or names the check that does."""
    probe = probe_of(clearnet, clearnet.proxy())
    results = [
        *check_certificate(probe),
        *check_redirect(clearnet.release, probe),
        *check_served_files(clearnet.target(), clearnet.release, probe, (), no_progress),
        *check_responses(clearnet.release, probe, ()),
        *check_status_pages(probe),
    ]
    verdicts = [each.verdict.value for each in results]
    assert verdicts == [*["wrong"] * 3, "not checked", *["wrong"] * 2]
    assert all("Connection refused" in each.sentence for each in [*results[:3], *results[4:]])
    assert results[3].sentence == "Not checked, because “clearnet bytes” is wrong."
    (banners,) = check_banners(probe)
    assert banners.sentence == "Not checked, because “clearnet responses” is wrong."


def no_progress(_done: int, _total: int) -> None:
    """Ignore the progress of a check."""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"redirects_to": "http://$host"},
            "it redirects to http://cccr.example/a/page.html?a=b, not",
        ),
        ({"redirects_to": "https://www.$host"}, "it redirects to https://www.cccr.example/"),
        ({"redirects_to": "https://$host/en"}, "it redirects to https://cccr.example/en/a/page"),
        ({"with_policy": False}, "Port 80: extra header Server: nginx/1."),
        (
            {"other_hosts": "return 301 https://$host/;"},
            "it redirects requests for another.example to that host",
        ),
    ],
)
def test_a_wrong_redirect_from_port_80_is_reported(
    clearnet: PublishedSite, changes: dict[str, Any], words: str
) -> None:
    """Port 80 is wrong if it redirects elsewhere or does not send the policy."""
    result = check_result(clearnet, "redirect", **changes)
    assert result.verdict is CheckVerdict.WRONG
    assert words in result.sentence


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"with_policy": False, "clearnet": "more_clear_headers Server;"},
            "a request body (413): missing header Cross-Origin-Embedder-Policy (and ",
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
            f"the host another.example: 200, not 421; the host {ONION}: 200, not 421",
        ),
    ],
)
def test_wrong_headers_and_foreign_hosts_are_reported(
    clearnet: PublishedSite, changes: dict[str, Any], words: str
) -> None:
    """A missing, changed or extra header is wrong, and so is a page for a foreign host."""
    result = check_result(clearnet, "responses", **changes)
    assert result.verdict is CheckVerdict.WRONG
    assert words in result.sentence


def test_a_server_banner_is_reported(clearnet: PublishedSite) -> None:
    """nginx's name and version in a header, or its own error page, is wrong."""
    result = check_result(clearnet, "banners", with_policy=False)
    assert result.verdict is CheckVerdict.WRONG
    assert "Server: nginx/1." in result.sentence
    hidden = check_result(
        clearnet, "banners", with_policy=False, clearnet="more_clear_headers Server;"
    )
    assert hidden.verdict is CheckVerdict.WRONG
    assert "nginx" in hidden.sentence


def test_a_public_status_page_is_reported(clearnet: PublishedSite) -> None:
    """A public status page is wrong."""
    page = "location = /nginx_status { stub_status; }"
    result = check_result(clearnet, "pages", clearnet=page)
    assert result.verdict is CheckVerdict.WRONG
    assert result.sentence == "Not 404: /nginx_status: 200."


def test_an_address_of_the_machine_in_a_header_is_reported(clearnet: PublishedSite) -> None:
    """An address of the machine in a header of any response is wrong."""
    with clearnet.proxy(extra='more_set_headers "X-Backend: 192.0.2.7:80";').running() as proxy:
        probe = probe_of(clearnet, proxy)
        list(check_responses(clearnet.release, probe, ()))
        (result,) = check_leaks(clearnet.release, [probe], [], {"192.0.2.7"})
    assert result.verdict is CheckVerdict.WRONG
    assert "the clearnet response to GET " in result.sentence
    assert "contains 192.0.2.7" in result.sentence


def test_an_onion_outside_the_release_must_be_given_to_the_doctor(clearnet: PublishedSite) -> None:
    """An onion that only the server's options name must be given to the doctor as well."""
    other = "e" * 55 + "d.onion"
    target = clearnet.target()
    server_folder = ServerFolder(clearnet.folder)
    with Running(server_folder, "--onion-address", other) as server:
        site = replace(clearnet, server=server)
        with site.proxy().running() as proxy:
            probe = probe_of(site, proxy)
            found = [
                list(check_served_files(target, clearnet.release, probe, onions, no_progress))[1]
                for onions in ((other,), ())
            ]
    assert [each.verdict for each in found] == [CheckVerdict.OK, CheckVerdict.WRONG]
    assert f"changed header (Onion-Location: http://{other}/" in found[1].sentence


def test_a_changed_page_is_reported_apart_from_its_headers(clearnet: PublishedSite) -> None:
    """A changed page is reported by name; its headers are a separate result."""
    target = clearnet.target()
    page = "location = /en/who-we-are.html { return 200 other; }"
    with clearnet.proxy(clearnet=page).running() as proxy:
        probe = probe_of(clearnet, proxy)
        compared = check_served_files(target, clearnet.release, probe, (), no_progress)
        same, headers = compared
    assert same.verdict is CheckVerdict.WRONG
    assert "/en/who-we-are.html: changed (SHA-256 " in same.sentence
    assert headers.verdict is CheckVerdict.WRONG
    assert "/en/who-we-are.html: missing header" in headers.sentence
