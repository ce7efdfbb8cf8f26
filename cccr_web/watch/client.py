"""An HTTP/1.1 client that trusts no server: its time and bytes are limited.

Every byte that arrives counts, header bytes too, so a server can neither stall the client
nor flood it. Redirects are not followed.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import http.client
import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cccr_web.release import MAX_FILE, MAX_TOTAL
from cccr_web.serve import decompress
from cccr_web.watch.address import Address, Route

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK: Final = 64 * 1024

# How often one request waits, and the longest wait in seconds, if a server asks for it.
_MOST_WAITS: Final = 3
_LONGEST_WAIT: Final = 60.0

# A failed connection is retried once: tor loses one in 150. A reused one gets a further
# try, because a server may close it just as the next request is sent. An onion is tried again on
# a new circuit: now and then tor waits two minutes for a rendezvous that will not come.
_TRIES: Final = 2


class UnreachableError(Exception):
    """No complete response arrived; the message says why."""


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one address may use.

    ``file`` and ``total`` are bytes, by default what a file may have, and twice what a release
    may have, because some files are fetched more than once. ``idle_timeout`` is
    how many seconds may pass without a byte, ``timeout`` how many in all. ``connections``
    is how many may be open at once.
    """

    timeout: float
    file: int = MAX_FILE
    total: int = 2 * MAX_TOTAL
    idle_timeout: float = 30.0
    connections: int = 4


class RequestBudget:
    """What is left of the limits for one address. Safe to use from several threads."""

    def __init__(self, limits: RequestLimits) -> None:
        self.limits = limits
        self._ends = time.monotonic() + limits.timeout
        self._begins = 0.0
        self._bytes_left = limits.total
        self._lock = threading.Lock()

    def timeout(self) -> float:
        """Return how many seconds the next byte may take. Raises ``UnreachableError``."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise UnreachableError(f"not finished after {self.limits.timeout:g} s")
        return min(left, self.limits.idle_timeout)

    def postpone(self, seconds: float) -> bool:
        """Let no request begin before this time has passed; ``False`` if that is too long."""
        with self._lock:
            begins = time.monotonic() + seconds
            if seconds > _LONGEST_WAIT or begins >= self._ends:
                return False
            self._begins = max(self._begins, begins)
            return True

    def wait(self) -> None:
        """Wait until a request may begin."""
        time.sleep(max(0.0, self._begins - time.monotonic()))

    def spend(self, count: int) -> None:
        """Count ``count`` received bytes. Raises ``UnreachableError``."""
        with self._lock:
            self._bytes_left -= count
            if self._bytes_left < 0:
                raise UnreachableError(f"it sent more than {self.limits.total:,} bytes")


@dataclass(frozen=True, slots=True)
class Response:
    """A complete response. ``body`` is empty unless the caller asked to keep it.

    ``sha256`` and ``body`` are without the content coding. ``too_long``: the body exceeds its
    limit and was not read further.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    sha256: str
    body: bytes
    too_long: bool

    def header(self, name: str) -> str | None:
        """Return the first header with this lower-case name."""
        return next(iter(self.values(name)), None)

    def values(self, name: str) -> list[str]:
        """Return the value of each header with this lower-case name."""
        return [value for key, value in self.headers if key.lower() == name]


