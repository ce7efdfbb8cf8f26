"""Reloads of a running server: no dropped request, and no broken release."""

from __future__ import annotations

import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from support.running import Running
from support.serving import read_answer, talk
from support.signed import (
    ServerFolder,
    content,
    facts,
    make_apps,
    organisation_key,
    put_release,
    signed_release,
)
from werkzeug.test import Client

from cccr_web.release import Release, Signer, make_release
from cccr_web.serve import AppSwitch

PAGE = "en/index.html"
SWITCHES = 6


@pytest.fixture
def server_folder(tmp_path: Path) -> ServerFolder:
    """A server's folder with some releases; ``current`` links to the first."""
    return ServerFolder.with_releases(tmp_path, SWITCHES + 1)


class PageReader(threading.Thread):
    """Requests a page again and again on one connection, and records every problem."""

    def __init__(self, server: Running, known: dict[bytes, int]) -> None:
        super().__init__()
        self._server = server
        self._known = known
        self.stop = threading.Event()
        self.numbers: list[int] = []
        self.problems: list[object] = []

    def run(self) -> None:
        """Send requests until stopped."""
        connection = self._server.connection()
        while not self.stop.is_set():
            try:
                connection.request("GET", f"/{PAGE}")
                response = connection.getresponse()
                body = response.read()
                number = self._known.get(body)
                release = signed_release(number) if number else None
                etag = release and f'"{release.files[PAGE].sha256}"'
                if response.status != 200 or number is None or response.headers["ETag"] != etag:
                    self.problems.append((response.status, response.headers["ETag"], body))
                self.numbers.append(number or 0)
            except OSError as error:
                self.problems.append(error)
                connection.close()
        connection.close()


def test_a_reload_under_load_drops_no_request(server_folder: ServerFolder) -> None:
    """While releases are reloaded, each request is answered, wholly from one release."""
    known = {signed_release(number).files[PAGE].body: number for number in range(1, SWITCHES + 2)}
    with Running(server_folder) as server:
        readers = [PageReader(server, known) for _ in range(4)]
        for reader in readers:
            reader.start()
        try:
            for number in range(2, SWITCHES + 2):
                time.sleep(0.1)
                server_folder.point(server_folder.path / f"release-{number}")
                server.reload()
                server.wait_for(f"Now serving release {number}.")
        finally:
            for reader in readers:
                reader.stop.set()
            for reader in readers:
                reader.join()
        assert server.get(f"/{PAGE}") == signed_release(SWITCHES + 1).files[PAGE].body
    assert [reader.problems for reader in readers] == [[]] * len(readers)
    for reader in readers:
        assert reader.numbers == sorted(reader.numbers)
        assert {1, SWITCHES} < set(reader.numbers)


def test_a_broken_release_is_rejected_on_sighup(server_folder: ServerFolder) -> None:
    """On SIGHUP a broken release is rejected in a sentence, and the current one stays."""
    (server_folder.path / "release-2" / PAGE).write_bytes(b"<script>")
    with Running(server_folder) as server:
        server_folder.point(server_folder.path / "release-2")
        server.reload()
        server.wait_for(
            f"ERROR cccr_web.serve.reloader: {PAGE} is not the file that SHA256SUMS lists. "
            "Rejected: still serving release 1.\n"
        )
        assert server.get(f"/{PAGE}") == signed_release(1).files[PAGE].body


def test_a_start_with_a_broken_release_serves_the_last_good_one(
    server_folder: ServerFolder,
) -> None:
    """A server that starts with a broken release serves its copy of the last good one."""
    with Running(server_folder):
        pass
    (server_folder.path / "release-2" / PAGE).write_bytes(b"<script>")
    server_folder.point(server_folder.path / "release-2")
    with Running(server_folder) as server:
        assert server.get(f"/{PAGE}") == signed_release(1).files[PAGE].body
        assert "Rejected: serving the last good release, 1." in server.log


def test_a_start_rejects_an_older_release(server_folder: ServerFolder) -> None:
    """A release older than the last served one is rejected at the start."""
    server_folder.point(server_folder.path / "release-3")
    with Running(server_folder):
        pass
    server_folder.point(server_folder.path / "release-2")
    with Running(server_folder) as server:
        assert server.get(f"/{PAGE}") == signed_release(3).files[PAGE].body
        assert "Release 2 is older than release 3, which was served before." in server.log


def test_a_change_on_disk_is_logged_and_not_served(server_folder: ServerFolder) -> None:
    """A changed file is logged once; readers still get the loaded bytes."""
    with Running(server_folder, "--recheck", "0.1") as server:
        (server_folder.path / "release-1" / PAGE).write_bytes(b"<script>")
        words = f"On the disk: {PAGE} is not the file that is served."
        server.wait_for(words)
        time.sleep(0.5)
        assert server.log.count(words) == 1
        assert server.get(f"/{PAGE}") == signed_release(1).files[PAGE].body


