"""Static hosts to which a mirror is uploaded: over ssh by rsync, or S3 and WebDAV by rclone.

Both are Debian's programs, called with lists of arguments. A host reached over ssh switches in one
step: each release has a folder, and rsync replaces the link ``current`` by a rename. S3 and WebDAV
have no such link, so there the order of the upload limits what a reader can notice.
"""

from __future__ import annotations

import abc
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cccr_web.errors import CccrError, ReleaseError
from cccr_web.mirror.folder import write_mirror
from cccr_web.release import (
    INDEX,
    MANIFEST,
    METADATA,
    POLICY,
    SIGNATURES,
    Release,
    ReleaseFolder,
    is_html,
    is_signature,
    printable,
    read_signed_manifest,
    reject_older,
)
from cccr_web.serve import Listener, file_addresses, file_headers, listener_policy

# Nothing in it is an option of ssh, or needs quoting in the host's shell.
_SSH_URL: Final = re.compile(
    r"ssh://(?P<host>(?:[A-Za-z0-9_][A-Za-z0-9._-]*@)?[A-Za-z0-9_][A-Za-z0-9.-]*)"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[A-Za-z0-9_][A-Za-z0-9._/-]*)"
)
_REMOTE: Final = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.+@ -]*):([^\x00-\x1f]*)")
# A release's folder on the host: its sequence, and the SHA-256 of its list.
_RELEASE: Final = re.compile(r"releases/([1-9][0-9]{0,9})-([0-9a-f]{64})")

_SSH: Final = ("ssh", "-o", "ConnectTimeout=30", "-o", "ServerAliveInterval=15")
# rsync(1) and rclone(1): nothing of that name is there.
_RSYNC_PARTIAL: Final = 23
_RCLONE_NO_FOLDER: Final = 3

_LIST: Final = (METADATA, POLICY, MANIFEST, *SIGNATURES)
# More than the largest list, its signatures and RELEASE.json together have.
_MAX_LIST: Final = "20M"
# Headers that S3 stores with a file. WebDAV servers ignore them.
_STORED: Final = ("Content-Type", "Cache-Control")


class StaticHost(abc.ABC):
    """A place that serves files. Its string is what ``parse`` reads."""

    @staticmethod
    def parse(text: str) -> StaticHost:
        """Read ``ssh://USER@HOST:PORT/PATH`` or rclone's ``NAME:PATH``. Raises ``ValueError``."""
        if text.startswith("ssh://"):
            return SshHost.parse(text)
        found = _REMOTE.fullmatch(text)
        if found is None or "://" in text:
            raise ValueError(f"“{text}” is neither ssh://USER@HOST/PATH nor NAME:PATH of rclone.")
        return RcloneHost(text)

    def push(self, release: Release, listener: Listener) -> None:
        """Upload a verified release and its headers. Raises ``CccrError``, also for an older one.

        The bytes come from memory, so what was verified is what is uploaded.
        """
        with tempfile.TemporaryDirectory(prefix="cccr-mirror-") as name:
            write_mirror(release, Path(name) / "mirror", listener)
            self._upload(release, listener, Path(name))

    @property
    @abc.abstractmethod
    def caveat(self) -> str:
        """What readers may notice during an upload, or nothing."""

    @abc.abstractmethod
    def _upload(self, release: Release, listener: Listener, work: Path) -> None:
        """Upload the folder ``mirror`` that is in ``work``, an empty folder otherwise."""


@dataclass(frozen=True, slots=True)
class SshHost(StaticHost):
    """A folder on a host with ssh and rsync 3.2.3 or later; it serves ``current/site``."""

    host: str
    port: int | None
    path: str

    caveat = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``ssh://USER@HOST:PORT/PATH``. Raises ``ValueError``."""
        found = _SSH_URL.fullmatch(text)
        if found is None:
            raise ValueError(f"“{text}” is not an address such as ssh://root@mirror.example/srv/m.")
        port = found["port"]
        return cls(found["host"], int(port) if port else None, found["path"].rstrip("/"))

    def _upload(self, release: Release, listener: Listener, work: Path) -> None:
        del listener
        previous = self._current(work)
        if previous is not None:
            sequence, sha256 = previous
            reject_older(release, sequence, sha256, f"which is at {self}")
        name = f"{release.metadata.sequence}-{release.manifest_sha256}"
        where = f"{self.host}:{self.path}"
        self._rsync(
            *("--recursive", "--checksum", "--perms", "--chmod=D755,F644", "--delete", "--mkpath"),
            *("--link-dest=../../current", f"{work}/mirror/", f"{where}/releases/{name}/"),
        )
        (work / "current").unlink(missing_ok=True)
        (work / "current").symlink_to(f"releases/{name}")
        self._rsync("--links", str(work / "current"), f"{where}/")
        # Readers may still be fetching files of the release before.
        kept = [name] if previous is None else [name, "{}-{}".format(*previous)]
        (work / "empty").mkdir()
        self._rsync(
            *("--recursive", "--delete", *(f"--filter=protect /{each}" for each in kept)),
            *(f"{work}/empty/", f"{where}/releases/"),
        )

    def _current(self, work: Path) -> tuple[int, str] | None:
        """Return sequence and hash of the release to which the link leads, if there is one."""
        where = f"{self.host}:{self.path}/current"
        found = (0, _RSYNC_PARTIAL)
        self._rsync("--links", "--max-size=1", where, f"{work}/", accepted=found)
        link = work / "current"
        if not os.path.lexists(link):
            return None
        target = str(link.readlink()) if link.is_symlink() else ""
        named = _RELEASE.fullmatch(target)
        if named is None:
            raise CccrError(
                f"{self}/current is not a link that this command made.", "Choose another folder."
            )
        return int(named[1]), named[2]

    def _rsync(self, *arguments: str, accepted: Sequence[int] = (0,)) -> None:
        # rsync splits it at spaces itself; no shell reads it.
        shell = " ".join((*_SSH, *(("-p", str(self.port)) if self.port else ())))
        _run(("rsync", "--timeout=300", f"--rsh={shell}", *arguments), str(self), accepted)

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"ssh://{self.host}{port}{self.path}"