class HttpConnection:
    """A connection that is reused for the next request. For one thread at a time."""

    def __init__(self, address: Address, budget: RequestBudget, route: Route) -> None:
        self._address = address
        self._budget = budget
        self._route = route
        self._socket: _LimitedSocket | None = None
        self._failures = 0

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def get(
        self, target: str, limit: int, headers: Iterable[str] = (), *, keep_body: bool = False
    ) -> Response:
        """Fetch the path ``target``, at most ``limit`` bytes. Raises ``UnreachableError``.

        If the server asks for fewer requests (429 with ``Retry-After``; RFC 6585, section 4),
        all connections of this address wait, and this one asks again, a few times.
        """
        lines = f"GET {target} HTTP/1.1", f"Host: {self._address.netloc}"
        request = "\r\n".join([*lines, *headers, "", ""]).encode("ascii")
        for waits_left in reversed(range(_MOST_WAITS + 1)):
            self._budget.wait()
            response = self.send(request, limit, keep_body=keep_body)
            seconds = _retry_after(response) if waits_left else None
            if seconds is None or not self._budget.postpone(seconds):
                return response
        raise AssertionError

    def send(
        self, request: bytes, limit: int, *, method: str = "GET", keep_body: bool = True
    ) -> Response:
        """Send exactly these bytes and return the response. Raises ``UnreachableError``.

        ``method`` is the request's; the response to HEAD has no body.
        """
        for tries_left in reversed(range(_TRIES + (self._socket is not None))):
            try:
                return self._send(request, limit, method, keep_body=keep_body)
            except TimeoutError as error:
                self._failures += 1
                self._budget.timeout()
                if tries_left and self._address.is_onion:
                    continue
                idle = self._budget.limits.idle_timeout
                raise UnreachableError(f"no byte arrived for {idle:g} s") from error
            except ssl.SSLCertVerificationError as error:
                raise UnreachableError(f"its certificate: {error.verify_message}") from error
            except (OSError, http.client.HTTPException) as error:
                self._failures += 1
                if not tries_left:
                    raise UnreachableError(_reason(error)) from error
        raise AssertionError

    def _send(self, request: bytes, limit: int, method: str, *, keep_body: bool) -> Response:
        connection, self._socket = self._socket, None
        if connection is None:
            circuit = f"failure {self._failures}" if self._failures else ""
            plain = self._route.connect(self._address, self._budget.timeout, circuit)
            connection = _LimitedSocket(plain, self._budget)
        with contextlib.ExitStack() as undo:
            undo.callback(connection.close)
            connection.sendall(request)
            # It accepts any object with ``makefile``.
            raw = http.client.HTTPResponse(connection, method=method)  # type: ignore[arg-type]
            with raw:
                raw.begin()
                response = _read(raw, limit, keep_body=keep_body)
            if not response.too_long and not raw.will_close:
                undo.pop_all()
                self._socket = connection
            return response


def _retry_after(response: Response) -> float | None:
    """Return how many seconds a server wants to be left alone (RFC 9110, section 10.2.3)."""
    text = response.header("retry-after") or ""
    if response.status != http.HTTPStatus.TOO_MANY_REQUESTS:
        return None
    if re.fullmatch("[0-9]{1,9}", text):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _read(raw: http.client.HTTPResponse, limit: int, *, keep_body: bool) -> Response:
    if raw.headers.defects:
        # http.client passes over all lines after such a line. Browsers read them.
        raise UnreachableError("a line of its headers is malformed and may hide others")
    digest, size, kept = hashlib.sha256(), 0, []
    try:
        for piece in decompress(raw.getheader("Content-Encoding"), _chunks(raw)):
            digest.update(piece)
            size += len(piece)
            if size > limit:
                break
            if keep_body:
                kept.append(piece)
    except ValueError as error:
        raise UnreachableError(str(error)) from error
    headers = tuple((name, value.strip()) for name, value in raw.getheaders())
    return Response(raw.status, headers, digest.hexdigest(), b"".join(kept), size > limit)


def _chunks(raw: http.client.HTTPResponse) -> Iterator[bytes]:
    while chunk := raw.read(_CHUNK):
        yield chunk
    if raw.length:
        # http.client raises this itself only for chunked bodies.
        raise http.client.IncompleteRead(b"", raw.length)


def _reason(error: OSError | http.client.HTTPException) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return "it closed the connection before the end of the response"
    if isinstance(error, http.client.RemoteDisconnected):
        return "it closed the connection"
    if isinstance(error, http.client.HTTPException):
        return f"it does not speak HTTP ({type(error).__name__})"
    return error.strerror or str(error)


class _LimitedSocket:
    """A socket as ``http.client`` uses it: each read has a time limit and is counted."""

    def __init__(self, plain: socket.socket, budget: RequestBudget) -> None:
        self._socket = plain
        self._budget = budget

    def makefile(self, *_: Any) -> io.BufferedReader:
        return io.BufferedReader(_LimitedReader(self._socket, self._budget))

    def sendall(self, data: bytes) -> None:
        self._socket.settimeout(self._budget.timeout())
        self._socket.sendall(data)

    def close(self) -> None:
        self._socket.close()


class _LimitedReader(io.RawIOBase):
    def __init__(self, plain: socket.socket, budget: RequestBudget) -> None:
        self._socket = plain
        # Keeps the socket open until the response is read, as http.client expects.
        self._raw = plain.makefile("rb", buffering=0)
        self._budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._socket.settimeout(self._budget.timeout())
        count = self._raw.readinto(buffer) or 0
        self._budget.spend(count)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
