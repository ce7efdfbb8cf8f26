"""A release in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cccr_web.release import manifest, metadata
from cccr_web.release.metadata import Metadata

# The page of a folder, and of a whole copy.
INDEX: Final = "index.html"
# The pages of these errors, which all languages share, by status.
ERROR_PAGES: Final = {status: f"{status}.html" for status in (403, 404, 421)}


@dataclass(frozen=True, slots=True)
class File:
    """The bytes of one file and their SHA-256 in hexadecimal digits."""

    body: bytes
    sha256: str

    @classmethod
    def of(cls, body: bytes) -> File:
        """Return the file that holds ``body``."""
        return cls(body, manifest.digest(body))


@dataclass(frozen=True, slots=True)
class Release:
    """All files that readers can get by path, including the manifest and its signatures."""

    files: Mapping[str, File]
    metadata: Metadata

    @property
    def listed(self) -> dict[str, File]:
        """The files that the manifest lists, by path."""
        return {
            path: file
            for path, file in self.files.items()
            if path != manifest.NAME and path not in manifest.SIGNATURES
        }

    @property
    def manifest_sha256(self) -> str:
        """The SHA-256 of the manifest, which identifies the release."""
        return self.files[manifest.NAME].sha256


def bodies(files: Mapping[str, File]) -> dict[str, bytes]:
    """Return path → content of some files."""
    return {path: file.body for path, file in files.items()}


def make_release(files: Mapping[str, bytes], facts: Metadata) -> Release:
    """Add ``RELEASE.json`` and the manifest to ``files`` and return the whole, unsigned."""
    whole = {**files, metadata.NAME: facts.to_json()}
    return list_files({path: File.of(body) for path, body in whole.items()}, facts)


def list_files(listed: Mapping[str, File], facts: Metadata) -> Release:
    """Return the unsigned release of these files and a manifest over them."""
    hashes = {path: file.sha256 for path, file in listed.items()}
    return complete(listed, {manifest.NAME: manifest.format_manifest(hashes)}, facts)


def complete(listed: Mapping[str, File], extra: Mapping[str, bytes], facts: Metadata) -> Release:
    """Return the release of the ``listed`` files, its manifest and signatures (``extra``)."""
    whole = {**listed, **{path: File.of(body) for path, body in extra.items()}}
    return Release(dict(sorted(whole.items())), facts)
