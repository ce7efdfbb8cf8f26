"""The parts of the flood that are not a matter of time: what it reads, sends and counts."""

from __future__ import annotations

import math

import pytest
from circuits import REPORT, circuit_id
from flood import Asked, narrow
from support.tor_reader import NoAnswerError, expected_size, greeting, request_for


def test_circuit_id() -> None:
    """The last 32 bits of a PROXY line's address are the circuit's name at the control port."""
    assert circuit_id("fc00:dead:beef:4dad::0:29a") == 666
    assert circuit_id("fc00:dead:beef:4dad::ffff:ffff") == 2**32 - 1


@pytest.mark.parametrize("address", ["fc00:dead:beef:4dae::1", "127.0.0.1", "unix:", ""])
def test_no_circuit(address: str) -> None:
    """No other address is taken for a circuit: a wrong one would be closed."""
    with pytest.raises(ValueError, match=r"\w"):
        circuit_id(address)


def test_report() -> None:
    """The address is found at the end of a syslog datagram of nginx."""
    datagram = b"<190>Nov 22 11:00:00 nginx: circuit=fc00:dead:beef:4dad::1:2"
    found = REPORT.search(datagram)
    assert found is not None
    assert circuit_id(found[1].decode()) == 0x1_0002
    assert REPORT.search(b"<190>Nov 22 11:00:00 nginx: circuit=-") is None


def test_all_asked_count() -> None:
    """Who got no answer waited longest: the median and the tail are of all who asked."""
    assert Asked([0.1] * 19, 1).row() == "95% | 0.10 | 0.10"
    assert Asked([0.1] * 18, 2).row() == "90% | 0.10 | none"
    assert Asked([0.1], 2).row() == "33% | none | none"
    assert Asked().row() == "– | – | –"


def test_socks_words() -> None:
    """The circuit goes as the user's name (RFC 1929), the onion as a name (RFC 1928)."""
    first, user, ask = greeting("a.onion", "c1", 81)
    assert (first, user) == (b"\x05\x01\x02", b"\x01\x02c1\x01x")
    assert ask == b"\x05\x01\x00\x03\x07a.onion\x00\x51"
    assert request_for("a.onion", "/en/").startswith(b"GET /en/ HTTP/1.1\r\nHost: a.onion\r\n")


def test_expected_size() -> None:
    """The length is read whatever its case; an answer without one is an error, not empty."""
    assert expected_size(b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 12") == 12
    with pytest.raises(NoAnswerError):
        expected_size(b"HTTP/1.1 200 OK\r\nDate: x")


def test_no_other_network_is_narrowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is more than a loopback, nothing is changed."""
    monkeypatch.setattr("socket.if_nameindex", lambda: [(1, "lo"), (2, "eth0")])
    with pytest.raises(SystemExit, match=r"flood\.sh"):
        narrow(1)


def test_infinite_is_told_in_words() -> None:
    """A time that never ended is no number in the table."""
    assert Asked([math.inf]).row().endswith("none | none")
