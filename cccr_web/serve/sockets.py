"""Open the sockets that the server listens on."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from cccr_web.errors import CccrError
from cccr_web.listen import Handed, Listen, Tcp, Unix
from cccr_web.systemd import take

_BACKLOG = 1024

_WAYS_OUT = {
    errno.EADDRINUSE: "Another program listens there: end it or choose another.",
    errno.EACCES: "Choose a place that this user may use.",
}


@contextlib.contextmanager
def listening(where: Listen, *, unix: bool = False) -> Iterator[socket.socket]:
    """Hold a listening socket; at the end it is closed, and a unix socket's path removed.

    What systemd hands over is systemd's: its path stays; ``unix`` says that it must be a
    unix socket. Raises ``CccrError`` with the way out.
    """
    if isinstance(where, Handed):
        with take(where.name) as handed:
            if unix and handed.family != socket.AF_UNIX:
                raise CccrError(
                    f"What systemd hands over as “{where.name}” is no unix socket.",
                    "The onion listens on one only: give its socket unit a path.",
                )
            yield handed
        return
    name = f"{where.host}:{where.port}" if isinstance(where, Tcp) else str(where.path)
    try:
        listener = _open_tcp(where) if isinstance(where, Tcp) else _open_unix(where.path)
    except OSError as error:
        way_out = _WAYS_OUT.get(error.errno or 0, "Choose another.")
        raise CccrError(f"Cannot listen on {name}: {error.strerror}.", way_out) from error
    try:
        yield listener
    finally:
        listener.close()
        if isinstance(where, Unix):
            where.path.unlink(missing_ok=True)


def _open_tcp(where: Tcp) -> socket.socket:
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((where.host, where.port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _open_unix(path: Path) -> socket.socket:
    """Listen on ``path``, for this user alone; take the place of a dead server's socket."""
    _remove_dead_socket(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        previous = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(previous)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _remove_dead_socket(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise CccrError(f"{path} is there already and is no socket.", "Choose another path.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
