"""The host names of a listener (``serve/hosts.py``)."""

from __future__ import annotations

import pytest
from support.serving import ONION

from cccr_web.serve.hosts import HostMatch, Hosts, clearnet_hosts, onion_hosts


@pytest.mark.parametrize(
    ("hosts", "names"),
    [
        (clearnet_hosts(["a.example"], loopback=False), {"a.example"}),
        (clearnet_hosts(["a.example"], loopback=True), {"a.example", "127.0.0.1", "localhost"}),
        (clearnet_hosts([], loopback=False), set()),
        (onion_hosts([ONION]), {ONION, f"www.{ONION}"}),
    ],
)
def test_a_listener_has_its_configured_names(hosts: Hosts, names: set[str]) -> None:
    """A listener has its configured names, and on loopback this machine's names."""
    assert hosts.names == names


@pytest.mark.parametrize(
    ("host", "match"),
    [
        (ONION, HostMatch.OURS),
        (f"WWW.{ONION.upper()}:80", HostMatch.OURS),
        (f"{ONION}.example", HostMatch.PROXY),
        (f"www.{ONION}.a.example:443", HostMatch.PROXY),
        (f"x{ONION}", HostMatch.FOREIGN),
        (f"a.{ONION}", HostMatch.FOREIGN),
        (f"{ONION}.", HostMatch.FOREIGN),
        (f"{ONION}x", HostMatch.FOREIGN),
        (f"{ONION}\n", HostMatch.FOREIGN),
        (None, HostMatch.FOREIGN),
    ],
)
def test_an_onion_name_is_ours_foreign_or_a_proxys(host: str | None, match: HostMatch) -> None:
    """An onion's name is ours, below another domain it is a proxy's, otherwise it is foreign."""
    assert onion_hosts([ONION]).match(host) is match
