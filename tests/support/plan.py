"""Which tests run, in which order and on which worker: a pytest plugin.

Markers and groups follow from a test's folder and fixtures. The seed of the order is printed
by pytest-randomly at the start of the run; ``-p randomly_seed=N`` repeats it.
"""

from __future__ import annotations

import fcntl
import itertools
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# Folders below tests/ and fixtures that imply a marker.
IMPLIED = {
    "booted": {"deploy"},
    "browser": {"browser", "chromium", "firefox"},
    "tor": {"onion", "onion_site", "no_network", "offline_tor", "tor_network"},
}

# What --quick leaves out, as the end of the run describes it.
SLOW = {
    "browser": "browsers",
    "tor": "tor",
    "slow": "half a minute or more",
}

# Expensive fixtures. All tests that use one run on one worker, so that it is made once. The
# largest groups start first.
SHARED = ("tor_network", "chromium", "firefox")

ROOT_ONLY = "needs root"
COLLECTED = pytest.StashKey[int]()
LEFT_OUT = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--quick``."""
    parser.addoption(
        "--quick", action="store_true", help="Leave out tests that need a browser or tor, or long."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Count what is left out, and open the locks that give a test the machine to itself."""
    config.stash[LEFT_OUT] = Counter()
    if hasattr(config, "workerinput"):
        # The folder that pytest-xdist gives this worker is below one that all workers share.
        config.pluginmanager.register(Turns(Path(config.option.basetemp).parent))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out ``tests/deploy`` unless it is named: its tests enter a network namespace."""
    deploy = config.rootpath / "tests" / "deploy"
    named = (config.invocation_params.dir / word.split("::")[0] for word in config.args)
    if collection_path == deploy and not any(path.is_relative_to(deploy) for path in named):
        return True
    return None


_numbers = itertools.count()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test by its folder and fixtures, and choose the group that shares a worker."""
    item.stash[COLLECTED] = next(_numbers)
    folders = set(item.path.relative_to(item.config.rootpath).parts)
    fixtures = set(getattr(item, "fixturenames", ()))
    for marker, names in IMPLIED.items():
        if (folders | fixtures) & names:
            item.add_marker(marker)
    shared = [name for name in SHARED if name in fixtures]
    module = item.nodeid.partition("::")[0]
    item.add_marker(pytest.mark.xdist_group(shared[0] if shared else module))


def _turn(item: pytest.Item) -> tuple[int, int]:
    """Return when a test runs; the sort is stable, so tests of one turn keep their random order."""
    if item.get_closest_marker("booted"):
        return 0, item.stash[COLLECTED]  # each of them goes on where the one before ended
    if item.get_closest_marker("alone"):
        return len(SHARED) + 1, 0
    fixtures = getattr(item, "fixturenames", ())
    return next((n for n, name in enumerate(SHARED) if name in fixtures), len(SHARED)), 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Apply ``--quick``, then put the long groups first and the lone tests last."""
    if config.getoption("quick"):
        kept: list[pytest.Item] = []
        left: list[pytest.Item] = []
        for item in items:
            markers = [marker for marker in SLOW if item.get_closest_marker(marker)]
            config.stash[LEFT_OUT].update(markers[:1])
            (left if markers else kept).append(item)
        config.hook.pytest_deselected(items=left)
        items[:] = kept
    items.sort(key=_turn)


class Turns:
    """Lets a test marked ``alone`` run while no other worker runs one.

    Two lock files: a test holds ``running`` shared, a lone one exclusively. A test that waits
    for ``running`` holds ``gate``, so that others cannot keep a lone test waiting for ever.
    """

    def __init__(self, folder: Path) -> None:
        self._gate = folder / "gate"
        self._running = folder / "running"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Wait for this test's turn."""
        alone = item.get_closest_marker("alone") is not None
        with self._gate.open("wb") as gate, self._running.open("wb") as running:
            fcntl.flock(gate, fcntl.LOCK_EX)
            fcntl.flock(running, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            fcntl.flock(gate, fcntl.LOCK_UN)
            return (yield)
