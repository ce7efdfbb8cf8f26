"""The header policy as data (``serve/policy.py``)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.serving import ONION

from cccr_web.release import Release, is_html, media_type
from cccr_web.serve import bare_headers, file_headers
from cccr_web.serve.policy import cache_control, is_compressible, listener_policy


def test_the_policies_differ_only_in_https_and_the_onion(release: Release) -> None:
    """The onion's policy is the clearnet's without what only HTTPS or the clearnet can use."""
    assert listener_policy("onion", release.metadata) == replace(
        listener_policy("clearnet", release.metadata, (ONION,)),
        url_scheme="http",
        hsts_seconds=None,
        onion_location=None,
        rejects_proxies=True,
    )


def test_hsts_lasts_two_years(release: Release) -> None:
    """HSTS lasts two years, as the preload lists require."""
    assert listener_policy("clearnet", release.metadata).hsts_seconds == 2 * 365 * 24 * 60 * 60


def test_hsts_covers_subdomains_and_preloading_only_on_request(release: Release) -> None:
    """By default HSTS binds the site's own names only; the setting adds what preloading needs."""
    policies = [
        listener_policy("clearnet", release.metadata, (), hsts_preload=preload)
        for preload in (False, True)
    ]
    assert [dict(bare_headers(policy))["Strict-Transport-Security"] for policy in policies] == [
        "max-age=63072000",
        "max-age=63072000; includeSubDomains; preload",
    ]
    assert listener_policy("clearnet", release.metadata) == policies[0]


def test_the_first_onion_is_announced(release: Release) -> None:
    """Pages announce the first onion of the server, or else of the release, or none."""
    facts = replace(release.metadata, onions=("other", "third"))
    for onions, announced in ((ONION, "more"), f"http://{ONION}"), ((), "http://other"):
        assert listener_policy("clearnet", facts, onions).onion_location == announced
    none = replace(facts, onions=())
    assert listener_policy("clearnet", none).onion_location is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("en/index.html", "text/html; charset=utf-8"),
        ("SHA256SUMS", "text/plain; charset=utf-8"),
        ("SHA256SUMS.minisig", "text/plain; charset=utf-8"),
        (".well-known/security.txt", "text/plain; charset=utf-8"),
        ("en/cccr-en.epub", "application/epub+zip"),
        ("RELEASE.JSON", "application/json"),
        ("en/feed.xml", "application/atom+xml"),
        ("sitemap.xml", "application/xml"),
        ("photos/a-480.jpg", "image/jpeg"),
        ("en/index.js", None),
        ("en/image.svg", None),
        ("en/style.css", None),
        ("en/x.", "text/plain; charset=utf-8"),
    ],
)
def test_the_media_type_follows_from_the_extension(path: str, kind: str | None) -> None:
    """The media type follows from the extension; scripts and style sheets have none."""
    assert media_type(path) == kind
    assert is_html(path) == (kind is not None and kind.startswith("text/html"))


def test_pages_and_images_are_cached_for_minutes() -> None:
    """Pages and images are cached for minutes, all other files are revalidated.

    A rule depends on the extension alone, so that any mirror's host can follow it.
    """
    paths = ("a/b.html", "q.png", "photos/a-480.jpg", "onion.png", "SHA256SUMS", "a.zip")
    ages = {path: cache_control(path) for path in paths}
    assert ages == {
        "a/b.html": "public, max-age=300",
        "q.png": "public, max-age=300",
        "photos/a-480.jpg": "public, max-age=300",
        "onion.png": "public, max-age=300",
        "SHA256SUMS": "no-cache",
        "a.zip": "no-cache",
    }


def test_only_text_is_compressed() -> None:
    """Images and archives are not compressed again: it takes time and saves next to nothing."""
    text = {"en/index.html", "en/feed.xml", "en/cccr-en.epub", "RELEASE.json", "SHA256SUMS"}
    others = {"photos/a-480.jpg", "icon.png", "favicon.ico", "cccr-web.zip"}
    assert set(filter(is_compressible, text | others)) == text


def test_headers_that_depend_on_the_body_are_not_those_of_the_policy(release: Release) -> None:
    """Mirrors and ``watch`` need no header that differs between files of one type."""
    names = {
        name
        for own in file_headers(release, listener_policy("onion", release.metadata)).values()
        for name in own
    }
    assert names & {"Accept-Ranges", "Content-Length", "ETag", "Vary"} == set()
