"""One authenticated connection to tor's control port or socket (tor's control-spec).

The only module that imports ``stem``, which is no longer developed. It uses stem's message
and descriptor parsers, cookie authentication and reader thread. The sockets are our own:
stem's have no timeout and stay open when a connection fails.
"""

from __future__ import annotations

import contextlib
import queue
import re
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import stem
import stem.connection
import stem.response
from stem.connection import AuthMethod
from stem.control import BaseController, State
from stem.descriptor.hidden_service import HiddenServiceDescriptorV3
from stem.socket import ControlSocket

from cccr_web.errors import (
    CommandRejectedError,
    ControlForeignError,
    ControlLostError,
    ControlMissingError,
    OnionError,
)
from cccr_web.listen import MAX_UNIX_PATH, Tcp, Unix, connect_to, parse_listen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ControlAddress = Tcp | Unix

REPLY_TIMEOUT: Final = 5.0  # seconds; tor replies in milliseconds, or hangs
POLL: Final = 0.2  # seconds

_LOCALHOST: Final = "127.0.0.1"

_AUTH_METHODS: Final = (AuthMethod.NONE, AuthMethod.SAFECOOKIE, AuthMethod.COOKIE)

# ADD_ONION has no quoting: a space ends an argument, a comma ends a port (control-spec, 3.27).
_UNQUOTED_PATH: Final = re.compile(r"/[A-Za-z0-9._/@%+:~=-]*")


def check_socket_path(path: Path) -> Path:
    """Return ``path`` if tor can use a unix socket there; raise ``OnionError`` otherwise."""
    if len(bytes(path)) > MAX_UNIX_PATH:
        raise OnionError(
            f"The path {path} is too long for a unix socket (at most {MAX_UNIX_PATH} bytes).",
            "Choose a shorter folder.",
        )
    if not _UNQUOTED_PATH.fullmatch(str(path)):
        raise OnionError(
            f"Tor cannot use the path {str(path)!r}.",
            "Use an absolute path that contains only letters, digits and ./-_ (no spaces).",
        )
    return path


def parse_control_address(text: str) -> ControlAddress:
    """Read ``/path``, ``unix:/path``, ``PORT`` or ``HOST:PORT``. Raises ``OnionError``."""
    if text.startswith(("/", "unix:/")):
        return Unix(check_socket_path(Path(text.removeprefix("unix:"))))
    with contextlib.suppress(ValueError):
        where = parse_listen(f"{_LOCALHOST}:{text}" if text.isdecimal() else text)
        if isinstance(where, Tcp) and where.port:
            return where
    raise OnionError(
        f"{text!r} is not the address of a tor control port.",
        "Use unix:/path/to/socket, a port, or HOST:PORT.",
    )


DEFAULT_ADDRESSES: Final = (
    Unix(Path("/run/tor/control")),  # Debian
    Tcp(_LOCALHOST, 9051),  # tor's own default
    Tcp(_LOCALHOST, 9151),  # Tor Browser
)


class _Socket(ControlSocket):  # type: ignore[misc]  # stem has no types
    """A control socket over a connection that is already open."""

    def __init__(self, opened: socket.socket) -> None:
        super().__init__()
        self._opened = opened
        self.connect()

    def _make_socket(self) -> socket.socket:
        return self._opened


class _Controller(BaseController):  # type: ignore[misc]  # stem has no types
    """Stem's reader thread for a control socket, which passes on each event.

    Stem's ``Controller`` would answer from a cache after tor is dead, and take ownership of tor.
    """

    def __init__(self, control_socket: _Socket, on_event: Callable[[Any], None]) -> None:
        self._on_event = on_event
        super().__init__(control_socket, is_authenticated=True)

    def _handle_event(self, event_message: Any) -> None:
        self._on_event(event_message)


