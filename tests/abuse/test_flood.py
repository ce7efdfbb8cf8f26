"""The parts of the flood that need no network: parsing, messages and statistics."""

from __future__ import annotations

import math

import pytest
from circuits import REPORT, circuit_id
from flood import Measured, narrow
from support.socks import greeting
from support.tor_reader import NoAnswerError, expected_size, request_for


def test_a_proxy_address_contains_the_circuit_id() -> None:
    """The last 32 bits of a PROXY line's address are the circuit ID at the control port."""
    assert circuit_id("fc00:dead:beef:4dad::0:29a") == 666
    assert circuit_id("fc00:dead:beef:4dad::ffff:ffff") == 2**32 - 1


@pytest.mark.parametrize("address", ["fc00:dead:beef:4dae::1", "127.0.0.1", "unix:", ""])
def test_another_address_is_not_a_circuit(address: str) -> None:
    """Any other address is rejected, since the wrong circuit would be closed."""
    with pytest.raises(ValueError, match=r"\w"):
        circuit_id(address)


def test_the_circuit_is_found_in_the_report_of_nginx() -> None:
    """The address is found at the end of a syslog datagram from nginx."""
    datagram = b"<190>Nov 22 11:00:00 nginx: circuit=fc00:dead:beef:4dad::1:2"
    found = REPORT.search(datagram)
    assert found is not None
    assert circuit_id(found[1].decode()) == 0x1_0002
    assert REPORT.search(b"<190>Nov 22 11:00:00 nginx: circuit=-") is None


def test_unanswered_requests_count_as_the_slowest() -> None:
    """The median and the 95th percentile include the requests without a response."""
    assert Measured([0.1] * 19, 1).row() == "95% | 0.10 | 0.10"
    assert Measured([0.1] * 18, 2).row() == "90% | 0.10 | none"
    assert Measured([0.1], 2).row() == "33% | none | none"
    assert Measured().row() == "– | – | –"


def test_the_circuit_is_sent_as_the_socks_user() -> None:
    """The circuit is sent as the user name (RFC 1929), the onion as a domain name (RFC 1928)."""
    methods, user, request = greeting("a.onion", "c1", 81)
    assert (methods, user) == (b"\x05\x01\x02", b"\x01\x02c1\x01x")
    assert request == b"\x05\x01\x00\x03\x07a.onion\x00\x51"
    assert request_for("a.onion", "/en/").startswith(b"GET /en/ HTTP/1.1\r\nHost: a.onion\r\n")


def test_the_content_length_is_read_in_any_case() -> None:
    """The length is read in upper or lower case, and a response without one is an error."""
    assert expected_size(b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 12") == 12
    with pytest.raises(NoAnswerError, match="no Content-Length"):
        expected_size(b"HTTP/1.1 200 OK\r\nDate: x")


def test_a_machine_with_other_interfaces_is_not_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line is limited only where the loopback is the only interface."""
    monkeypatch.setattr("socket.if_nameindex", lambda: [(1, "lo"), (2, "eth0")])
    with pytest.raises(SystemExit, match=r"flood\.sh"):
        narrow(1)


def test_an_infinite_time_is_shown_as_none() -> None:
    """The table shows an infinite time as "none"."""
    assert Measured([math.inf]).row().endswith("none | none")
