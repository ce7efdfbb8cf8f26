"""Settings from the environment, and the folders of templates and translations.

An option on the command line overrides the setting of the same name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cccr_web.errors import CccrError
from cccr_web.facts import ONION
from cccr_web.listen import Listen, SystemdSocket, Unix, parse_listen

PREFIX = "CCCR_"

PACKAGE = Path(__file__).resolve().parent

# Unlike facts.DOMAIN, this also matches an IPv4 address.
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of ``cccr-web serve``, and the limit that ``build`` shares with it.

    ``release``: the folder to serve. ``public_key``: the organisation's key, as text or
    the path of its file. ``policy``: the file of its policy instead. ``state``: where the
    server records which releases it has served.
    ``clearnet``: where to listen for clearnet readers. ``onion_socket``: the unix
    socket that tor connects to, or its name in systemd. ``domains`` and ``onions``: names to
    answer to in addition to those of the release. ``hsts_preload``: whether HSTS covers all
    subdomains and may be preloaded. ``max_megabytes``: how large a release may be, in megabytes
    of 1,000,000 bytes. A server holds two releases in memory during a reload.
    """

    release: Path | None = None
    public_key: str | None = None
    policy: Path | None = None
    state: Path | None = None
    clearnet: Listen | None = None
    onion_socket: Unix | SystemdSocket | None = None
    domains: tuple[str, ...] = ()
    onions: tuple[str, ...] = ()
    hsts_preload: bool = False
    max_megabytes: int = 150

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Config:
        """Read every ``CCCR_*``. Raises a ``CccrError`` that lists all problems."""
        values: dict[str, Any] = {}
        problems: list[str] = []
        for name in sorted(name for name in environ if name.startswith(PREFIX)):
            key = name.removeprefix(PREFIX).lower()
            if key not in _READERS:
                known = ", ".join(PREFIX + known.upper() for known in _READERS)
                problems.append(f"{name}: no such setting; the settings are {known}.")
                continue
            try:
                values[key] = _READERS[key](environ[name])
            except ValueError as error:
                problems.append(f"{name}: {error}")
        if problems:
            raise CccrError("\n".join(problems))
        return cls(**values)


def read_onion_socket(text: str) -> Unix | SystemdSocket:
    """Parse ``unix:/PATH`` or ``systemd:NAME``. Raises ``ValueError`` for anything else."""
    where = parse_listen(text)
    if isinstance(where, Unix | SystemdSocket):
        return where
    raise ValueError(
        f"“{text}”: the onion listens on unix sockets only: unix:/PATH or systemd:NAME."
    )


def read_domain(text: str) -> str:
    """Check a domain name. Raises ``ValueError``."""
    if _DOMAIN.fullmatch(text) is None:
        raise ValueError(f"“{text}” is not a domain name such as example.org.")
    return text


def read_yes(text: str) -> bool:
    """Read “yes”, or nothing for no. Raises ``ValueError`` for anything else."""
    if text not in {"", "yes"}:
        raise ValueError(f"“{text}” is neither “yes” nor empty.")
    return bool(text)


def read_megabytes(text: str) -> int:
    """Read a number of megabytes. Raises ``ValueError``."""
    if re.fullmatch(r"[1-9][0-9]{0,3}", text) is None:
        raise ValueError(f"“{text}” is not a number of megabytes from 1 to 9999.")
    return int(text)


def read_onion(text: str) -> str:
    """Check an onion address. Raises ``ValueError``."""
    if ONION.fullmatch(text) is None:
        raise ValueError(
            f"“{text}” is not an onion address: 56 characters a-z and 2-7, then .onion."
        )
    return text


def source_date(environ: Mapping[str, str]) -> datetime | None:
    """Return the time in ``SOURCE_DATE_EPOCH`` (reproducible-builds.org), if it is set.

    Raises ``CccrError`` unless it is seconds since 1970.
    """
    epoch = environ.get("SOURCE_DATE_EPOCH", "")
    # int() also accepts “1_0”, “ 1” and digits of other scripts.
    if epoch and re.fullmatch(r"[0-9]{1,11}", epoch) is None:
        raise CccrError(
            f"SOURCE_DATE_EPOCH is “{epoch}”.", "It must be seconds since 1970, or unset."
        )
    return datetime.fromtimestamp(int(epoch), UTC) if epoch else None


def default_state(environ: Mapping[str, str]) -> Path:
    """Return the default folder for data to keep (XDG Base Directory Specification).

    Raises ``CccrError`` if this user has none.
    """
    home = environ.get("XDG_STATE_HOME", "")
    if home.startswith("/"):
        return Path(home) / "cccr-web"
    try:
        return Path.home() / ".local" / "state" / "cccr-web"
    except RuntimeError as error:
        raise CccrError(
            "HOME is not set, and this user has no folder.", "Set HOME or XDG_STATE_HOME."
        ) from error


def find_tree(name: str) -> Path:
    """Return the folder ``name`` in the package (a wheel) or next to it (a checkout).

    Raises ``CccrError`` if there is none.
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
    "policy": Path,
    "state": Path,
    "clearnet": parse_listen,
    "onion_socket": read_onion_socket,
    "domains": _each(read_domain),
    "onions": _each(read_onion),
    "hsts_preload": read_yes,
    "max_megabytes": read_megabytes,
}
