"""The check of every address of the site, all at once."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from cccr_web.release import Release
from cccr_web.watch.address import Address
from cccr_web.watch.report import Report
from cccr_web.watch.site_check import Settings, SiteCheck

Progress = Callable[[int, int], None]


def check_sites(
    addresses: Sequence[Address],
    settings: Settings,
    release: Release | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Report:
    """Compare everything served at ``addresses`` with ``release``.

    Without ``release``, the reference is the newest release with a good signature at any
    of the addresses. ``progress`` gets the files done and the total; calls come from
    several threads, one at a time.
    """
    checks = [SiteCheck(address, settings) for address in addresses]
    with ThreadPoolExecutor(len(checks)) as pool:
        list(pool.map(SiteCheck.fetch_manifest, checks))
        reference = release or _newest(checks)
        total = sum(check.response_count(reference) for check in checks)
        done, lock = itertools.count(1), threading.Lock()

        def count() -> None:
            with lock:
                progress(next(done), total)

        sites = tuple(pool.map(lambda check: check.compare(reference, count), checks))
    return Report(reference, sites)


def _newest(checks: Sequence[SiteCheck]) -> Release | None:
    found = [check.signed for check in checks if check.signed is not None]
    return max(found, key=lambda release: release.metadata.sequence, default=None)