@dataclass(frozen=True, slots=True)
class RcloneHost(StaticHost):
    """A folder of a host in rclone's configuration, which serves the files themselves."""

    remote: str

    caveat = (
        "It cannot switch in one step: during an upload, readers may get pages of both releases."
    )

    def _upload(self, release: Release, listener: Listener, work: Path) -> None:
        before = self._before(release, work / "before")
        for paths, headers in upload_order(release, listener):
            stored = [f"--header-upload={name}: {value}" for name, value in headers]
            # All files: there may be no hash to compare, and another upload may have been killed.
            self._rclone(
                work, paths, "copy", "--no-check-dest", *stored, f"{work}/mirror/site", self.remote
            )
        # Also signatures of signers whom the list does not name, or of an upload that was cut off.
        there = before.union(filter(is_signature, self._names()))
        if gone := there - release.files.keys():
            self._rclone(work, sorted(gone), "delete", self.remote)

    def _names(self) -> list[str]:
        """Return the names of the manifest's files that are there."""
        command = ("rclone", "lsf", "--files-only", f"--include=/{MANIFEST}.*", self.remote)
        return _run(command, self.remote, (0,)).splitlines()

    def _before(self, release: Release, folder: Path) -> set[str]:
        """Return the files of the release that is there, as its list says.

        Raises ``CccrError`` if ``release`` may not follow it.
        """
        folder.mkdir()
        limits = ("--max-transfer", _MAX_LIST, "--cutoff-mode", "hard")
        command = ("copy", *limits, self.remote, str(folder))
        self._rclone(folder.parent, _LIST, *command, accepted=(0, _RCLONE_NO_FOLDER))
        if not (folder / MANIFEST).exists():
            return set()
        try:
            with ReleaseFolder.open(folder) as opened:
                before = read_signed_manifest(opened.read, None, without_zip=True)
        except ReleaseError as error:
            raise CccrError(
                f"The release at {self} is damaged: {error}",
                f"Check what else is there, and remove its {MANIFEST}.",
            ) from error
        where = f"which is at {self}"
        reject_older(release, before.metadata.sequence, before.manifest_sha256, where)
        return set(before.files)

    def _rclone(
        self, work: Path, paths: Iterable[str], *command: str, accepted: Sequence[int] = (0,)
    ) -> None:
        """Call rclone for these paths only."""
        named = work / "paths"
        named.write_text("".join(f"{path}\n" for path in paths), encoding="ascii")
        _run(("rclone", f"--files-from-raw={named}", *command), self.remote, accepted)

    def __str__(self) -> str:
        return self.remote


def upload_order(
    release: Release, listener: Listener
) -> Iterator[tuple[list[str], tuple[tuple[str, str], ...]]]:
    """Yield the files in the order of an upload, together with the headers that S3 stores.

    Files come before the pages that link to them, pages before the lists of pages and feeds, and
    the signed list comes last. So no link leads nowhere, and a release that verifies is complete.
    """
    headers = file_headers(release, listener_policy(listener, release.metadata))
    stored = {
        path: tuple((name, headers[address][name]) for name in _STORED)
        for address, path in file_addresses(release).items()
    }
    groups: dict[tuple[int, tuple[tuple[str, str], ...]], list[str]] = {}
    for path in sorted(release.files):
        groups.setdefault((_turn(path), stored[path]), []).append(path)
    for (_, kept), paths in sorted(groups.items()):
        yield paths, kept


def _turn(path: str) -> int:
    if path in _LIST or is_signature(path):
        return 3
    if path.endswith((f"/{INDEX}", ".xml")) or path == INDEX:
        return 2
    # The archives of feeds end in .atom.
    return 1 if is_html(path) or path.endswith(".atom") else 0


def _run(command: Sequence[str], where: str, accepted: Sequence[int]) -> str:
    """Run a program and return its output. Raises ``CccrError`` with a line of what it says."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        raise CccrError(f"{command[0]} is missing.", f"apt-get install {command[0]}") from error
    if done.returncode not in accepted:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        # rsync ends with its own status, rclone with the last error.
        line = lines[0 if command[0] == "rsync" else -1] if lines else f"status {done.returncode}"
        said = printable(line[:200])
        raise CccrError(f"{where}: {command[0]} failed: {said}", "Run the command again.")
    return done.stdout
