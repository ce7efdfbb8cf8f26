"""Which tests are collected, in which order and on which worker: a pytest plugin.

Markers follow from a test's folder, its fixtures and the helpers that it calls. pytest-randomly
prints the seed of the order at the start of the run; ``--randomly-seed=N`` repeats it.
"""

from __future__ import annotations

import ast
import fcntl
import functools
import gc
import inspect
import itertools
import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from cccr_web.errors import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

# Folders and files below tests/ that imply a marker, and fixtures or helpers that do.
PLACES = {
    "browser": "browser",
    "deploy": "booted",
    "onion": "tor",
    "onion_site": "tor",
    "test_attacks.py": "long",
    "test_behind_nginx.py": "long",
    "test_cache.py": "long",
    "test_channel.py": "long",
    "test_differences.py": "long",
    "test_document_commands.py": "long",
    "test_feed_readers.py": "long",
    "test_fetch.py": "long",
    "test_key_commands.py": "long",
    "test_kills.py": "long",
    "test_notice_commands.py": "long",
    "test_odd_zips.py": "long",
    "test_prepared.py": "long",
    "test_preview_app.py": "long",
    "test_preview_command.py": "long",
    "test_publish.py": "long",
    "test_publish_kills.py": "long",
    "test_push.py": "long",
    "test_release_commands.py": "long",
    "test_switch.py": "long",
    "test_systemd.py": "long",
    "test_venv.py": "long",
    "test_verify_arithmetic.py": "long",
    "test_verify_script.py": "long",
    "test_verify_single_file.py": "long",
    "test_verify_verdicts.py": "long",
}
USED = {
    "chromium": "browser",
    "epubcheck": "long",
    "firefox": "browser",
    "no_network": "tor",
    "offline_tor": "tor",
    "percentile": "alone",
    "published_site": "tor",
    "serving": "long",
    "tor_network": "tor",
}

# What --quick leaves out: markers, and how the end of the run calls them.
NOT_QUICK = {"browser": "with a browser", "tor": "with tor", "long": "that take seconds each"}
# What every run leaves out unless tests/run.sh has set up another version of Python.
OTHER_PYTHON = {"other_python": "on another Python"}

# Fixtures that take long to set up: the modules that request one are a group, which runs on one
# worker. Every other module is a separate group. The groups here start first, then modules
# that take long, and the lone tests of all other modules are the last group.
SHARED = {"published_site": "tor", "tor_network": "tor", "chromium": "chromium"}
GROUPS = ("tor", "chromium")
ALONE = r"\bmark\.alone\b|\bpercentile\("

COLLECTED = pytest.StashKey[int]()
LEFT_OUT = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--quick``."""
    parser.addoption(
        "--quick",
        action="store_true",
        help="Leave out tests that need a browser, tor or several seconds.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start to count what is left out, and let lone tests run alone."""
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
    """Mark a test by its folder, fixtures and helpers."""
    assert isinstance(item, pytest.Function)
    item.stash[COLLECTED] = next(_numbers)
    parts = item.path.relative_to(item.config.rootpath).parts
    used = {*item.fixturenames, *inspect.unwrap(item.function).__code__.co_names}
    markers = {PLACES[name] for name in parts if name in PLACES}
    for marker in sorted(markers | {USED[name] for name in used if name in USED}):
        item.add_marker(marker)


@functools.cache
def _functions(module: Path) -> dict[ast.FunctionDef, str]:
    """Return a module's tests, fixtures and helpers with their source, without importing it."""
    text = module.read_text(encoding="utf-8")
    lines = text.splitlines()
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            start = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            found[node] = "\n".join(lines[start - 1 : node.end_lineno])
    return found


@functools.cache
def _group_of_module(module: Path) -> tuple[int, str]:
    requested = {one.arg for function in _functions(module) for one in function.args.args}
    turns = [GROUPS.index(SHARED[name]) for name in requested if name in SHARED]
    if turns:
        return min(turns), GROUPS[min(turns)]
    long = not PLACES.keys().isdisjoint(module.parts)
    return len(GROUPS) if long else len(GROUPS) + 1, str(module)


@functools.cache
def _lone_tests(module: Path) -> frozenset[str]:
    found = _functions(module).items()
    return frozenset(function.name for function, source in found if re.search(ALONE, source))


def _group(module: Path, test: str) -> tuple[int, str]:
    """Return when a test runs, from 0, and the name of its group."""
    turn, name = _group_of_module(module)
    if name not in GROUPS and test in _lone_tests(module):
        return len(GROUPS) + 2, "alone"
    return turn, name


def _turn(item: pytest.Item) -> tuple[int, int]:
    """Return the sort key of a test; equal keys keep their random order."""
    # Each test of a booted machine continues where the one before ended.
    turn = item.stash[COLLECTED] if item.get_closest_marker("booted") else 0
    return _group(item.path, item.name.partition("[")[0])[0], turn


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot or shall not run; put large groups first and lone tests last."""
    unwanted = NOT_QUICK if config.getoption("quick") else {}
    if not os.environ.get("OTHER_PYTHON"):
        unwanted = unwanted | OTHER_PYTHON
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        markers = [marker for marker in unwanted if item.get_closest_marker(marker)]
        config.stash[LEFT_OUT].update(markers[:1])
        (left if markers else kept).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = sorted(kept, key=_turn)


def pytest_collection_finish() -> None:
    """Let the garbage collector skip all modules and tests, which stay until the end.

    With them one collection takes 0.25 s, and our server starts one after every reload.
    """
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send a worker's counts to the process that prints them."""
    if hasattr(session.config, "workeroutput"):
        counts = session.config.stash[LEFT_OUT]
        session.config.workeroutput["left_out"] = dict(counts)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Receive a worker's counts. Every worker collects all tests and counts the same."""
    node.config.stash[LEFT_OUT].clear()
    counts: dict[str, int] = getattr(node, "workeroutput", {}).get("left_out", {})
    node.config.stash[LEFT_OUT].update(counts)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what was left out."""
    names = NOT_QUICK | OTHER_PYTHON
    for marker, count in config.stash[LEFT_OUT].items():
        terminalreporter.write_line(f"LEFT OUT: {counted(count, 'test')} {names[marker]}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Give each group to one worker, in the order of the collection."""
    config.option.loadscopereorder = False
    return Groups(config, log)


class Groups(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Keeps a group on one worker, which ``--dist loadgroup`` does not do with pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        module, _, test = nodeid.partition("::")
        return _group(self.config.rootpath / module, test.partition("[")[0])[1]


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
