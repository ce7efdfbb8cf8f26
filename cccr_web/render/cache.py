"""What an earlier build made, kept in a folder so that the next build need not make it again.

The cache remembers the results of pure functions, each under everything that its result depends
on: the function's own inputs, this program's files, and the versions of Python, zlib and every
installed package. So an entry is either right or not found, and nothing has to be declared
invalid. What no build has used is removed by the next one.

An entry is believed only with its authenticator (keyed BLAKE2, RFC 7693) under a secret that is not
in the folder. A folder that somebody else could write, or that comes from another machine, can make
a build slow but not wrong. The folder holds texts that are perhaps not published yet, so only its
owner may read it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import sqlite3
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from cccr_web.errors import CccrError
from cccr_web.release import deflate

_FILE: Final = "cache.sqlite3"
# SQLite adds these while it writes.
_OURS: Final = {_FILE, f"{_FILE}-journal"}
_SCHEMA: Final = "CREATE TABLE entries (name BLOB PRIMARY KEY, mac BLOB, value BLOB)"
# How many new entries are kept in memory before they are written.
_BATCH: Final = 1000
_PACKAGE: Final = Path(__file__).resolve().parent.parent


_Result = TypeVar("_Result")


class Cache:
    """Remembers results. Without a folder, nothing is remembered."""

    def __init__(self, folder: Path | None = None, secret: bytes = b"") -> None:
        """Open the cache in ``folder``, or create it. Raises ``CccrError``.

        ``secret`` is for this user's caches only; whoever knows it can decide what a build
        contains. A file in the folder that is not this user's cache is replaced.
        """
        self._secret = secret
        self._rows: sqlite3.Connection | None = None
        self._new: dict[bytes, bytes] = {}
        self._used: set[bytes] = set()
        if folder is None:
            return
        self._file = folder / _FILE
        self._program = _program()
        try:
            _prepare(folder)
            self._rows = _open(self._file)
        except OSError as error:
            raise CccrError(
                f"{folder} cannot be used as a cache: {error.strerror}.",
                "Check the disk and the permissions, or pass another folder to --cache.",
            ) from error

    @property
    def remembers(self) -> bool:
        """Whether there is a folder: if not, nobody needs to make a key."""
        return self._rows is not None

    def recall(self, key: Sequence[str], make: Callable[[], bytes]) -> bytes:
        """Return what ``make`` returned for the same ``key``, or call it.

        The key must contain everything on which the result depends, except the program itself.
        """
        if self._rows is None:
            return make()
        name = self._mac(b"name", self._program, repr(tuple(key)).encode())
        self._used.add(name)
        known = self._new.get(name)
        if known is None:
            known = self._read(name)
        if known is None:
            known = self._new[name] = make()
            if len(self._new) >= _BATCH:
                self._write()
        return known

    def deflate(self, body: bytes) -> bytes:
        """Return ``body`` compressed for a ZIP."""
        if not self.remembers:
            return deflate(body)
        key = ("deflate", hashlib.sha256(body).hexdigest())
        return self.recall(key, lambda: deflate(body))

    def keep_used(self) -> None:
        """Remove what this build did not use."""
        self._write()
        self._run(self._remove_unused)

    def close(self) -> None:
        """Write what is new, also of a build that failed, and close the file."""
        self._write()
        if self._rows is not None:
            self._rows.close()
            self._rows = None

    def _read(self, name: bytes) -> bytes | None:
        query = "SELECT mac, value FROM entries WHERE name = ?"
        mac, value = self._run(lambda rows: rows.execute(query, (name,)).fetchone()) or (b"", b"")
        if not (isinstance(mac, bytes) and isinstance(value, bytes)):
            return None
        return value if hmac.compare_digest(mac, self._mac(b"value", name, value)) else None

    def _write(self) -> None:
        entries = [(name, self._mac(b"value", name, new), new) for name, new in self._new.items()]
        self._new = {}
        query = "INSERT OR REPLACE INTO entries VALUES (?, ?, ?)"
        self._run(lambda rows: rows.executemany(query, entries))

    def _remove_unused(self, rows: sqlite3.Connection) -> None:
        rows.execute("CREATE TEMPORARY TABLE used (name BLOB PRIMARY KEY)")
        rows.executemany("INSERT INTO used VALUES (?)", ((name,) for name in self._used))
        rows.execute("DELETE FROM entries WHERE name NOT IN (SELECT name FROM used)")
        rows.execute("DROP TABLE used")

    def _mac(self, *parts: bytes) -> bytes:
        # All parts but the last have a fixed length or are constants.
        return hashlib.blake2b(b"\0".join(parts), key=self._secret, digest_size=32).digest()

    def _run(self, action: Callable[[sqlite3.Connection], _Result]) -> _Result | None:
        """Return what ``action`` does in a transaction; after an error, do without the cache."""
        if self._rows is None:
            return None
        try:
            with self._rows:
                return action(self._rows)
        except sqlite3.Error:
            self._rows.close()
            self._rows = None
            self._file.unlink(missing_ok=True)
            return None


def _prepare(folder: Path) -> None:
    """Create the folder and the file in it, for their owner only. Raises ``CccrError``."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = folder.stat()
    others = sorted({file.name for file in folder.iterdir()} - _OURS)
    if others:
        raise CccrError(
            f"{folder} is not a cache: it holds {others[0]}.",
            "Pass a new or an empty folder to --cache.",
        )
    if about.st_uid != os.geteuid() or about.st_mode & 0o022:
        raise CccrError(
            f"{folder} belongs to another user, or others may write to it.",
            "Pass a folder of your own to --cache.",
        )
    _touch(folder / _FILE)


