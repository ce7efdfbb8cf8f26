"""The server as a systemd service: sockets, notifications and restarts (``systemd.py``)."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hosting import short_folder
from support.serving import DOMAIN, ONION, START_TIMEOUT, STOP_TIMEOUT, ask, read_answer
from support.signed import ServerFolder, organisation_key, signed_release
from support.systemd import Unit, listening_socket

from cccr_web.errors import CccrError
from cccr_web.systemd import SystemdNotifier, take

HEAD = f"GET /en/ HTTP/1.1\r\nHost: {DOMAIN}\r\n"
PAGE = signed_release(1).files["en/index.html"].body


@pytest.fixture
def server_folder(folder: Path) -> ServerFolder:
    """A server's folder with two releases, the first of them current."""
    return ServerFolder.with_releases(folder, 2)


def arguments(server_folder: ServerFolder, *options: str) -> list[str]:
    """Return the arguments of a server on both passed sockets."""
    return [
        *("serve", "--release", str(server_folder.current), "--domain", DOMAIN),
        *(
            "--public-key",
            str(organisation_key().public),
            "--state",
            str(server_folder.path / "state"),
        ),
        *("--clearnet", "systemd:clearnet", "--onion-socket", "systemd:onion"),
        *("--onion-address", ONION, *options),
    ]


@pytest.fixture
def sockets(folder: Path) -> Iterator[dict[str, socket.socket]]:
    """The two sockets that systemd passes."""
    made = {name: listening_socket(folder / f"{name}.sock") for name in ("onion", "clearnet")}
    yield made
    for each in made.values():
        each.close()


def connected(path: Path) -> http.client.HTTPConnection:
    """Return a persistent connection to a unix socket."""
    connection = http.client.HTTPConnection(DOMAIN)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(20)
    connection.sock.connect(str(path))
    connection.auto_open = 0
    return connection


def test_a_service_serves_on_passed_sockets_and_reports_its_state(
    server_folder: ServerFolder, sockets: dict[str, socket.socket]
) -> None:
    """Each passed socket is served by name; start and stop are reported, and sockets stay."""
    with Unit(server_folder.path, sockets, arguments(server_folder)) as unit:
        assert unit.next_message() == (
            f"READY=1\nSTATUS=Serving release 1 of {signed_release(1).metadata.time:%Y-%m-%d}. "
            "(release=1 reloads=0 result=accepted)"
        )
        answers = {
            name: ask(server_folder.path / f"{name}.sock", "/en/", DOMAIN) for name in sockets
        }
        assert answers["clearnet"].body == PAGE
        assert answers["onion"].status == 421
        assert ask(server_folder.path / "onion.sock", "/en/", ONION).body == PAGE
        assert unit.stop() == 0
        assert unit.next_message() == "STOPPING=1\nSTATUS=Stopping."
        assert all((server_folder.path / f"{name}.sock").is_socket() for name in sockets)
        assert unit.errors.read_text() == ""


def test_a_reload_is_reported(
    server_folder: ServerFolder, sockets: dict[str, socket.socket]
) -> None:
    """On SIGHUP the server reports the reload, and then the release or why it was rejected."""
    with Unit(server_folder.path, sockets, arguments(server_folder)) as unit:
        unit.wait_for("READY=1")
        server_folder.point(server_folder.path / "release-2")
        before = time.monotonic_ns() // 1000
        unit.process.send_signal(signal.SIGHUP)
        reloading = unit.wait_for("RELOADING=1")
        began = int(reloading.partition("MONOTONIC_USEC=")[2])
        assert before <= began <= time.monotonic_ns() // 1000
        accepted = unit.wait_for("READY=1")
        assert "Serving release 2 of" in accepted
        assert accepted.endswith("(release=2 reloads=1 result=accepted)")
        server_folder.point(server_folder.path / "release-1")
        unit.process.send_signal(signal.SIGHUP)
        unit.wait_for("RELOADING=1")
        refused = unit.wait_for("READY=1")
        assert "STATUS=Serving release 2 of" in refused
        assert "Rejected: Release 1 is older than release 2, which was served before." in refused
        assert refused.endswith("(release=2 reloads=2 result=rejected)")


