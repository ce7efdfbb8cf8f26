"""The onion in Firefox with Tor Browser's Safest settings, over a real tor network."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urlsplit

import pytest
from support.browser.browsing import BrowsedSite, need
from support.browser.marionette import Firefox
from support.hosting import Watched, short_folder, wait_until
from support.serving import DOMAIN, Server

from cccr_web.config import find_tree
from cccr_web.content import Addresses
from cccr_web.onion import ManagedTor, Published, Service, new_key
from cccr_web.release import media_type, write
from cccr_web.render import build_release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.browser.marionette import Pref
    from support.measurements import Recorder
    from support.tornet import TorNetwork

# Tor Browser's settings for everybody and for its level “Safest” that affect a page (from
# torbutton's security-prefs and 001-base-profile.js). As onions are a secure context, Firefox
# upgrades images on an http onion to https, which nobody serves: a page with an image of its
# own fails here.
SAFEST: dict[str, Pref] = {
    "dom.securecontext.allowlist_onions": True,
    "gfx.downloadable_fonts.enabled": False,
    "gfx.font_rendering.graphite.enabled": False,
    "gfx.font_rendering.opentype_svg.enabled": False,
    "javascript.enabled": False,
    "mathml.disabled": True,
    "media.webaudio.enabled": False,
    "network.dns.blockDotOnion": False,
    "network.http.referer.hideOnionSource": True,
    "privacy.firstparty.isolate": True,
    "privacy.resistFingerprinting": True,
    "svg.disabled": True,
}

REDIRECTED = 0x804B0003  # Firefox's NS_BINDING_REDIRECTED: how the redirected request ended

# The links of the page, as written and absolute.
LINKS = 'return [...document.links].map(one => [one.getAttribute("href"), one.href])'
ALTERNATES = """return [...document.querySelectorAll("a[hreflang]")].map(
    one => [one.getAttribute("href"), one.hreflang])"""


@pytest.fixture(scope="module")
def onion(tor_network: TorNetwork, note: Recorder) -> Iterator[BrowsedSite]:
    """The real texts on an onion of the private network, built for its address."""
    with short_folder() as folder:
        key = new_key(folder / "onion.key")
        trees = find_tree("translations"), find_tree("templates")
        addresses = Addresses(f"https://{DOMAIN}", (key.address,))
        release = build_release(*trees, addresses=addresses)
        write(release, folder / "release")
        torrc = tor_network.write_torrc(folder / "torrc")
        with (
            Server(folder, folder / "release") as server,
            Watched(Service(key, server.onion), ManagedTor(folder / "tor", extra=torrc)) as watched,
        ):
            published = watched.wait_for(Published)
            note("onion for the browser: published", published.seconds)
            site = BrowsedSite(f"http://{key.address}", release)
            tor_network.fetch_until(f"{site.address}/")
            yield site


@pytest.fixture(scope="module")
def tor_browser(tor_network: TorNetwork) -> Iterator[Firefox]:
    """Firefox as Tor Browser at Safest: all its requests go to the client's SOCKS port."""
    need("firefox-esr")
    proxy: dict[str, Pref] = {
        "network.proxy.allow_hijacking_localhost": True,
        "network.proxy.http": "",
        "network.proxy.no_proxies_on": "",
        "network.proxy.socks": "127.0.0.1",
        "network.proxy.socks_port": tor_network.socks_port,
        "network.proxy.socks_remote_dns": True,
        "network.proxy.ssl": "",
    }
    with short_folder() as folder, Firefox(folder / "profile", SAFEST | proxy) as browser:
        yield browser


def click(browser: Firefox, href: str) -> None:
    """Click the first link with this ``href``."""
    found = browser.call("WebDriver:FindElement", using="css selector", value=f'a[href="{href}"]')
    browser.call("WebDriver:ElementClick", id=next(iter(found.values())))


