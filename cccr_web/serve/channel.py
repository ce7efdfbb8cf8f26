"""One connection: requests are answered in the event loop, and every step has a time limit.

Each response is a dictionary lookup, so no worker threads are needed. waitress's own
time limit counts idle time only, so a client that sends or reads a byte now and then would
stay connected for ever.
"""

from __future__ import annotations

import array
import fcntl
import logging
import socket
import struct
import sys
import termios
import time
from typing import Any

from waitress.buffers import ReadOnlyFileBasedBuffer
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask

from cccr_web.serve.parser import StrictRequestParser
from cccr_web.serve.response import Answer, HeadMemo

_log = logging.getLogger(__name__)

# Seconds for a complete request head, from the opening of the connection or the head's first
# byte; Tor's slowest circuits need 5.
_HEAD_SECONDS = 10.0
# Seconds that a connection may wait for another request.
_KEEP_ALIVE_SECONDS = 20.0
# Seconds for a response of any size, and the bytes a second that a client must read.
_RESPONSE_SECONDS = 30.0
_RESPONSE_RATE = 1024

# At the connection limit: seconds that a new connection has for its request and a response
# has to get moving, and the bytes a second below which a response counts as stalled.
_GRACE_SECONDS = 5.0
_STALLED_RATE = 4096

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class PreparedTask(WSGITask):  # type: ignore[misc]  # it has no types
    """Sends the app's response, with today's date."""

    def execute(self) -> None:
        """Send the response."""
        # waitress writes the rare HTTP/1.0 responses.
        if self.version != "1.1":
            super().execute()
            return
        app = self.channel.server.app  # once: a reload may replace it meanwhile
        prepared = app.lookup(self.get_environment())
        self.complete = self.wrote_header = True
        request = self.request
        # A list of options (RFC 9110, section 7.6.1).
        options = request.headers.get("CONNECTION", "").lower().split(",")
        self.close_on_finish = "close" in map(str.strip, options)
        head_only = request.command == "HEAD"
        answer = Answer(prepared, head_only=head_only, close=self.close_on_finish)
        self.channel.remember(answer, app.memo)
        self.channel.send_answer(answer)

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment with the path as it was sent.

        waitress removes slashes at its beginning, so that a page would have many addresses.
        """
        environ: dict[str, Any] = super().get_environment()
        environ["PATH_INFO"] = self.request.path
        return environ


class ClosingTask(PreparedTask):
    """Sends a response during shutdown; the last one on its connection closes it."""

    def execute(self) -> None:
        """Send the response, and close unless more requests have already arrived."""
        if not self.channel.has_unread:
            self.request.headers["CONNECTION"] = "close"
        self.channel.forget_head()
        super().execute()


class EmptyErrorTask(ErrorTask):  # type: ignore[misc]  # it has no types
    """Sends waitress's own errors, for requests that are malformed or too large for the app.

    waitress would repeat parts of the request and send none of the policy's headers.
    """

    def execute(self) -> None:
        """Send the status and the policy's headers, and close."""
        error = self.request.error
        self.status = f"{error.code} {error.reason}"
        self.response_headers.extend(self.channel.server.app.error_headers)
        self.set_close_on_finish()
        self.content_length = 0
        self.write(b"")


