"""Find the circuits that cause rejected requests, and close the worst of them.

A ``HiddenServiceDir`` with ``HiddenServiceExportCircuitID haproxy`` begins each connection
with a PROXY line. Its address (fc00:dead:beef:4dad::/96) ends in the circuit's global
identifier, which is also the circuit's ID at the control port (control-spec, CIRC). nginx
reports it in syslog datagrams to a unix socket, so that it is never written to a disk.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections import Counter
from pathlib import Path

from support.threads import BackgroundThreads

from cccr_web.onion import ControlConnection

EXPORTED = ipaddress.IPv6Network("fc00:dead:beef:4dad::/96")
REPORT = re.compile(rb"circuit=([0-9a-f:]+)$")
WINDOW = 10.0  # seconds over which rejections are counted


def circuit_id(address: str) -> int:
    """Return the circuit ID at the control port from the address of a PROXY line.

    Raises ``ValueError`` for any other address.
    """
    exported = ipaddress.IPv6Address(address)
    if exported not in EXPORTED:
        raise ValueError(f"{address} is not the address of a circuit.")
    return int(exported) & 0xFFFF_FFFF


class CircuitCloser(BackgroundThreads):
    """Reads nginx's reports of rejected requests, and closes circuits with too many of them."""

    def __init__(self, path: Path, connection: ControlConnection, limit: int) -> None:
        self.path = path
        self.closed = 0
        self._connection = connection
        self._limit = limit
        self._inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._inbox.bind(str(path))
        self._inbox.settimeout(0.2)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._inbox.close()

    def _run(self) -> None:
        counts: Counter[int] = Counter()
        reset_at = time.monotonic() + WINDOW
        while not self._stopped.is_set():
            if time.monotonic() > reset_at:
                counts.clear()
                reset_at = time.monotonic() + WINDOW
            try:
                report = REPORT.search(self._inbox.recv(512))
            except TimeoutError:
                continue
            if report is None:
                continue
            circuit = circuit_id(report[1].decode("ascii"))
            counts[circuit] += 1
            if counts[circuit] == self._limit:
                self.closed += self._connection.send(f"CLOSECIRCUIT {circuit}").is_ok()
