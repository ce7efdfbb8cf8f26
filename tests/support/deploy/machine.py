"""A real Debian, booted with systemd in a container, in its own network.

The network consists of two namespaces joined by a virtual cable: the server's, and that of the
admin who connects by ssh. Neither can reach any other network. Tests enter the server's, so
that its ports and the private Tor network are on 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from support.tornet import await_end

if TYPE_CHECKING:
    from collections.abc import Iterator

CLONE_NEWNET = 0x40000000
# Reserved for documentation (RFC 5737).
ADMIN, SERVER, OTHER, THIRD = "192.0.2.1", "192.0.2.2", "192.0.2.10", "192.0.2.11"
BOOTS_WITHIN = 40.0  # seconds; usually two
# Where the namespaces and the disks of the servers are, each named after the tests' process.
NAMESPACES, DISKS = Path("/run/netns"), Path("/var/tmp")

# Where the host's cgroups are hybrid, systemd in the container needs a cgroup2 mount.
BOOT = """\
umount --lazy /sys/fs/cgroup 2>/dev/null
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec systemd-nspawn "$@"
"""


def call(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command that must succeed."""
    done = subprocess.run(  # type: ignore[call-overload]  # what options may be, subprocess knows
        [str(word) for word in command], text=True, capture_output=True, check=False, **options
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    result: subprocess.CompletedProcess[str] = done
    return result


def interrupt_on_sigterm() -> None:
    """Let signals end the tests as Ctrl-C does, so that fixtures stop what they started."""

    def interrupt(*_: object) -> None:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # not once more, while they do
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, interrupt)


def remove_left_behind() -> None:
    """Remove what runs of these tests left that were killed and could not stop their servers."""
    for path in NAMESPACES.glob("cccr-[am][0-9]*"):
        if not Path("/proc", path.name[6:]).exists():
            # The server's systemd is among them, and all of its processes end with it.
            for _ in range(200):
                found = call("ip", "netns", "pids", path.name).stdout.split()
                for process in found:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(process), signal.SIGKILL)
                if not found:
                    break
                time.sleep(0.05)
            call("ip", "netns", "del", path.name)
    for folder in DISKS.glob("cccr-m[0-9]*-*"):
        if not (NAMESPACES / folder.name.rpartition("-")[0]).exists():
            root = folder / "root"
            if root.is_mount():
                call("umount", "--lazy", root)
            shutil.rmtree(folder)


class Network:
    """The network namespaces of a server and of its admin."""

    def __init__(self) -> None:
        self.machine = f"cccr-m{os.getpid()}"
        self.admin = f"cccr-a{os.getpid()}"

    def __enter__(self) -> Self:
        remove_left_behind()
        for name in (self.machine, self.admin):
            call("ip", "netns", "add", name)
            call("ip", "-n", name, "link", "set", "lo", "up")
        wire = ("link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", self.admin)
        call("ip", "-n", self.machine, *wire)
        for name, address in ((self.machine, SERVER), (self.admin, ADMIN)):
            call("ip", "-n", name, "addr", "add", f"{address}/30", "dev", "wire")
            call("ip", "-n", name, "link", "set", "wire", "up")
        for address in (OTHER, THIRD):  # of more machines in the network of the first
            call("ip", "-n", self.machine, "addr", "add", f"{address}/32", "dev", "wire")
            call("ip", "-n", self.admin, "route", "add", f"{address}/32", "dev", "wire")
        return self

    def __exit__(self, *_: object) -> None:
        for name in (self.machine, self.admin):
            call("ip", "netns", "del", name)


@contextlib.contextmanager
def entered(namespace: str) -> Iterator[None]:
    """Move this thread, and whatever it starts, into a network namespace."""
    with Path("/proc/thread-self/ns/net").open("rb") as before:
        _enter(NAMESPACES / namespace)
        try:
            yield
        finally:
            _set_namespace(before.fileno())


def _enter(path: Path) -> None:
    with path.open("rb") as namespace:
        _set_namespace(namespace.fileno())


