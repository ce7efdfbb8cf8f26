"""A tor of our own: its torrc, its start, its words when it fails, its end."""

from __future__ import annotations

import collections
import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from typing import IO, TYPE_CHECKING, Final

from cccr_web.errors import (
    ControlForeignError,
    ControlMissingError,
    OnionError,
)
from cccr_web.onion.control import ControlAddress, Link, connect
from cccr_web.onion.paths import check_socket_path

if TYPE_CHECKING:
    from pathlib import Path

STARTS_WITHIN: Final = 30.0  # seconds; usually under one, but tor waits five for an old one to go
ENDS_WITHIN: Final = 5.0  # seconds between asking tor to end and killing it
POLL: Final = 0.05  # seconds

# Ours come last, so that they win over the extra lines.
OUR_LINES: Final = """\
DataDirectory {data}
ControlSocket {control}
CookieAuthentication 1
SocksPort {socks}
RunAsDaemon 0
Log notice stdout
__OwningControllerProcess {pid}
"""

COMPLAINT: Final = re.compile(r"\[(?:warn|err)\] (.*)")
TAKEN: Final = re.compile(r"Could not bind to (\S+): Address already in use")
# Says nothing about why tor ended.
NOISE: Final = ("You are running Tor as root", "Reading config failed", "set_options()")


class OwnTor:
    """A tor that lives as long as we do, with all its files in the folder ``data`` (0700).

    ``extra`` is a file of further torrc lines. ``is_client`` gives it a SOCKS port on
    loopback, which the kernel chooses. ``open`` starts it, or starts it again after it
    died; ``close`` ends it. Should we be killed, the kernel ends it (``setpriv
    --pdeathsig``, which counts the thread that called ``open``), or tor itself within 15
    seconds (``__OwningControllerProcess``).
    """

    def __init__(
        self,
        data: Path,
        *,
        extra: Path | None = None,
        program: str = "tor",
        is_client: bool = False,
    ) -> None:
        self.data = data.absolute()
        self.extra = extra
        self.control = ControlAddress(path=check_socket_path(self.data / "control"))
        self._program = program
        self._socks = "auto" if is_client else "0"
        self._process: subprocess.Popen[str] | None = None
        self._complaints: collections.deque[str] = collections.deque(maxlen=10)
        self._reader: threading.Thread | None = None
        self._lock: IO[str] | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the tor that runs, or ``None``."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if self._process is not None and running else None

    def open(self) -> Link:
        """Start tor if it does not run, and connect to it.

        Raises ``OnionError``, the last three with tor's own words.
        """
        if self.pid is None:
            self._start()
        end_at = time.monotonic() + STARTS_WITHIN
        while self.pid is not None and time.monotonic() < end_at:
            try:
                return connect(self.control)
            except (ControlMissingError, ControlForeignError):
                time.sleep(POLL)
        problem = self._why_it_failed()
        self.close()
        raise problem

    def close(self) -> None:
        """End tor, and let go of its folder. Does nothing if it does not run."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)  # a stopped process takes no SIGTERM
            self._process.terminate()
            try:
                self._process.wait(ENDS_WITHIN)
            except subprocess.TimeoutExpired:
                self._process.kill()
            self._reap()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def obituary(self) -> str:
        """Say in a few words why the connection to tor was lost."""
        if self._process is None:
            return "our tor does not run"
        try:
            # The connection ends some milliseconds before the process can be asked.
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            return "our tor stopped answering"
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        return f"our tor {how}"

    def _start(self) -> None:
        command = [self._find_program(), "--defaults-torrc", os.devnull, "-f"]
        if shutil.which("setpriv"):
            command = ["setpriv", "--pdeathsig", "TERM", *command]
        extra = self._extra_lines()
        self._reap()
        self._take_folder()
        command.append(str(self._write_torrc("torrc", extra)))
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C in a terminal is for us: we take the onion down before tor ends.
            start_new_session=True,
        )
        self._complaints.clear()
        self._reader = threading.Thread(target=self._listen, args=[self._process.stdout])
        self._reader.start()

    def _find_program(self) -> str:
        # Debian has it in a folder that is not in every user's PATH.
        program = shutil.which(self._program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            raise OnionError(
                f"There is no program {self._program!r}.", "Install it: apt install tor"
            )
        return program

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None
        if self._reader is not None:
            self._reader.join()
            self._reader = None

    def _listen(self, output: IO[str]) -> None:
        with output:
            for line in output:
                found = COMPLAINT.search(line)
                if found and not found[1].startswith(NOISE):
                    self._complaints.append(found[1])

    def _take_folder(self) -> None:
        try:
            self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.data.chmod(0o700)
            if self._lock is None:
                self._lock = (self.data / "manager.lock").open("w")
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise OnionError(
                f"Another process runs a tor in {self.data}.",
                "End it first, or use another state folder.",
            ) from None
        except OSError as error:
            self.close()
            raise self._useless_folder(error) from error

    def _useless_folder(self, error: OSError) -> OnionError:
        return OnionError(
            f"The folder {self.data} for tor cannot be used: {error.strerror}.",
            "Give a folder that you own, with room on its disk.",
        )

    def _extra_lines(self) -> str:
        if self.extra is None:
            return ""
        try:
            return self.extra.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise OnionError(
                f"The extra torrc lines in {self.extra} cannot be read: {error}.",
                "Give a text file that this user may read.",
            ) from error

    def _write_torrc(self, name: str, extra: str) -> Path:
        ours = OUR_LINES.format(
            data=self.data, control=self.control.path, pid=os.getpid(), socks=self._socks
        )
        path = self.data / name
        try:
            path.write_text(f"{extra.rstrip()}\n{ours}", "utf-8")
        except OSError as error:
            self.close()
            raise self._useless_folder(error) from error
        return path

    def _why_it_failed(self) -> OnionError:
        if self.pid is not None:
            return OnionError(
                f"Our tor did not open its control socket in {STARTS_WITHIN:.0f} s.",
                f"See whether the extra torrc lines move it, or whether {self.data} is slow.",
            )
        how = self.obituary()
        self._reap()
        words = " ".join(self._complaints) or "it said nothing"
        taken = TAKEN.search(words)
        if taken:
            return OnionError(
                f"Our tor cannot listen on {taken[1]}: another program does.",
                f"End that program, or change the port in {self.extra}.",
            )
        if self.extra is not None and self._accepts("") and not self._accepts(self._extra_lines()):
            return OnionError(
                f"Tor refuses the extra torrc lines in {self.extra}. It says: {words}",
                "Correct that file; 'man tor' explains each option.",
            )
        return OnionError(
            f"Tor did not start ({how}). It says: {words}", "See whether 'tor --version' works."
        )

    def _accepts(self, extra: str) -> bool:
        torrc = self._write_torrc("torrc.check", extra)
        command = [self._find_program(), "--verify-config", "--defaults-torrc", os.devnull]
        checked = subprocess.run([*command, "-f", str(torrc)], capture_output=True, check=False)
        with contextlib.suppress(OSError):
            torrc.unlink()
        return checked.returncode == 0
