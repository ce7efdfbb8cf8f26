"""The doctor looks at a whole site: our server, nginx, an onion on the private Tor network."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from doctored import Place, doctor

if TYPE_CHECKING:
    from conftest import Note


def test_all_is_well(place: Place, note: Note) -> None:
    """A site in order is found in order, on both roads, in some seconds."""
    with place.front().running() as front:
        begin = time.monotonic()
        status, results, errors = doctor(*place.options(front))
    note("doctor of the whole site on the private network", time.monotonic() - begin)
    assert [each for each in results if each["verdict"] == "wrong"] == []
    assert (status, errors) == (0, "")
