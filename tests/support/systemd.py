"""A small systemd for one service: it holds sockets, starts a process, and reads sd_notify."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from support import TOP
from support.serving import STOP_TIMEOUT, environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# A process knows its id only once it runs; exec keeps the id. Sockets are first moved to high
# descriptors, so that moving them to 3 and up overwrites none.
_START = 'export LISTEN_PID=$$; exec "$@" '


class Unit:
    """``with Unit(folder, {name: socket}, words) as unit``: starts ``cccr-web words``.

    ``messages`` holds every message received, ``errors`` the service's stderr.
    """

    def __init__(
        self,
        folder: Path,
        sockets: Mapping[str, socket.socket],
        words: Sequence[str],
        *,
        watchdog: float | None = None,
        **settings: str,
    ) -> None:
        self.errors = folder / "errors"
        self.messages: list[str] = []
        self._sockets = sockets
        self._words = words
        self._path = folder / "notify"
        self._settings = {
            "NOTIFY_SOCKET": str(self._path),
            "LISTEN_FDS": str(len(sockets)),
            "LISTEN_FDNAMES": ":".join(sockets),
            **({"WATCHDOG_USEC": f"{watchdog * 1e6:.0f}"} if watchdog else {}),
            **settings,
        }

    def __enter__(self) -> Self:
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(self._path))
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        self._notify.close()
        self._path.unlink()

    def start(self) -> None:
        """Start the service, and return at once."""
        passed = [each.fileno() for each in self._sockets.values()]
        # Copied to free numbers first: a passed socket may itself have the number 3 or 4.
        free = max(passed, default=2) + 3
        aside = "".join(f" {free + index}<&{number}" for index, number in enumerate(passed))
        ours = "".join(f" {3 + index}<&{free + index}" for index in range(len(passed)))
        command = ["bash", "-c", f"{_START}{aside}{ours}", "bash", sys.executable, "-m", "cccr_web"]
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command, *self._words],
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=environment(**self._settings),
                pass_fds=passed,
                cwd=TOP,
            )

    def stop(self) -> int:
        """Stop the service as systemd does; return its exit status."""
        self.process.terminate()
        return self.process.wait(STOP_TIMEOUT)

    def suspend(self) -> None:
        """Stop the process with SIGSTOP, and return once it has stopped."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def restart(self) -> None:
        """Do what ``systemctl restart`` does: start again once the old process has ended."""
        assert self.stop() == 0, self.errors.read_text()
        self.start()

    def next_message(self, seconds: float = 10.0) -> str | None:
        """Return the next message, or ``None`` after ``seconds``."""
        self._notify.settimeout(seconds)
        try:
            message = self._notify.recv(4096).decode()
        except TimeoutError:
            return None
        self.messages.append(message)
        return message

    def wait_for(self, words: str, seconds: float = 10.0) -> str:
        """Return the next message that contains ``words``."""
        end_at = time.monotonic() + seconds
        while time.monotonic() < end_at:
            message = self.next_message(max(0.01, end_at - time.monotonic()))
            if message and words in message:
                return message
        raise AssertionError(f"{words!r} not in {self.messages}; {self.errors.read_text()}")

    def count_heartbeats(self, seconds: float) -> int:
        """Return how many heartbeats come within ``seconds``."""
        end_at = time.monotonic() + seconds
        count = 0
        while (left := end_at - time.monotonic()) > 0:
            count += self.next_message(left) == "WATCHDOG=1"
        return count


def listening_socket(path: Path) -> socket.socket:
    """Return a listening unix socket, as systemd opens it."""
    listener = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    listener.bind(str(path))
    listener.listen(1024)
    return listener


def unit_faults(files: Sequence[Path]) -> list[str]:
    """Return what systemd says of these units, all in one folder, and fail if it rejects one."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *map(str, files)],
        env={"SYSTEMD_UNIT_PATH": f"{files[0].parent}:", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
        text=True,
    )
    said = (done.stdout + done.stderr).splitlines()
    assert done.returncode == 0, said
    return [line for line in said if "cccr" in line]
