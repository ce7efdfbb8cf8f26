"""What systemd and a service of it tell each other: sockets handed over, and how the service is.

Written after sd_listen_fds(3), sd_notify(3) and sd_watchdog_enabled(3); a few lines each.
Started by anybody else, nothing is handed over and nobody is told.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Mapping
from typing import Final

from cccr_web.errors import CccrError

_FIRST: Final = 3  # SD_LISTEN_FDS_START
_PATIENCE: Final = 1.0  # seconds that a message may wait for systemd to read

_log = logging.getLogger(__name__)


def take(name: str, environ: Mapping[str, str] = os.environ) -> socket.socket:
    """Return the listening socket that systemd hands over under ``name``.

    ``name`` is the ``FileDescriptorName=`` of its socket unit. The socket is a copy of
    systemd's: to close it ends nothing for who connects. Raises ``CccrError``.
    """
    found = [number for number, its in _handed_over(environ) if its == name]
    if len(found) != 1:
        raise CccrError(
            f"systemd hands over {len(found) or 'no'} socket{'s' * (len(found) > 1)} "
            f"named “{name}”.",
            f"Start this by a socket unit with one ListenStream= and FileDescriptorName={name}.",
        )
    try:
        taken = socket.socket(fileno=found[0])
    except OSError:
        taken = None
    if taken is None or not taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        if taken is not None:
            taken.close()
        raise CccrError(
            f"What systemd hands over as “{name}” is no socket that listens.",
            "Give its socket unit a ListenStream= and Accept=no.",
        )
    taken.set_inheritable(False)
    return taken


def _handed_over(environ: Mapping[str, str]) -> list[tuple[int, str]]:
    """Return number and name of each descriptor that was meant for this very process."""
    count, pid = environ.get("LISTEN_FDS", ""), environ.get("LISTEN_PID", "")
    if not count.isdecimal() or pid != str(os.getpid()):
        return []
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    return list(zip(range(_FIRST, _FIRST + int(count)), names, strict=False))


class Notifier:
    """Tells systemd how this service is; says nothing where systemd has not asked for it.

    ``half_time`` is the time in seconds after which ``alive`` must have been called again,
    half of the unit's ``WatchdogSec=``; ``None`` without one.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._where = environ.get("NOTIFY_SOCKET", "")
        self.half_time = _half_time(environ) if self._where else None
        self._next = 0.0

    @property
    def asked(self) -> bool:
        """Whether systemd started us and waits for word (``Type=notify``)."""
        return bool(self._where)

    def ready(self, status: str) -> None:
        """Say that we do what we are for, after a start or a reload."""
        self._send("READY=1", f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """Say that we begin to take new settings; ``ready`` must follow."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that we end."""
        self._send("STOPPING=1", "STATUS=Ending.")

    def status(self, status: str) -> None:
        """Show a sentence in ``systemctl status``."""
        self._send(f"STATUS={_line(status)}")

    def alive(self) -> None:
        """Say that we are not hung, if it is time to. Costs nothing before."""
        if self.half_time is None:
            return
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self.half_time
            self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._where:
            return
        # A name that begins with “@” is an abstract one (unix(7)).
        where = self._where.replace("@", "\0", 1) if self._where[0] == "@" else self._where
        try:
            with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as link:
                link.settimeout(_PATIENCE)
                link.connect(where)
                link.send("\n".join(lines).encode())
        except OSError as error:
            _log.warning("systemd could not be told %s: %s", lines[0], error.strerror or error)


def _half_time(environ: Mapping[str, str]) -> float | None:
    """Return half of the watchdog's time in seconds, if it watches this process."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    mine = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    if not mine or not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    return int(microseconds) / 2_000_000


def _line(text: str) -> str:
    return " ".join(text.split())
