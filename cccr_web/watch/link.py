"""HTTP/1.1 to one address, over TLS or through a SOCKS proxy, within a budget.

Every byte that comes passes the budget, those of headers too, so an address can
neither hold us up nor flood us. Redirects are not followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cccr_web.errors import ProxyError
from cccr_web.watch.address import Address
from cccr_web.watch.budget import Budget, SpentError
from cccr_web.watch.road import Road

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PIECE: Final = 64 * 1024

# A connection that failed is made anew once: tor loses one in 150. One that was kept
# does not count: a server may close it just when we use it.
_TRIES: Final = 2


class UnreachableError(Exception):
    """No whole answer came; says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. ``body`` is empty where it was not asked to be kept.

    ``too_long``: the body has more bytes than it may have; it was not read further.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    sha256: str
    body: bytes
    too_long: bool

    def header(self, name: str) -> str | None:
        """Return the first header of this name, given in lower case."""
        return next((value for key, value in self.headers if key.lower() == name), None)


class Link:
    """A connection that is kept for the next request. For one thread at a time."""

    def __init__(self, address: Address, budget: Budget, road: Road) -> None:
        self._address = address
        self._budget = budget
        self._road = road
        self._http: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Hang up."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def get(self, target: str, limit: int, *, keep: bool = False) -> Reply:
        """Fetch ``target``, a path, with at most ``limit`` bytes. Raises ``UnreachableError``."""
        for left in reversed(range(_TRIES + (self._http is not None))):
            try:
                return self._get(target, limit, keep=keep)
            except SpentError as error:
                raise UnreachableError(str(error)) from error
            except TimeoutError as error:
                raise UnreachableError(self._budget.why_late()) from error
            except ssl.SSLCertVerificationError as error:
                raise UnreachableError(f"its certificate: {error.verify_message}") from error
            except (OSError, http.client.HTTPException, ProxyError) as error:
                if not left:
                    raise UnreachableError(_reason(error)) from error
        raise AssertionError

    def _get(self, target: str, limit: int, *, keep: bool) -> Reply:
        connection, self._http = self._http or self._connect(), None
        with contextlib.ExitStack() as undo:
            undo.callback(connection.close)
            connection.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", self._address.netloc)
            connection.putheader("Accept-Encoding", "identity")
            connection.endheaders()
            with connection.getresponse() as response:
                reply = _read(response, limit, keep=keep)
            if not reply.too_long and connection.sock is not None:
                undo.pop_all()
                self._http = connection
            return reply

    def _connect(self) -> http.client.HTTPConnection:
        address = self._address
        connection = http.client.HTTPConnection(address.host, address.port)
        # Or it would connect by itself, past the proxy.
        connection.auto_open = 0
        link = self._road.connect(address, self._budget.patience)
        connection.sock = _Metered(link, self._budget)
        return connection


def ask(
    address: Address, road: Road, budget: Budget, sent: bytes, *, most: int, method: str = "GET"
) -> Reply:
    """Send exact bytes on a connection of their own, and return the one answer with its body.

    ``method`` is the request's, by which the answer is read. Raises ``UnreachableError``.
    """
    try:
        with contextlib.closing(_Metered(road.connect(address, budget.patience), budget)) as link:
            link.sendall(sent)
            # It takes anything that can make a file of itself.
            response = http.client.HTTPResponse(link, method=method)  # type: ignore[arg-type]
            with response:
                response.begin()
                return _read(response, most, keep=True)
    except SpentError as error:
        raise UnreachableError(str(error)) from error
    except TimeoutError as error:
        raise UnreachableError(budget.why_late()) from error
    except ssl.SSLCertVerificationError as error:
        raise UnreachableError(f"its certificate: {error.verify_message}") from error
    except (OSError, http.client.HTTPException, ProxyError) as error:
        raise UnreachableError(_reason(error)) from error


def _read(response: http.client.HTTPResponse, limit: int, *, keep: bool) -> Reply:
    digest, size, pieces = hashlib.sha256(), 0, []
    while size <= limit and (piece := response.read(_PIECE)):
        digest.update(piece)
        size += len(piece)
        if keep:
            pieces.append(piece)
    if size <= limit and response.length:
        # Of a chunked body http.client tells that itself.
        raise http.client.IncompleteRead(b"", response.length)
    headers = tuple((name, value.strip()) for name, value in response.getheaders())
    too_long = size > limit
    return Reply(response.status, headers, digest.hexdigest(), b"".join(pieces), too_long)


def _reason(error: Exception) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return "it hung up in the middle"
    if isinstance(error, http.client.RemoteDisconnected):
        return "it hung up"
    if isinstance(error, http.client.HTTPException):
        return f"it does not speak HTTP ({type(error).__name__})"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)


class _Metered:
    """A socket as ``http.client`` uses it: each read has its time limit and is counted."""

    def __init__(self, link: socket.socket, budget: Budget) -> None:
        self._link = link
        self._budget = budget

    def makefile(self, *_: Any) -> io.BufferedReader:
        return io.BufferedReader(_Stream(self._link, self._budget))

    def sendall(self, data: bytes) -> None:
        self._link.settimeout(self._budget.patience())
        self._link.sendall(data)

    def close(self) -> None:
        self._link.close()


class _Stream(io.RawIOBase):
    def __init__(self, link: socket.socket, budget: Budget) -> None:
        self._link = link
        # It holds the socket open until the response is read, as http.client expects.
        self._raw = link.makefile("rb", buffering=0)
        self._budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._link.settimeout(self._budget.patience())
        count = self._raw.readinto(buffer) or 0
        self._budget.spend(count)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
