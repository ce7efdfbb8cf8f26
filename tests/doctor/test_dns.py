"""The doctor's check of the domain's DNS records, against a nameserver on loopback."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from cccr_web.doctor.dns import Resolver, check_dns
from cccr_web.doctor.model import CheckResult, CheckVerdict

A, CNAME, AAAA, CAA = 1, 5, 28, 257
NAME = "www.cccr.example"
OURS = ("192.0.2.1", "192.0.2.2", "2001:db8::1")

Records = dict[tuple[str, int], list[tuple[int, bytes]]]


def issue(value: str, tag: str = "issue") -> tuple[int, bytes]:
    """Return the TTL and data of a CAA record."""
    return 300, bytes([0, len(tag)]) + tag.encode() + value.encode()


def packed(*addresses: str, ttl: int = 300) -> list[tuple[int, bytes]]:
    """Return the TTLs and data of address records."""
    return [(ttl, ip_address(address).packed) for address in addresses]


def right() -> Records:
    """Return the records of two servers, with the authority at the parent."""
    return {
        (NAME, A): packed(*OURS[:2]),
        (NAME, AAAA): packed(OURS[2]),
        ("cccr.example", CAA): [issue("letsencrypt.org; validationmethods=http-01")],
    }


class Nameserver:
    """Answers UDP queries from ``records``; ``flags`` are those of each answer."""

    def __init__(self, folder: Path, records: Records, flags: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._records, self._flags = records, flags
        (folder / "resolv.conf").write_text("# a comment\nsearch example\nnameserver 127.0.0.1\n")
        self.resolver = Resolver(folder / "resolv.conf", self._socket.getsockname()[1])

    def run(self) -> None:
        """Answer until an empty datagram arrives."""
        while (got := self._socket.recvfrom(4096))[0]:
            query, client = got
            end = query.index(b"\0", 12) + 5
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]].decode())
                at += query[at] + 1
            (kind,) = struct.unpack_from("!H", query, end - 4)
            found = [(kind, *each) for each in self._records.get((".".join(labels), kind), [])]
            if found:  # as for a name that is an alias
                found.insert(0, (CNAME, 60, b"\xc0\x0c"))
            head = query[:2] + struct.pack("!HHHHH", self._flags, 1, len(found), 0, 0)
            body = b"".join(
                b"\xc0\x0c" + struct.pack("!HHIH", its_kind, 1, ttl, len(data)) + data
                for its_kind, ttl, data in found
            )
            self._socket.sendto(head + query[12:end] + body, client)

    def close(self) -> None:
        """Stop."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.sendto(b"", self._socket.getsockname())


@contextlib.contextmanager
def nameserver(folder: Path, records: Records, flags: int = 0x8180) -> Iterator[Resolver]:
    """Run a nameserver; yield a resolver that asks it."""
    server = Nameserver(folder, records, flags)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.resolver
    finally:
        server.close()
        thread.join()
        server._socket.close()


def check(folder: Path, records: Records, flags: int = 0x8180) -> CheckResult:
    """Return the result for these records."""
    with nameserver(folder, records, flags) as resolver:
        (result,) = check_dns((NAME,), tuple(map(ip_address, OURS)), resolver)
    return result


def test_records_of_exactly_our_servers_are_ok(tmp_path: Path) -> None:
    """All addresses, a short TTL and an authority, also one that the parent names."""
    result = check(tmp_path, right())
    assert (result.verdict, result.sentence) == (
        CheckVerdict.OK,
        f"{NAME} leads to {', '.join(OURS)}; letsencrypt.org may issue its certificates.",
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({(NAME, A): packed("192.0.2.1")}, "it lacks 192.0.2.2"),
        ({(NAME, AAAA): []}, "it lacks 2001:db8::1"),
        (
            {(NAME, A): packed(*OURS[:2], "203.0.113.9")},
            "it leads to 203.0.113.9, which is none of our servers",
        ),
        (
            {(NAME, A): packed(*OURS[:2], ttl=86400)},
            "resolvers keep an address for 86400 s, not 3600 s or less",
        ),
        ({("cccr.example", CAA): []}, "it has no CAA record"),
        ({("cccr.example", CAA): [issue("mailto:a@b.example", "iodef")]}, "it has no CAA record"),
    ],
)
def test_each_wrong_record_is_named(tmp_path: Path, changes: Records, problem: str) -> None:
    """A missing or foreign address, a long TTL and a missing authority are wrong."""
    result = check(tmp_path, right() | changes)
    assert result.verdict is CheckVerdict.WRONG
    assert result.sentence.startswith(f"The DNS records of {NAME}: {problem}")
    assert "ADDRESSES" in result.remedy


def test_the_nearest_caa_records_count(tmp_path: Path) -> None:
    """Those of the name itself replace its parent's; an empty value allows nobody."""
    result = check(tmp_path, right() | {(NAME, CAA): [issue(";")]})
    assert result.sentence.endswith("; nobody may issue its certificates.")


@pytest.mark.parametrize(
    ("flags", "reason"), [(0x8182, "code 2"), (0x8380, "is cut off"), (0x8183, "it lacks")]
)
def test_an_answer_that_is_none_is_wrong(tmp_path: Path, flags: int, reason: str) -> None:
    """A failing nameserver, or a name that does not exist, is reported."""
    records = {} if flags == 0x8183 else right()
    result = check(tmp_path, records, flags)
    assert result.verdict is CheckVerdict.WRONG
    assert reason in result.sentence


def test_a_machine_without_a_nameserver_is_reported(tmp_path: Path) -> None:
    """No nameserver, no answer and no file are sentences, not crashes."""
    file = tmp_path / "resolv.conf"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        unused = silent.getsockname()[1]
    for text, reason in (
        (None, "No such file"),
        ("", "names no nameserver"),
        ("nameserver 127.0.0.1\n", "refused"),
    ):
        if text is not None:
            file.write_text(text)
        (result,) = check_dns((NAME,), (), Resolver(file, unused))
        assert result.verdict is CheckVerdict.WRONG
        assert reason in result.sentence
