"""Settings of all tests, and the private Tor network that they share.

``support/scheduling.py`` decides which tests are collected, in which order and on which worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest
from support.tornet import TorNetwork

if TYPE_CHECKING:
    from support.measurements import Recorder

pytest_plugins = [
    "support.scheduling",
    "support.measurements",
    "support.hosting",
    "support.killer",
    "support.serving",
    "support.browser.browsing",
    "support.live_site",
    "support.command",
    "support.pages",
    "support.mirrored",
    "support.verify_copies",
]

# The time of one example depends on how busy the machine is.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that rewrite what is generated."""
    parser.addoption(
        "--rewrite-manual",
        action="store_true",
        help="Rewrite cccr_web/share/ from the help of the commands; check the difference.",
    )
    parser.addoption(
        "--rewrite-urls",
        action="store_true",
        help="Rewrite tests/serve/urls.json from the server's responses; check the difference.",
    )


@pytest.fixture(scope="session")
def tor_network(note: Recorder) -> Iterator[TorNetwork]:
    """A private Tor network, started once per worker."""
    with TorNetwork() as network:
        note("private Tor network up", network.seconds)
        yield network
