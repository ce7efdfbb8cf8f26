"""All notices that an admin can add to a release, by the name of their file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cccr_web import files
from cccr_web.errors import CccrError, ReleaseError
from cccr_web.notices import canary, mirrors, security_txt
from cccr_web.notices.signed_text import MAX_AGE, MAX_BYTES, Notice, check_key, midnight
from cccr_web.release import (
    KEYS,
    RECORD,
    PolicyChain,
    Release,
    Trusted,
    is_chain,
    key_fingerprints,
    parse_record,
    policies_of,
    sign_with_gpg,
    unix_lines,
)

PGP: Final = "pgp.txt"


def read_notice(path: str, body: bytes, key: Trusted | None, *, verify: bool = True) -> Notice:
    """Check one notice against the organisation's ``key`` or policy; ``None`` while it has none.

    Any minisign key of a policy may sign a notice: the release around it needs the threshold.

    Without ``verify``, the signatures inside are not checked: its release is signed as a whole.
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
            "Write public_key into site.toml.",
        )
    return reader(body, key, verify)


def check_notices(release: Release, key: Trusted, now: datetime | None = None) -> None:
    """Raise ``CccrError`` if a signed notice was not valid when ``release`` was made.

    Callers that sign pass ``now``: then the signatures inside are verified too, and all notices
    must still be valid.
    """
    policy = policies_of(release, key)[-1]
    for path in (canary.NAME, KEYS, mirrors.NAME):
        if path not in release.files:
            continue
        notice = read_notice(path, release.files[path].body, policy, verify=now is not None)
        fault = notice.fault(release.metadata.time, "the release is dated")
        if now is not None:
            fault = fault or notice.fault(now)
        if fault:
            raise ReleaseError(f"{path}: {fault}", path=path)


def expired_notices(release: Release, key: Trusted, now: datetime | None = None) -> Iterator[str]:
    """Yield a sentence if the list of addresses has expired.

    A canary that was not renewed is served: its silence is the warning. Raises ``CccrError``
    for a notice that cannot be read.
    """
    now, path = now or datetime.now(UTC), mirrors.NAME
    if path in release.files:
        policy = policies_of(release, key)[-1]
        notice = read_notice(path, release.files[path].body, policy, verify=False)
        if notice.until is not None and notice.until <= now:
            yield f"{path}: {notice.fault(now)}"


def reject_expired_notices(release: Release, key: Trusted, now: datetime | None = None) -> None:
    """Raise ``ReleaseError`` if the list of addresses has expired."""
    for sentence in expired_notices(release, key, now):
        raise ReleaseError(sentence, path=sentence.partition(":")[0])


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
    titles = (canary.TITLE, mirrors.TITLE, "\nExpires: ")
    return any(title.encode() in one and title.encode() in other for title in titles)


def _read_canary(body: bytes, key: Trusted, verify: bool) -> Notice:
    found = canary.FORMAT.read(body, verify=verify)
    check_key(canary.NAME, found.key, key)
    return Notice(found.issued, canary.valid_until(found.next))


def _read_mirrors(body: bytes, key: Trusted, verify: bool) -> Notice:
    found = mirrors.read_mirrors(body, verify=verify)
    check_key(mirrors.NAME, found.key, key)
    return Notice(found.issued, midnight(found.issued + MAX_AGE))


def _read_keys(body: bytes, key: Trusted, verify: bool) -> Notice:
    text = unix_lines(body)
    # Releases of version 0.2.0 have a notice of another form.
    if verify or is_chain(text):
        newest = (PolicyChain.read(text, key) if verify else PolicyChain.parse(text)).newest
        if newest.fingerprint != key.fingerprint:
            raise CccrError(
                f"{KEYS} leads to {newest.fingerprint}, but the organisation has "
                f"{key.fingerprint}.",
                "Correct public_keys in site.toml, or run: cccr-web key change",
            )
    return Notice()


def _read_record(body: bytes) -> Notice:
    parse_record(unix_lines(body))
    return Notice()


def _read_pgp(body: bytes, _key: Trusted, _verify: bool) -> Notice:
    key_fingerprints(body, name=PGP)
    return Notice()


_READERS: Final[Mapping[str, Callable[[bytes, Trusted, bool], Notice]]] = {
    canary.NAME: _read_canary,
    KEYS: _read_keys,
    RECORD: lambda body, *_: _read_record(body),
    mirrors.NAME: _read_mirrors,
    PGP: _read_pgp,
    security_txt.NAME: lambda body, *_: Notice(until=security_txt.read_security_txt(body)),
}
NAMES: Final = frozenset(_READERS)
