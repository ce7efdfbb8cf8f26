"""``SHA256SUMS``: the manifest of every file of a release, in the format of ``sha256sum``.

Each line is a SHA-256 in 64 lower-case hexadecimal digits, two spaces, and the file's path
in the release, sorted by path. Trust in every byte rests on the manifest, so it is parsed
strictly: anything that ``sha256sum`` might read differently is rejected.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from cccr_web.errors import ReleaseError, counted
from cccr_web.facts import SIGNER

NAME = "SHA256SUMS"

# The signatures of the manifest, which it cannot list.
MINISIG = "SHA256SUMS.minisig"
SSHSIG = "SHA256SUMS.sshsig"
OPENPGP = "SHA256SUMS.asc"
SIGNATURES = (MINISIG, SSHSIG, OPENPGP)
_SIGNER_FILE = re.compile(rf"{NAME}\.{SIGNER.pattern}\.(?:minisig|sshsig)")

# In bytes: far more than any file of the site will ever hold.
MAX_FILE = 256 * 1024 * 1024

# Enough for 15,000 statements in three languages; a longer manifest is an attack. The ZIP of a
# release cannot hold more than 65,535 (APPNOTE.TXT, 4.4.21), and others add entries for folders.
MAX_BYTES = 16 * 1024 * 1024
MAX_FILES = 60_000

_LONGEST = 200
_LINE = re.compile(rb"([0-9a-f]{64})  ([^\r\n]{1,%d})" % _LONGEST)

# Only names that are the same on every file system, in every URL and in every Unicode
# form; no component begins with a dot, except the one of RFC 8615.
_COMPONENT = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_PATH = re.compile(rf"(?:\.well-known/)?{_COMPONENT}(?:/{_COMPONENT})*")


def is_safe_path(path: str) -> bool:
    """Whether ``path`` may name a file of a release: relative, short, plain ASCII, no ``..``."""
    return len(path) <= _LONGEST and _PATH.fullmatch(path) is not None


def is_signature(path: str) -> bool:
    """Whether ``path`` is a signature of the manifest, by the one key or by a named signer."""
    return path in SIGNATURES or _SIGNER_FILE.fullmatch(path) is not None


def digest(body: bytes) -> str:
    """Return the SHA-256 of ``body`` in hexadecimal digits."""
    return hashlib.sha256(body).hexdigest()


def format_manifest(hashes: Mapping[str, str]) -> bytes:
    """Return the list of ``hashes`` (path → SHA-256), as ``parse_manifest`` reads it.

    Raises ``ReleaseError`` for a path that no file of a release may have, and for too many.
    """
    _check_count(len(hashes))
    for path in hashes:
        if not is_safe_path(path):
            raise ReleaseError(
                f"“{path}” cannot be the name of a file in a release.",
                "Use ASCII letters, digits, “-”, “_” and “.”.",
            )
    lines = (f"{hashes[path]}  {path}\n" for path in sorted(hashes))
    return "".join(lines).encode("ascii")


def parse_manifest(text: bytes) -> dict[str, str]:
    """Return path → SHA-256. Raises ``ReleaseError`` with the line that is wrong."""
    if len(text) > MAX_BYTES:
        raise ReleaseError(f"{NAME} has {counted(len(text), 'byte')}, more than {MAX_BYTES:,}.")
    if not text.endswith(b"\n"):
        raise ReleaseError(f"{NAME} is empty or cut off: its last line has no end.")
    _check_count(text.count(b"\n"))
    entries: dict[str, str] = {}
    last = ""
    for number, line in enumerate(text[:-1].split(b"\n"), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise ReleaseError(f"{NAME}, line {number}, is not “SHA-256, two spaces, path”.")
        path = match[2].decode("ascii", errors="replace")
        if not is_safe_path(path):
            raise ReleaseError(f"{NAME}, line {number}: {path!r} is not a path inside a release.")
        if path == NAME or is_signature(path):
            raise ReleaseError(f"{NAME}, line {number}: {path} cannot be listed in itself.")
        if path <= last:
            raise ReleaseError(
                f"{NAME}, line {number}: {path!r} is named twice or out of order after {last!r}."
            )
        entries[path] = match[1].decode("ascii")
        last = path
    _check_clashes(entries)
    return entries


def _check_count(count: int) -> None:
    if count > MAX_FILES:
        raise ReleaseError(f"{NAME} lists {counted(count, 'file')}, more than {MAX_FILES:,}.")


def _check_clashes(entries: Mapping[str, str]) -> None:
    """Reject paths that are one file where case is ignored, or both a file and a folder."""
    seen: dict[str, str] = {}
    folders = {
        path[:index].lower() for path in entries for index, char in enumerate(path) if char == "/"
    }
    for path in entries:
        other = seen.setdefault(path.lower(), path)
        if other != path:
            raise ReleaseError(f"{NAME} names {other!r} and {path!r}, the same but for case.")
        if path.lower() in folders:
            raise ReleaseError(f"{NAME} names {path!r} as a file and as a folder.")
