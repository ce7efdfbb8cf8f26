"""The feeds in feed readers: newsboat, sfeed and feedparser, as Debian packages them.

newsboat 2.21 (Debian 12) does not resolve a relative ``xml:base``: an entry's own link is right,
but the links in its text do not open. An absolute one would have to name one address, and would
lead readers of the onion, of mirrors and of copies there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from support.pages import every_language

from cccr_web.languages import Language
from cccr_web.render.template_renderer import feed_url

if TYPE_CHECKING:
    from pathlib import Path

    from support.serving import Server

    from cccr_web.release import Release

STATEMENTS = [
    "statements/2013-05-07-tiananmen-rally.html",
    "statements/2011-liu-xiaobo-and-chen-guangcheng.html",
]
# Debian's feedparser is for the system's Python.
FEEDPARSER = """
import feedparser, json, sys
feed = feedparser.parse(sys.argv[1])
assert not feed.bozo, feed.bozo_exception
print(json.dumps({
    "home": feed.feed.link,
    "entries": [[entry.link, len(entry.links), entry.content[0].base, entry.content[0].value]
                for entry in feed.entries],
}))
"""


def run(folder: Path, *command: str, stdin: bytes = b"") -> str:
    """Run a reader with its files in ``folder``; return its output."""
    environment = os.environ | {"HOME": str(folder), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        command, input=stdin, env=environment, check=True, capture_output=True, timeout=60
    )
    return done.stdout.decode()


def address(server: Server, language: Language) -> str:
    """Return the URL of the feed on the clearnet listener."""
    host, port = server.clearnet
    return f"http://{host}:{port}/{feed_url(language)}"


@every_language
def test_newsboat_opens_each_entry_in_its_language(
    server: Server, tmp_path: Path, language: Language
) -> None:
    """Newsboat shows the home page as the site, and each entry's page as its link."""
    url = address(server, language)
    (tmp_path / "urls").write_text(url)
    files = [f"--{name}={tmp_path / name}" for name in ("url-file", "cache-file", "config-file")]
    (tmp_path / "urls").rename(tmp_path / "url-file")
    (tmp_path / "config-file").touch()
    run(tmp_path, "newsboat", *files, "--execute=reload")
    with contextlib.closing(sqlite3.connect(tmp_path / "cache-file")) as cache:
        assert cache.execute("SELECT url FROM rss_feed").fetchall() == [
            (urljoin(url, "index.html"),)
        ]
        found = cache.execute("SELECT url FROM rss_item ORDER BY url DESC").fetchall()
    assert found == [(urljoin(url, path),) for path in STATEMENTS]


@every_language
def test_sfeed_opens_each_entry_in_its_language(
    server: Server, release: Release, tmp_path: Path, language: Language
) -> None:
    """Sfeed, given the address of the feed, finds each entry's page and text."""
    url = address(server, language)
    shown = run(tmp_path, "sfeed", url, stdin=release.files[feed_url(language)].body)
    lines = [line.split("\t") for line in shown.splitlines()]
    assert [line[2] for line in lines] == [urljoin(url, path) for path in STATEMENTS]
    assert all(len(line[3]) > 1000 for line in lines)


@every_language
def test_feedparser_resolves_the_links_of_each_entry(
    server: Server, release: Release, tmp_path: Path, language: Language
) -> None:
    """Feedparser finds one link per entry, and each link in its content leads to a page."""
    url = address(server, language)
    found = json.loads(run(tmp_path, "/usr/bin/python3", "-c", FEEDPARSER, url))
    assert found["home"] == urljoin(url, "index.html")
    root = url.removesuffix(feed_url(language))
    inner = set()
    for (link, count, base, content), path in zip(found["entries"], STATEMENTS, strict=True):
        assert link == base == urljoin(url, path)
        assert count == 1
        targets = set(re.findall(r'href="([^"#]+)', content))
        inner |= {target for target in targets if not target.startswith("https://")}
    assert inner
    assert {target.removeprefix(root) for target in inner} <= release.files.keys()
