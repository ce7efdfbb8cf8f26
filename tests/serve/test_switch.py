"""A server takes the next release without a dropped request, or stays with the good one."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest
from support.running import Running
from support.signed import Room, make_apps, organisation_key, put_release, signed_release
from werkzeug.test import Client

from cccr_web.release import Release
from cccr_web.serve import Switch

PAGE = "en/index.html"
SWITCHES = 6


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """A room with some releases, the first of them current."""
    room = Room(tmp_path)
    for number in range(1, SWITCHES + 2):
        put_release(signed_release(number), tmp_path / f"release-{number}")
    room.point(tmp_path / "release-1")
    return room


class Readers(threading.Thread):
    """A reader who asks for one page after the other, and keeps what went wrong."""

    def __init__(self, server: Running, known: dict[bytes, int]) -> None:
        super().__init__()
        self._server = server
        self._known = known
        self.stop = threading.Event()
        self.numbers: list[int] = []
        self.troubles: list[object] = []

    def run(self) -> None:
        """Ask until stopped, on one connection."""
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


def test_switch_under_steady_requests_drops_none(room: Room) -> None:
    """While releases change on SIGHUP each request is answered, wholly from one release."""
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


def test_broken_release_is_refused_while_serving(room: Room) -> None:
    """On SIGHUP a broken release is refused in a sentence, and the good one is served on."""
    (room.folder / "release-2" / PAGE).write_bytes(b"<script>")
    with Running(room) as server:
        room.point(room.folder / "release-2")
        server.hang_up()
        server.wait_for(
            f"ERROR cccr_web.serve.caretaker: {PAGE} is not the file that SHA256SUMS lists. "
            "Refused: still serving release 1.\n"
        )
        assert server.get(f"/{PAGE}") == signed_release(1).files[PAGE].body


def test_start_after_a_broken_switch_serves_the_last_good_release(room: Room) -> None:
    """A server that starts while the link leads to a broken release serves its copy."""
    with Running(room):
        pass
    (room.folder / "release-2" / PAGE).write_bytes(b"<script>")
    room.point(room.folder / "release-2")
    with Running(room) as server:
        assert server.get(f"/{PAGE}") == signed_release(1).files[PAGE].body
        assert "Refused: serving the last good release, 1." in server.log


def test_start_refuses_an_older_release(room: Room) -> None:
    """What was served once is remembered: an older release in its place is not served."""
    room.point(room.folder / "release-3")
    with Running(room):
        pass
    room.point(room.folder / "release-2")
    with Running(room) as server:
        assert server.get(f"/{PAGE}") == signed_release(3).files[PAGE].body
        assert "Release 2 is older than release 3, which was served before." in server.log


def test_change_on_disk_is_reported_and_not_served(room: Room) -> None:
    """The timer tells of a changed file, once; readers still get what was loaded."""
    with Running(room, "--recheck", "0.1") as server:
        (room.folder / "release-1" / PAGE).write_bytes(b"<script>")
        words = f"On the disk: {PAGE} is not the file that is served."
        server.wait_for(words)
        time.sleep(0.5)
        assert server.log.count(words) == 1
        assert server.get(f"/{PAGE}") == signed_release(1).files[PAGE].body


def test_many_hang_ups_at_once_do_no_harm(room: Room) -> None:
    """SIGHUP sent again and again, also while a release is being read, leaves one whole release."""
    with Running(room) as server:
        room.point(room.folder / "release-2")
        for _ in range(200):
            server.hang_up()
        server.wait_for("Now serving release 2.")
        assert server.get(f"/{PAGE}") == signed_release(2).files[PAGE].body
        assert server.process.poll() is None


def test_server_killed_while_it_switches(room: Room) -> None:
    """After SIGKILL at any moment of a switch the next start serves one whole release."""
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


def test_unsigned_release_is_served_with_a_warning(room: Room) -> None:
    """Without a public key the server says that nobody vouches for the release."""
    with Running(room, signed=False) as server:
        assert server.get(f"/{PAGE}") == signed_release(1).files[PAGE].body
        assert server.log == (
            f"WARNING cccr_web.cli.serve: No --public-key: nobody vouches for {room.current}. "
            "Good for trying out only.\n"
        )


def test_key_and_state_may_be_settings(room: Room) -> None:
    """CCCR_PUBLIC_KEY and CCCR_STATE do what the options of the same name do."""
    key, state = organisation_key().public, room.folder / "memory"
    with Running(room, signed=False, CCCR_PUBLIC_KEY=key, CCCR_STATE=state) as server:
        assert server.get(f"/{PAGE}") == signed_release(1).files[PAGE].body
        assert server.log == ""
    assert (state / "highest-sequence").read_text().startswith("1 ")


def test_all_listeners_switch_together() -> None:
    """One assignment replaces the apps of all listeners; a wrong number of them is refused."""

    def body(switch: Switch, index: int) -> bytes:
        client = Client(switch.listener(index))
        return bytes(client.get(f"/{PAGE}", base_url="http://localhost").data)

    def two(release: Release) -> Switch:
        return Switch([*make_apps(release), *make_apps(release)])

    switch = two(signed_release(1))
    switch.replace([*make_apps(signed_release(2)), *make_apps(signed_release(2))])
    expected = signed_release(2).files[PAGE].body
    assert [body(switch, 0), body(switch, 1)] == [expected, expected]
    with pytest.raises(ValueError, match="1 apps for 2 listeners"):
        switch.replace(make_apps(signed_release(3)))
