"""Whom to notify: the URLs in a file that only its owner can read."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from cccr_web.errors import CccrError
from cccr_web.files import exposed_mode

_EXAMPLE: Final = "NOTIFY=ntfys://ntfy.sh/TOPIC"


@dataclass(frozen=True, slots=True)
class Recipients:
    """apprise URLs, and a URL that is fetched after each complete run (healthchecks.io).

    They hold passwords, so neither is part of ``repr()``.
    """

    urls: tuple[str, ...] = field(repr=False)
    ping: str | None = field(default=None, repr=False)

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read ``NOTIFY=`` and ``PING=`` from lines such as those of ``site.env``.

        Raises ``CccrError``, which never holds a URL.
        """
        try:
            _check_mode(file, file.stat())
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise CccrError(
                f"{file} cannot be read: {why}.", f"Write a line such as {_EXAMPLE} into it."
            ) from error
        values = dict(line.strip().partition("=")[::2] for line in text.splitlines())
        urls = tuple(values.get("NOTIFY", "").strip(" \"'").split())
        ping = values.get("PING", "").strip(" \"'")
        if not urls:
            raise CccrError(f"{file} sets no recipients.", f"Add a line such as {_EXAMPLE}.")
        for name, each in (*(("NOTIFY", url) for url in urls), ("PING", ping or "https://x")):
            if "://" not in each or (name == "PING" and not each.startswith("https://")):
                kind = (
                    "an https address" if name == "PING" else "a URL such as ntfys://ntfy.sh/TOPIC"
                )
                raise CccrError(f"{file}: a value of {name} is not {kind}.", "Correct that line.")
        return cls(urls, ping or None)


def identifier(url: str) -> str:
    """Return a name for a URL that does not reveal its passwords."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def described(url: str, urls: tuple[str, ...]) -> str:
    """Return what a log may say of one of ``urls``: its number and its kind."""
    return f"target {urls.index(url) + 1} ({url.partition('://')[0]})"


def _check_mode(file: Path, found: os.stat_result) -> None:
    if stat.S_ISREG(found.st_mode) and exposed_mode(file, found):
        raise CccrError(
            f"{file} is open to other users (mode {stat.S_IMODE(found.st_mode):04o}), "
            "and its URLs hold passwords.",
            f"Run: chmod 600 {file}",
        )
