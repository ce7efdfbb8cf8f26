"""One authenticated connection to tor's control port or socket (tor's control-spec).

``stem`` is no longer developed. What is used of it is its message parser, its cookie
authentication and its reader thread; the sockets are made here, because stem's have no
time limit and stay open when a connection fails.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import stem
import stem.connection
import stem.response
from stem.connection import AuthMethod
from stem.control import BaseController, State
from stem.socket import ControlSocket

from cccr_web.errors import (
    ControlForeignError,
    ControlLostError,
    ControlMissingError,
    OnionError,
    TorRefusedError,
)
from cccr_web.onion.paths import check_socket_path

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER_WITHIN: Final = 5.0  # seconds; tor answers in milliseconds, or hangs

WAYS_IN: Final = (AuthMethod.NONE, AuthMethod.SAFECOOKIE, AuthMethod.COOKIE)


@dataclass(frozen=True, slots=True)
class ControlAddress:
    """Where tor listens for control: a unix socket's path, or a TCP host and port."""

    path: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``/path``, ``unix:/path``, ``PORT`` or ``HOST:PORT``.

        Raises ``OnionError``.
        """
        plain = text.removeprefix("unix:")
        if plain.startswith("/"):
            return cls(path=check_socket_path(Path(plain)))
        host, _, port = plain.rpartition(":")
        if not port.isdecimal() or not 0 < int(port) < 65536 or plain != text:
            raise OnionError(
                f"{text!r} is no address of a tor control port.",
                "Give unix:/path/to/socket, a port, or HOST:PORT.",
            )
        return cls(host=host.strip("[]") or "127.0.0.1", port=int(port))

    @property
    def text(self) -> str:
        """The address as ``parse`` reads it."""
        return f"unix:{self.path}" if self.path else f"{self.host}:{self.port}"


USUAL: Final = (
    ControlAddress(path=Path("/run/tor/control")),  # Debian
    ControlAddress(port=9051),  # tor by hand
    ControlAddress(port=9151),  # Tor Browser
)


class _Socket(ControlSocket):  # type: ignore[misc]  # stem has no types
    """A control socket that gives up after ``ANSWER_WITHIN`` seconds until it is patient."""

    def __init__(self, where: ControlAddress) -> None:
        super().__init__()
        self._where = where
        self._link: socket.socket | None = None
        self.connect()

    def _make_socket(self) -> socket.socket:
        try:
            self._link = self._open()
        except OSError as error:
            raise stem.SocketError(error) from error
        return self._link

    def _open(self) -> socket.socket:
        if self._where.path is None:
            host = (self._where.host, self._where.port)
            return socket.create_connection(host, timeout=ANSWER_WITHIN)
        link = socket.socket(socket.AF_UNIX)
        try:
            link.settimeout(ANSWER_WITHIN)
            link.connect(str(self._where.path))
        except BaseException:
            link.close()
            raise
        return link

    def be_patient(self) -> None:
        """Wait for ever from now on: events may come after hours."""
        if self._link is not None:
            self._link.settimeout(None)


class Link(BaseController):  # type: ignore[misc]  # stem has no types
    """An authenticated control connection; made by ``connect``, used as a context manager.

    ``lost`` is set within milliseconds when tor dies or hangs up. Stem's ``Controller`` is
    not used: it answers from a cache after tor is dead, and takes ownership of our tor.
    """

    def __init__(self, control_socket: _Socket, where: ControlAddress) -> None:
        self.where = where
        self.lost = threading.Event()
        self._watched: dict[str, queue.SimpleQueue[Any]] = {}
        super().__init__(control_socket, is_authenticated=True)
        self.add_status_listener(self._on_state, spawn=False)
        if not self.is_alive():  # it died before the listener was there
            self.lost.set()

    def _on_state(self, _: object, state: object, __: float) -> None:
        if state == State.CLOSED:
            self.lost.set()

    def ask(self, command: str) -> Any:  # a stem ControlMessage
        """Send one command and return tor's reply, whatever its status.

        Raises ``ControlLostError`` if tor hangs up or is silent for ``ANSWER_WITHIN`` seconds.
        """
        clock = threading.Timer(ANSWER_WITHIN, self.close)
        clock.daemon = True
        clock.start()
        try:
            return self.msg(command)
        except stem.ControllerError as error:
            self.close()
            raise ControlLostError(
                f"Tor at {self.where.text} stopped answering.", "See whether tor still runs."
            ) from error
        finally:
            clock.cancel()

    def info(self, name: str) -> str:
        """Return the answer to ``GETINFO name``, never from a cache (control-spec, 3.9).

        Raises ``TorRefusedError`` or ``ControlLostError``.
        """
        reply = self.ask(f"GETINFO {name}")
        if not reply.is_ok():
            raise TorRefusedError(
                f"Tor does not tell {name}: {reply}.", "Update tor: 0.4.7 or later is needed."
            )
        stem.response.convert("GETINFO", reply)
        value: bytes = reply.entries[name]
        return value.decode("utf-8", "replace")

    @contextlib.contextmanager
    def events(self, kind: str) -> Iterator[queue.SimpleQueue[Any]]:
        """Collect asynchronous events of one kind, ``"HS_DESC"`` say, as long as it is open."""
        found = self._watched.setdefault(kind, queue.SimpleQueue())
        try:
            self._subscribe()
            yield found
        finally:
            del self._watched[kind]
            with contextlib.suppress(ControlLostError):
                self._subscribe()

    def _subscribe(self) -> None:
        self.ask(" ".join(["SETEVENTS", *self._watched]))

    def _handle_event(self, event_message: Any) -> None:  # called by stem's thread
        try:
            stem.response.convert("EVENT", event_message)
        except stem.ProtocolError:
            return  # an event that stem cannot read tells us nothing
        found = self._watched.get(event_message.type)
        if found is not None:
            found.put(event_message)


def connect(where: ControlAddress | None = None) -> Link:
    """Connect and authenticate to the tor at ``where``, or at one of the ``USUAL`` places.

    Cookie, safe cookie and no authentication are used, never a password. Raises
    ``ControlMissingError``, ``OnionError``.
    """
    if where is not None:
        return _connect(where)
    for place in USUAL:
        with contextlib.suppress(ControlMissingError):
            return _connect(place)
    raise ControlMissingError(
        f"No tor listens for control at {', '.join(place.text for place in USUAL)}.",
        "Start tor with 'ControlSocket /run/tor/control' in its torrc, or say where it listens.",
    )


def _connect(where: ControlAddress) -> Link:
    try:
        link = _Socket(where)
    except stem.SocketError as error:
        if isinstance(error.__cause__, PermissionError):
            raise OnionError(
                f"We may not open tor's control socket {where.text}.",
                "Add this user to tor's group (Debian: debian-tor), and log in again.",
            ) from error
        raise ControlMissingError(
            f"No tor listens for control at {where.text}: {error}.",
            "Start tor, or say where its control socket is.",
        ) from error
    try:
        _authenticate(link, where)
        link.be_patient()
        return Link(link, where)
    except BaseException:
        link.close()
        raise


def _authenticate(link: _Socket, where: ControlAddress) -> None:
    try:
        offer = stem.connection.get_protocolinfo(link)
        # Only the best way is tried. A cookie is never sent in clear where tor can first prove
        # that it knows it: another program on that port would only have to listen.
        best = [method for method in WAYS_IN if method in offer.auth_methods][:1]
        offer.auth_methods = tuple(best) or offer.auth_methods
        stem.connection.authenticate(link, protocolinfo_response=offer)
    except (stem.connection.UnreadableCookieFile, stem.connection.IncorrectCookieSize) as error:
        raise OnionError(
            f"The cookie of tor at {where.text} cannot be read: {error}.",
            "Run this as a user who may read it (Debian: in the group debian-tor).",
        ) from error
    except (stem.connection.IncorrectCookieValue, stem.connection.AuthSecurityFailure) as error:
        raise OnionError(
            f"The cookie file of tor at {where.text} does not hold that tor's cookie.",
            "Restart tor, or see CookieAuthFile in its torrc.",
        ) from error
    except (stem.connection.MissingPassword, stem.connection.UnrecognizedAuthMethods) as error:
        raise OnionError(
            f"Tor at {where.text} wants a password.",
            "Put 'CookieAuthentication 1' into its torrc and restart it.",
        ) from error
    # IndexError: stem's reader of PROTOCOLINFO on a bare "250 OK".
    except (stem.ControllerError, stem.connection.AuthenticationFailure, IndexError) as error:
        raise ControlForeignError(
            f"What listens at {where.text} does not answer like a tor control port: {error}.",
            "A SOCKS port (9050) is no control port (9051): give the right one.",
        ) from error
