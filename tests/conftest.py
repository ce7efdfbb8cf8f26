"""Fixtures for all tests: the private Tor network, and a place to note measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tornet import TorNetwork

pytest_plugins = ["hosting"]

MEASUREMENTS = pytest.StashKey[list[str]]()
Note = Callable[[str, float], None]


@pytest.fixture(scope="session")
def note(request: pytest.FixtureRequest) -> Note:
    """Note how many seconds something took; all notes are printed at the end of the run."""
    notes = request.config.stash.setdefault(MEASUREMENTS, [])
    return lambda what, seconds: notes.append(f"{seconds:6.2f} s  {what}")


@pytest.fixture(scope="session")
def tor_network(note: Note) -> Iterator[TorNetwork]:
    """A private Tor network, started once a run."""
    with TorNetwork() as network:
        note("private Tor network up", network.seconds)
        yield network


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what was measured."""
    notes = config.stash.get(MEASUREMENTS, [])
    if notes:
        terminalreporter.section("measured")
        for line in notes:
            terminalreporter.write_line(line)
