"""Whether an answer is the file that was signed."""

from __future__ import annotations

from collections.abc import Iterator

from cccr_web.watch.difference import Difference, Kind, shown
from cccr_web.watch.link import Reply


def file_differences(target: str, reply: Reply, sha256: str | None = None) -> Iterator[Difference]:
    """Compare ``reply`` with the file of that hash; without one, see only that it is a file."""
    if reply.status in range(400, 500):
        yield Difference(target, Kind.MISSING, f"answered with {reply.status}")
    elif reply.status >= 500:
        yield Difference(target, Kind.UNREACHABLE, f"answered with {reply.status}")
    elif reply.status in range(300, 400):
        yield Difference(target, Kind.CHANGED, f"it leads to {shown(reply.header('location'))}")
    elif reply.status != 200:
        yield Difference(target, Kind.CHANGED, f"answered with {reply.status}")
    elif reply.too_long:
        yield Difference(target, Kind.CHANGED, "it has more bytes than the file may have")
    elif sha256 is not None and reply.sha256 != sha256:
        yield changed(target, reply.sha256, sha256)


def changed(target: str, sha256: str, wanted: str) -> Difference:
    """Return the difference of a file that has another hash than it should."""
    return Difference(target, Kind.CHANGED, f"SHA-256 {sha256}, not {wanted}")