def all_well(browser: Firefox, site: BrowsedSite) -> set[str]:
    """Assert that nothing went wrong since the last call; return the requested URLs.

    The browser's own request for the favicon does not count.
    """
    requests, console = browser.take_seen()
    assert [line for line in console if "/favicon.ico" not in line] == []
    asked = {one for one in requests if not one.url.endswith("/favicon.ico")}
    wrong = [
        one
        for one in asked
        if not one.url.startswith(f"{site.address}/")
        or one.stage == "failed-opening-request"
        or (one.status, one.error) not in {(0, 0), (200, 0), (302, 0), (302, REDIRECTED)}
    ]
    assert wrong == []
    return {one.url for one in asked}


def test_bare_address_leads_to_a_page_in_a_language(
    tor_browser: Firefox, onion: BrowsedSite, note: Recorder
) -> None:
    """The bare address leads to the home page in the browser's language."""
    tor_browser.take_seen()
    begin = time.monotonic()
    tor_browser.visit(f"{onion.address}/")
    note("Firefox at Safest: first page over the onion", time.monotonic() - begin)
    shown = tor_browser.page("return [location.href, document.documentElement.lang]")
    assert shown == [f"{onion.address}/en/", "en"]
    assert all_well(tor_browser, onion) == {f"{onion.address}/", f"{onion.address}/en/"}
    assert tor_browser.page("return isSecureContext")


def test_settings_disable_scripts(tor_browser: Firefox) -> None:
    """The settings take effect: a page's own script does not run."""
    page = "<p id=p>off</p><script>document.getElementById('p').textContent = 'on'</script>"
    tor_browser.visit(f"data:text/html,{page}")
    assert tor_browser.page("return document.getElementById('p').textContent") == "off"
    tor_browser.take_seen()


def test_language_links_lead_to_the_same_page(tor_browser: Firefox, onion: BrowsedSite) -> None:
    """Clicking a language's name leads to the same page in that language."""
    languages = onion.release.metadata.languages
    for page in ("index.html", "reach-us.html", "statements/index.html"):
        for slug, tag in languages.items():
            start = f"{onion.address}/{slug}/{page}"
            tor_browser.visit(start)
            others = tor_browser.page(ALTERNATES)
            assert {tag for _, tag in others} == set(languages.values()) - {tag}
            for href, other in others:
                tor_browser.visit(start)
                click(tor_browser, href)
                (other_slug,) = (slug for slug, tag in languages.items() if tag == other)
                wait_until(partial(is_at, tor_browser, f"{onion.address}/{other_slug}/{page}"), 30)
                assert tor_browser.page("return document.documentElement.lang") == other
    all_well(tor_browser, onion)


def test_every_link_brings_what_the_release_holds(tor_browser: Firefox, onion: BrowsedSite) -> None:
    """Clicking each link of the site brings the bytes of the release; none is blocked or fails."""
    home = "en/index.html"
    waiting = [onion.url(home)]
    known = set(waiting)
    followed = {home}
    while waiting:
        page = waiting.pop()
        tor_browser.visit(page)
        links: list[Any] = tor_browser.page(LINKS)
        for href, whole in links:
            url = urldefrag(whole).url
            if urlsplit(url).hostname != urlsplit(onion.address).hostname or url in known:
                continue
            known.add(url)
            path = urlsplit(url).path.lstrip("/")
            tor_browser.visit(page)
            click(tor_browser, href)
            body = onion.release.files[path].body
            if (media_type(path) or "").startswith(("text/", "application/json", "image/")):
                # The click returns before a busy machine has begun to load the page.
                wait_until(partial(is_at, tor_browser, url), 30)
            else:
                saved = tor_browser.downloads / path.rpartition("/")[2]
                wait_until(partial(arrived, saved, body), 30)
                saved.unlink()  # the next feed has the same name
            followed.add(path)
            if path.endswith(".html"):
                waiting.append(url)
    # Firefox names a request with its fragment, which it does not send.
    asked = {urldefrag(url).url for url in all_well(tor_browser, onion)}
    assert asked == set(map(onion.url, followed))
    reached = {path for path in onion.pages if "/" in path}
    assert reached <= followed


def is_at(browser: Firefox, url: str) -> bool:
    """Return whether the page that is shown has this URL, wherever on the page."""
    return bool(urldefrag(browser.page("return location.href")).url == url)


def arrived(saved: Path, body: bytes) -> bool:
    """Return whether a download is complete."""
    return saved.exists() and saved.read_bytes() == body
