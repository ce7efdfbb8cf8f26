"""The requests of one check: as browsers send them, in other ways, and for what must not exist.

A site could send other bytes to browsers than to programs, or only in one coding. So every
file is requested as a browser would, and a tenth of them, another tenth in each check, in
every other way; all in random order.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from cccr_web.release import INDEX, Release
from cccr_web.serve import file_addresses, redirect_targets

ROOT: Final = "/"

# Tor Browser is made from Firefox ESR and sends the same headers. tests/browser/ compares these
# with a real one.
FIREFOX: Final = "153.0"


@dataclass(frozen=True, slots=True)
class Way:
    """A way to request a file: the lines after ``Host``. Only browsers have no ``name``."""

    name: str
    lines: tuple[str, ...] = ()

    @property
    def is_browser(self) -> bool:
        """Whether a browser requests like this."""
        return not self.name


def browser(system: str, languages: str, version: str = FIREFOX) -> Way:
    """Return how Firefox requests an address that somebody typed."""
    return Way(
        "",
        (
            f"User-Agent: Mozilla/5.0 ({system}; rv:{version}) Gecko/20100101 Firefox/{version}",
            "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            f"Accept-Language: {languages}",
            "Accept-Encoding: gzip, deflate, br, zstd",
            "Connection: keep-alive",
            "Upgrade-Insecure-Requests: 1",
            "Sec-Fetch-Dest: document",
            "Sec-Fetch-Mode: navigate",
            "Sec-Fetch-Site: none",
            "Sec-Fetch-User: ?1",
            "Priority: u=0, i",
        ),
    )


_CHINESE: Final = "zh-CN,zh;q=0.9,zh-TW;q=0.8,zh-HK;q=0.7,en-US;q=0.6,en;q=0.5"
BROWSERS: Final = tuple(
    browser(system, languages)
    for system in ("Windows NT 10.0; Win64; x64", "X11; Linux x86_64")
    for languages in ("en-US,en;q=0.9", _CHINESE)
)
MINIMAL: Final = Way("without headers")
_OTHER_WAYS: Final = (
    MINIMAL,
    *(
        Way(f"with Accept-Encoding: {coding}", (f"Accept-Encoding: {coding}",))
        for coding in ("identity", "gzip", "br", "deflate")
    ),
)
_SHARE: Final = 10

# What a forger or another program on the host could add.
_FOREIGN: Final = ("/app.apk", "/index.php", "/login", "/sw.js", "/wp-login.php", f"/{INDEX}")


def plan(release: Release, chance: random.Random) -> list[tuple[Way, str]]:
    """Return the requests of one check in their order, each a way and a path."""
    paths = file_addresses(release)
    files = [*paths, ROOT]
    folders = [path.removesuffix("/") for path in paths if path.endswith("/")]
    others = [*folders, *redirect_targets(release), *_unlisted(release, chance)]
    requests = [(chance.choice(BROWSERS), path) for path in (*files, *others)]
    share = -(-len(files) // _SHARE)
    requests += [(way, path) for way in _OTHER_WAYS for path in chance.sample(files, share)]
    chance.shuffle(requests)
    return requests


def _unlisted(release: Release, chance: random.Random) -> set[str]:
    """Return paths that no release has; some are different in each check."""
    unknown = f"{chance.getrandbits(48):012x}"
    folders = ("", *(f"/{slug}" for slug in release.metadata.languages))
    made = {f"{folder}/{unknown}{end}" for folder in folders for end in ("", ".html")}
    return {*made, *_FOREIGN} - file_addresses(release).keys()
