"""Which addresses are looked at, and how they are written."""

from __future__ import annotations

import pytest

from cccr_web.watch import Address

ONION = "a" * 56 + ".onion"


@pytest.mark.parametrize(
    ("text", "shown", "port"),
    [
        ("https://cccr.example", "https://cccr.example", 443),
        ("https://CCCR.example/", "https://cccr.example", 443),
        ("https://cccr.example:8443", "https://cccr.example:8443", 8443),
        (f"http://{ONION}/", f"http://{ONION}", 80),
        (f"https://{ONION}", f"https://{ONION}", 443),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080", 8080),
        ("http://localhost:8080", "http://localhost:8080", 8080),
        ("http://[::1]:8080", "http://[::1]:8080", 8080),
    ],
)
def test_addresses(text: str, shown: str, port: int) -> None:
    """HTTPS anywhere, and HTTP to an onion or this machine, are looked at."""
    address = Address.parse(text)
    assert (str(address), address.port) == (shown, port)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("http://cccr.example", "http is for onions and this machine only"),
        ("http://127.0.0.1.example", "http is for onions and this machine only"),
        ("http://onion", "http is for onions and this machine only"),
        ("http://10.0.0.1", "http is for onions and this machine only"),
        ("ftp://cccr.example", "is no address"),
        ("cccr.example", "is no address"),
        ("https://", "is no address"),
        ("https://user@cccr.example", "is no address"),
        ("https://例.example", "is no address"),
        ("https://cccr.example:99999", "is no address"),
        ("https://[::1", "is no address"),
        ("https://cccr.example/en/", "without a path"),
        ("https://cccr.example/?x", "without a path"),
        ("https://cccr.example/#x", "without a path"),
    ],
)
def test_refused_addresses(text: str, problem: str) -> None:
    """Anything else is refused, with its reason: above all plain HTTP over the network."""
    with pytest.raises(ValueError, match=problem):
        Address.parse(text)
