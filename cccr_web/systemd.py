"""The interface to systemd: sockets passed to the service, and notifications about its state.

Implements sd_listen_fds(3), sd_notify(3) and sd_watchdog_enabled(3). Without systemd no
socket is passed and no notification is sent.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Mapping
from typing import Final

from cccr_web.errors import CccrError, counted

_FIRST: Final = 3  # SD_LISTEN_FDS_START
_SEND_SECONDS: Final = 1.0

_log = logging.getLogger(__name__)


def take(name: str, environ: Mapping[str, str] = os.environ) -> socket.socket:
    """Return the listening socket that systemd passes under ``name``.

    ``name`` is the ``FileDescriptorName=`` of its socket unit. systemd keeps the socket open,
    so clients can connect even after this copy is closed. Raises ``CccrError``.
    """
    found = [number for number, passed in _passed(environ) if passed == name]
    if len(found) != 1:
        passed = counted(len(found), "socket") if found else "no socket"
        raise CccrError(
            f"systemd passed {passed} named “{name}”.",
            "Start the service from a socket unit with one ListenStream= "
            f"and FileDescriptorName={name}.",
        )
    try:
        taken = socket.socket(fileno=found[0])
    except OSError:
        taken = None
    if taken is None or not taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        if taken is not None:
            taken.close()
        raise CccrError(
            f"The descriptor “{name}” from systemd is not a listening socket.",
            "Set ListenStream= and Accept=no in its socket unit.",
        )
    taken.set_inheritable(False)
    return taken


def _passed(environ: Mapping[str, str]) -> list[tuple[int, str]]:
    """Return number and name of each descriptor that was passed to this process."""
    count, pid = environ.get("LISTEN_FDS", ""), environ.get("LISTEN_PID", "")
    if not count.isdecimal() or pid != str(os.getpid()):
        return []
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    return list(zip(range(_FIRST, _FIRST + int(count)), names, strict=False))


class SystemdNotifier:
    """Sends the service's state to systemd, if systemd has asked for it.

    ``half_time`` is half of the unit's ``WatchdogSec=`` in seconds, within which ``alive``
    must be called again; ``None`` without a watchdog.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self.half_time = _half_time(environ) if self._address else None
        self._next = 0.0

    @property
    def asked(self) -> bool:
        """Whether systemd waits for notifications (``Type=notify``)."""
        return bool(self._address)

    def ready(self, status: str) -> None:
        """Report that the start or the reload is complete."""
        self._send("READY=1", f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """Report that a reload begins; ``ready`` must follow."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report that the service stops."""
        self._send("STOPPING=1", "STATUS=Stopping.")

    def status(self, status: str) -> None:
        """Set the status line of ``systemctl status``."""
        self._send(f"STATUS={_line(status)}")

    def alive(self) -> None:
        """Send the watchdog's message if one is due."""
        if self.half_time is None:
            return
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self.half_time
            self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        # “@” begins the name of an abstract socket (unix(7)).
        address = self._address
        if address.startswith("@"):
            address = f"\0{address[1:]}"
        try:
            with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as link:
                link.settimeout(_SEND_SECONDS)
                link.connect(address)
                # A path in a message may have bytes that are not UTF-8.
                link.send("\n".join(lines).encode(errors="backslashreplace"))
        except OSError as error:
            _log.warning(
                "systemd could not be notified of %s: %s", lines[0], error.strerror or error
            )


def _half_time(environ: Mapping[str, str]) -> float | None:
    """Return half of the watchdog's interval in seconds, if it watches this process."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    mine = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    if not mine or not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    return int(microseconds) / 2_000_000


def _line(text: str) -> str:
    return " ".join(text.split())
