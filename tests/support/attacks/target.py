"""The release that is attacked, and the table of attacks."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cccr_web.release import Metadata, SigningKey
from support.signed import (
    facts,
    put,
    put_release,
    sign_unchecked,
    signed_release,
)

PAGE = "en/index.html"
KINDS = (
    PAGE,
    "zh-hans/who-we-are.html",
    "RELEASE.json",
    "en/cccr-en.epub",
    "en/feed.xml",
    "onion.png",
    "cccr-web.zip",
    "allowed_signers",
    ".well-known/security.txt",
)
LINE = f"{'0' * 64}  "
ZIP_LIMIT = 256 * 1024 * 1024


MINISIG = "SHA256SUMS.minisig"
SSHSIG = "SHA256SUMS.sshsig"


class AttackTarget:
    """Release 2, in order and signed, in a folder that the attacker may change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.zip = folder.with_suffix(".zip")
        self.facts = facts(2)
        put_release(signed_release(2), folder)

    def __truediv__(self, path: str) -> Path:
        return self.folder / path

    def change(self, path: str, change: Callable[[bytes], bytes]) -> None:
        """Change the bytes of one file."""
        (self / path).write_bytes(change((self / path).read_bytes()))

    def lengthen(self, path: str, length: int) -> None:
        """Add zeros to a file, which take no space on the disk."""
        os.truncate(self / path, length)

    def remove(self, path: str) -> None:
        """Take one file away."""
        (self / path).unlink()

    @property
    def sums(self) -> Path:
        """The list."""
        return self.folder / "SHA256SUMS"

    def sign(self, key: SigningKey | None = None, armour: bytes | None = None) -> None:
        """Sign the current manifest."""
        sign_unchecked(self.folder, self.facts, key=key, armour=armour)

    def list_as(self, lines: bytes) -> None:
        """Write another list and sign it: as if the signer had been fooled."""
        self.sums.write_bytes(lines)
        self.sign()

    def release_json(self, text: bytes, known: Metadata | None = None) -> None:
        """Put another ``RELEASE.json`` in, list it and sign."""
        listed = signed_release(2).listed
        files = {path: file.body for path, file in listed.items()} | {"RELEASE.json": text}
        files.pop("cccr-web.zip")
        (self / "cccr-web.zip").unlink()
        put(files, self.folder)
        self.facts = known or self.facts
        lines = (f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in sorted(files))
        self.list_as("".join(lines).encode())

    def say(self, **changes: Any) -> None:
        """Sign a release that says something else of itself, consistently."""
        known = dataclasses.replace(self.facts, **changes)
        self.release_json(known.to_json(), known)

    def says(self, key: str, value: object) -> None:
        """Change one value of ``RELEASE.json``, list it and sign."""
        values = json.loads((self / "RELEASE.json").read_bytes())
        self.release_json(json.dumps({**values, key: value}).encode())


@dataclasses.dataclass(frozen=True, slots=True)
class Attack:
    """A name, what is done, and the sentence. ``do`` returns a path if ``current`` leads there."""

    name: str
    do: Callable[[AttackTarget], Path | None]
    sentence: str


ATTACKS: list[Attack] = []


def attack(sentence: str) -> Callable[[Callable[[AttackTarget], Path | None]], None]:
    """Put a function into the table, under its docstring."""

    def add(do: Callable[[AttackTarget], Path | None]) -> None:
        ATTACKS.append(Attack(str(do.__doc__), do, sentence))

    return add


def simple(name: str, sentence: str, do: Callable[[AttackTarget], object]) -> None:
    """Put a line into the table."""

    def run(target: AttackTarget) -> None:
        do(target)

    ATTACKS.append(Attack(name, run, sentence))


def flip(body: bytes) -> bytes:
    """Change one bit in the middle."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "one bit changed": flip,
    "cut off": lambda body: body[:-1],
    "extended": lambda body: body + b"\n",
    "emptied": lambda _body: b"",
}
