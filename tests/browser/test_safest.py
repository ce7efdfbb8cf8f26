"""The onion in Firefox with Tor Browser's Safest settings, over a real tor network."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urlsplit

import pytest
from support.browser.browsing import Site, need
from support.browser.marionette import Firefox
from support.hosting import Watched, short_folder, wait_until
from support.serving import DOMAIN, Server

from cccr_web.config import find_tree
from cccr_web.content import Addresses
from cccr_web.onion import ManagedTor, Published, Service, new_key
from cccr_web.release import write
from cccr_web.render import press
from cccr_web.serve.policy import media_type

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Note
    from support.browser.marionette import Pref
    from support.tornet import TorNetwork

# What Tor Browser sets for every reader, and at its level “Safest” (torbutton's
# security-prefs and 001-base-profile.js), as far as it bears on a page. With onions a secure
# context, Firefox turns the images of an onion over http to https, where nobody answers: a
# page that has an image of its own fails here.
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

REDIRECTED = 0x804B0003  # NS_BINDING_REDIRECTED of Firefox's: how the request before ended

# Where the links of the page lead, as written and whole.
LINKS = 'return [...document.links].map(one => [one.getAttribute("href"), one.href])'
ALTERNATES = """return [...document.querySelectorAll("a[hreflang]")].map(
    one => [one.getAttribute("href"), one.hreflang])"""


@pytest.fixture(scope="module")
def onion(tor_network: TorNetwork, note: Note) -> Iterator[Site]:
    """The real texts on an onion of the private network, with its address on them."""
    with short_folder() as folder:
        key = new_key(folder / "onion.key")
        trees = find_tree("translations"), find_tree("templates")
        addresses = Addresses(f"https://{DOMAIN}", (key.address,))
        release = press(*trees, addresses=addresses, environ={})
        write(release, folder / "release")
        torrc = tor_network.write_torrc(folder / "torrc")
        with (
            Server(folder, folder / "release") as server,
            Watched(Service(key, server.onion), ManagedTor(folder / "tor", extra=torrc)) as watched,
        ):
            published = watched.wait_for(Published)
            note("onion for the browser: published", published.seconds)
            site = Site(f"http://{key.address}", release)
            tor_network.fetch_until(f"{site.address}/")
            yield site


@pytest.fixture(scope="module")
def tor_browser(tor_network: TorNetwork) -> Iterator[Firefox]:
    """Firefox as Tor Browser at Safest: whatever it asks for goes to the client's SOCKS port."""
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
    """Click the first link that is written so."""
    found = browser.call("WebDriver:FindElement", using="css selector", value=f'a[href="{href}"]')
    browser.call("WebDriver:ElementClick", id=next(iter(found.values())))


def all_well(browser: Firefox, site: Site) -> set[str]:
    """Make sure that all went well since the last time; return what was asked for.

    The browser's own request for the favicon is apart.
    """
    requests, console = browser.take_seen()
    assert [line for line in console if "/favicon.ico" not in line] == []
    asked = {one for one in requests if not one.url.endswith("/favicon.ico")}
    wrong = [
        one
        for one in asked
        if not one.url.startswith(f"{site.address}/")
        or one.moment == "failed-opening-request"
        or (one.status, one.error) not in {(0, 0), (200, 0), (302, 0), (302, REDIRECTED)}
    ]
    assert wrong == []
    return {one.url for one in asked}


def test_first_visit(tor_browser: Firefox, onion: Site, note: Note) -> None:
    """The bare address leads to a page in a language that runs no script and needs none."""
    tor_browser.take_seen()
    begin = time.monotonic()
    tor_browser.visit(f"{onion.address}/")
    note("Firefox at Safest: first page over the onion", time.monotonic() - begin)
    shown = tor_browser.page("return [location.href, document.documentElement.lang]")
    assert shown == [f"{onion.address}/en/", "en"]
    assert all_well(tor_browser, onion) == {f"{onion.address}/", f"{onion.address}/en/"}
    assert tor_browser.page("return isSecureContext")


def test_no_script_runs(tor_browser: Firefox) -> None:
    """The settings are in force: a page's own script does not run."""
    page = "<p id=p>off</p><script>document.getElementById('p').textContent = 'on'</script>"
    tor_browser.visit(f"data:text/html,{page}")
    assert tor_browser.page("return document.getElementById('p').textContent") == "off"
    tor_browser.take_seen()


def test_change_of_language(tor_browser: Firefox, onion: Site) -> None:
    """From each page a click on a language's name leads to the same page in that language."""
    languages = onion.release.metadata.languages
    for page in ("index.html", "reach-us.html", "statements/index.html"):
        for slug, tag in languages.items():
            start = f"{onion.address}/{slug}/{page}"
            tor_browser.visit(start)
            twins = tor_browser.page(ALTERNATES)
            assert {tag for _, tag in twins} == set(languages.values()) - {tag}
            for href, other in twins:
                tor_browser.visit(start)
                click(tor_browser, href)
                there = tor_browser.page("return [location.href, document.documentElement.lang]")
                (other_slug,) = (slug for slug, tag in languages.items() if tag == other)
                assert there == [f"{onion.address}/{other_slug}/{page}", other]
    all_well(tor_browser, onion)


def test_every_link(tor_browser: Firefox, onion: Site) -> None:
    """Each link to the site, clicked, brings what the release holds; none is blocked or fails."""
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
                assert tor_browser.page("return location.href") == url
            else:
                saved = tor_browser.downloads / path.rpartition("/")[2]
                wait_until(partial(arrived, saved, body), 30)
            followed.add(path)
            if path.endswith(".html"):
                waiting.append(url)
    asked = all_well(tor_browser, onion)
    assert asked == set(map(onion.url, followed))
    reached = {path for path in onion.pages if "/errors/" not in path and "/" in path}
    assert reached <= followed


def arrived(saved: Path, body: bytes) -> bool:
    """Whether a download is there, whole."""
    return saved.exists() and saved.read_bytes() == body
