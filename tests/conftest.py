"""Fixtures for all tests: the private Tor network, and notes of measurements.

``support/plan.py`` decides which tests are collected, in which order and on which worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import hypothesis
import pytest
from support.tornet import TorNetwork

pytest_plugins = [
    "support.plan",
    "support.hosting",
    "support.serving",
    "support.browser.browsing",
    "support.live_site",
    "support.command",
    "support.pages",
]

# The time of one example depends on how busy the machine is.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")

MEASUREMENTS = pytest.StashKey[list[str]]()


class Note(Protocol):
    """Records a measurement, in seconds or in another unit."""

    def __call__(self, what: str, amount: float, unit: str = "s") -> None:
        """Record it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that rewrites the list of addresses."""
    parser.addoption(
        "--rewrite-urls",
        action="store_true",
        help="Rewrite tests/serve/urls.json from the server's responses; check the difference.",
    )


@pytest.fixture(scope="session")
def note(request: pytest.FixtureRequest) -> Note:
    """Records a duration or a size; the end of the run prints all of them."""
    notes = request.config.stash.setdefault(MEASUREMENTS, [])

    def keep(what: str, amount: float, unit: str = "s") -> None:
        notes.append(f"{amount:6.2f} {unit:<2} {what}")

    return keep


@pytest.fixture(scope="session")
def tor_network(note: Note) -> Iterator[TorNetwork]:
    """A private Tor network, started once per worker."""
    with TorNetwork() as network:
        note("private Tor network up", network.seconds)
        yield network


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send a worker's notes to the process that prints them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["measured"] = session.config.stash.get(MEASUREMENTS, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Receive a worker's notes."""
    notes = node.config.stash.setdefault(MEASUREMENTS, [])
    notes += getattr(node, "workeroutput", {}).get("measured", [])


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what was measured."""
    notes = config.stash.get(MEASUREMENTS, [])
    if notes:
        terminalreporter.section("measured")
        for line in sorted(notes, key=lambda note: note[10:]):
            terminalreporter.write_line(line)
