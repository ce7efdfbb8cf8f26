"""Which addresses can be checked, and how they are written."""

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
def test_https_anywhere_and_http_to_an_onion_or_this_machine_are_accepted(
    text: str, shown: str, port: int
) -> None:
    """HTTPS is accepted for any host, HTTP only for an onion or this machine."""
    address = Address.parse(text)
    assert (str(address), address.port) == (shown, port)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("http://cccr.example", "http is only for onions and this machine"),
        ("http://127.0.0.1.example", "http is only for onions and this machine"),
        ("http://onion", "http is only for onions and this machine"),
        ("http://10.0.0.1", "http is only for onions and this machine"),
        ("ftp://cccr.example", "is not an address"),
        ("cccr.example", "is not an address"),
        ("https://", "is not an address"),
        ("https://user@cccr.example", "is not an address"),
        ("https://例.example", "is not an address"),
        ("https://cccr.example:99999", "is not an address"),
        ("https://[::1", "is not an address"),
        ("https://cccr.example/en/", "has a path"),
        ("https://cccr.example/?x", "has a path"),
        ("https://cccr.example/#x", "has a path"),
    ],
)
def test_any_other_address_is_rejected(text: str, problem: str) -> None:
    """Any other address is rejected with a reason, plain HTTP over the network included."""
    with pytest.raises(ValueError, match=problem):
        Address.parse(text)
