"""The requests of one check: those of browsers, of other clients, and for what must not exist.

A site could send other bytes to browsers than to programs, or only in one coding. So every
file is requested as by a browser, and each other client requests a tenth of the files, which
differs from check to check. The order is random.
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
class ClientProfile:
    """How a client requests a file: the lines after ``Host``. Only browsers have no ``name``."""

    name: str
    lines: tuple[str, ...] = ()

    @property
    def is_browser(self) -> bool:
        """Whether it is a browser."""
        return not self.name


def browser(system: str, languages: str, version: str = FIREFOX) -> ClientProfile:
    """Return how Firefox requests an address that somebody typed."""
    return ClientProfile(
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


# What the builds in English, Simplified and Traditional Chinese send (intl.accept_languages).
_LANGUAGES: Final = (
    "en-US,en;q=0.9",
    "zh-CN,zh;q=0.9,zh-TW;q=0.8,zh-HK;q=0.7,en-US;q=0.6,en;q=0.5",
    "zh-TW,zh;q=0.9,en-US;q=0.8,en;q=0.7",
)
BROWSERS: Final = tuple(
    browser(system, languages)
    for system in ("Windows NT 10.0; Win64; x64", "X11; Linux x86_64")
    for languages in _LANGUAGES
)
MINIMAL: Final = ClientProfile("without headers")
_OTHER_CLIENTS: Final = (
    MINIMAL,
    *(
        ClientProfile(f"with Accept-Encoding: {coding}", (f"Accept-Encoding: {coding}",))
        for coding in ("identity", "gzip", "br", "deflate")
    ),
)
_SHARE: Final = 10

# What a forger or another program on the host could add.
_FOREIGN: Final = ("/app.apk", "/index.php", "/login", "/sw.js", "/wp-login.php", f"/{INDEX}")


def plan(release: Release, rng: random.Random) -> list[tuple[ClientProfile, str]]:
    """Return the requests of one check in their order, each a client and a path."""
    paths = file_addresses(release)
    files = [*paths, ROOT]
    folders = [path.removesuffix("/") for path in paths if path.endswith("/")]
    others = [*folders, *redirect_targets(release), *_unlisted(release, rng)]
    requests = [(rng.choice(BROWSERS), path) for path in (*files, *others)]
    share = -(-len(files) // _SHARE)
    requests += [(client, path) for client in _OTHER_CLIENTS for path in rng.sample(files, share)]
    rng.shuffle(requests)
    return requests


def _unlisted(release: Release, rng: random.Random) -> set[str]:
    """Return paths that no release has; some are different in each check."""
    unknown = f"{rng.getrandbits(48):012x}"
    folders = ("", *(f"/{slug}" for slug in release.metadata.languages))
    made = {f"{folder}/{unknown}{end}" for folder in folders for end in ("", ".html")}
    return {*made, *_FOREIGN} - file_addresses(release).keys()
