"""Which versions run here, and whether tor's own network still recommends this tor."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import Final

from cccr_web import __version__
from cccr_web.doctor.result import Result, not_applicable, ok, wrong
from cccr_web.errors import OnionError
from cccr_web.onion import ControlConnection

NAME: Final = "versions"

# control-spec, 3.9, ``status/version/current``.
_GOOD: Final = frozenset({"recommended", "new", "new in series"})
# A private network, or one that this tor does not know yet.
_SILENT: Final = frozenset({"unknown", "none recommended"})


def check_versions(link: ControlConnection | None) -> Iterator[Result]:
    """Tell ours and Python's, and judge that of the tor at ``link``."""
    yield ok(NAME, f"cccr-web {__version__} on Python {platform.python_version()}.")
    if link is None:
        yield wrong(
            NAME,
            "No tor could be asked for its version.",
            "See what is said of tor and of the way through tor.",
        )
        return
    try:
        version = link.info("version").partition(" ")[0]
        judged = link.info("status/version/current").strip()
    except OnionError as error:
        yield wrong(NAME, error.problem, error.remedy)
        return
    if judged in _GOOD:
        yield ok(NAME, f"tor {version} is {judged} by the network’s directories.")
    elif judged in _SILENT:
        yield not_applicable(NAME, f"tor {version}: this network’s directories recommend none.")
    else:
        yield wrong(
            NAME,
            f"tor {version} is {judged} by the network’s directories.",
            "Update it: apt update && apt install tor",
        )
