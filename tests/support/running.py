"""``cccr-web serve`` in a ``ServerFolder``, with the options that an admin uses."""

from __future__ import annotations

import http.client
import signal
from typing import TYPE_CHECKING

from support.hosting import wait_until
from support.serving import START_TIMEOUT, ServerProcess
from support.signed import organisation_key

if TYPE_CHECKING:
    from support.signed import ServerFolder


class Running(ServerProcess):
    """A server on loopback whose release is ``current`` of its folder."""

    def __init__(
        self, server_folder: ServerFolder, *options: str, signed: bool = True, **settings: str
    ) -> None:
        if signed:
            options += ("--public-key", str(organisation_key().public))
            options += ("--state", str(server_folder.path / "state"))
        super().__init__(server_folder.path, server_folder.current, *options, **settings)

    @property
    def port(self) -> int:
        """Its port on 127.0.0.1."""
        return self.clearnet[1]

    @property
    def log(self) -> str:
        """What it has written to stderr."""
        return self.errors.read_text()

    def connection(self) -> http.client.HTTPConnection:
        """Return a connection that is not yet open."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def get(self, path: str) -> bytes:
        """Return the body at ``path``."""
        connection = self.connection()
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def reload(self) -> None:
        """Send SIGHUP."""
        self.process.send_signal(signal.SIGHUP)

    def wait_for(self, words: str, times: int = 1) -> None:
        """Wait until the log holds ``words`` at least ``times`` times."""
        wait_until(lambda: self.log.count(words) >= times, START_TIMEOUT)
