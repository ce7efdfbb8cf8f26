"""The domain's DNS records: addresses, how long they are kept, and who may issue certificates."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cccr_web.doctor.model import CheckResult, IpAddress, ok, summarise, wrong

_RESOLV_CONF: Final = Path("/etc/resolv.conf")
_PORT: Final = 53
_TIMEOUT: Final = 3.0  # seconds for each nameserver
# RFC 1035, 3.2.2; RFC 3596, 2.1; RFC 8659, 4.1.
_A, _AAAA, _CAA = 1, 28, 257
_INTERNET: Final = 1
_RECURSION: Final = 0x0100
_TRUNCATED: Final = 0x0200
_NO_SUCH_NAME: Final = 3
_MAX_TTL: Final = 3600  # seconds until readers no longer ask a server that was taken out


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One record: ``ttl`` in seconds, ``data`` in the form of its type."""

    ttl: int
    data: bytes


class Resolver:
    """Asks the nameservers of this machine, so that no hosts file has a part in the answer."""

    def __init__(self, path: Path = _RESOLV_CONF, port: int = _PORT) -> None:
        self._path = path
        self._port = port

    def ask(self, name: str, kind: int) -> list[DnsRecord]:
        """Return the records of that type, also those behind an alias. Raises ``OSError``."""
        lines = self._path.read_text(encoding="utf-8").splitlines()
        servers = [line.split()[1] for line in lines if line.split()[:1] == ["nameserver"]]
        problem = OSError(f"{self._path} names no nameserver")
        for server in servers * 2:
            try:
                return self._ask(server, name, kind)
            except OSError as error:
                problem = OSError(f"the nameserver {server}: {error.strerror or error}")
        raise problem

    def _ask(self, server: str, name: str, kind: int) -> list[DnsRecord]:
        number = secrets.randbits(16)
        labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        question = labels + struct.pack("!xHH", kind, _INTERNET)
        query = struct.pack("!HHHHHH", number, _RECURSION, 1, 0, 0, 0) + question
        family, *_, address = socket.getaddrinfo(
            server, self._port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )[0]
        with socket.socket(family, socket.SOCK_DGRAM) as link:
            link.settimeout(_TIMEOUT)
            link.connect(address)
            link.send(query)
            answer = link.recv(65535)
        try:
            return _records(answer, number, kind)
        except (struct.error, IndexError) as error:
            raise OSError("its answer is damaged") from error


def _records(answer: bytes, number: int, kind: int) -> list[DnsRecord]:
    """Return the records of one type in an answer (RFC 1035, section 4.1)."""
    found, flags, questions, answers = struct.unpack_from("!HHHH", answer)
    code = flags & 0xF
    if found != number or code not in {0, _NO_SUCH_NAME}:
        raise OSError(f"it answers with code {code}")
    if flags & _TRUNCATED:
        raise OSError("its answer is cut off at 512 bytes")
    at = 12
    for _ in range(questions):
        at = _after_name(answer, at) + 4
    records = []
    for _ in range(answers):
        at = _after_name(answer, at)
        its_kind, _, ttl, length = struct.unpack_from("!HHIH", answer, at)
        at += 10
        if its_kind == kind:
            records.append(DnsRecord(ttl, answer[at : at + length]))
        at += length
    return records


def _after_name(answer: bytes, at: int) -> int:
    while answer[at]:
        if answer[at] >= 0xC0:  # a pointer ends the name
            return at + 2
        at += answer[at] + 1
    return at + 1


def check_dns(
    names: tuple[str, ...], addresses: tuple[IpAddress, ...], resolver: Resolver
) -> Iterator[CheckResult]:
    """Check that each name leads to exactly these addresses, and who may certify it."""
    for name in names:
        try:
            yield _check_name(name, set(addresses), resolver)
        except OSError as error:
            yield wrong(
                "dns",
                f"The records of {name} are unknown: {error}.",
                "Check this machine's resolver: cat /etc/resolv.conf",
            )


def _check_name(name: str, expected: set[IpAddress], resolver: Resolver) -> CheckResult:
    records = resolver.ask(name, _A) + resolver.ask(name, _AAAA)
    found = {ipaddress.ip_address(record.data) for record in records}
    issuers = _issuers(name, resolver)
    problems = [f"it lacks {address}" for address in sorted(map(str, expected - found))]
    problems += [
        f"it leads to {address}, which is none of our servers"
        for address in sorted(map(str, found - expected))
    ]
    if longest := max((record.ttl for record in records if record.ttl > _MAX_TTL), default=0):
        problems.append(f"resolvers keep an address for {longest} s, not {_MAX_TTL} s or less")
    if not issuers:
        problems.append("it has no CAA record, so every authority may issue a certificate for it")
    if problems:
        return wrong(
            "dns",
            f"The DNS records of {name}: {summarise(problems)}.",
            "Correct them at your DNS provider, or ADDRESSES in the settings.",
        )
    return ok(
        "dns",
        f"{name} leads to {', '.join(sorted(map(str, found)))}; "
        f"{', '.join(issuers)} may issue its certificates.",
    )


def _issuers(name: str, resolver: Resolver) -> list[str]:
    """Return who may issue certificates, by the name's CAA records or its parent's (RFC 8659)."""
    while "." in name:
        records = [record.data for record in resolver.ask(name, _CAA)]
        if records:
            properties = [(data[2 : 2 + data[1]], data[2 + data[1] :]) for data in records]
            issuers = {
                value.partition(b";")[0].strip() for tag, value in properties if tag == b"issue"
            }
            return sorted(issuer.decode("ascii", "replace") or "nobody" for issuer in issuers)
        name = name.partition(".")[2]
    return []
