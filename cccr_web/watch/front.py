"""The address ``/``, the one that readers type: it must lead to a language of the site.

Our own server redirects there by the reader's language; a static host may show the
release's ``index.html`` instead, if it has one. A redirect to anywhere else is a
difference, and none is followed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final
from urllib.parse import urljoin

from cccr_web.release import Release
from cccr_web.watch.address import Address
from cccr_web.watch.difference import Difference, Kind, shown
from cccr_web.watch.files import file_differences
from cccr_web.watch.headers import header_differences
from cccr_web.watch.link import Reply

FRONT: Final = "/"

_INDEX: Final = "index.html"
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

# Nobody is shown the body of a redirect, and what may be kept of it is its sender's affair.
_OF_A_REDIRECT: Final = frozenset({"cache-control", "content-type", "location", "vary"})


def front_differences(
    address: Address,
    reply: Reply,
    known: Release,
    headers: Mapping[str, Mapping[str, str]],
    allowed: Collection[str],
) -> Iterator[Difference]:
    """Compare the answer to ``/`` with what a release whose ``headers`` these are allows."""
    if reply.status not in _REDIRECTS:
        index = known.files.get(_INDEX)
        if index is None and reply.status == 200:
            detail = "a page that is not in the release"
            yield Difference(FRONT, Kind.CHANGED, detail)
            return
        yield from file_differences(FRONT, reply, index.sha256 if index else None)
        if index and reply.status == 200:
            # Its own Onion-Location would name the page, not the folder.
            wanted = {**headers[f"/{_INDEX}"]}
            if "Onion-Location" in wanted:
                wanted["Onion-Location"] = wanted["Onion-Location"].removesuffix(_INDEX)
            yield from header_differences(FRONT, reply, wanted, allowed)
        return
    to = reply.header("location")
    homes = {
        f"{address}/{slug}/{name}" for slug in known.metadata.languages for name in ("", _INDEX)
    }
    if to is None or urljoin(f"{address}/", to) not in homes:
        yield Difference(FRONT, Kind.CHANGED, f"it leads to {shown(to)}")
    wanted = {
        name: value for name, value in headers[FRONT].items() if name.lower() not in _OF_A_REDIRECT
    }
    yield from header_differences(FRONT, reply, wanted, {*allowed, *_OF_A_REDIRECT})
