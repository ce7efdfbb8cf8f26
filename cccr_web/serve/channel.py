"""One connection: answered in the loop itself, with a time limit for all that it does.

Every answer is a look-up, so there are no threads to hand a request to and to wait for.
waitress counts idle time only: who sends or reads a byte now and then stays for ever.
"""

from __future__ import annotations

import logging
import socket
import struct
import sys
import time
from typing import Any

from waitress.buffers import ReadOnlyFileBasedBuffer
from waitress.channel import ClientDisconnected, HTTPChannel

from cccr_web.serve.request import Request
from cccr_web.serve.task import LastTask, Refusal, Task

_log = logging.getLogger(__name__)

# Seconds for a whole head, from the opening or its first byte; Tor's worst lines need 5.
HEAD_SECONDS = 10.0
# Seconds that a connection may wait for a further request.
IDLE_SECONDS = 20.0
# Seconds for an answer, whatever its size, and bytes a second that a reader must take.
ANSWER_SECONDS = 30.0
ANSWER_RATE = 1024

# Where there is no more room: seconds in which who has come may ask, and an answer begin
# to move; and bytes a second below which an answer is held rather than read.
GRACE_SECONDS = 5.0
HELD_RATE = 4096

_RESET = struct.pack("ii", 1, 0)


class Channel(HTTPChannel):  # type: ignore[misc]  # it has no types
    """A connection. ``until`` is when it is closed, on the monotonic clock.

    ``since`` is when it last did something whole: opened, or took an answer. Only one
    answer is under way at a time, however many requests are sent together.
    """

    task_class = Task
    error_task_class = Refusal
    parser_class = Request

    def __init__(self, *args: Any, **settings: Any) -> None:
        self._opened = self.since = time.monotonic()
        self.until = self.since + HEAD_SECONDS
        self._answer_since = self.since
        self._answer_left = 0
        super().__init__(*args, **settings)

    @property
    def answering(self) -> bool:
        """Whether an answer is on its way."""
        return bool(self.total_outbufs_len)

    @property
    def asking(self) -> bool:
        """Whether a part of a request has come."""
        return self.request is not None

    @property
    def is_new(self) -> bool:
        """Whether it has had no answer yet."""
        return self.since == self._opened

    def last_call(self) -> None:
        """Close after the answer to the last request that has come, or comes soon."""
        self.task_class = LastTask

    def worth(self, now: float) -> tuple[int, float]:
        """Return what to sort by where room is needed; the least goes first.

        Those who wait without asking, or hold an answer and hardly read it, go before who
        has only just come, and he before an answer that moves; each time the oldest first.
        """
        if not self.answering:
            return int(now - self.since <= GRACE_SECONDS), self.since
        lasted = now - self._answer_since
        held = self._answer_left - self.total_outbufs_len < HELD_RATE * lasted
        return 0 if held and lasted > GRACE_SECONDS else 2, self._answer_since

    def handle_read(self) -> None:
        """Read, and answer what is whole."""
        between = self.request is None
        super().handle_read()
        if between and self.request is not None:
            self.until = time.monotonic() + HEAD_SECONDS
        self._answer()

    def handle_write(self) -> None:
        """Go on with an answer; once it is out, begin with the next."""
        answering = self.total_outbufs_len
        super().handle_write()
        if self.connected and answering > self.total_outbufs_len == 0:
            self._rest()
            self._answer()

    def handle_error(self) -> None:
        """Close after an error of our own; waitress would log the reader's address."""
        error = sys.exc_info()[0]
        _log.error("A connection failed: %s", error.__name__ if error else "unknown")
        self.handle_close()

    def _answer(self) -> None:
        while self.requests and self.connected and not (self.answering or self.close_when_flushed):
            self.service()
            left = self.total_outbufs_len
            if left:
                self._answer_since, self._answer_left = time.monotonic(), left
                self.until = time.monotonic() + ANSWER_SECONDS + left / ANSWER_RATE
            else:
                self._rest()

    def _rest(self) -> None:
        self.since = time.monotonic()
        self.until = self.since + (IDLE_SECONDS if self.request is None else HEAD_SECONDS)

    def cut(self) -> None:
        """Close at once; what the kernel still holds for a reader who does not read is dropped."""
        if self.connected:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.handle_close()

    def send_ready(self, head: bytes, body: bytes | memoryview) -> None:
        """Send an answer in one piece; what does not go out now is kept without a copy."""
        try:
            sent = self.socket.sendmsg((head, body))
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.will_close = True
            raise ClientDisconnected from error
        whole = len(head) + len(body)
        if sent < whole:
            self._keep(head, body, sent)

    def _keep(self, head: bytes, body: bytes | memoryview, sent: int) -> None:
        if sent < len(head):
            self.write_soon(head[sent:])
        rest = memoryview(body)[max(sent - len(head), 0) :]
        if rest:
            self.write_soon(_Rest(rest))


class _Rest(ReadOnlyFileBasedBuffer):  # type: ignore[misc]  # it has no types
    """What is left of a body: a view of the release's own bytes (waitress would copy them)."""

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
        """Leave out what was sent."""
        del allow_prune
        self._view = self._view[numbytes:]
        self.remain = len(self._view)

    def close(self) -> None:
        """Let go of the bytes."""
        self._view = memoryview(b"")
        self.remain = 0
