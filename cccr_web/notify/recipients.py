"""Whom to notify: the URLs in a file that only its owner can read, and apprise to send there."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import logging
import os
import re
import stat
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

from cccr_web.errors import CccrError
from cccr_web.files import exposed_mode
from cccr_web.listen import Tcp, Unix
from cccr_web.notify.proxy import only_through

_EXAMPLE: Final = "NOTIFY=ntfys://ntfy.sh/TOPIC"
_PING_TIMEOUT: Final = 60.0  # seconds; tor may need half of it
_SHORTEST: Final = 3  # characters of a part of a URL that is removed from a log


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
            if "://" not in each or (name == "PING" and not _is_https(each)):
                kind = (
                    "an https address" if name == "PING" else "a URL such as ntfys://ntfy.sh/TOPIC"
                )
                raise CccrError(f"{file}: a value of {name} is not {kind}.", "Correct that line.")
        return cls(urls, ping or None)


def _is_https(url: str) -> bool:
    """Whether a request can be made for it (RFC 3986, section 2)."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        return re.fullmatch("https://[!-~]+", url) is not None and bool(host) and parts.port != 0
    except ValueError:
        return False


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


class DeliveryError(Exception):
    """A target did not accept a message, or a ping failed; the message holds no part of a URL."""


class Sender:
    """Sends messages directly, or only through tor's SOCKS port ``proxy``."""

    def __init__(self, proxy: Tcp | Unix | None = None) -> None:
        self._proxy = proxy

    def send(self, url: str, title: str, body: str) -> None:
        """Deliver a message. Raises ``DeliveryError``."""
        with only_through(self._proxy), _reasons() as said:
            service = _service()
            if not service.add(url):
                raise DeliveryError("apprise does not know such a URL, or a part of it is missing")
            if not service.notify(title=title, body=body, body_format="text"):
                reason = "; ".join(each.strip(".") for each in said) or "no reason was given"
                raise DeliveryError(_without(url, reason))

    def ping(self, url: str) -> None:
        """Fetch a URL of a service that expects to be called. Raises ``DeliveryError``."""
        request = urllib.request.Request(url, headers={"User-Agent": "cccr-web"})  # noqa: S310  # “Recipients” accepts https only
        try:
            with only_through(self._proxy):
                urllib.request.urlopen(request, timeout=_PING_TIMEOUT).close()  # noqa: S310
        except (OSError, http.client.HTTPException) as error:
            raise DeliveryError(_without(url, str(error))) from error


def _service() -> Any:
    # Its 150 plug-ins are imported only when there is something to send, and inside the proxy.
    from apprise import Apprise, AppriseAsset

    # No files, no threads, and no time zone of this machine.
    asset = AppriseAsset(
        app_id="cccr-web",
        app_desc="cccr-web",
        app_url="",
        async_mode=False,
        storage_mode="memory",
        timezone=UTC,
    )
    return Apprise(asset=asset)


@contextlib.contextmanager
def _reasons() -> Iterator[list[str]]:
    """Collect why apprise failed, and let nothing of it reach the journal."""
    logger, handler = logging.getLogger("apprise"), _Collector()
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.level, logger.propagate = logging.DEBUG, False
    try:
        yield handler.said
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # The exception itself is logged only for debugging, but says more than its warning.
        if record.levelno >= logging.WARNING or "Exception" in str(record.msg):
            self.said.append(record.getMessage())


def _without(url: str, text: str) -> str:
    """Return the text without any part of the URL: names, passwords, topics."""
    kind, _, rest = url.partition("://")
    parts = {part for each in (rest, unquote(rest)) for part in re.split(r"[^\w.-]+", each)}
    for part in sorted(parts - {kind}, key=len, reverse=True):
        if len(part) >= _SHORTEST:
            text = re.sub(re.escape(part), "…", text, flags=re.IGNORECASE)
    return text
