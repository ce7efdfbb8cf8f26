"""Each page in Firefox ESR: its requests, console, layout and printed form."""

from __future__ import annotations

import base64
import http.server
import re
import threading
from collections import Counter
from typing import TYPE_CHECKING

from support.browser.browsing import CUT_OFF, BrowsedSite, listed
from support.browser.outlines import is_copy

from cccr_web.watch.requests import FIREFOX, browser

if TYPE_CHECKING:
    from support.browser.marionette import Firefox

SCHEME = "layout.css.prefers-color-scheme.content-override"
DARK, LIGHT, SYSTEM = 0, 1, 2
IMAGES = "permissions.default.image"
ALL_IMAGES, NO_IMAGES = 1, 2

# Images that show nothing when images are off.
UNNAMED = 'return [...document.querySelectorAll("img:not([alt])")].map(one => one.outerHTML)'
PREFERS_DARK = 'return matchMedia("(prefers-color-scheme: dark)").matches'


def test_a_page_is_one_request_without_messages(firefox: Firefox, site: BrowsedSite) -> None:
    """A page is one request in each colour scheme; nothing fails or appears on the console.

    The browser's own request for the favicon does not count.
    """
    favicon = site.url("favicon.ico")
    firefox.take_seen()
    for scheme in (LIGHT, DARK):
        firefox.prefer(SCHEME, scheme)
        for path in site.pages:
            firefox.visit(site.url(path))
        assert firefox.page(PREFERS_DARK) == (scheme == DARK)
    firefox.prefer(SCHEME, SYSTEM)
    firefox.visit("about:blank")
    requests, console = firefox.take_seen()
    ours = [request for request in requests if request.url != favicon]
    asked = Counter(one.url for one in ours if one.stage == "modify-request")
    assert asked == dict.fromkeys(map(site.url, site.pages), 2)
    ended = [one for one in ours if one.stage == "stop-request"]
    assert {(one.status, one.error) for one in ended} == {(200, 0)}
    assert console == []


def test_watch_sends_the_headers_of_this_browser(firefox: Firefox) -> None:
    """``watch`` requests a page with the same header lines as Firefox, and is not out of date."""
    seen: list[list[str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append([f"{name}: {value}" for name, value in self.headers.items()])
            self.send_response_only(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        firefox.visit(f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()
    host, agent, *_ = lines = seen[0]
    found = re.fullmatch(r"User-Agent: Mozilla/5.0 \((.+); rv:(\d+)\.0\) .*", agent)
    assert found is not None, agent
    languages = next(line for line in lines if line.startswith("Accept-Language: "))
    client = browser(found[1], languages.partition(": ")[2], f"{found[2]}.0")
    assert lines == [host, *client.lines]
    assert float(FIREFOX) >= int(found[2]), "Raise FIREFOX in watch/requests.py."


def test_nothing_is_cut_off_at_200_percent_zoom(firefox: Firefox, site: BrowsedSite) -> None:
    """At a zoom of 200 % in a window of 640 pixels (320 CSS pixels) nothing is cut off."""
    cut = {}
    firefox.size(640, 800)
    for path in site.pages:
        firefox.visit(site.url(path))
        firefox.zoom(2)
        assert firefox.page("return innerWidth") == 320
        if found := firefox.page(f"return {CUT_OFF}"):
            cut[path] = found
    firefox.zoom(1)
    assert cut == {}, listed(cut)


def test_pages_work_with_images_off(firefox: Firefox, site: BrowsedSite) -> None:
    """With images off a page requests none, describes each, and nothing is cut off."""
    wrong = {}
    firefox.prefer(IMAGES, NO_IMAGES)
    firefox.size(640, 800)
    firefox.take_seen()
    for path in site.pages:
        firefox.visit(site.url(path))
        if found := firefox.page(UNNAMED) + firefox.page(f"return {CUT_OFF}"):
            wrong[path] = found
    firefox.prefer(IMAGES, ALL_IMAGES)
    requests, console = firefox.take_seen()
    asked = {one.url for one in requests if one.stage == "modify-request"}
    assert asked - {site.url("favicon.ico")} == set(map(site.url, site.pages))
    assert console == []
    assert wrong == {}, listed(wrong)


def test_copies_and_home_pages_print_to_pdf(firefox: Firefox, site: BrowsedSite) -> None:
    """The home pages and the offline copies, the longest pages, print to a PDF."""
    for path in site.pages:
        if is_copy(path) or path.endswith("index.html"):
            firefox.visit(site.url(path))
            pdf = base64.b64decode(firefox.call("WebDriver:Print"))
            assert pdf.startswith(b"%PDF-"), path
            assert b"%%EOF" in pdf[-32:], path
