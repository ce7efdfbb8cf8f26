"""The notices that an admin puts beside the pages, each under its one name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cccr_web.errors import CccrError
from cccr_web.notices import canary, mirrors, security_txt
from cccr_web.notices.canary import read_canary
from cccr_web.notices.key_rotation import open_handover
from cccr_web.notices.mirrors import read_mirrors
from cccr_web.notices.notice import MAX_BYTES, Notice
from cccr_web.notices.security_txt import read_security_txt
from cccr_web.release import PublicKey, Release, sign_clear

KEYS: Final = "keys.txt"
PGP: Final = "pgp.txt"

_PGP = re.compile(
    rb"(-----BEGIN PGP PUBLIC KEY BLOCK-----\n[A-Za-z0-9+/=\n:. -]+?"
    rb"-----END PGP PUBLIC KEY BLOCK-----\n)+"
)


def read_notice(path: str, body: bytes, key: PublicKey | None) -> Notice:
    """Check one notice by the organisation's ``key``; ``None`` while it has none.

    Raises ``CccrError`` for an unknown name, a size or a form that is not right,
    and ``SignatureError`` for one that another key signed.
    """
    reader = _READERS.get(path)
    if reader is None:
        known = ", ".join(sorted(_READERS))
        raise CccrError(f"{path} is no notice.", f"There are {known}.")
    if len(body) > MAX_BYTES:
        raise CccrError(f"{path} has more than {MAX_BYTES:,} bytes.", "Make it anew.")
    if key is None:
        raise CccrError(
            f"{path} cannot be checked: the organisation's key is not known.",
            "Write public_key into translations/site.toml.",
        )
    return reader(body, key)


def refuse_old_canary(release: Release, key: PublicKey, now: datetime | None = None) -> None:
    """Raise ``CccrError`` if the canary in ``release`` was to be followed by another already."""
    file = release.files.get(canary.NAME)
    if file is None:
        return
    until = read_canary(file.body, key).until
    if until is not None and until <= (now or datetime.now(UTC)):
        raise CccrError(
            f"{canary.NAME} is out of date: the next one was due before {until:%Y-%m-%d}.",
            "Make it with: cccr-web canary. Then build again.",
        )


def write_notice(file: Path, body: bytes, *, openpgp: str | None = None) -> None:
    """Write a notice; only an older one of the same kind is replaced.

    With ``openpgp`` gpg's key of that name signs it as well. Raises ``CccrError``.
    """
    if openpgp is not None:
        body = sign_clear(body, openpgp)
    try:
        if file.exists() and not _same_kind(file.read_bytes(), body):
            raise CccrError(
                f"{file} is there already and is another kind of file.", "Choose another name."
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}.partial")
        partial.write_bytes(body)
        partial.replace(file)
    except OSError as error:
        raise CccrError(
            f"{file} cannot be written: {error.strerror}.", "Choose another place."
        ) from error


def _same_kind(one: bytes, other: bytes) -> bool:
    marks = (canary.TITLE.encode(), mirrors.TITLE.encode(), b"\nExpires: ")
    return any(mark in one and mark in other for mark in marks)


def _read_keys(body: bytes, key: PublicKey) -> Notice:
    said = open_handover(body)
    if key not in {said.current, said.next}:
        raise CccrError(
            f"{KEYS} hands over from {said.current.fingerprint} to {said.next.fingerprint}; "
            f"the organisation's key is {key.fingerprint}.",
            "Make it with: cccr-web key rotate",
        )
    return Notice(said.date)


def _read_pgp(body: bytes, _: PublicKey) -> Notice:
    if _PGP.fullmatch(body) is None:
        raise CccrError(
            f"{PGP} holds something else than public keys.", "Use: gpg --armor --export KEY"
        )
    return Notice()


_READERS: Final[Mapping[str, Callable[[bytes, PublicKey], Notice]]] = {
    canary.NAME: read_canary,
    KEYS: _read_keys,
    mirrors.NAME: read_mirrors,
    PGP: _read_pgp,
    security_txt.NAME: lambda body, _: read_security_txt(body),
}
NAMES: Final = frozenset(_READERS)
