"""The check of all addresses at once: first each signed manifest, then every file."""

from __future__ import annotations

import contextlib
import itertools
import queue
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final

from cccr_web.errors import ChangedFileError, MissingFileError, ReleaseError, SignatureError
from cccr_web.release import (
    MANIFEST,
    MINISIG,
    SIGNATURES,
    Release,
    Trusted,
    is_signature,
    read_signed_manifest,
)
from cccr_web.serve import listener_policy
from cccr_web.watch.address import Address, Route
from cccr_web.watch.client import (
    HttpConnection,
    RequestBudget,
    RequestLimits,
    Response,
    UnreachableError,
)
from cccr_web.watch.differences import (
    Difference,
    DifferenceKind,
    ExpectedSite,
    changed_file,
    file_difference,
)
from cccr_web.watch.report import Report, SiteResult
from cccr_web.watch.requests import BROWSERS, MINIMAL, ClientProfile, plan

# Browsers send them back (RFC 9110, section 13.1), so they could replace a cookie.
_VALIDATORS: Final = ("ETag", "Last-Modified")

# The share of an address's time that its manifest may take, while the other addresses wait.
_MANIFEST_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """How every address is reached and judged.

    ``allowed_headers`` are lower-case names that an address may add. ``onions`` are those
    that the clearnet names before the release's own (“cccr-web serve --onion-address”).
    ``rng`` chooses the order and the clients of the requests.
    """

    key: Trusted
    limits: RequestLimits
    route: Route = field(default_factory=Route)
    allowed_headers: Collection[str] = ()
    onions: tuple[str, ...] = ()
    rng: random.Random = field(default_factory=random.SystemRandom)


