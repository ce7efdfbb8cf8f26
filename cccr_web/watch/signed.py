"""What an address says of itself, as far as the organisation has signed it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cccr_web.release import (
    File,
    Metadata,
    PublicKey,
    Release,
    ReleaseError,
    SignatureError,
    manifest,
    metadata,
    verify_facts,
    verify_manifest,
)
from cccr_web.watch.difference import Difference, Kind
from cccr_web.watch.files import file_differences
from cccr_web.watch.link import Reply

Fetch = Callable[[str, int], Reply | None]
Tell = Callable[[Difference], None]

# Bytes of a signature and of RELEASE.json: a hundred times what they have.
_SMALL: Final = 64 * 1024


def read_signed(fetch: Fetch, key: PublicKey, tell: Tell) -> Release | None:
    """Return the release that the signed list names, all its files without their bytes.

    ``fetch`` takes a path and the most bytes it may have, and has told itself if it
    returns ``None``. ``None`` is returned, and what is wrong told, if anything in
    the list, its signatures or ``RELEASE.json`` is not as it should be.
    """
    sums = _body(fetch, tell, manifest.NAME, manifest.MAX_BYTES)
    if sums is None:
        return None
    signatures = {}
    for name in (manifest.MINISIG, manifest.SSHSIG):
        body = _body(fetch, tell, name, _SMALL)
        if body is None:
            return None
        signatures[name] = body
    facts_text = _body(fetch, tell, metadata.NAME, _SMALL)
    try:
        comment = verify_manifest(sums, signatures, key)
        if "openpgp:" in comment:
            armour = _body(fetch, tell, manifest.OPENPGP, _SMALL)
            if armour is None:
                return None
            signatures[manifest.OPENPGP] = armour
        listed = manifest.parse_manifest(sums)
        if facts_text is None:
            return None
        if manifest.digest(facts_text) != listed.get(metadata.NAME):
            detail = f"SHA-256 {manifest.digest(facts_text)}, not {listed.get(metadata.NAME)}"
            tell(Difference(f"/{metadata.NAME}", Kind.CHANGED, detail))
            return None
        facts = Metadata.from_json(facts_text)
        verify_facts(comment, facts, signatures, key)
    except SignatureError as error:
        named = str(error).partition(" ")[0]
        path = named if named in manifest.SIGNATURES else manifest.MINISIG
        tell(Difference(f"/{path}", Kind.BAD_SIGNATURE, str(error)))
        return None
    except ReleaseError as error:
        tell(Difference(f"/{manifest.NAME}", Kind.CHANGED, str(error)))
        return None
    beside = {name: manifest.digest(body) for name, body in signatures.items()}
    hashes = {manifest.NAME: manifest.digest(sums), **beside, **listed}
    return Release({path: File(b"", hashes[path]) for path in sorted(hashes)}, facts)


def _body(fetch: Fetch, tell: Tell, path: str, limit: int) -> bytes | None:
    reply = fetch(path, limit)
    if reply is None:
        return None
    problem = next(file_differences(f"/{path}", reply), None)
    if problem is not None:
        tell(problem)
        return None
    return reply.body