def test_an_idle_server_sends_watchdog_messages(
    server_folder: ServerFolder, sockets: dict[str, socket.socket]
) -> None:
    """An idle server sends a watchdog message at half of the interval."""
    with Unit(server_folder.path, sockets, arguments(server_folder), watchdog=1.0) as unit:
        unit.wait_for("READY=1")
        assert 3 <= unit.count_heartbeats(2.4) <= 6


def test_a_stopped_process_sends_no_watchdog_messages(
    server_folder: ServerFolder, sockets: dict[str, socket.socket]
) -> None:
    """A stopped process sends no watchdog messages, and sends them again when it continues."""
    with Unit(server_folder.path, sockets, arguments(server_folder), watchdog=1.0) as unit:
        unit.wait_for("READY=1")
        unit.wait_for("WATCHDOG=1")
        unit.process.send_signal(signal.SIGSTOP)
        unit.count_heartbeats(0.2)
        assert unit.count_heartbeats(1.5) == 0
        unit.process.send_signal(signal.SIGCONT)
        unit.wait_for("WATCHDOG=1")


def test_a_hung_reload_ends_the_watchdog_messages(
    server_folder: ServerFolder, sockets: dict[str, socket.socket]
) -> None:
    """A server whose reload hangs answers requests but sends no watchdog messages."""
    # The disk does not answer any more after the start.
    patch = server_folder.path / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(
        "import cccr_web.serve.reloader as r, cccr_web.serve.source as s, time\n"
        "r.HUNG_SECONDS = 0.5\n"
        "first = s.Source.load\n"
        "def load(self, seen=[]):\n"
        "    seen.append(self)\n"
        "    return time.sleep(60) if len(seen) > 1 else first(self)\n"
        "s.Source.load = load\n"
    )
    path = f"{patch}:{Path(__file__).parents[2]}"
    with Unit(
        server_folder.path, sockets, arguments(server_folder), watchdog=1.0, PYTHONPATH=path
    ) as unit:
        unit.wait_for("WATCHDOG=1")
        unit.process.send_signal(signal.SIGHUP)
        unit.wait_for("RELOADING=1")
        unit.count_heartbeats(1.2)
        assert unit.count_heartbeats(1.5) == 0
        assert ask(server_folder.path / "clearnet.sock", "/en/", DOMAIN).status == 200


def test_pending_requests_are_answered_after_sigterm(
    server_folder: ServerFolder, sockets: dict[str, socket.socket]
) -> None:
    """A client in the middle of a request or a large response gets the complete response."""
    release = signed_release(1)
    path = max(release.files, key=lambda each: len(release.files[each].body))
    with Unit(server_folder.path, sockets, arguments(server_folder)) as unit:
        unit.wait_for("READY=1")
        asking = connected(server_folder.path / "clearnet.sock")
        assert asking.sock is not None
        asking.sock.sendall(HEAD.encode()[:20])
        kept = connected(server_folder.path / "clearnet.sock")
        kept.request("GET", f"/{path}")
        assert kept.getresponse().read() == release.files[path].body
        time.sleep(0.2)
        unit.process.terminate()
        unit.wait_for("STOPPING=1")
        time.sleep(0.1)
        kept.request("GET", "/en/")
        answer = kept.getresponse()
        assert (answer.read(), answer.getheader("Connection")) == (PAGE, "close")
        asking.sock.sendall(HEAD.encode()[20:] + b"\r\n")
        received = b""
        while more := asking.sock.recv(65536):
            received += more
        last = read_answer(received)
        assert (last.body, last.header("Connection")) == (PAGE, "close")
        assert unit.process.wait(STOP_TIMEOUT) == 0
        asking.close()
        kept.close()


