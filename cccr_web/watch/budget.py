"""How much time and how many bytes one address may cost us, whatever it sends."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from cccr_web.release import MAX_FILE, MAX_TOTAL


class SpentError(Exception):
    """The address has used up its time or its bytes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """For one address: ``file`` and ``total`` bytes, those that a release may have;
    ``silence`` seconds without a byte and ``whole`` seconds altogether; how many
    ``connections`` at once.
    """

    file: int = MAX_FILE
    total: int = MAX_TOTAL
    silence: float = 30.0
    whole: float = 600.0
    connections: int = 4


class Budget:
    """What is left of the limits for one address. Used from several threads."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._ends = time.monotonic() + limits.whole
        self._left = limits.total
        self._lock = threading.Lock()

    def patience(self) -> float:
        """Return how many seconds the next byte may take. Raises ``SpentError``."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise SpentError(f"not done after {self.limits.whole:g} s")
        return min(left, self.limits.silence)

    def spend(self, count: int) -> None:
        """Note that ``count`` bytes came. Raises ``SpentError``."""
        with self._lock:
            self._left -= count
            if self._left < 0:
                raise SpentError(f"it sent more than {self.limits.total:,} bytes")
