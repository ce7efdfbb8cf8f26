"""What files and responses reveal: this machine's addresses and name, and image metadata.

Readers of an onion must not learn where it is hosted, nor from a picture who took it and
where. PNG: chunks of text, time and Exif (PNG, third edition, 11.3). JPEG: the segments
APP1 (Exif, XMP), APP13 (IPTC) and comments (ITU-T T.81, B.2.4).
"""

from __future__ import annotations

import io
import ipaddress
import re
import socket
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from cccr_web.doctor.model import CheckResult, not_applicable, ok, summarise, wrong
from cccr_web.doctor.probe import Probe
from cccr_web.errors import counted
from cccr_web.release import MAX_FILE, Release

_ZIP: Final = b"PK\3\4"
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
_CHUNKS: Final = frozenset({b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME"})
# The others belong to the picture: APP0 is JFIF, APP2 a colour profile, APP14 Adobe's colours.
_SEGMENTS: Final = {
    0xFE: "a comment",
    0xE1: "Exif or XMP",
    0xED: "IPTC",
    **dict.fromkeys((*range(0xE3, 0xED), 0xEF), "application data"),
}
_START_OF_SCAN: Final = 0xDA

_PROC: Final = Path("/proc/net")
# In /proc/net/fib_trie the line after an address says that it belongs to this machine.
_LOCAL: Final = re.compile(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL")
# A name without any of these could be an ordinary word in a text.
_DISTINCTIVE: Final = re.compile(r"[0-9.-]")
_MIN_LENGTH: Final = 4


def check_leaks(
    release: Release,
    probes: Iterable[Probe],
    public: Iterable[str],
    identifiers: set[str],
) -> Iterator[CheckResult]:
    """Search all files and response headers for ``identifiers``, except ``public`` ones.

    Identifiers are this machine's addresses and names.
    """
    secret = identifiers - {*public}
    if not secret:
        yield ok("leaks", "This machine has no address or name that could leak.")
        return
    pattern = _pattern(secret)
    found = [
        f"{path} contains {match[0].decode('ascii')}"
        for path, body in _contents(release)
        if (match := pattern.search(body))
    ]
    for probe in probes:
        for request, response in probe.responses:
            for name, value in response.headers:
                if match := pattern.search(f"{name}: {value}".encode("latin-1", "replace")):
                    leak = match[0].decode("ascii")
                    found.append(f"the {probe.name} response to {request} contains {leak}")
    if found:
        yield wrong(
            "leaks",
            f"This machine is named: {summarise(found)}.",
            "Remove it from the texts or the server's settings. Then build and sign a new release.",
        )
    else:
        names = ", ".join(sorted(secret))
        yield ok("leaks", f"No file or response names this machine ({names}).")


def own_addresses(proc: Path = _PROC) -> set[str]:
    """Return the addresses of all interfaces except loopback."""
    found: set[ipaddress.IPv4Address | ipaddress.IPv6Address] = set()
    for file, read in (("fib_trie", _ipv4), ("if_inet6", _ipv6)):
        try:
            found |= set(read((proc / file).read_text(encoding="ascii")))
        except FileNotFoundError:
            continue  # a kernel without that protocol
    return {str(each) for each in found if not each.is_loopback}


def own_names() -> set[str]:
    """Return the names of this machine that no text would contain by chance."""
    names = {name.lower() for name in (socket.gethostname(), socket.getfqdn())}
    return {
        name
        for name in names
        if len(name) >= _MIN_LENGTH
        and _DISTINCTIVE.search(name)
        and not name.startswith("localhost")
    }


def _pattern(identifiers: Iterable[str]) -> re.Pattern[bytes]:
    # The longest first; otherwise the beginning of a name would match instead of the name.
    words = [
        # A port may follow an IPv4 address, but not a further group an IPv6 address.
        re.escape(each) + ("(?![0-9a-f:])" if ":" in each else "(?![0-9a-z-])")
        for each in sorted(identifiers, key=len, reverse=True)
    ]
    alone = rf"(?<![0-9a-z:-])(?<![0-9]\.)(?:{'|'.join(words)})"
    return re.compile(alone.encode(), re.IGNORECASE)


def _ipv4(text: str) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    for match in _LOCAL.finditer(text):
        yield ipaddress.ip_address(match[1])


def _ipv6(text: str) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    for line in text.splitlines():
        yield ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))


def check_images(release: Release) -> Iterator[CheckResult]:
    """Search every picture of the release for metadata, including those in ZIPs and EPUBs."""
    count = 0
    found = []
    for path, body in _contents(release):
        if body.startswith((_PNG, _JPEG)):
            count += 1
            metadata = _png(body) if body.startswith(_PNG) else _jpeg(body)
            found += [f"{path} contains {each}" for each in sorted(set(metadata))]
    if found:
        yield wrong(
            "images",
            f"Pictures contain metadata: {summarise(found)}.",
            "Build the release with “cccr-web build”, which removes it.",
        )
    elif count:
        yield ok("images", f"No metadata in {counted(count, 'picture')}.")
    else:
        yield not_applicable("images", "The release has no pictures.")


def _png(body: bytes) -> Iterator[str]:
    at = len(_PNG)
    while at + 8 <= len(body):
        length, kind = int.from_bytes(body[at : at + 4], "big"), body[at + 4 : at + 8]
        if kind in _CHUNKS:
            yield f"a {kind.decode('ascii')} chunk"
        at += 12 + length


def _jpeg(body: bytes) -> Iterator[str]:
    at = 2
    while at + 4 <= len(body) and body[at] == 0xFF:
        kind = body[at + 1]
        if kind == _START_OF_SCAN:
            return
        if kind in _SEGMENTS:
            yield _SEGMENTS[kind]
        at += 2 + int.from_bytes(body[at + 2 : at + 4], "big")


def _contents(release: Release) -> Iterator[tuple[str, bytes]]:
    """Yield the name and bytes of each file, and of each member of its ZIPs and EPUBs."""
    for path, file in release.files.items():
        yield from _with_members(path, file.body)


def _with_members(path: str, body: bytes) -> Iterator[tuple[str, bytes]]:
    yield path, body
    if not body.startswith(_ZIP):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            for member in archive.infolist():
                # The signature has been verified, so the ZIP is ours. The limit is a precaution.
                if not member.is_dir() and member.file_size <= MAX_FILE:
                    name = f"{path}:{member.filename}"
                    yield from _with_members(name, archive.read(member))
    except zipfile.BadZipFile:
        return  # It only begins like a ZIP.
