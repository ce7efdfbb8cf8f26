"""``cccr-web preview`` as a subprocess."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from support import TOP
from support.serving import STOP_TIMEOUT, environment


class PreviewProcess:
    """A preview of ``translations`` on a free port; ``address`` is its URL.

    ``prefix`` is a command that runs it.
    """

    def __init__(self, translations: Path, *options: str, prefix: Sequence[str] = ()) -> None:
        self.errors = translations.with_name("preview-errors")
        self._command = [*prefix, sys.executable, "-m", "cccr_web", "preview", "--port", "0"]
        self._command += ["--translations", str(translations), *options]

    def __enter__(self) -> Self:
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self._command],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=TOP,
                env=environment(),
            )
        assert self.process.stdout is not None
        name, _, address = self.process.stdout.readline().strip().partition(" ")
        assert name == "preview", self.errors.read_text(encoding="utf-8")
        self.address = address
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> int:
        """Stop it as Ctrl-C does; return its exit status."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(STOP_TIMEOUT)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status
