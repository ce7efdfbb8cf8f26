"""The browsers, and the site that they open.

Its fixtures are for all tests; ``conftest.py`` names this module as a plugin.
"""

from __future__ import annotations

import base64
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cccr_web.config import find_tree
from cccr_web.release import write
from cccr_web.render import build_release
from support import TOP
from support.browser.devtools import Chromium
from support.browser.marionette import Firefox
from support.browser.outlines import page_paths
from support.hosting import short_folder
from support.serving import ADDRESSES
from support.signed import organisation_key
from support.texts import texts_with_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cccr_web.release import Release
    from support.serving import Server

SCHEMES = ("light", "dark")
NODE_MODULES = TOP / ".cache" / "node" / "node_modules"

# program → Debian package that brings it
_PACKAGES = {
    "chromium": "chromium",
    "firefox-esr": "firefox-esr",
    "java": "default-jre-headless",
    "links2": "links2",
    "lynx": "lynx",
    "node": "nodejs",
    "pdftoppm": "poppler-utils",
    "pdftotext": "poppler-utils",
    "w3m": "w3m",
}

# What overflows the window sideways, and what is cut off. An element to the left of the
# window is for screen readers or the keyboard.
CUT_OFF = """(() => {
  const wide = document.documentElement.clientWidth;
  const found = [];
  const all = document.scrollingElement.scrollWidth;
  if (all > wide) found.push(`the page is ${all} wide, the window ${wide}`);
  for (const element of document.body.querySelectorAll("*")) {
    const box = element.getBoundingClientRect();
    if (box.width <= 1 || box.height <= 1 || box.right <= 0) continue;
    const name = `<${element.tagName.toLowerCase()}> ${element.textContent.trim().slice(0, 30)}`;
    if (box.right > wide + 1) found.push(`${name}: ends at ${box.right} of ${wide}`);
    const style = getComputedStyle(element);
    if (style.overflowX !== "visible" && element.scrollWidth > element.clientWidth + 1)
      found.push(`${name}: cut at the side`);
    if (style.overflowY !== "visible" && element.scrollHeight > element.clientHeight + 1)
      found.push(`${name}: cut below`);
  }
  return found;
})()"""


@dataclass(frozen=True, slots=True)
class BrowsedSite:
    """A release behind an address (``http://…``, without a slash at its end)."""

    address: str
    release: Release

    @property
    def pages(self) -> list[str]:
        """The paths of all its pages."""
        return page_paths(self.release)

    def url(self, path: str) -> str:
        """Return the URL of a path."""
        return f"{self.address}/{path}"


def listed(wrong: Mapping[str, object]) -> str:
    """Return every problem of every page, for the message of an assertion."""
    return "".join(f"\n{page}: {problem}" for page, problem in wrong.items())


def without_spaces(text: str) -> str:
    """Return a text without white space."""
    return re.sub(r"\s+", "", text)


def need(program: str) -> str:
    """Return where a program is; without it the test fails and names its package."""
    found = shutil.which(program)
    if found is None:
        pytest.fail(
            f"{program} is missing. Run: sudo apt-get install {_PACKAGES[program]}", pytrace=False
        )
    return found


def serif_fonts() -> dict[str, tuple[str, str]]:
    """Return fonts of three widths: what each is like → its name, and a script that loads it.

    Gelasio has Georgia's metrics, Liberation Serif those of Times. Debian has no Gelasio.
    """
    file = node_module("@fontsource/gelasio/files/gelasio-latin-400-normal.woff2")
    data = base64.b64encode(file.read_bytes()).decode()
    load = f"""(async () => {{
      const bytes = Uint8Array.from(atob("{data}"), one => one.charCodeAt(0));
      document.fonts.add(await new FontFace("Gelasio", bytes).load());
    }})()"""
    return {
        "Times": ("Liberation Serif", "0"),
        "Georgia": ("Gelasio", load),
        "DejaVu": ("DejaVu Serif", "0"),
    }


def node_module(path: str) -> Path:
    """Return a file of the npm packages in ``package-lock.json``."""
    found = NODE_MODULES / path
    if not found.exists():
        pytest.fail(f"{found} is missing. Run: tests/browser/npm.sh", pytrace=False)
    return found


@pytest.fixture(scope="session")
def site(server: Server, release: Release) -> BrowsedSite:
    """The release of all tests on its clearnet listener, on loopback."""
    host, port = server.clearnet
    return BrowsedSite(f"http://{host}:{port}", release)


def published_release(folder: Path) -> Release:
    """Return the real texts as on a published site: with addresses and a key.

    The key is in a copy of the texts below ``folder``.
    """
    texts = texts_with_key(folder, organisation_key().public)
    return build_release(texts, find_tree("templates"), addresses=ADDRESSES)


@pytest.fixture(scope="session")
def published() -> Iterator[Path]:
    """That release in a folder, to open from disk."""
    with short_folder() as folder:
        write(published_release(folder), folder / "release")
        yield folder / "release"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """One Chromium for the whole run; each test opens an isolated tab."""
    need("chromium")
    with (
        short_folder() as folder,
        Chromium(folder / "profile", "--remote-debugging-port=0") as browser,
    ):
        yield browser


@pytest.fixture(scope="module")
def firefox() -> Iterator[Firefox]:
    """One Firefox for the tests of a module."""
    need("firefox-esr")
    with short_folder() as folder, Firefox(folder / "profile") as browser:
        yield browser
