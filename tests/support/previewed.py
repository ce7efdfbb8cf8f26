"""``cccr-web preview`` as a subprocess, and what a browser shows of it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from support import TOP
from support.browser.devtools import DevToolsError
from support.serving import STOP_TIMEOUT, environment

if TYPE_CHECKING:
    from support.browser.devtools import Tab

# Whether the messages of the page, and the paragraphs below them, begin as expected.
_ARE_SHOWN = """expected => {
  const found = [...document.querySelectorAll(".preview-message")];
  return found.length === expected.length && found.every((message, at) =>
    message.textContent.startsWith(expected[at][0])
    && message.nextElementSibling.textContent.trim().startsWith(expected[at][1]));
}"""


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


class Live:
    """A preview with a tab; ``tree`` holds its texts."""

    def __init__(self, tree: Path, preview: PreviewProcess, tab: Tab) -> None:
        self.tree = tree
        self.address = preview.address
        self.tab = tab

    def wait_for(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        end = time.monotonic() + 30
        while True:
            with contextlib.suppress(DevToolsError):  # the page is being reloaded
                if self.tab.evaluate(f"document.readyState === 'complete' && {expression}"):
                    return
            assert time.monotonic() < end, f"{expression}: {self._shown()}"
            time.sleep(0.05)

    def _shown(self) -> object:
        """Return the messages, each with what is below it."""
        each = "one => [one.innerText, one.nextElementSibling?.innerText]"
        shown = 'document.querySelectorAll(".preview-message, .preview-bar")'
        return self.tab.evaluate(f"[...{shown}].map({each})")

    def errors(self) -> list[object]:
        """Return what the browser's console shows."""
        return [
            *self.tab.received("Log.entryAdded", "Runtime.exceptionThrown", "Audits.issueAdded")
        ]

    def wait_for_messages(self, *expected: tuple[str, str]) -> None:
        """Wait until the page has exactly these: how each begins, and how what is below begins."""
        self.wait_for(f"({_ARE_SHOWN})({json.dumps(expected)})")
