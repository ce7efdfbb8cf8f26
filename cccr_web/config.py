"""Settings from the environment, ``CCCR_*``, and where templates and translations are.

An option on the command line goes before the setting of the same meaning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cccr_web.errors import CccrError
from cccr_web.listen import Handed, Listen, Unix, parse_listen

PREFIX = "CCCR_"

PACKAGE = Path(__file__).resolve().parent

_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_ONION = re.compile(r"[a-z2-7]{56}\.onion")


@dataclass(frozen=True, slots=True)
class Config:
    """What ``cccr-web serve`` is told by its environment.

    ``release``: the folder to serve. ``public_key``: the organisation's, as text or
    the path of its file. ``state``: where the server remembers what it has served.
    ``clearnet``: where to listen for clearnet readers. ``onion_socket``: the unix
    socket that tor connects to, or systemd's name of it. ``domains`` and ``onions``: the
    names to answer to, beside those of the release.
    """

    release: Path | None = None
    public_key: str | None = None
    state: Path | None = None
    clearnet: Listen | None = None
    onion_socket: Unix | Handed | None = None
    domains: tuple[str, ...] = ()
    onions: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Config:
        """Read every ``CCCR_*``. Raises ``CccrError`` that tells all that is wrong at once."""
        values: dict[str, Any] = {}
        problems: list[str] = []
        for name in sorted(name for name in environ if name.startswith(PREFIX)):
            key = name.removeprefix(PREFIX).lower()
            if key not in _READERS:
                known = ", ".join(PREFIX + known.upper() for known in _READERS)
                problems.append(f"{name}: there is no such setting; there are {known}.")
                continue
            try:
                values[key] = _READERS[key](environ[name])
            except ValueError as error:
                problems.append(f"{name}: {error}")
        if problems:
            raise CccrError("\n".join(problems))
        return cls(**values)


def read_onion_socket(text: str) -> Unix | Handed:
    """Read ``unix:/PATH`` or ``systemd:NAME``.

    Raises ``ValueError``: tor must reach us by nothing but a unix socket.
    """
    where = parse_listen(text)
    if isinstance(where, Unix | Handed):
        return where
    raise ValueError(
        f"“{text}”: the onion listens on a unix socket only: unix:/PATH or systemd:NAME."
    )


def read_domain(text: str) -> str:
    """Read a domain's name. Raises ``ValueError``."""
    if _DOMAIN.fullmatch(text) is None:
        raise ValueError(f"“{text}” is no domain name, such as example.org.")
    return text


def read_onion(text: str) -> str:
    """Read an onion address. Raises ``ValueError``."""
    if _ONION.fullmatch(text) is None:
        raise ValueError(f"“{text}” is no onion address: 56 characters of a-z, 2-7, and .onion.")
    return text


def find_tree(name: str) -> Path:
    """Return the folder ``name``: in the package (a wheel) or next to it (a checkout).

    Raises ``CccrError`` if it is in neither place.
    """
    for candidate in (PACKAGE / name, PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise CccrError(
        f"The folder {name}/ is neither in {PACKAGE} nor in {PACKAGE.parent}.",
        "The installation is incomplete: install cccr-web again.",
    )


def _each(read: Callable[[str], str]) -> Callable[[str], tuple[str, ...]]:
    return lambda text: tuple(read(word) for word in text.split())


_READERS: Mapping[str, Callable[[str], Any]] = {
    "release": Path,
    "public_key": str,
    "state": Path,
    "clearnet": parse_listen,
    "onion_socket": read_onion_socket,
    "domains": _each(read_domain),
    "onions": _each(read_onion),
}
