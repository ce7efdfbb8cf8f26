"""Which of several servers publishes the onion: never two.

Each server has an onion of its own, over which the others read its promotion note. So no
server needs another's network address, and nothing leaves but through tor.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cccr_web.errors import CccrError
from cccr_web.facts import ONION
from cccr_web.listen import Tcp, Unix
from cccr_web.notices import read_promotion
from cccr_web.release import Trusted
from cccr_web.socks import SocksFailureError, no_proxy, request

PATH: Final = "/promotion"
_PORT: Final = 80
_TIMEOUT: Final = 30.0  # seconds, for each peer and for the onion
# How long the admin’s word counts that nobody else publishes: deploy.sh has just stopped the former
# publisher, or the admin says that it is gone.
_FRESH: Final = 3600.0  # seconds
_MAX_BYTES: Final = 16 * 1024
_PATIENCE: Final = 120.0  # seconds; tor may need a minute to find that every point was left
# tor's ExtendedErrors (tor(1), SocksPort): no directory has a descriptor; no introduction point
# knows the service any more.
_NO_DESCRIPTOR, _LEFT = 0xF0, 0xF2


@dataclass(frozen=True, slots=True)
class Peers:
    """The servers of one onion, each as the address of its own onion.

    ``own`` is this server, ``first`` publishes until there is a note.
    """

    own: str
    first: str
    others: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read lines such as ``own ….onion``. Raises ``CccrError``."""
        try:
            lines = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
        except (OSError, ValueError) as error:
            raise CccrError(f"{path} cannot be read: {error}.", "Run deploy.sh again.") from error
        found: dict[str, list[str]] = {"own": [], "first": [], "other": []}
        for line in lines:
            if not line or line[0] == "#":
                continue
            if len(line) != 2 or line[0] not in found or not ONION.fullmatch(line[1]):
                raise CccrError(f"{path}: “{' '.join(line)}” is no peer.", "Run deploy.sh again.")
            found[line[0]].append(line[1])
        if len(found["own"]) != 1 or len(found["first"]) != 1:
            raise CccrError(f"{path} does not name one own and one first.", "Run deploy.sh again.")
        return cls(found["own"][0], found["first"][0], tuple(found["other"]))


@dataclass(frozen=True, slots=True)
class Reason:
    """Why this server does not publish. ``planned``: by the admin's own note or settings."""

    text: str
    planned: bool = False


class Turn:
    """Decides whether this server may publish ``onion``.

    ``note`` is the file of its promotion note, which only root can write: its signature is for
    the peers, and may be of a former ``key``. ``proxy`` is tor's SOCKS port, with
    ``ExtendedErrors``.
    """

    def __init__(
        self, onion: str, peers: Peers, note: Path, key: Trusted, proxy: Tcp | Unix
    ) -> None:
        self.onion = onion
        self.peers = peers
        self._note = note
        self._none = (0, peers.first)
        self._key = key
        self._proxy = proxy

    def reason(self, *, publishing: bool) -> Reason | None:
        """Return why this server must not publish, or not go on; ``None`` if it may.

        While it is ``publishing``, only a note can end that: peers that do not answer cannot.
        """
        try:
            own = self._own_note()
        except CccrError as error:
            return Reason(error.problem)
        answered = [note for peer in self.peers.others if (note := self._note_of(peer))]
        number, publisher = max([own, *answered], key=lambda note: note[0])
        if publisher != self.peers.own:
            return Reason("another server publishes the onion", planned=True)
        if publishing:
            return None
        is_fresh = time.time() - number < _FRESH
        return self._other_publisher(is_known=is_fresh or bool(answered))

    def _own_note(self) -> tuple[int, str]:
        """Return the note's number and publisher."""
        try:
            body = self._note.read_bytes()
        except FileNotFoundError:
            return self._none
        except OSError as error:
            raise CccrError(
                f"{self._note} cannot be read: {error.strerror}.",
                "Let the onion manager read it.",
            ) from error
        note = read_promotion(body, None)
        return note.number, note.publisher

    def _note_of(self, peer: str) -> tuple[int, str] | None:
        """Return a peer's note, or that there is none yet; ``None`` if it does not answer."""
        try:
            with self._connected(peer) as connection:
                connection.request("GET", PATH, headers={"Host": peer})
                response = connection.getresponse()
                if response.status == http.client.NOT_FOUND:
                    return self._none
                note = read_promotion(response.read(_MAX_BYTES), self._key)
                return note.number, note.publisher
        except (OSError, http.client.HTTPException, CccrError):
            return None

    def _other_publisher(self, *, is_known: bool) -> Reason | None:
        """Find out as a reader's tor does, from the directories and introduction points.

        If nothing answers, that is no proof, unless it is known otherwise that nobody publishes.
        """
        try:
            with self._connected(self.onion, _TIMEOUT if is_known else _PATIENCE):
                return Reason("the onion answers, so another server still publishes it")
        except OSError as error:
            code = error.code if isinstance(error, SocksFailureError) else None
            if is_known or code in {_NO_DESCRIPTOR, _LEFT}:
                return None
            return Reason(f"nobody can be asked whether another server publishes: {error}")

    @contextlib.contextmanager
    def _connected(
        self, host: str, timeout: float = _TIMEOUT
    ) -> Iterator[http.client.HTTPConnection]:
        unix = isinstance(self._proxy, Unix)
        with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as link:
            link.settimeout(timeout)
            try:
                link.connect(
                    str(self._proxy.path)
                    if isinstance(self._proxy, Unix)
                    else (self._proxy.host, self._proxy.port)
                )
            except OSError as error:
                raise no_proxy(self._proxy, error) from error
            request(link, host, _PORT, self._proxy)
            connection = http.client.HTTPConnection(host)
            connection.sock = link
            yield connection
