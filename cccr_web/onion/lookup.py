"""What the network's directories tell a client of an onion: is its descriptor there?"""

from __future__ import annotations

import queue
import time
from typing import TYPE_CHECKING, Final

from cccr_web.errors import ControlLostError, OnionError, TorRefusedError
from cccr_web.onion.status import Descriptor

if TYPE_CHECKING:
    from cccr_web.onion.control import Link

POLL: Final = 0.2  # seconds
AGAIN_AFTER: Final = 3.0  # seconds before other directories are asked


def look_up(link: Link, address: str, timeout: float) -> Descriptor:
    """Let the tor at ``link`` ask directories for the descriptor of ``address``, and read it.

    That is a client's way (HSFETCH, control-spec 3.27): the service's own tor has no part in
    it. A directory that does not have it is followed by others for ``timeout`` seconds.

    Raises ``OnionError``, ``TorRefusedError`` or ``ControlLostError``.
    """
    name = address.removesuffix(".onion")
    refusals: set[str] = set()
    end_at = time.monotonic() + timeout
    with link.events("HS_DESC") as events:
        while time.monotonic() < end_at:
            reply = link.ask(f"HSFETCH {name}")
            if not reply.is_ok():
                raise TorRefusedError(f"Tor does not ask for {address}: {reply}.", "Update tor.")
            if _await_answer(link, name, events, refusals, end_at):
                found = Descriptor.read(link, address, own=False)
                if found is not None:
                    return found
            time.sleep(min(AGAIN_AFTER, max(0.0, end_at - time.monotonic())))
    why = f"; they said: {', '.join(sorted(refusals))}" if refusals else ""
    raise OnionError(
        f"No directory gave the descriptor of {address} within {timeout:.0f} s{why}.",
        "See whether the onion's manager runs and has published it.",
    )


def _await_answer(
    link: Link,
    name: str,
    events: queue.SimpleQueue[object],
    refusals: set[str],
    end_at: float,
) -> bool:
    """Wait until one directory has answered; tell whether it had the descriptor."""
    while time.monotonic() < end_at:
        if link.lost.is_set():
            raise ControlLostError("Tor went away while it asked.", "Try again.")
        try:
            event = events.get(timeout=POLL)
        except queue.Empty:
            continue
        action = getattr(event, "action", None)
        if getattr(event, "address", None) == name and action in {"RECEIVED", "FAILED"}:
            if action == "RECEIVED":
                return True
            refusals.add(str(getattr(event, "reason", None)))
            return False
    return False