def _set_namespace(number: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(number, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Machine:
    """A server. Its disk is an overlay on a fresh Debian, deleted at the end.

    Package repositories are in ``/srv/apt``, and in a folder of ``/srv`` for each of ``more_apt``.
    """

    def __init__(self, fresh: Path, network: Network, **more_apt: Path) -> None:
        self.fresh = fresh
        self.apt = {"apt": fresh / "apt", **more_apt}
        self.network = network
        self.pid = 0
        self.folder = Path(tempfile.mkdtemp(prefix=f"{network.machine}-", dir=DISKS))
        self.root = self.folder / "root"

    def __enter__(self) -> Self:
        layers = [self.folder / name for name in ("upper", "work")]
        for layer in (*layers, self.root):
            layer.mkdir(mode=0o755)
        lower = self.fresh / "root"
        # Nothing is kept, so nothing has to reach the disk.
        options = f"lowerdir={lower},upperdir={layers[0]},workdir={layers[1]},volatile"
        call("mount", "-t", "overlay", "overlay", "-o", options, self.root)
        (self.root / "etc/hostname").write_text("server\n")
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost server\n")
        try:
            self.boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.power_off()
        finally:
            call("umount", self.root)
            shutil.rmtree(self.folder)

    def boot(self) -> None:
        """Boot, and wait until systemd has started all units."""
        nspawn = [
            "--quiet",
            "--boot",
            "--register=no",
            "--keep-unit",
            "--console=read-only",
            f"--directory={self.root}",
            f"--network-namespace-path=/run/netns/{self.network.machine}",
            *(f"--bind-ro={path}:/srv/{name}" for name, path in self.apt.items()),
            "--capability=CAP_NET_ADMIN,CAP_BPF",
            "--system-call-filter=bpf",
        ]
        command = [
            "setpriv",
            "--pdeathsig",
            "TERM",
            "unshare",
            "--mount",
            "bash",
            "-c",
            BOOT,
            "boot",
        ]
        with (self.folder / "console").open("wb") as console:
            self._nspawn = subprocess.Popen(
                [*command, *nspawn], stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
        end_at = time.monotonic() + BOOTS_WITHIN
        while time.monotonic() < end_at:
            self.pid = self._first_process()
            if self.pid and self.state() in {"running", "degraded"}:
                return
            time.sleep(0.05)
        raise AssertionError((self.folder / "console").read_text()[-3000:])

    def _first_process(self) -> int:
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        found = children.read_text().split()
        return int(found[0]) if found else 0

    def state(self) -> str:
        """Return the output of ``systemctl is-system-running``."""
        return self.try_run("systemctl", "is-system-running").stdout.strip()

    def power_off(self) -> None:
        """Shut down as ``poweroff`` does. If that fails, kill it."""
        if self._nspawn.poll() is None and self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGRTMIN + 4)
        await_end(self._nspawn, 30)

    def kill(self) -> None:
        """Stop all of its processes at once."""
        os.kill(self.pid, signal.SIGKILL)
        await_end(self._nspawn, 30)

    def signal_all(self, number: int) -> None:
        """Send all of its processes a signal. SIGSTOP is a cut line: its peers learn nothing."""
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self._is_inside(process):
                    os.kill(int(process.name), number)

    def reboot(self) -> None:
        """Shut down and boot again."""
        self.power_off()
        self.boot()

    def try_run(self, *command: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a command on the server and return its result."""
        inside = [
            "nsenter",
            "--target",
            str(self.pid),
            "-m",
            "-u",
            "-i",
            "-p",
            "-n",
            "-C",
            "-r",
            "-w",
        ]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
        done: subprocess.CompletedProcess[str] = subprocess.run(  # type: ignore[call-overload]
            [*inside, *command],
            text=True,
            capture_output=True,
            check=False,
            env=environment,
            **options,
        )
        return done

    def run(self, *command: str, **options: object) -> str:
        """Run a command on the server that must succeed, and return its output."""
        done = self.try_run(*command, **options)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @property
    def onion_socket(self) -> Path:
        """The socket where nginx listens for tor."""
        return Path(f"/proc/{self.pid}/root/run/cccr-nginx/onion.sock")

    def main_process(self, unit: str) -> int:
        """Return the process id, on the host, of a unit's main process."""
        number = self.main_process_or_none(unit)
        assert number is not None, f"{unit} has no process"
        return number

    def main_process_or_none(self, unit: str) -> int | None:
        """Return the process id, on the host, of a unit's main process, if there is one."""
        inside = self.run("systemctl", "show", "--property=MainPID", "--value", unit).strip()
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                found = re.search(r"^NSpid:\t\d+\t(\d+)$", status.read_text(), re.MULTILINE)
                if found and found[1] == inside and self._is_inside(status.parent):
                    return int(status.parent.name)
        return None

    def _is_inside(self, process: Path) -> bool:
        ours = Path(f"/proc/{self.pid}/ns/pid")
        return (process / "ns/pid").stat().st_ino == ours.stat().st_ino