def _open(file: Path) -> sqlite3.Connection | None:
    """Open the file, for this build alone; return ``None`` if another build uses it.

    What is damaged, or not one of ours, is replaced.
    """
    for _ in range(2):
        with contextlib.ExitStack() as undo:
            try:
                rows = undo.enter_context(contextlib.closing(sqlite3.connect(file, timeout=0)))
                if _lock(rows):
                    undo.pop_all()
                    return rows
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                    return None
            except sqlite3.Error:
                pass  # It is no database, or a damaged one.
        file.unlink()
        _touch(file)
    return None


def _lock(rows: sqlite3.Connection) -> bool:
    """Lock the file; return whether it holds nothing but our table, made now if it is empty."""
    rows.execute("PRAGMA locking_mode = EXCLUSIVE")
    rows.execute("PRAGMA trusted_schema = OFF")
    # Before there is a table, or it has no effect.
    rows.execute("PRAGMA auto_vacuum = FULL")
    rows.execute("PRAGMA temp_store = MEMORY")
    rows.execute("BEGIN EXCLUSIVE")
    rows.execute(_SCHEMA.replace("TABLE", "TABLE IF NOT EXISTS"))
    rows.execute("COMMIT")
    return [sql for (sql,) in rows.execute("SELECT sql FROM sqlite_master") if sql] == [_SCHEMA]


def _touch(file: Path) -> None:
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))


def _program() -> bytes:
    """Return a hash of the program and of all code that it runs."""
    # The name of each package's folder of metadata has its version.
    installed = sorted(file.name for path in sys.path for file in Path(path).glob("*.dist-info"))
    code = hashlib.sha256(repr((sys.version, zlib.ZLIB_RUNTIME_VERSION, installed)).encode())
    code.update(hash_files(_PACKAGE))
    return code.digest()


def hash_files(folder: Path) -> bytes:
    """Return a hash of every file below ``folder`` and its name.

    Python's compiled files do not count, nor the texts in an installed package.
    """
    whole = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        inside = file.relative_to(folder)
        if file.is_file() and not {"__pycache__", "translations"} & {*inside.parts}:
            body = file.read_bytes()
            whole.update(f"{inside} {len(body)}\n".encode() + body)
    return whole.digest()
