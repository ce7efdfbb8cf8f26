"""Deliver one message to one target, with apprise."""

from __future__ import annotations

import contextlib
import http.client
import logging
import re
import urllib.request
from collections.abc import Iterator
from datetime import UTC
from typing import Any, Final
from urllib.parse import unquote

from cccr_web.listen import Tcp, Unix
from cccr_web.notify.proxy import only_through

_PING_TIMEOUT: Final = 60.0  # seconds; tor may need half of it
_SHORTEST: Final = 3  # characters of a part of a URL that is removed from a log


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
