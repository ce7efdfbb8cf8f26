"""Which names are ours (``serve/hosts.py``)."""

from __future__ import annotations

import pytest
from support.serving import ONION

from cccr_web.serve.hosts import Hosts, Verdict, clearnet_hosts, onion_hosts


@pytest.mark.parametrize(
    ("hosts", "names"),
    [
        (clearnet_hosts(["a.example"], loopback=False), {"a.example"}),
        (clearnet_hosts(["a.example"], loopback=True), {"a.example", "127.0.0.1", "localhost"}),
        (clearnet_hosts([], loopback=False), set()),
        (onion_hosts([ONION]), {ONION, f"www.{ONION}"}),
    ],
)
def test_names(hosts: Hosts, names: set[str]) -> None:
    """A listener answers to what it was told, and on loopback to this machine's names."""
    assert hosts.names == names


@pytest.mark.parametrize(
    ("host", "verdict"),
    [
        (ONION, Verdict.OURS),
        (f"WWW.{ONION.upper()}:80", Verdict.OURS),
        (f"{ONION}.example", Verdict.PROXY),
        (f"www.{ONION}.a.example:443", Verdict.PROXY),
        (f"x{ONION}", Verdict.FOREIGN),
        (f"a.{ONION}", Verdict.FOREIGN),
        (f"{ONION}.", Verdict.FOREIGN),
        (f"{ONION}x", Verdict.FOREIGN),
        (f"{ONION}\n", Verdict.FOREIGN),
        (None, Verdict.FOREIGN),
    ],
)
def test_verdicts_on_the_onion(host: str | None, verdict: Verdict) -> None:
    """An onion's name is ours, below another name it is a proxy's, else it is foreign."""
    assert onion_hosts([ONION]).judge(host) is verdict