class Channel(HTTPChannel):  # type: ignore[misc]  # it has no types
    """A connection, which is closed at ``deadline`` (monotonic clock).

    ``idle_since`` is when it was opened or its last response was sent. In each turn of the
    event loop a connection gets at most one response, so that none that pipelines requests
    delays the others.
    """

    task_class = PreparedTask
    error_task_class = EmptyErrorTask
    parser_class = StrictRequestParser
    request: StrictRequestParser | None

    def __init__(self, *args: Any, **settings: Any) -> None:
        self._opened = self.idle_since = time.monotonic()
        self.deadline = self.idle_since + _HEAD_SECONDS
        self._response_began = self.idle_since
        self._response_size = 0
        # When a client that reads fast enough has the whole response.
        self._read_by = self.idle_since
        # Pipelined bytes, of later requests.
        self._unread = b""
        # The head that is being answered, if it arrived at once and alone.
        self._head = b""
        super().__init__(*args, **settings)

    @property
    def is_sending(self) -> bool:
        """Whether a part of a response is still to be sent."""
        return bool(self.total_outbufs_len)

    @property
    def is_receiving(self) -> bool:
        """Whether a part of a request has arrived."""
        return self.request is not None or self.has_unread

    @property
    def has_unread(self) -> bool:
        """Whether bytes of a later request have arrived."""
        return bool(self._unread)

    @property
    def is_new(self) -> bool:
        """Whether no response has been sent yet."""
        return self.idle_since == self._opened

    def close_after_last_request(self) -> None:
        """Close after the response to the last request that has arrived or is next."""
        self.task_class = ClosingTask

    def eviction_order(self, now: float) -> tuple[int, float]:
        """Return the sort key at the connection limit; the smallest are closed first.

        First come connections that wait without a request and stalled responses, then new
        connections, then responses that are being read; within each group the oldest first.
        """
        if not self.is_sending:
            return int(now - self.idle_since <= _GRACE_SECONDS), self.idle_since
        seconds = now - self._response_began
        stalled = self._response_size - self.total_outbufs_len < _STALLED_RATE * seconds
        return 0 if stalled and seconds > _GRACE_SECONDS else 2, self._response_began

    def readable(self) -> bool:
        """Whether to read: not before the bytes that have arrived are answered."""
        waits = self._unread or self.requests or self.total_outbufs_len
        return not (waits or self.close_when_flushed or self.will_close)

    def writable(self) -> bool:
        """Whether there is something to send; requests that have arrived wait for their turn."""
        waits = self._unread or self.total_outbufs_len
        return bool(waits or self.close_when_flushed or self.will_close)

    def handle_read(self) -> None:
        """Read, and answer a complete request."""
        try:
            data = self.socket.recv(self.adj.recv_bytes)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:  # the client has closed the connection
            self.handle_close()
            return
        idle = self.request is None
        if idle and (answer := self._known(data)) is not None:
            self.send_answer(answer)
            self.close_when_flushed = answer.close
            self._begin_response()
            return
        self.received(data)
        if idle and self.request is not None:
            self.deadline = time.monotonic() + _HEAD_SECONDS
        self._head = data if idle and not self._unread else b""
        self._answer()

    def _known(self, head: bytes) -> Answer | None:
        """Return the answer to a head that was answered before, except during shutdown."""
        if self.task_class is not PreparedTask:
            return None
        found: Answer | None = self.server.app.memo.get(head)
        return found

    def handle_write(self) -> None:
        """Continue a response; once it is sent, answer the next request."""
        pending = self.total_outbufs_len
        super().handle_write()
        if not self.connected or self.total_outbufs_len:
            return
        if pending:
            self._finish_response()
        if self._unread:
            self.received(b"")
            if self.request is not None:
                self.deadline = time.monotonic() + _HEAD_SECONDS
            self._answer()

    def received(self, data: bytes) -> None:
        """Parse one request, and leave the bytes after it for the next turn."""
        self._unread += data
        if self.close_when_flushed or self.will_close:
            self._unread = b""
        if not self._unread:
            return
        if self.request is None:
            self.request = self.parser_class(self.adj)
        self._unread = self._unread[self.request.received(self._unread) :]
        if self.request.completed:
            if not self.request.empty:
                self.requests.append(self.request)
            self.request = None

    def handle_error(self) -> None:
        """Close after an internal error; waitress would log the client's address."""
        error = sys.exc_info()[0]
        _log.error("A connection failed: %s", error.__name__ if error else "unknown")
        self.handle_close()

    def _answer(self) -> None:
        if not self.requests or not self.connected:
            return
        self.service()
        self._head = b""
        if self.close_when_flushed:
            self._unread = b""
        self._begin_response()

    def _begin_response(self) -> None:
        """Set the deadline of a response, of which at least a part was sent."""
        pending = self.total_outbufs_len
        if pending:
            self._response_began, self._response_size = time.monotonic(), pending
            self.deadline = time.monotonic() + _RESPONSE_SECONDS + pending / _RESPONSE_RATE
        else:
            self._finish_response()

    def _finish_response(self) -> None:
        self.idle_since = time.monotonic()
        self.deadline = self.idle_since + (
            _KEEP_ALIVE_SECONDS if self.request is None else _HEAD_SECONDS
        )

    def expire(self, now: float) -> None:
        """Close after the deadline, unless the client still reads what the kernel has taken."""
        if not self.is_receiving and now < self._read_by and _unacknowledged(self.socket):
            self.deadline = self._read_by
        else:
            self.reset()

    def reset(self) -> None:
        """Close at once, and drop the bytes that the kernel holds for the client."""
        if self.connected:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.handle_close()

    def remember(self, answer: Answer, memo: HeadMemo) -> None:
        """Remember the answer to the current request, if its head arrived at once and alone."""
        if self._head and not answer.for_one:
            memo.add(self._head, answer)

    def forget_head(self) -> None:
        """Do not remember the answer to the current request."""
        self._head = b""

    def send_answer(self, answer: Answer) -> None:
        """Send a response in one system call; the rest is buffered without a copy."""
        pieces = answer.head(self.server.http_date(time.time())), answer.body
        length = len(pieces[0]) + len(pieces[1])
        self._read_by = time.monotonic() + _RESPONSE_SECONDS + length / _RESPONSE_RATE
        try:
            sent = self.socket.sendmsg(pieces)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.will_close = True
            return
        if sent == length:
            return
        for piece in pieces:
            if sent < len(piece):
                self.write_soon(_BodyBuffer(memoryview(piece)[sent:]))
            sent = max(sent - len(piece), 0)


def _unacknowledged(connection: socket.socket) -> int:
    """Return the bytes that the kernel holds because the client has not read them (tcp(7))."""
    count = array.array("i", [0])
    fcntl.ioctl(connection, termios.TIOCOUTQ, count)  # SIOCOUTQ has the same number
    return count[0]


class _BodyBuffer(ReadOnlyFileBasedBuffer):  # type: ignore[misc]  # it has no types
    """The unsent rest of a body: a view of the release's own bytes (waitress would copy them)."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self.remain = len(view)

    def __len__(self) -> int:
        return len(self._view)

    def get(self, numbytes: int = -1, skip: bool = False) -> memoryview:
        """Return the next bytes."""
        del skip
        return self._view if numbytes < 0 else self._view[:numbytes]

    def skip(self, numbytes: int, allow_prune: int = 0) -> None:
        """Drop bytes that were sent."""
        del allow_prune
        self._view = self._view[numbytes:]
        self.remain = len(self._view)

    def close(self) -> None:
        """Release the view."""
        self._view = memoryview(b"")
        self.remain = 0
