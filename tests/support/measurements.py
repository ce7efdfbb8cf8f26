"""Durations and sizes that tests measure, printed at the end of the run: a pytest plugin."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

MEASUREMENTS = pytest.StashKey[list[str]]()


class Recorder(Protocol):
    """Records a measurement, in seconds or in another unit."""

    def __call__(self, what: str, amount: float, unit: str = "s") -> None:
        """Record it."""


@pytest.fixture(scope="session")
def note(request: pytest.FixtureRequest) -> Recorder:
    """Records a duration or a size; the end of the run prints all of them."""
    notes = request.config.stash.setdefault(MEASUREMENTS, [])

    def keep(what: str, amount: float, unit: str = "s") -> None:
        notes.append(f"{amount:6.2f} {unit:<2} {what}")

    return keep


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
