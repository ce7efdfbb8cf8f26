"""Pages that servers and frameworks show of themselves, as OnionScan looks for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cccr_web.doctor.result import Result, ok, some, wrong
from cccr_web.doctor.way import MOST, Way
from cccr_web.watch import UnreachableError

PAGES: Final = (
    "/server-status",
    "/server-info",
    "/nginx_status",
    "/stub_status",
    "/basic_status",
    "/status",
    "/metrics",
    "/phpinfo.php",
    "/info.php",
    "/.git/HEAD",
    "/.git/config",
    "/.svn/entries",
    "/.hg/requires",
    "/.env",
    "/.htaccess",
    "/.DS_Store",
    "/backup.zip",
    "/wp-login.php",
    "/admin/",
    "/console",
    "/debug/",
    "/cgi-bin/",
    "/private_key",
    "/onion.key",
    "/hs_ed25519_secret_key",
)


def check_status_pages(way: Way) -> Iterator[Result]:
    """Ask for each; all must answer 404."""
    name = f"{way.name} status pages"
    problems = []
    with way.link() as link:
        for page in PAGES:
            try:
                reply = link.get(page, MOST, keep=True)
            except UnreachableError as error:
                problems.append(f"{page}: no answer ({error})")
                break
            way.seen.append((f"GET {page}", reply))
            if reply.status != 404:
                problems.append(f"{page}: {reply.status}")
    if problems:
        yield wrong(
            name,
            f"Not 404: {some(problems)}.",
            "See what stands before the server, and switch that page off.",
        )
    else:
        yield ok(name, f"{len(PAGES)} pages that would tell of the server are not there.")
