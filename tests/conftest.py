"""Fixtures for all tests: the private Tor network, and a place to note measurements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from support.tornet import TorNetwork

pytest_plugins = [
    "support.plan",
    "support.hosting",
    "support.serving",
    "support.browser.browsing",
    "support.doctored",
]

MEASUREMENTS = pytest.StashKey[list[str]]()


class Note(Protocol):
    """Notes a measurement, in seconds or in another unit."""

    def __call__(self, what: str, amount: float, unit: str = "s") -> None:
        """Keep it for the end of the run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes the list of addresses anew."""
    parser.addoption(
        "--rewrite-urls",
        action="store_true",
        help="Write tests/serve/urls.json as the server answers now; read the difference well.",
    )


@pytest.fixture(scope="session")
def note(request: pytest.FixtureRequest) -> Note:
    """Note how long or how big something was; all notes are printed at the end of the run."""
    notes = request.config.stash.setdefault(MEASUREMENTS, [])

    def keep(what: str, amount: float, unit: str = "s") -> None:
        notes.append(f"{amount:6.2f} {unit:<2} {what}")

    return keep


@pytest.fixture(scope="session")
def tor_network(note: Note) -> Iterator[TorNetwork]:
    """A private Tor network, started once a run."""
    with TorNetwork() as network:
        note("private Tor network up", network.seconds)
        yield network


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand a worker's notes to the process that prints them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["measured"] = session.config.stash.get(MEASUREMENTS, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take a worker's notes."""
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
