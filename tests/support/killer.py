"""Kills processes at random times: the other side of ``kill_process.py``.

``conftest.py`` loads this module as a plugin.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_KILLER = Path(__file__).with_name("kill_process.py")
_SIGKILLED = -9


class Killer:
    """Starts victims and kills them at random times."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._random = random.Random(8964)  # noqa: S311  # times, not secrets
        self._longest: dict[str, float] = {}

    def _order(self, **order: Any) -> tuple[float, int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        lived, status = json.loads(self._process.stdout.readline())
        return lived, status

    def measure(self, job: str, folder: Path, sequence: int) -> None:
        """Let a victim do its whole work, to learn how long it takes."""
        self._longest[job], status = self._order(
            job=job, folder=str(folder), sequence=sequence, seconds=None
        )
        assert status == 0

    def kill(self, job: str, folder: Path, sequence: int, stretch: float = 1.0) -> None:
        """Kill a victim at a random time, at most ``stretch`` times as long as it was measured."""
        seconds = self._random.uniform(0, stretch * self._longest[job])
        _, status = self._order(job=job, folder=str(folder), sequence=sequence, seconds=seconds)
        assert status == _SIGKILLED


@pytest.fixture
def killer() -> Iterator[Killer]:
    """A process that kills others; it ends when its input does."""
    with subprocess.Popen(
        [sys.executable, str(_KILLER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Killer(process)
