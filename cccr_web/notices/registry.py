"""All notices that an admin can add to a release, by the name of their file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final

from cccr_web import files
from cccr_web.errors import CccrError
from cccr_web.notices import canary, key_rotation, mirrors, security_txt
from cccr_web.notices.signed_text import MAX_BYTES, check_key
from cccr_web.release import PublicKey, Release, sign_with_gpg

PGP: Final = "pgp.txt"

_PGP = re.compile(
    rb"(-----BEGIN PGP PUBLIC KEY BLOCK-----\n[A-Za-z0-9+/=\n:. -]+?"
    rb"-----END PGP PUBLIC KEY BLOCK-----\n)+"
)


@dataclass(frozen=True, slots=True)
class Notice:
    """What a release needs to know of a notice: the day it was issued, and when it expires."""

    issued: date | None = None
    until: datetime | None = None


def read_notice(path: str, body: bytes, key: PublicKey | None) -> Notice:
    """Check one notice against the organisation's ``key``; ``None`` while it has none.

    Raises ``CccrError`` for an unknown name, a wrong size or a wrong format, and
    ``SignatureError`` if another key signed it.
    """
    reader = _READERS.get(path)
    if reader is None:
        known = ", ".join(sorted(_READERS))
        raise CccrError(f"{path} is not a notice.", f"The notices are {known}.")
    if len(body) > MAX_BYTES:
        raise CccrError(f"{path} has more than {MAX_BYTES:,} bytes.", "Make it again.")
    if key is None:
        raise CccrError(
            f"{path} cannot be checked: the organisation's key is not known.",
            "Write public_key into translations/site.toml.",
        )
    return reader(body, key)


def reject_overdue_canary(release: Release, key: PublicKey, now: datetime | None = None) -> None:
    """Raise ``CccrError`` if the canary after the one in ``release`` was due before ``now``."""
    file = release.files.get(canary.NAME)
    if file is None:
        return
    until = _read_canary(file.body, key).until
    if until is not None and until <= (now or datetime.now(UTC)):
        raise CccrError(
            f"{canary.NAME} is out of date: the next one was due before {until:%Y-%m-%d}.",
            "Make it with: cccr-web canary. Then build again.",
        )


def write_notice(file: Path, body: bytes, *, openpgp: str | None = None) -> None:
    """Write a notice; only an older one of the same kind is replaced.

    With ``openpgp``, gpg's key of that name signs it too. Raises ``CccrError``.
    """
    if openpgp is not None:
        body = sign_with_gpg(body, openpgp, clear=True)
    with files.writing(file, "Choose another place."):
        if file.exists() and not _same_kind(file.read_bytes(), body):
            raise CccrError(f"{file} is another kind of file.", "Choose another name.")
        file.parent.mkdir(parents=True, exist_ok=True)
        files.replace(file, body)


def _same_kind(one: bytes, other: bytes) -> bool:
    marks = (canary.TITLE.encode(), mirrors.TITLE.encode(), b"\nExpires: ")
    return any(mark in one and mark in other for mark in marks)


def _read_canary(body: bytes, key: PublicKey) -> Notice:
    found = canary.FORMAT.read(body)
    check_key(canary.NAME, found.key, key)
    # Until the last day is over, in UTC.
    return Notice(found.issued, datetime.combine(found.next + timedelta(days=1), time(), UTC))


def _read_mirrors(body: bytes, key: PublicKey) -> Notice:
    found = mirrors.FORMAT.read(body)
    check_key(mirrors.NAME, found.key, key)
    return Notice(found.issued)


def _read_keys(body: bytes, key: PublicKey) -> Notice:
    found = key_rotation.FORMAT.read(body)
    if key != found.next:
        check_key(key_rotation.NAME, found.current, key)
    return Notice(found.issued)


def _read_pgp(body: bytes, _: PublicKey) -> Notice:
    if _PGP.fullmatch(body) is None:
        raise CccrError(
            f"{PGP} holds something other than public keys.", "Use: gpg --armor --export KEY"
        )
    return Notice()


_READERS: Final[Mapping[str, Callable[[bytes, PublicKey], Notice]]] = {
    canary.NAME: _read_canary,
    key_rotation.NAME: _read_keys,
    mirrors.NAME: _read_mirrors,
    PGP: _read_pgp,
    security_txt.NAME: lambda body, _: Notice(until=security_txt.read_security_txt(body)),
}
NAMES: Final = frozenset(_READERS)