def test_requests_sent_together_are_all_answered(
    server_folder: ServerFolder, sockets: dict[str, socket.socket]
) -> None:
    """Of several requests that came before SIGTERM, only the last response closes."""
    with Unit(server_folder.path, sockets, arguments(server_folder)) as unit:
        unit.wait_for("READY=1")
        link = connected(server_folder.path / "clearnet.sock").sock
        assert link is not None
        with link:
            # A connection that the server has already accepted.
            link.sendall(HEAD.encode()[:5])
            time.sleep(0.1)
            unit.suspend()
            link.sendall(f"{HEAD}\r\n".encode()[5:] + f"{HEAD}\r\n".encode() * 2)
            unit.process.terminate()
            unit.process.send_signal(signal.SIGCONT)
            received = b""
            while more := link.recv(65536):
                received += more
        assert received.count(PAGE) == 3
        assert received.count(b"Connection: close") == 1
        assert unit.process.wait(STOP_TIMEOUT) == 0


@contextlib.contextmanager
def partial_request(server_folder: ServerFolder) -> Iterator[None]:
    """Hold a connection on which the server has received half a request."""
    with contextlib.closing(connected(server_folder.path / "clearnet.sock")) as slow:
        assert slow.sock is not None
        slow.sock.sendall(b"GET /en/ HTT")
        time.sleep(0.2)
        yield


@pytest.mark.alone
def test_a_partial_request_delays_shutdown_within_a_limit(
    server_folder: ServerFolder, sockets: dict[str, socket.socket]
) -> None:
    """A partial request delays the shutdown within its limit; a second signal ends it at once."""
    with Unit(server_folder.path, sockets, arguments(server_folder)) as unit:
        unit.wait_for("READY=1")
        with partial_request(server_folder):
            begin = time.monotonic()
            assert unit.stop() == 0
            assert 4.5 < time.monotonic() - begin < 7
        unit.start()
        unit.wait_for("READY=1")
        with partial_request(server_folder):
            begin = time.monotonic()
            unit.process.terminate()
            unit.wait_for("STOPPING=1")
            assert unit.stop() == 0
            assert time.monotonic() - begin < 1


class _Client(threading.Thread):
    """Sends requests until stopped; counts failed and retried ones."""

    def __init__(self, path: Path, *, keep: bool) -> None:
        super().__init__()
        self._path = path
        self._keep = keep
        self.failed: list[str] = []
        self.answers = self.again = self.closes = 0
        self.ended = threading.Event()

    def run(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self.ended.is_set():
            used = connection is not None
            connection = connection or connected(self._path)
            try:
                connection.request("GET", "/en/")
                answer = connection.getresponse()
                right = answer.status == 200 and answer.read() == PAGE
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                connection = None
                # Before a byte of an answer, on a connection used before: safe to ask again.
                if used and isinstance(error, ConnectionError):
                    self.again += 1
                else:
                    self.failed.append(repr(error))
                continue
            self.answers += 1
            if not right:
                self.failed.append("another answer")
            closes = answer.getheader("Connection") == "close"
            self.closes += closes
            if closes or not self._keep:
                connection.close()
                connection = None
            time.sleep(0.002)
        if connection is not None:
            connection.close()


def test_ten_restarts_under_load_fail_no_request(
    server_folder: ServerFolder, sockets: dict[str, socket.socket]
) -> None:
    """Over ten restarts no request fails, neither on new connections nor on kept ones."""
    path = server_folder.path / "clearnet.sock"
    with Unit(server_folder.path, sockets, arguments(server_folder)) as unit:
        unit.wait_for("READY=1")
        clients = [_Client(path, keep=keep) for keep in (False, True) for _ in range(4)]
        for client in clients:
            client.start()
        for _ in range(10):
            time.sleep(0.3)
            unit.restart()
            unit.wait_for("READY=1")
        time.sleep(0.3)
        for client in clients:
            client.ended.set()
        for client in clients:
            client.join()
        assert [client.failed for client in clients] == [[]] * 8
        # Clients with kept connections were asked to close them in time: none had to retry.
        assert sum(client.again for client in clients) == 0
        assert sum(client.closes for client in clients) >= 10
        assert min(client.answers for client in clients) > 100


def test_the_last_response_has_the_usual_headers(
    server_folder: ServerFolder, sockets: dict[str, socket.socket]
) -> None:
    """The last response has the same headers as any response that closes its connection."""
    with Unit(server_folder.path, sockets, arguments(server_folder)) as unit:
        unit.wait_for("READY=1")
        path = server_folder.path / "clearnet.sock"
        closed = ask(path, "/en/", DOMAIN)
        with contextlib.closing(connected(path)) as kept:
            assert kept.sock is not None
            kept.sock.sendall(b"G")
            time.sleep(0.2)
            unit.process.terminate()
            unit.wait_for("STOPPING=1")
            kept.sock.sendall(f"{HEAD[1:]}\r\n".encode())
            received = b""
            while more := kept.sock.recv(65536):
                received += more
        ours = [header for header in read_answer(received).headers if header[0] != "Date"]
        assert ours == [header for header in closed.headers if header[0] != "Date"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("onion:other", "systemd passed no socket named “clearnet”."),
        ("clearnet:clearnet", "systemd passed 2 sockets named “clearnet”."),
    ],
)
def test_a_missing_or_doubled_socket_name_is_reported(
    server_folder: ServerFolder, sockets: dict[str, socket.socket], names: str, said: str
) -> None:
    """A socket name that is missing or doubled is reported with a remedy."""
    with Unit(server_folder.path, sockets, arguments(server_folder), LISTEN_FDNAMES=names) as unit:
        assert unit.process.wait(START_TIMEOUT) == 1
        remedy = "Start the service from a socket unit with one ListenStream= and"
        expected = f"{said} {remedy} FileDescriptorName=clearnet.\n"
        assert unit.errors.read_text().endswith(expected)


