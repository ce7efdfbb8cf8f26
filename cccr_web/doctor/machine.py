"""Whether a file or an answer names this machine: its addresses, its name.

A reader of an onion must not learn where it is hosted.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from cccr_web.doctor.contents import contents
from cccr_web.doctor.result import Result, ok, some, wrong
from cccr_web.doctor.way import Way
from cccr_web.release import Release

NAME: Final = "traces"

_PROC: Final = Path("/proc/net")
# Of /proc/net/fib_trie: an address, and on the next line that it is one of this machine.
_LOCAL: Final = re.compile(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL")
# A name without any of these could be any word of a text.
_TELLING: Final = re.compile(r"[0-9.-]")
_SHORTEST: Final = 4


def own_addresses(proc: Path = _PROC) -> set[str]:
    """Return the addresses of all interfaces but loopback, as they are written."""
    found = set()
    for file, read in (("fib_trie", _ipv4), ("if_inet6", _ipv6)):
        try:
            found |= set(read((proc / file).read_text(encoding="ascii")))
        except FileNotFoundError:
            continue  # a kernel without that protocol
    return {str(each) for each in found if not each.is_loopback}


def own_names() -> set[str]:
    """Return the names of this machine that no text would hold by chance."""
    names = {name.lower() for name in (socket.gethostname(), socket.getfqdn())}
    return {
        name
        for name in names
        if len(name) >= _SHORTEST and _TELLING.search(name) and not name.startswith("localhost")
    }


def check_machine(
    release: Release,
    ways: Iterable[Way],
    public: Iterable[str],
    traces: Iterable[str] | None = None,
) -> Iterator[Result]:
    """Look for this machine in all files and in every answer's headers.

    ``public`` are names that are meant to be known; ``traces`` stand for what is looked for.
    """
    looked_for = (own_addresses() | own_names() if traces is None else {*traces}) - {*public}
    if not looked_for:
        yield ok(NAME, "This machine has no address and no name that could be told.")
        return
    pattern = _pattern(looked_for)
    found = [
        f"{path} holds {match[0].decode('ascii')}"
        for path, body in contents(release)
        if (match := pattern.search(body))
    ]
    for way in ways:
        for asked, reply in way.seen:
            for name, value in reply.headers:
                if match := pattern.search(f"{name}: {value}".encode("latin-1", "replace")):
                    held = match[0].decode("ascii")
                    found.append(f"the answer to {asked} on the {way.name} holds {held}")
    if found:
        yield wrong(
            NAME,
            f"This machine is named: {some(found)}.",
            "Take it out of the texts or the server’s settings, then build and sign anew.",
        )
    else:
        named = ", ".join(sorted(looked_for))
        yield ok(NAME, f"No file and no answer names this machine ({named}).")


def _pattern(traces: Iterable[str]) -> re.Pattern[bytes]:
    # The longest first, or a name's beginning would be found in its place.
    words = [
        # A port may follow an IPv4 address, but not a group one of IPv6.
        re.escape(each) + ("(?![0-9a-f:])" if ":" in each else "(?![0-9a-z-])")
        for each in sorted(traces, key=len, reverse=True)
    ]
    alone = rf"(?<![0-9a-z:-])(?<![0-9]\.)(?:{'|'.join(words)})"
    return re.compile(alone.encode(), re.IGNORECASE)


def _ipv4(text: str) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    for match in _LOCAL.finditer(text):
        yield ipaddress.ip_address(match[1])


def _ipv6(text: str) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    for line in text.splitlines():
        yield ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))
