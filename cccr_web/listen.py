"""Addresses of sockets: parse them from settings and options, listen there, or connect."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import re
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cccr_web.errors import CccrError
from cccr_web.systemd import take

# sockaddr_un's sun_path on Linux, without its final NUL (unix(7)).
MAX_UNIX_PATH = 107

_BACKLOG = 1024

# The characters that systemd.socket(5) allows, without those that no name needs.
_SYSTEMD_NAME = re.compile(r"[A-Za-z0-9._@-]{1,255}")
_TCP = re.compile(r"(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})")

_REMEDIES = {
    errno.EADDRINUSE: "Another program listens there: stop it, or choose another address.",
    errno.EACCES: "Choose an address that this user may use.",
}


@dataclass(frozen=True, slots=True)
class Tcp:
    """An address of this machine and a port; with port 0 the kernel chooses one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Unix:
    """The path of a unix socket."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class SystemdSocket:
    """The ``FileDescriptorName=`` of a socket that systemd passes to the process."""

    name: str

    def __str__(self) -> str:
        return f"systemd:{self.name}"


Listen = Tcp | Unix | SystemdSocket


def parse_listen(text: str) -> Listen:
    """Parse ``HOST:PORT``, ``[IPV6]:PORT``, ``unix:PATH`` or ``systemd:NAME``.

    Raises ``ValueError``.
    """
    if text.startswith("systemd:"):
        name = text.removeprefix("systemd:")
        if _SYSTEMD_NAME.fullmatch(name) is None:
            raise ValueError(f"“{text}”: systemd: is followed by a FileDescriptorName=.")
        return SystemdSocket(name)
    if text.startswith("unix:"):
        path = Path(text.removeprefix("unix:"))
        if not path.is_absolute():
            raise ValueError(f"“{text}”: a unix socket needs an absolute path.")
        if len(os.fsencode(path)) > MAX_UNIX_PATH:
            raise ValueError(
                f"“{text}”: the path of a unix socket may be at most {MAX_UNIX_PATH} bytes long."
            )
        return Unix(path)
    match = _TCP.fullmatch(text)
    if match is None or int(match[3]) > 65535:
        raise ValueError(f"“{text}” is not HOST:PORT, unix:/PATH or systemd:NAME.")
    return Tcp(match[1] or match[2], int(match[3]))


@contextlib.contextmanager
def listening(where: Listen, *, unix_only: bool = False) -> Iterator[socket.socket]:
    """Open a listening socket; at the end close it, and remove a unix socket's path.

    The path of a socket passed by systemd stays; ``unix_only`` rejects one that is not a
    unix socket. Raises ``CccrError``.
    """
    if isinstance(where, SystemdSocket):
        with take(where.name) as passed:
            if unix_only and passed.family != socket.AF_UNIX:
                raise CccrError(
                    f"The socket “{where.name}” from systemd is not a unix socket.",
                    "The onion listens on unix sockets only: "
                    "set ListenStream= of its socket unit to a path.",
                )
            yield passed
        return
    try:
        listener = _open(where)
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "Choose another address.")
        raise CccrError(f"Cannot listen on {where}: {error.strerror}.", remedy) from error
    try:
        yield listener
    finally:
        listener.close()
        if isinstance(where, Unix):
            where.path.unlink(missing_ok=True)


def connect_to(where: Tcp | Unix, timeout: float) -> socket.socket:
    """Return a connection, on which each step may take ``timeout`` seconds. Raises ``OSError``."""
    if isinstance(where, Tcp):
        return socket.create_connection((where.host, where.port), timeout)
    with contextlib.ExitStack() as undo:
        link = undo.enter_context(socket.socket(socket.AF_UNIX))
        link.settimeout(timeout)
        link.connect(str(where.path))
        undo.pop_all()
    return link


def address_of(where: Listen, listener: socket.socket) -> str:
    """Return where ``listener`` listens: a URL, ``unix:PATH`` or ``systemd:NAME``."""
    if not isinstance(where, Tcp):
        return str(where)
    return f"http://{Tcp(where.host, listener.getsockname()[1])}/"


def _open(where: Tcp | Unix) -> socket.socket:
    """Listen there; on a unix socket for this user alone, in place of a dead server's."""
    with contextlib.ExitStack() as undo:
        if isinstance(where, Unix):
            _remove_dead_socket(where.path)
            listener = undo.enter_context(socket.socket(socket.AF_UNIX))
            previous = os.umask(0o177)
            try:
                listener.bind(str(where.path))
            finally:
                os.umask(previous)
        else:
            family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
            listener = undo.enter_context(socket.socket(family))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((where.host, where.port))
        listener.listen(_BACKLOG)
        undo.pop_all()
    return listener


def _remove_dead_socket(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise CccrError(f"{path} exists and is not a socket.", "Choose another path.")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