def check_sites(
    addresses: Sequence[Address],
    settings: CheckSettings,
    release: Release | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Report:
    """Compare everything served at ``addresses`` with ``release``.

    Without ``release``, the reference is the newest release with a good signature at any
    of the addresses. ``progress`` gets the files done and the total; calls come from
    several threads, one at a time.
    """
    checks = [_SiteCheck(address, settings) for address in addresses]
    with ThreadPoolExecutor(len(checks)) as pool:
        list(pool.map(_SiteCheck.fetch_manifest, checks))
        reference = release or _newest(checks)
        total = sum(check.plan(reference) for check in checks)
        done, lock = itertools.count(1), threading.Lock()

        def count() -> None:
            with lock:
                progress(next(done), total)

        sites = tuple(pool.map(lambda check: check.compare(reference, count), checks))
    return Report(reference, sites)


def check_manifests(
    addresses: Sequence[Address], settings: CheckSettings, release: Release
) -> tuple[SiteResult, ...]:
    """Compare only the signed list at each address with that of ``release``."""
    if not addresses:
        return ()
    checks = [_SiteCheck(address, settings) for address in addresses]
    with ThreadPoolExecutor(len(checks)) as pool:
        list(pool.map(_SiteCheck.fetch_manifest, checks))
    return tuple(check.compare_manifest(release) for check in checks)


def _newest(checks: Sequence[_SiteCheck]) -> Release | None:
    found = [check.signed for check in checks if check.signed is not None]
    return max(found, key=lambda release: release.metadata.sequence, default=None)


class _ReadError(Exception):
    """A file is not there to be verified; the ``difference`` is what the site serves instead."""

    def __init__(self, difference: Difference) -> None:
        self.difference = difference
        super().__init__(difference.detail)


class _SiteCheck:
    """One check of ``address``: call ``fetch_manifest``, ``plan``, then ``compare``."""

    def __init__(self, address: Address, settings: CheckSettings) -> None:
        self.address = address
        self._settings = settings
        self._found: set[Difference] = set()
        self._responses: dict[str, Response] = {}
        self._validators: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
        self._plan: list[tuple[ClientProfile, str]] = []
        self._idle: queue.LifoQueue[HttpConnection] = queue.LifoQueue()
        self._seconds = 0.0
        self.signed: Release | None = None

    def fetch_manifest(self) -> None:
        """Set ``signed`` to the release that the site's manifest describes, if it verifies."""
        limits = self._settings.limits
        budget = RequestBudget(replace(limits, timeout=limits.timeout * _MANIFEST_SHARE))
        with self._timer(), contextlib.closing(self._connection(budget)) as connection:

            def read(path: str, limit: int) -> bytes:
                client = self._settings.rng.choice(BROWSERS)
                response = self._fetch(connection, client, f"/{path}", limit, keep_body=True)
                if isinstance(response, Difference):
                    raise _ReadError(response)
                if found := file_difference(f"/{path}", response):
                    # Not every signer of a policy must sign.
                    optional = is_signature(path) and path not in SIGNATURES
                    if found.kind is DifferenceKind.MISSING and optional:
                        raise MissingFileError(found.detail, path=path)
                    raise _ReadError(found)
                return response.body

            try:
                self.signed = read_signed_manifest(read, self._settings.key)
            except _ReadError as error:
                self._found.add(error.difference)
            except ChangedFileError as error:
                self._found.add(changed_file(f"/{error.path}", error.sha256, error.listed))
            except SignatureError as error:
                path = error.path or MINISIG
                self._found.add(Difference(f"/{path}", DifferenceKind.BAD_SIGNATURE, str(error)))
            except ReleaseError as error:
                path = error.path or MANIFEST
                self._found.add(Difference(f"/{path}", DifferenceKind.CHANGED, str(error)))

    def plan(self, reference: Release | None) -> int:
        """Choose the requests that ``compare`` will send; return how many."""
        if release := self._release(reference):
            self._plan = plan(release, self._settings.rng)
        return len(self._plan)

    def compare(self, reference: Release | None, count: Callable[[], None]) -> SiteResult:
        """Compare every file with the site's own manifest if it verified, else ``reference``.

        ``count`` is called after each response, from several threads.
        """
        files = 0
        with self._timer():
            if release := self._release(reference):
                self._compare_files(release, count)
                files = len(release.files)
        return replace(self.compare_manifest(reference), files=files)

    def compare_manifest(self, reference: Release | None) -> SiteResult:
        """Compare the site's own manifest with that of ``reference``."""
        if reference and self.signed:
            self._found.update(_release_differences(self.signed, reference))
        sequence = self.signed.metadata.sequence if self.signed else None
        differences = tuple(sorted(self._found))
        address = str(self.address)
        return SiteResult(address, sequence, 0, self._seconds, differences, self.signed)

    def _release(self, reference: Release | None) -> Release | None:
        return (self.signed or reference) if self._responses else None

    def _compare_files(self, release: Release, count: Callable[[], None]) -> None:
        settings = self._settings
        policy = listener_policy(self.address.listener, release.metadata, settings.onions)
        site = ExpectedSite(self.address, release, policy, settings.allowed_headers)
        budget = RequestBudget(settings.limits)

        def judge(target: str, response: Response | Difference) -> Iterable[Difference]:
            if isinstance(response, Difference):
                return (response,)
            return site.differences(target, response)

        def check(request: tuple[ClientProfile, str]) -> list[Difference]:
            client, target = request
            limit = budget.limits.file
            with self._reused_connection(budget) as connection:
                known = self._responses.get(target) if client.is_browser else None
                response = known or self._fetch(connection, client, target, limit)
                found = list(judge(target, response))
                if found and client.is_browser and isinstance(response, Response):
                    again = self._fetch(connection, MINIMAL, target, limit)
                    if not any(judge(target, again)):
                        found = [_noted(each, "only for browsers") for each in found]
            count()
            return found

        with ThreadPoolExecutor(self._settings.limits.connections) as pool:
            results = list(zip(self._plan, pool.map(check, self._plan), strict=True))
        while not self._idle.empty():
            self._idle.get().close()
        for (client, _), found in results:
            if client.is_browser:
                self._found.update(found)
        for (client, _), found in results:
            if not client.is_browser:
                self._found.update(_noted(each, client.name) for each in {*found} - self._found)
        self._found.update(self._marks())

    def _marks(self) -> Iterator[Difference]:
        """Yield what browsers send back and what is new in each response for the same bytes."""
        for (target, name, _), values in self._validators.items():
            if len(values) > 1 and name.lower() not in self._settings.allowed_headers:
                detail = f"{name}: another value in each response, which can mark readers"
                yield Difference(target, DifferenceKind.CHANGED_HEADER, detail)

    def _fetch(
        self,
        connection: HttpConnection,
        client: ClientProfile,
        target: str,
        limit: int,
        *,
        keep_body: bool = False,
    ) -> Response | Difference:
        try:
            response = connection.get(target, limit, client.lines, keep_body=keep_body)
        except UnreachableError as error:
            path = target if self._responses else ""
            return Difference(path, DifferenceKind.UNREACHABLE, str(error))
        if client.is_browser:
            self._responses[target] = response
        if response.status == HTTPStatus.OK:
            for name in _VALIDATORS:
                key = target, name, response.header("content-encoding") or ""
                self._validators[key].add(response.header(name.lower()) or "")
        return response

    def _connection(self, budget: RequestBudget) -> HttpConnection:
        return HttpConnection(self.address, budget, self._settings.route)

    @contextlib.contextmanager
    def _reused_connection(self, budget: RequestBudget) -> Iterator[HttpConnection]:
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._connection(budget)
        yield connection
        self._idle.put(connection)

    @contextlib.contextmanager
    def _timer(self) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self._seconds += time.monotonic() - begin


def _noted(difference: Difference, note: str) -> Difference:
    return replace(difference, detail=f"{difference.detail} ({note})")


def _release_differences(own: Release, reference: Release) -> Iterator[Difference]:
    """Compare two releases that the organisation has signed."""
    found, expected = own.metadata.sequence, reference.metadata.sequence
    if found != expected:
        older = found < expected
        kind = DifferenceKind.OLDER_RELEASE if older else DifferenceKind.NEWER_RELEASE
        yield Difference("", kind, f"release {found}, not {expected}")
    elif own.manifest_sha256 != reference.manifest_sha256:
        detail = f"signed, but a different list for release {found} than elsewhere"
        yield Difference(f"/{MANIFEST}", DifferenceKind.CHANGED, detail)
