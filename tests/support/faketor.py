"""A control port that speaks for a tor that cannot be had: an old one, or a wicked one."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from typing import TYPE_CHECKING

from cccr_web.onion import ControlAddress

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def fake_tor(answers: dict[str, str]) -> Iterator[tuple[ControlAddress, list[str]]]:
    """Speak for a tor that cannot be had: the first pattern that a command matches answers it."""
    heard: list[str] = []

    def serve() -> None:
        request, _ = listener.accept()
        with request, request.makefile("rw", newline="\r\n") as stream:
            for line in stream:
                heard.append(line.strip())
                found = (text for pattern, text in answers.items() if re.match(pattern, line))
                stream.write(next(found, "250 OK\n"))
                stream.flush()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield ControlAddress(port=listener.getsockname()[1]), heard
        finally:
            thread.join(5)
