"""The files of a release at an address, read like those of a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Self

from cccr_web.errors import CccrError, MissingFileError, ReleaseError
from cccr_web.release import MAX_FILE, Release, Trusted, check_file, read_signed_manifest
from cccr_web.watch.address import Address
from cccr_web.watch.client import HttpConnection, RequestBudget, UnreachableError
from cccr_web.watch.differences import DifferenceKind, file_difference
from cccr_web.watch.site_check import CheckSettings

_HEADERS: Final = ("Accept-Encoding: gzip",)


@dataclass(slots=True)
class RemoteFolder:
    """A release at ``address``, of which nothing is trusted. ``count`` files have been read."""

    address: Address
    connection: HttpConnection
    count: int = 0

    @classmethod
    @contextlib.contextmanager
    def open(cls, address: Address, settings: CheckSettings) -> Iterator[Self]:
        """Keep one connection for all files, within the limits of ``settings``."""
        connection = HttpConnection(address, RequestBudget(settings.limits), settings.route)
        with contextlib.closing(connection):
            yield cls(address, connection)

    def read(self, path: str, limit: int) -> bytes:
        """Fetch a file of at most ``limit`` bytes.

        Raises ``MissingFileError``, ``ReleaseError`` for another response, or ``CccrError`` if
        none arrives.
        """
        try:
            response = self.connection.get(f"/{path}", limit, _HEADERS, keep_body=True)
        except UnreachableError as error:
            raise CccrError(
                f"{self.address}/{path} cannot be fetched: {error}.",
                "Try again later, or use another address of the site.",
            ) from error
        if found := file_difference(f"/{path}", response):
            missing = found.kind is DifferenceKind.MISSING
            kind = MissingFileError if missing else ReleaseError
            raise kind(f"{self.address}/{path}: {found.detail}.", path=path)
        self.count += 1
        return response.body

    def read_signed(self, key: Trusted, path: str) -> Release:
        """Return the signed release, with the bytes of the file ``path`` if it has one.

        Raises as ``read`` does, and ``ReleaseError`` if anything does not verify.
        """
        release = read_signed_manifest(self.read, key)
        if path not in release.files:
            return release
        file = check_file(path, self.read(path, MAX_FILE), release.files)
        return replace(release, files={**release.files, path: file})