class ControlConnection:
    """An authenticated control connection; made by ``connect``, used as a context manager.

    ``lost`` is set within milliseconds when tor dies or closes the connection.
    """

    def __init__(self, control_socket: _Socket, address: ControlAddress) -> None:
        self.address = address
        self.lost = threading.Event()
        self._subscriptions: dict[str, queue.SimpleQueue[tuple[str, str]]] = {}
        self._controller = _Controller(control_socket, self._on_event)
        self._controller.add_status_listener(self._on_state, spawn=False)
        if not self._controller.is_alive():  # it was lost before the listener was added
            self.lost.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._controller.close()

    def _on_state(self, _: object, state: object, __: float) -> None:
        if state == State.CLOSED:
            self.lost.set()

    def send(self, command: str) -> Any:  # a stem ControlMessage
        """Send one command and return tor's reply, whatever its status.

        Raises ``ControlLostError`` if tor hangs up or does not reply in ``REPLY_TIMEOUT``.
        """
        timer = threading.Timer(REPLY_TIMEOUT, self.close)
        timer.daemon = True
        timer.start()
        try:
            return self._controller.msg(command)
        except stem.ControllerError as error:
            self.close()
            raise ControlLostError(
                f"Tor at {self.address} stopped answering.", "Check whether tor still runs."
            ) from error
        finally:
            timer.cancel()

    def info(self, name: str) -> str:
        """Return the answer to ``GETINFO name``, never from a cache (control-spec, 3.9).

        Raises ``CommandRejectedError`` or ``ControlLostError``.
        """
        reply = self.send(f"GETINFO {name}")
        if not reply.is_ok():
            raise CommandRejectedError(
                f"Tor does not report {name}: {reply}.", "Update tor to 0.4.7 or later."
            )
        stem.response.convert("GETINFO", reply)
        value: bytes = reply.entries[name]
        return value.decode("utf-8", "replace")

    @contextlib.contextmanager
    def service_events(self, onion: str) -> Iterator[Iterator[tuple[str, str]]]:
        """Subscribe to the descriptors of one onion address, and to the clock (control-spec, 4.1).

        The iterator yields the action and reason of each HS_DESC event, ``CLOCK_SKEW`` and its
        seconds, or two empty strings after ``POLL`` seconds without any. It raises
        ``ControlLostError``.
        """
        name = onion.removesuffix(".onion")
        received = self._subscriptions.setdefault(name, queue.SimpleQueue())
        try:
            self._subscribe()
            yield self._read_events(onion, received)
        finally:
            del self._subscriptions[name]
            with contextlib.suppress(ControlLostError):
                self._subscribe()

    def _read_events(
        self, onion: str, received: queue.SimpleQueue[tuple[str, str]]
    ) -> Iterator[tuple[str, str]]:
        while not self.lost.is_set():
            try:
                event = received.get(timeout=POLL)
            except queue.Empty:
                yield "", ""
            else:
                yield event
        raise ControlLostError(
            f"Tor at {self.address} closed the connection "
            f"while we waited for the descriptor of {onion}.",
            "Check whether tor still runs.",
        )

    def _subscribe(self) -> None:
        self.send("SETEVENTS HS_DESC STATUS_GENERAL" if self._subscriptions else "SETEVENTS")

    def _on_event(self, event: Any) -> None:  # called in stem's thread
        try:
            stem.response.convert("EVENT", event)
        except stem.ProtocolError:
            return  # an event that stem cannot parse is none of these
        for onion, received in self._subscriptions.copy().items():
            if event.type == "HS_DESC" and event.address == onion:
                received.put((event.action, event.reason or ""))
            elif event.type == "STATUS_GENERAL" and event.action == "CLOCK_SKEW":
                received.put((event.action, event.arguments.get("SKEW", "")))


def connect(address: ControlAddress | None = None) -> ControlConnection:
    """Connect and authenticate to the tor at ``address``, or at a default address.

    Uses cookie, safe cookie or no authentication, never a password. Raises
    ``ControlMissingError`` if no tor answers, ``ControlForeignError`` if another program
    does, and ``OnionError`` if tor rejects the authentication.
    """
    if address is not None:
        return _connect(address)
    for default in DEFAULT_ADDRESSES:
        with contextlib.suppress(ControlMissingError):
            return _connect(default)
    raise ControlMissingError(
        f"No tor listens for control connections at {', '.join(map(str, DEFAULT_ADDRESSES))}.",
        "Start tor with 'ControlSocket /run/tor/control' in its torrc, or give its address.",
    )


def _connect(address: ControlAddress) -> ControlConnection:
    try:
        opened = connect_to(address, REPLY_TIMEOUT)
    except PermissionError as error:
        raise OnionError(
            f"This user may not open tor's control socket {address}.",
            "Add the user to tor's group (Debian: debian-tor), and log in again.",
        ) from error
    except OSError as error:
        raise ControlMissingError(
            f"No tor listens for control connections at {address}: {error.strerror or error}.",
            "Start tor, or give the address of its control socket.",
        ) from error
    control_socket = _Socket(opened)
    try:
        _authenticate(control_socket, address)
        opened.settimeout(None)  # events can be hours apart
        return ControlConnection(control_socket, address)
    except BaseException:
        control_socket.close()
        raise


def _authenticate(control_socket: _Socket, address: ControlAddress) -> None:
    try:
        offer = stem.connection.get_protocolinfo(control_socket)
        # Only the safest method is tried. Where tor can first prove that it knows the cookie,
        # we never send it in clear: another program may listen on that port to steal it.
        best = [method for method in _AUTH_METHODS if method in offer.auth_methods][:1]
        offer.auth_methods = tuple(best) or offer.auth_methods
        stem.connection.authenticate(control_socket, protocolinfo_response=offer)
    except (stem.connection.UnreadableCookieFile, stem.connection.IncorrectCookieSize) as error:
        raise OnionError(
            f"The authentication cookie of tor at {address} cannot be read: {error}.",
            "Run this as a user who may read it (Debian: in the group debian-tor).",
        ) from error
    except (stem.connection.IncorrectCookieValue, stem.connection.AuthSecurityFailure) as error:
        raise OnionError(
            f"The cookie file of tor at {address} does not contain that tor's cookie.",
            "Restart tor, or check CookieAuthFile in its torrc.",
        ) from error
    except (stem.connection.MissingPassword, stem.connection.UnrecognizedAuthMethods) as error:
        raise OnionError(
            f"Tor at {address} requires a password.",
            "Add 'CookieAuthentication 1' to its torrc and restart it.",
        ) from error
    # IndexError: stem's PROTOCOLINFO parser raises it for a bare "250 OK".
    except (stem.ControllerError, stem.connection.AuthenticationFailure, IndexError) as error:
        raise ControlForeignError(
            f"The program at {address} does not answer like a tor control port: {error}.",
            "Use the control port (9051), not the SOCKS port (9050).",
        ) from error


def decrypt_descriptor(text: str, onion: str) -> str:
    """Return the inner text of a version 3 descriptor (rend-spec-v3, 2.5).

    Stem's own parser of the control port's answer expects version 2.
    """
    return str(HiddenServiceDescriptorV3.from_str(text.strip() + "\n").decrypt(onion))
