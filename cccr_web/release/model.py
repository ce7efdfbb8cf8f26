"""A release in memory, and the media types of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from posixpath import basename, splitext
from typing import Final

from cccr_web.release import manifest, metadata
from cccr_web.release.metadata import Metadata

# All other files, to take away.
ARCHIVE: Final = "cccr-web.zip"
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
        """The files that the manifest lists, by path.

        Under a policy the ZIP is not one of them, because it holds the signatures.
        """
        others = {manifest.NAME, ARCHIVE} if self.metadata.has_policy else {manifest.NAME}
        return {
            path: file
            for path, file in self.files.items()
            if path not in others and not manifest.is_signature(path)
        }

    @property
    def signatures(self) -> dict[str, bytes]:
        """The signatures of the manifest, by path."""
        return {path: file.body for path, file in self.files.items() if manifest.is_signature(path)}

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


_HTML: Final = "text/html; charset=utf-8"
_TEXT: Final = "text/plain; charset=utf-8"

# By file name extension. A release holds no other kinds of file.
_MEDIA_TYPES: Final = {
    "": _TEXT,
    ".": _TEXT,
    ".asc": _TEXT,
    ".atom": "application/atom+xml",
    ".epub": "application/epub+zip",
    ".html": _HTML,
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".minisig": _TEXT,
    ".png": "image/png",
    ".pub": _TEXT,
    ".py": _TEXT,
    ".sshsig": _TEXT,
    ".txt": _TEXT,
    ".xml": "application/xml",
    ".zip": "application/zip",
}

# By file name, where the extension is ambiguous.
_NAMED_TYPES: Final = {"feed.xml": "application/atom+xml"}


def media_type(path: str) -> str | None:
    """Return the Content-Type of a file of a release, or ``None`` if its type is unknown."""
    return _NAMED_TYPES.get(basename(path)) or _MEDIA_TYPES.get(splitext(path)[1].lower())


def is_html(path: str) -> bool:
    """Whether the file at ``path`` is an HTML page."""
    return media_type(path) == _HTML
