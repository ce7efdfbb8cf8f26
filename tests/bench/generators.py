"""The same English statements for two static site generators, Hugo and Pelican.

Both get what their quick starts have: pages, lists and a feed, and Pelican its default theme. They
make one language, where ours makes three, and neither checks the texts, converts to Traditional
Chinese, packs a ZIP, an EPUB and a single HTML file, nor lists the SHA-256 of every file.
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path

_HUGO = {
    "hugo.toml": 'baseURL = "https://site.example/"\ndisableKinds = ["taxonomy", "term"]\n',
    "layouts/_default/baseof.html": (
        "<!doctype html><title>{{ .Title }}</title>"
        '<nav><a href="/">Home</a></nav>{{ block "main" . }}{{ end }}'
    ),
    "layouts/_default/single.html": (
        '{{ define "main" }}<h1>{{ .Title }}</h1>{{ .Content }}{{ end }}'
    ),
    "layouts/_default/list.html": (
        '{{ define "main" }}<ul>{{ range .Pages }}'
        '<li><a href="{{ .RelPermalink }}">{{ .Title }}</a></li>{{ end }}</ul>{{ end }}'
    ),
}
_PELICAN = """\
SITENAME, SITEURL, TIMEZONE, PATH = "site", "https://site.example", "UTC", "content"
FEED_ALL_ATOM = "feed.xml"
"""


def hugo(statements: Sequence[Path], folder: Path) -> list[str]:
    """Write the site of Hugo, which reads our front matter; return the command that builds it."""
    for name, text in _HUGO.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    content = folder / "content" / "statements"
    content.mkdir(parents=True)
    for file in statements:
        shutil.copy(file, content)
    return ["hugo", "--quiet", "--source", str(folder)]


def pelican(statements: Sequence[Path], folder: Path, python: str) -> list[str]:
    """Write the site of Pelican; return the command that builds it with this interpreter."""
    content = folder / "content"
    content.mkdir(parents=True)
    (folder / "pelicanconf.py").write_text(_PELICAN)
    for file in statements:
        _, head, body = file.read_text(encoding="utf-8").split("+++\n", 2)
        facts = tomllib.loads(head)
        known = f"Title: {facts['title']}\nDate: {file.name[:10]}\n"
        (content / file.name).write_text(known + body, encoding="utf-8")
    conf = ("--settings", str(folder / "pelicanconf.py"), "--output", str(folder / "output"))
    return [python, "-m", "pelican", "--quiet", *conf, str(content)]
