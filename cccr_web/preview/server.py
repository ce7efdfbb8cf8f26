"""The HTTP server of preview: loopback only, a thread for each connection, no log."""

from __future__ import annotations

import threading
from collections.abc import Callable
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

from cccr_web.errors import CccrError
from cccr_web.preview.app import PreviewApp
from cccr_web.preview.watcher import Watcher

_LOOPBACK: Final = "127.0.0.1"
_TURN: Final = 0.1  # seconds until the server notices that it is to stop


class _LoopbackServer(ThreadingMixIn, WSGIServer):
    # A page keeps its connection open for as long as it is shown, and must not keep us from ending.
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a browser that has closed its connection."""
        del request, client_address


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name there
        """Log nothing."""


# As from the release's server, no header names the program.
ServerHandler.server_software = ""


def serve_preview(
    watcher: Watcher,
    app: PreviewApp,
    port: int,
    started: Callable[[str], None],
    stop: threading.Event,
) -> None:
    """Serve until ``stop`` is set; ``started`` gets the address. Raises ``CccrError``."""
    try:
        server = _LoopbackServer((_LOOPBACK, port), _SilentHandler)
    except OSError as error:
        raise CccrError(
            f"Cannot listen on {_LOOPBACK}:{port}: {error.strerror}.", "Pass another --port."
        ) from error
    server.set_app(app)
    threads = [
        threading.Thread(target=watcher.run, args=(stop,)),
        threading.Thread(target=server.serve_forever, args=(_TURN,)),
    ]
    for thread in threads:
        thread.start()
    try:
        started(f"http://{_LOOPBACK}:{server.server_port}/")
        stop.wait()
    finally:
        stop.set()
        server.shutdown()
        for thread in threads:
            thread.join()
        server.server_close()
