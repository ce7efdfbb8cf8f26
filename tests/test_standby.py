"""Which of several servers publishes the onion, with a SOCKS proxy that knows each answer."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.policies import EDITOR, TWO_OF_THREE
from support.signed import known_key, organisation_key

from cccr_web.errors import CccrError, SignatureError
from cccr_web.listen import Tcp
from cccr_web.notices import make_promotion, read_promotion
from cccr_web.standby import Peers, Reason, Turn

OWN, OTHER, THIRD, ONION = (letter * 56 + ".onion" for letter in "abcd")
PEERS = Peers(OWN, OWN, (OTHER, THIRD))
NOW = int(time.time())
LONG_AGO = NOW - 86_400
ELSEWHERE = Reason("another server publishes the onion", planned=True)
KEY = organisation_key()

NO_NOTE = b"HTTP/1.1 404 Not Found\r\n\r\n"
DOWN, NO_DESCRIPTOR, LEFT, SILENT = 0x04, 0xF0, 0xF2, 0x06

Answers = dict[str, int | bytes]


def served(number: int, publisher: str, key: object = KEY) -> bytes:
    """Return a peer's response with a note."""
    assert hasattr(key, "sign")
    return b"HTTP/1.1 200 OK\r\n\r\n" + make_promotion(key, number, publisher)  # type: ignore[arg-type]


@contextlib.contextmanager
def proxy(answers: Answers) -> Iterator[tuple[Tcp, list[str]]]:
    """Run a SOCKS proxy that answers with a code, or connects and sends bytes."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[str] = []

    def run() -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = listener.accept()
                with link:
                    link.recv(3)
                    link.sendall(b"\5\0")
                    host = link.recv(512)[5:-2].decode()
                    asked.append(host)
                    answer = answers.get(host, DOWN)
                    code = answer if isinstance(answer, int) else 0
                    link.sendall(bytes([5, code, 0, 1, 0, 0, 0, 0, 0, 0]))
                    if isinstance(answer, bytes):
                        link.recv(4096)
                        link.sendall(answer)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield Tcp("127.0.0.1", listener.getsockname()[1]), asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def reason(
    folder: Path, answers: Answers, note: bytes | None = None, *, publishing: bool = False
) -> Reason | None:
    """Return what a server with this note decides."""
    if note is not None:
        (folder / "promotion").write_bytes(note)
    with proxy(answers) as (port, asked):
        found = Turn(ONION, PEERS, folder / "promotion", KEY.public, port).reason(
            publishing=publishing
        )
    assert ONION not in asked or not publishing
    return found


def own(number: int, publisher: str = OWN) -> bytes:
    """Return a note as this server keeps it."""
    return make_promotion(KEY, number, publisher)


@pytest.mark.parametrize(
    "answers",
    [
        {OTHER: NO_NOTE, THIRD: NO_NOTE, ONION: NO_DESCRIPTOR},
        {OTHER: NO_NOTE, ONION: SILENT},  # its own descriptor, from before a reboot
        {ONION: NO_DESCRIPTOR},
        {ONION: LEFT},
    ],
)
def test_the_first_server_publishes_until_there_is_a_note(tmp_path: Path, answers: Answers) -> None:
    """It does so if a peer answers, or the directories, and the onion does not."""
    assert reason(tmp_path, answers) is None


def test_an_onion_that_answers_is_published_by_another_server(tmp_path: Path) -> None:
    """Then this server waits, whatever the notes say."""
    for note in (None, own(NOW)):
        found = reason(tmp_path, {OTHER: NO_NOTE, ONION: b""}, note)
        assert found is not None
        assert found.text.startswith("the onion answers")
        assert not found.planned


def test_a_server_that_can_ask_nobody_does_not_publish(tmp_path: Path) -> None:
    """Without peers and without an answer from the directories, it waits and says why."""
    for note in (None, own(LONG_AGO)):
        found = reason(tmp_path, {ONION: SILENT}, note)
        assert found is not None
        assert "nobody can be asked" in found.text
        assert "timed out" in found.text
        assert not found.planned


def test_the_newest_note_of_all_servers_counts(tmp_path: Path) -> None:
    """Its own or a peer's, also if it calls this server back."""
    newer: Answers = {OTHER: served(NOW, OTHER), THIRD: NO_NOTE, ONION: LEFT}
    for note in (None, own(LONG_AGO)):
        for publishing in (False, True):
            assert reason(tmp_path, newer, note, publishing=publishing) == ELSEWHERE
    assert reason(tmp_path, {OTHER: served(LONG_AGO, OTHER), ONION: LEFT}, own(NOW)) is None
    assert reason(tmp_path, {OTHER: served(NOW, OWN), ONION: LEFT}, own(LONG_AGO, OTHER)) is None
    assert reason(tmp_path, {OTHER: NO_NOTE, ONION: LEFT}, own(NOW, THIRD)) == ELSEWHERE


