"""The managed tor: a tor process that we configure, start, restart and stop."""

from __future__ import annotations

import collections
import fcntl
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from typing import IO, TYPE_CHECKING, Final

from cccr_web.errors import ControlForeignError, ControlMissingError, OnionError
from cccr_web.listen import Unix
from cccr_web.onion.bridges import PROGRAMS, read_torrc
from cccr_web.onion.control import REPLY_TIMEOUT, check_socket_path, connect

if TYPE_CHECKING:
    from pathlib import Path

    from cccr_web.onion.control import ControlConnection

_START_TIMEOUT: Final = 30.0  # seconds; mostly under one, but tor waits five for an old one
_STOP_TIMEOUT: Final = 5.0  # seconds between SIGTERM and SIGKILL
_START_POLL: Final = 0.05  # seconds

# They follow the extra lines, so that they override them.
_TORRC: Final = """\
DataDirectory {data}
ControlSocket {control}
CookieAuthentication 1
SocksPort {socks}
RunAsDaemon 0
Log notice stdout
__OwningControllerProcess {pid}
"""

_PROBLEM: Final = re.compile(r"\[(?:warn|err)\] (.*)")
_PORT_IN_USE: Final = re.compile(r"Could not bind to (\S+): Address already in use")
# These warnings do not say why tor exited.
_NOISE: Final = ("You are running Tor as root", "Reading config failed", "set_options()")


def find_tor(program: str = "tor") -> str:
    """Return the path of the program. Raises ``OnionError`` if it is not installed."""
    # Debian's /usr/sbin is not in every user's PATH.
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        raise OnionError(
            f"The program {program!r} is not installed.", "Install it: apt install tor"
        )
    return path


class ManagedTor:
    """A tor that lives as long as we do, with all its files in the folder ``data`` (0700).

    ``extra`` is a file of bridge lines and torrc lines. ``is_client`` gives tor a SOCKS port on
    loopback, which the kernel chooses. ``open`` starts tor, or restarts it after it died;
    ``close`` stops it. If we are killed, the kernel stops it (``setpriv --pdeathsig``, tied
    to the thread that called ``open``), or it exits by itself within 15 seconds
    (``__OwningControllerProcess``).
    """

    def __init__(
        self,
        data: Path,
        *,
        extra: Path | None = None,
        program: str = "tor",
        is_client: bool = False,
        start_timeout: float = _START_TIMEOUT,
        stop_timeout: float = _STOP_TIMEOUT,
    ) -> None:
        self.data = data.absolute()
        self.extra = extra
        self.control = Unix(check_socket_path(self.data / "control"))
        self._program = program
        self._socks = "auto" if is_client else "0"
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._process: subprocess.Popen[str] | None = None
        self._problems: collections.deque[str] = collections.deque(maxlen=10)
        self._log_reader: threading.Thread | None = None
        self._lock: IO[str] | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the running tor, or ``None``."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if self._process is not None and running else None

    def open(self) -> ControlConnection:
        """Start tor if it is not running, and connect to it.

        Raises ``OnionError``, with tor's own messages where it wrote any.
        """
        timeout = REPLY_TIMEOUT
        if self.pid is None:
            self._start()
            timeout = self._start_timeout
        deadline = time.monotonic() + timeout
        while self.pid is not None and time.monotonic() < deadline:
            try:
                return connect(self.control)
            except (ControlMissingError, ControlForeignError):
                time.sleep(_START_POLL)
        problem = self._start_failure(timeout)
        self.close()
        raise problem

    def close(self) -> None:
        """Stop tor if it is running, and unlock its folder."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)  # a stopped process ignores SIGTERM
            self._process.terminate()
            try:
                self._process.wait(self._stop_timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
            self._reap()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def exit_reason(self) -> str:
        """Say briefly why the connection to tor was lost."""
        if self._process is None:
            return "the managed tor is not running"
        try:
            # The connection closes some milliseconds before the process has exited.
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            return "the managed tor stopped answering"
        if code < 0:
            return f"the managed tor was killed by {signal.Signals(-code).name}"
        return f"the managed tor exited with status {code}"

    def _start(self) -> None:
        command = [find_tor(self._program), "--defaults-torrc", os.devnull, "-f"]
        if shutil.which("setpriv"):
            command = ["setpriv", "--pdeathsig", "TERM", *command]
        torrc = self._torrc(self._extra_lines())
        self._reap()
        command.append(str(self._prepare_folder(torrc)))
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C in a terminal must not reach tor: the service is withdrawn first.
            start_new_session=True,
        )
        self._problems.clear()
        self._log_reader = threading.Thread(target=self._read_log, args=[self._process.stdout])
        self._log_reader.start()

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None
        if self._log_reader is not None:
            self._log_reader.join()
            self._log_reader = None

    def _read_log(self, output: IO[str]) -> None:
        with output:
            for line in output:
                found = _PROBLEM.search(line)
                if found and not found[1].startswith(_NOISE):
                    self._problems.append(found[1])

    def _prepare_folder(self, torrc: str) -> Path:
        """Create and lock the folder, and write tor's configuration there; return its path."""
        path = self.data / "torrc"
        try:
            self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.data.chmod(0o700)
            if self._lock is None:
                self._lock = (self.data / "manager.lock").open("w")
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.write_text(torrc, "utf-8")
        except BlockingIOError:
            self.close()
            raise OnionError(
                f"Another process runs a tor in {self.data}.",
                "Stop it first, or use another state folder.",
            ) from None
        except OSError as error:
            self.close()
            raise OnionError(
                f"Tor cannot use the folder {self.data}: {error.strerror}.",
                "Use a folder that you own, on a disk with free space.",
            ) from error
        return path

    def _extra_lines(self) -> str:
        if self.extra is None:
            return ""
        lines = read_torrc(self.extra)
        for program in sorted(set(PROGRAMS.values())):
            if f" exec {program}\n" in lines and not shutil.which(program):
                package = program.rpartition("/")[2]
                raise OnionError(
                    f"The bridges in {self.extra} need the program {program}.",
                    f"Install it: apt install {package}",
                )
        return lines

    def _torrc(self, extra: str) -> str:
        lines = _TORRC.format(
            data=self.data, control=self.control.path, pid=os.getpid(), socks=self._socks
        )
        return f"{extra.rstrip()}\n{lines}"

    def _start_failure(self, timeout: float) -> OnionError:
        if self.pid is not None:
            return OnionError(
                f"The managed tor did not answer at its control socket within {timeout:.0f} s.",
                f"Check whether the extra torrc lines move it, or whether {self.data} is slow.",
            )
        reason = self.exit_reason()
        self._reap()
        log = " ".join(self._problems) or "nothing"
        in_use = _PORT_IN_USE.search(log)
        if in_use:
            return OnionError(
                f"The managed tor cannot listen on {in_use[1]}: another program already does.",
                f"Stop that program, or change the port in {self.extra}.",
            )
        if self.extra is not None and self._accepts("") and not self._accepts(self._extra_lines()):
            return OnionError(
                f"Tor rejects the extra torrc lines in {self.extra}. It reports: {log}",
                "Correct that file; 'man tor' explains each option.",
            )
        return OnionError(
            f"Tor did not start: {reason}. It reports: {log}", "Check that 'tor --version' works."
        )

    def _accepts(self, extra: str) -> bool:
        command = [find_tor(self._program), "--verify-config", "--defaults-torrc", os.devnull]
        torrc = self._torrc(extra).encode()
        checked = subprocess.run(
            [*command, "-f", "-"], input=torrc, capture_output=True, check=False
        )
        return checked.returncode == 0
