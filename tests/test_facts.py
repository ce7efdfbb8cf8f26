"""Which names are domains (``facts.py``)."""

from __future__ import annotations

import pytest

from cccr_web.facts import DOMAIN


@pytest.mark.parametrize("name", ["example.org", "www.a-1.example", "a.xn--fiqs8s"])
def test_a_domain_has_lower_case_parts(name: str) -> None:
    """A domain has two or more parts, also if the last one is punycode."""
    assert DOMAIN.fullmatch(name)


@pytest.mark.parametrize(
    "name",
    ["localhost", "Example.org", "a..org", ".org", "a.org.", "192.0.2.1", "a.org:80", "a_b.org"],
)
def test_other_names_are_no_domains(name: str) -> None:
    """Nothing else is a domain: no address, port, empty part or upper case."""
    assert DOMAIN.fullmatch(name) is None
