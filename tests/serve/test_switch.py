"""Reloads of a running server: no dropped request, and no broken release."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest
from support.running import Running
from support.serving import read_answer, talk
from support.signed import (
    Room,
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
def room(tmp_path: Path) -> Room:
    """A room with some releases; ``current`` links to the first."""
    room = Room(tmp_path)
    for number in range(1, SWITCHES + 2):
        put_release(signed_release(number), tmp_path / f"release-{number}")
    room.point(tmp_path / "release-1")
    return room


class Readers(threading.Thread):
    """Requests a page again and again on one connection, and records every problem."""

    def __init__(self, server: Running, known: dict[bytes, int]) -> None:
        super().__init__()
        self._server = server
        self._known = known
        self.stop = threading.Event()
        self.numbers: list[int] = []
        self.troubles: list[object] = []

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
                    self.troubles.append((response.status, response.headers["ETag"], body))
                self.numbers.append(number or 0)
            except OSError as error:
                self.troubles.append(error)
                connection.close()
        connection.close()


def test_a_reload_under_load_drops_no_request(room: Room) -> None:
    """While releases are reloaded, each request is answered, wholly from one release."""
    known = {signed_release(number).files[PAGE].body: number for number in range(1, SWITCHES + 2)}
    with Running(room) as server:
        readers = [Readers(server, known) for _ in range(4)]
        for reader in readers:
            reader.start()
        try:
            for number in range(2, SWITCHES + 2):
                time.sleep(0.1)
                room.point(room.folder / f"release-{number}")
                server.hang_up()
                server.wait_for(f"Now serving release {number}.")
        finally:
            for reader in readers:
                reader.stop.set()
            for reader in readers:
                reader.join()
        assert server.get(f"/{PAGE}") == signed_release(SWITCHES + 1).files[PAGE].body
    assert [reader.troubles for reader in readers] == [[]] * len(readers)
    for reader in readers:
        assert reader.numbers == sorted(reader.numbers)
        assert {1, SWITCHES} < set(reader.numbers)


def test_a_broken_release_is_rejected_on_sighup(room: Room) -> None:
    """On SIGHUP a broken release is rejected in a sentence, and the current one stays."""
    (room.folder / "release-2" / PAGE).write_bytes(b"<script>")
    with Running(room) as server:
        room.point(room.folder / "release-2")
        server.hang_up()
        server.wait_for(
            f"ERROR cccr_web.serve.reloader: {PAGE} is not the file that SHA256SUMS lists. "
            "Rejected: still serving release 1.\n"
        )
        assert server.get(f"/{PAGE}") == signed_release(1).files[PAGE].body


def test_a_start_with_a_broken_release_serves_the_last_good_one(room: Room) -> None:
    """A server that starts with a broken release serves its copy of the last good one."""
    with Running(room):
        pass
    (room.folder / "release-2" / PAGE).write_bytes(b"<script>")
    room.point(room.folder / "release-2")
    with Running(room) as server:
        assert server.get(f"/{PAGE}") == signed_release(1).files[PAGE].body
        assert "Rejected: serving the last good release, 1." in server.log


def test_a_start_rejects_an_older_release(room: Room) -> None:
    """A release older than the last served one is rejected at the start."""
    room.point(room.folder / "release-3")
    with Running(room):
        pass
    room.point(room.folder / "release-2")
    with Running(room) as server:
        assert server.get(f"/{PAGE}") == signed_release(3).files[PAGE].body
        assert "Release 2 is older than release 3, which was served before." in server.log


def test_a_change_on_disk_is_logged_and_not_served(room: Room) -> None:
    """A changed file is logged once; readers still get the loaded bytes."""
    with Running(room, "--recheck", "0.1") as server:
        (room.folder / "release-1" / PAGE).write_bytes(b"<script>")
        words = f"On the disk: {PAGE} is not the file that is served."
        server.wait_for(words)
        time.sleep(0.5)
        assert server.log.count(words) == 1
        assert server.get(f"/{PAGE}") == signed_release(1).files[PAGE].body


def test_many_sighups_leave_one_complete_release(room: Room) -> None:
    """Repeated SIGHUPs, also during a reload, leave one complete release."""
    with Running(room) as server:
        room.point(room.folder / "release-2")
        for _ in range(200):
            server.hang_up()
        server.wait_for("Now serving release 2.")
        assert server.get(f"/{PAGE}") == signed_release(2).files[PAGE].body
        assert server.process.poll() is None


def test_sigkill_during_a_reload_leaves_a_complete_release(room: Room) -> None:
    """After SIGKILL at any time in a reload the next start serves one complete release."""
    for number in range(1, SWITCHES + 1):
        with Running(room) as server:
            room.point(room.folder / f"release-{number + 1}")
            server.hang_up()
            time.sleep(0.004 * number)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
        with Running(room) as server:
            release = signed_release(number + 1)
            for path in ("SHA256SUMS", PAGE, "zh-hans/who-we-are.html"):
                assert server.get(f"/{path}") == release.files[path].body


def test_a_missing_key_is_logged(room: Room) -> None:
    """Without a public key the server warns that signatures are not checked."""
    with Running(room, signed=False) as server:
        assert server.get(f"/{PAGE}") == signed_release(1).files[PAGE].body
        assert server.log == (
            f"WARNING cccr_web.cli.serve: No --public-key: the signatures of {room.current} "
            "are not checked. Use this for trials only.\n"
        )


def test_key_and_state_can_be_settings(room: Room) -> None:
    """CCCR_PUBLIC_KEY and CCCR_STATE replace the options of the same name."""
    key, state = organisation_key().public, room.folder / "memory"
    with Running(room, signed=False, CCCR_PUBLIC_KEY=key, CCCR_STATE=state) as server:
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
    with pytest.raises(ValueError, match="1 apps for 2 listeners"):
        switch.replace(make_apps(signed_release(3)))


def test_error_headers_change_with_the_release(room: Room) -> None:
    """After a reload the server's own errors have the headers of the new release."""
    style = "sha256-" + "A" * 43 + "="
    other = make_release(content(2), facts(2, style_hashes=(style,)))
    put_release(Signer(organisation_key()).sign(other), room.folder / "other")
    with Running(room) as server:
        where = ("127.0.0.1", server.port)
        assert style not in str(read_answer(talk(where, b"nothing\r\n\r\n")).headers)
        room.point(room.folder / "other")
        server.hang_up()
        server.wait_for("Now serving release 2.")
        error = read_answer(talk(where, b"nothing\r\n\r\n"))
        assert error.status == 400
        assert style in (error.header("Content-Security-Policy") or "")