def test_many_sighups_leave_one_complete_release(server_folder: ServerFolder) -> None:
    """Repeated SIGHUPs, also during a reload, leave one complete release."""
    with Running(server_folder) as server:
        server_folder.point(server_folder.path / "release-2")
        for _ in range(200):
            server.reload()
        server.wait_for("Now serving release 2.")
        assert server.get(f"/{PAGE}") == signed_release(2).files[PAGE].body
        assert server.process.poll() is None


def test_sigkill_during_a_reload_leaves_a_complete_release(server_folder: ServerFolder) -> None:
    """After SIGKILL at any time in a reload the next start serves one complete release."""
    for number in range(1, SWITCHES + 1):
        with Running(server_folder) as server:
            server_folder.point(server_folder.path / f"release-{number + 1}")
            server.reload()
            time.sleep(0.004 * number)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
        with Running(server_folder) as server:
            release = signed_release(number + 1)
            for path in ("SHA256SUMS", PAGE, "zh-hans/who-we-are.html"):
                assert server.get(f"/{path}") == release.files[path].body


def test_a_missing_key_is_logged(server_folder: ServerFolder) -> None:
    """Without a public key the server warns that signatures are not checked."""
    with Running(server_folder, signed=False) as server:
        assert server.get(f"/{PAGE}") == signed_release(1).files[PAGE].body
        assert server.log == (
            "WARNING cccr_web.cli.serve: No --public-key or --policy: "
            f"the signatures of {server_folder.current} are not checked. "
            "Use this for trials only.\n"
        )


def test_key_and_state_can_be_settings(server_folder: ServerFolder) -> None:
    """CCCR_PUBLIC_KEY and CCCR_STATE replace the options of the same name."""
    key, state = str(organisation_key().public), server_folder.path / "memory"
    with Running(server_folder, signed=False, CCCR_PUBLIC_KEY=key, CCCR_STATE=str(state)) as server:
        assert server.get(f"/{PAGE}") == signed_release(1).files[PAGE].body
        assert server.log == ""
    assert (state / "highest-sequence").read_text().startswith("1 ")


def test_all_apps_are_replaced_together() -> None:
    """All apps are replaced together; a wrong number of apps is rejected."""

    def body(switch: AppSwitch, index: int) -> bytes:
        client = Client(switch.wsgi_app(index))
        return bytes(client.get(f"/{PAGE}", base_url="http://localhost").data)

    def two(release: Release) -> AppSwitch:
        return AppSwitch([*make_apps(release), *make_apps(release)])

    switch = two(signed_release(1))
    switch.replace([*make_apps(signed_release(2)), *make_apps(signed_release(2))])
    expected = signed_release(2).files[PAGE].body
    assert [body(switch, 0), body(switch, 1)] == [expected, expected]
    with pytest.raises(ValueError, match="1 app for 2 listeners"):
        switch.replace(make_apps(signed_release(3)))


ERRORS = {
    400: b"nothing\r\n\r\n",
    404: b"GET /none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    405: b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    413: b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1",
    421: b"GET / HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n",
    431: b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 1500 + b"\r\n",
}
# Those of our server that have a page.
PAGES = {404, 405, 421}


def test_error_headers_change_with_the_release(server_folder: ServerFolder) -> None:
    """After a reload error pages have the policy of the new release.

    So has one on a connection that was open before, with a part of its request. Errors without
    a page load nothing, whatever the release.
    """
    style = "sha256-" + "A" * 43 + "="
    other = make_release(content(2), facts(2, style_hashes=(style,)))
    put_release(Signer(organisation_key()).sign(other), server_folder.path / "other")
    with Running(server_folder) as server:
        where = ("127.0.0.1", server.port)

        def with_style() -> dict[int, bool]:
            answers = {sent: read_answer(talk(where, sent)) for sent in ERRORS.values()}
            assert [answer.status for answer in answers.values()] == list(ERRORS)
            policies = (answer.header("Content-Security-Policy") for answer in answers.values())
            found = [style in (policy or "") for policy in policies]
            return dict(zip(ERRORS, found, strict=True))

        assert with_style() == dict.fromkeys(ERRORS, False)
        with socket.create_connection(where, 10) as begun:
            begun.sendall(ERRORS[404][:-2])
            server_folder.point(server_folder.path / "other")
            server.reload()
            server.wait_for("Now serving release 2.")
            begun.sendall(ERRORS[404][-2:])
            assert style in begun.recv(65536).decode()
        assert {status for status, found in with_style().items() if found} == PAGES
