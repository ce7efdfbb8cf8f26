"""Signed releases for tests: a small one with every kind of file, and the folder of a server."""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import os
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cccr_web.notices import make_security_txt
from cccr_web.release import (
    Metadata,
    Release,
    RollbackGuard,
    Signer,
    SigningKey,
    allowed_signers,
    make_release,
    with_archive,
)
from cccr_web.release.keys import LockedKey
from cccr_web.release.signed_manifest import trusted_comment
from cccr_web.release.sshsig import sign as sign_for_ssh
from cccr_web.serve import AppSwitch, ReloadQueue, Source
from cccr_web.serve.hosts import clearnet_hosts
from cccr_web.serve.policy import listener_policy
from cccr_web.serve.prepared import ResponseCache, prepare
from cccr_web.serve.reloader import Reloader

if TYPE_CHECKING:
    from collections.abc import Mapping

STYLE = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
# One time for the whole run, also in the processes that tests start.
TODAY = datetime.fromtimestamp(int(os.environ.setdefault("TESTS_BEGAN", f"{time.time():.0f}")), UTC)
# A day of texts and notices.
DAY = date(2026, 11, 22)
ARMOUR = b"-----BEGIN PGP SIGNATURE-----\n\nnot checked here\n-----END PGP SIGNATURE-----\n"
# A public key made by gpg for the tests; its secret part is gone.
OPENPGP_KEY = b"""-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawuIMBYJKwYBBAHaRw8BAQdAnGkK3BI1Z0/KS+XKZvfTUjRIWztkaTcAKY1Q
Nui7KDq0GFRlc3QgPHRlc3RAY2Njci5leGFtcGxlPoiWBBMWCAA+FiEE2e9TMw/+
8xBWwjVhmKQ36y+3YXEFAmsLiDACGwMFCSWYBgAFCwkIBwIGFQoJCAsCBBYCAwEC
HgECF4AACgkQmKQ36y+3YXGAQgD+I80gs3qpN7bbZyBb8cq2URxe0Rqz9prVXnFp
h3yUy60A/0oPgqTy7deP+kqbxVZgMBPbkLg/zWJ/woaSI5QB4VcE
=Inh7
-----END PGP PUBLIC KEY BLOCK-----
"""


_ORGANISATION = b"the tests' organisation"


@functools.cache
def organisation_key() -> SigningKey:
    """Return the key of the tests' organisation: the same in every process."""
    return known_key(_ORGANISATION)


def organisation_key_file() -> bytes:
    """Return its unencrypted key file."""
    return known_key_file(_ORGANISATION)


def known_key(name: bytes) -> SigningKey:
    """Return a key made of a name."""
    return LockedKey(known_key_file(name), "a test's").unlock("")


def known_key_file(name: bytes) -> bytes:
    """Return the unencrypted key file, in minisign's format, of a key made of a name."""
    seed = hashlib.sha256(name).digest()
    secret = Ed25519PrivateKey.from_private_bytes(seed)
    number_and_key = seed[:8] + seed + secret.public_key().public_bytes_raw()
    check = hashlib.blake2b(b"Ed" + number_and_key, digest_size=32).digest()
    whole = base64.b64encode(b"Ed\0\0B2" + bytes(48) + number_and_key + check)
    return b"untrusted comment: a test's\n" + whole + b"\n"


KEY = organisation_key()
PUBLIC = KEY.public


def facts(sequence: int = 1, **changes: Any) -> Metadata:
    """Return the facts of a release, in order but for ``changes``.

    It is dated today, or when it ``expires`` if that is earlier.
    """
    changes.setdefault("time", min(TODAY, changes.get("expires", TODAY)))
    return dataclasses.replace(
        Metadata(
            sequence=sequence,
            time=changes["time"],
            expires=TODAY + timedelta(days=365),
            fingerprint=organisation_key().public.fingerprint,
            languages={"en": "en", "zh-hans": "zh-Hans"},
            clearnet=None,
            onions=("a" * 56 + ".onion",),
            style_hashes=(STYLE,),
        ),
        **changes,
    )


def content(sequence: int) -> dict[str, bytes]:
    """Return a file of each kind; all say of which release they are."""
    mark = f"release {sequence}".encode()
    pages = ["index", "who-we-are"]
    files = {
        f"{slug}/{page}.html": b"<!doctype html><title>" + f"{slug} {page} ".encode() + mark
        for slug in ("en", "zh-hans")
        for page in pages
    }
    return files | {
        "404.html": b"<!doctype html><title>404 " + mark,
        "421.html": b"<!doctype html><title>421 " + mark,
        ".well-known/security.txt": make_security_txt(
            TODAY + timedelta(days=180), [("Contact", f"https://cccr.example/{sequence}")]
        ),
        "allowed_signers": allowed_signers(organisation_key().public),
        "en/feed.xml": b"<feed>" + mark + b"</feed>",
        "en/cccr-en.epub": b"PK\3\4 a book of " + mark,
        "favicon.ico": b"\0\0\1\0" + mark,
        "minisign.pub": organisation_key().public.to_file(),
        "onion.png": b"\x89PNG\r\n\x1a\n" + mark,
    }


@functools.cache
def signed_release(sequence: int) -> Release:
    """Return a release in order, signed."""
    unsigned = with_archive(make_release(content(sequence), facts(sequence)))
    return Signer(organisation_key()).sign(unsigned)


def put(files: Mapping[str, bytes], folder: Path) -> Path:
    """Write files to ``folder`` and return it; nothing is flushed to the disk, to save time."""
    for path, body in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
    return folder


def put_release(release: Release, folder: Path) -> None:
    """Write a release as it is in memory."""
    put({path: file.body for path, file in release.files.items()}, folder)


def sign_unchecked(
    folder: Path,
    known: Metadata,
    *,
    key: SigningKey | None = None,
    armour: bytes | None = None,
) -> None:
    """Sign the manifest in ``folder`` without checking the release."""
    key = key or organisation_key()
    sums = (folder / "SHA256SUMS").read_bytes()
    (folder / "SHA256SUMS.minisig").write_bytes(key.sign(sums, trusted_comment(known, armour)))
    (folder / "SHA256SUMS.sshsig").write_bytes(sign_for_ssh(sums, key))
    if armour is not None:
        (folder / "SHA256SUMS.asc").write_bytes(armour)


def make_apps(release: Release) -> list[ResponseCache]:
    """Return the app of one clearnet listener on loopback."""
    policy = listener_policy("clearnet", release.metadata)
    return prepare(release, [(policy, clearnet_hosts((), loopback=True))])


class ServerFolder:
    """A folder with a link ``current`` to a release, and the state of a server."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.current = path / "current"
        self.source = Source(self.current, organisation_key().public, RollbackGuard(path / "state"))

    @classmethod
    def with_releases(cls, path: Path, count: int) -> ServerFolder:
        """Make a folder with the releases 1 to ``count``, of which the first is current."""
        made = cls(path)
        for number in range(1, count + 1):
            put_release(signed_release(number), path / f"release-{number}")
        made.point(path / "release-1")
        return made

    def point(self, target: Path) -> None:
        """Let ``current`` link to ``target``, in one step."""
        partial = self.path / "current.partial"
        partial.unlink(missing_ok=True)  # left by a killed process
        partial.symlink_to(target)
        partial.replace(self.current)

    def reloader(self) -> Reloader:
        """Return the reloader of a server that has just started; its thread does not run."""
        release, apps = self.source.open(make_apps)
        self.source.keep(release)
        return Reloader(self.source, release, make_apps, AppSwitch(apps), ReloadQueue())