def test_the_onion_rejects_a_tcp_socket(server_folder: ServerFolder, folder: Path) -> None:
    """The onion listener rejects a TCP socket from systemd."""
    with (
        socket.create_server(("127.0.0.1", 0)) as port,
        listening_socket(folder / "a.sock") as other,
    ):
        both = {"onion": port, "clearnet": other}
        with Unit(server_folder.path, both, arguments(server_folder)) as unit:
            assert unit.process.wait(START_TIMEOUT) == 1
            assert "“onion” from systemd is not a unix socket" in unit.errors.read_text()


def test_a_socket_that_does_not_listen_is_reported(
    server_folder: ServerFolder, sockets: dict[str, socket.socket]
) -> None:
    """A passed socket that does not listen is reported."""
    with socket.socket(socket.AF_UNIX) as deaf:
        both = {"onion": sockets["onion"], "clearnet": deaf}
        with Unit(server_folder.path, both, arguments(server_folder)) as unit:
            assert unit.process.wait(START_TIMEOUT) == 1
            assert "is not a listening socket" in unit.errors.read_text()


def test_sockets_of_another_process_are_ignored() -> None:
    """Sockets that were passed to another process, such as our parent, are ignored."""
    environ = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getppid()), "LISTEN_FDNAMES": "a"}
    with pytest.raises(CccrError, match="no socket named “a”"):
        take("a", environ)


def test_without_systemd_nothing_is_sent() -> None:
    """Without systemd nothing is sent, and the watchdog of another process is ignored."""
    silent = SystemdNotifier({})
    silent.ready("x")
    silent.alive()
    assert (silent.asked, silent.half_time) == (False, None)
    other = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}
    assert SystemdNotifier(other).half_time is None
    assert SystemdNotifier(other | {"WATCHDOG_PID": str(os.getpid())}).half_time == 0.5


def test_notifications_reach_an_abstract_socket() -> None:
    """Notifications reach an abstract socket (unix(7)), and a status is one line."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0cccr-{os.getpid()}")
        heard.settimeout(5)
        SystemdNotifier({"NOTIFY_SOCKET": f"@cccr-{os.getpid()}"}).status("two\nREADY=1 \udcff")
        assert heard.recv(99) == rb"STATUS=two READY=1 \udcff"


def test_a_missing_notify_socket_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A missing notify socket is logged, and the server continues."""
    with short_folder() as folder:
        SystemdNotifier({"NOTIFY_SOCKET": str(folder / "none")}).ready("x")
    assert "systemd could not be notified of READY=1: No such file or directory" in caplog.text