def test_a_new_note_is_enough_if_nobody_answers(tmp_path: Path) -> None:
    """The admin has just said that the former publisher is stopped or gone."""
    assert reason(tmp_path, {ONION: SILENT}, own(NOW)) is None


@pytest.mark.parametrize(
    "answer",
    [
        served(NOW, OTHER, known_key(b"the key of somebody else for these tests")),
        b"HTTP/1.1 200 OK\r\n\r\nPublisher: me\n",
        b"HTTP/1.1 500 No\r\n\r\n",
        b"noise",
        b"",
    ],
)
def test_a_peer_without_a_valid_note_changes_nothing(tmp_path: Path, answer: bytes) -> None:
    """Whoever broke into a peer cannot end the publishing, nor allow it."""
    assert reason(tmp_path, {OTHER: answer, ONION: LEFT}, publishing=True) is None
    found = reason(tmp_path, {OTHER: answer, ONION: SILENT})
    assert found is not None
    assert "nobody can be asked" in found.text


def test_peers_that_do_not_answer_end_nothing(tmp_path: Path) -> None:
    """A server that publishes goes on while it can reach nobody."""
    assert reason(tmp_path, {}, publishing=True) is None


def test_a_note_is_of_the_organisation(tmp_path: Path) -> None:
    """Another key, or a changed note, is rejected; a server's own survives a change of keys."""
    note = own(NOW)
    assert read_promotion(note, KEY.public).publisher == OWN
    with pytest.raises(SignatureError):
        read_promotion(note.replace(OWN.encode(), OTHER.encode()), KEY.public)
    other = known_key(b"the next key of the organisation")
    with pytest.raises(CccrError, match="names the key"):
        read_promotion(note, other.public)
    assert reason(tmp_path, {ONION: LEFT, OTHER: NO_NOTE}, make_promotion(other, NOW, OWN)) is None


def test_one_signer_of_a_policy_is_enough_for_a_note() -> None:
    """It only chooses among the organisation's servers; a stranger's is rejected."""
    assert read_promotion(make_promotion(EDITOR, NOW, OWN), TWO_OF_THREE).publisher == OWN
    with pytest.raises(CccrError, match="names the key"):
        read_promotion(own(NOW), TWO_OF_THREE)


def test_a_damaged_note_is_reported(tmp_path: Path) -> None:
    """A file that is no note keeps this server from publishing."""
    found = reason(tmp_path, {ONION: NO_DESCRIPTOR}, b"nothing")
    assert found is not None
    assert "promotion" in found.text


def test_the_list_of_peers_is_read(tmp_path: Path) -> None:
    """It names this server, the first and the others; anything else is rejected."""
    file = tmp_path / "peers"
    file.write_text(f"# a comment\nfirst {OTHER}\nother {OTHER}\nown {OWN}\nother {THIRD}\n")
    assert Peers.read(file) == Peers(OWN, OTHER, (OTHER, THIRD))
    for text in (f"own {OWN}\n", f"own {OWN}\nfirst root@a\n", f"own {OWN}\nfirst {OWN} {OTHER}\n"):
        file.write_text(text)
        with pytest.raises(CccrError, match=r"Run deploy\.sh again"):
            Peers.read(file)
    with pytest.raises(CccrError, match="cannot be read"):
        Peers.read(tmp_path / "none")
