"""``cccr-web serve`` as a subprocess, with the options that an admin uses."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from support.hosting import wait_until
from support.signed import ServerFolder, organisation_key

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 60.0  # seconds: tests run next to each other, so a server may be slow


class Running:
    """A server on loopback whose release is ``current`` of its folder; its log is a file."""

    def __init__(
        self, server_folder: ServerFolder, *options: str, signed: bool = True, **settings: object
    ) -> None:
        self._log = server_folder.path / "log"
        self._command = [
            sys.executable,
            "-m",
            "cccr_web",
            "serve",
            "--release",
            str(server_folder.current),
        ]
        self._command += ["--clearnet", "127.0.0.1:0", *options]
        if signed:
            self._command += ["--public-key", str(organisation_key().public)]
            self._command += ["--state", str(server_folder.path / "state")]
        self._settings = {name: str(value) for name, value in settings.items()}
        self.port = 0

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **self._settings},
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("clearnet http://127.0.0.1:"), self.log
        self.port = int(line.rpartition(":")[2].strip().rstrip("/"))
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()

    @property
    def log(self) -> str:
        """What it has written to stderr."""
        return self._log.read_text()

    def connection(self) -> http.client.HTTPConnection:
        """Return a connection that is not yet open."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def get(self, path: str) -> bytes:
        """Return the body at ``path``."""
        connection = self.connection()
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def hang_up(self) -> None:
        """Send SIGHUP."""
        self.process.send_signal(signal.SIGHUP)

    def wait_for(self, words: str, times: int = 1) -> None:
        """Wait until the log holds ``words`` so many times."""
        wait_until(lambda: self.log.count(words) >= times, PATIENCE)
