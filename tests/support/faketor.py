"""A control port with scripted answers, for a tor that cannot be installed: old or malicious."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from typing import TYPE_CHECKING

from cccr_web.listen import Tcp
from cccr_web.onion import ControlAddress

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def fake_tor(answers: dict[str, str]) -> Iterator[tuple[ControlAddress, list[str]]]:
    """Answer each command by the first pattern that matches; yield address and commands."""
    received: list[str] = []

    def serve() -> None:
        request, _ = listener.accept()
        with request, request.makefile("rw", newline="\r\n") as stream:
            for line in stream:
                received.append(line.strip())
                matching = (text for pattern, text in answers.items() if re.match(pattern, line))
                stream.write(next(matching, "250 OK\n"))
                stream.flush()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield Tcp("127.0.0.1", listener.getsockname()[1]), received
        finally:
            thread.join(5)
