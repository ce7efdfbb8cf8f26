"""A secret key on paper: its encrypted file as a QR code, and in lines to type.

    1 RWRT Y0Iy wx2q 3n9T … 4f2a

A line has its number, up to 32 characters of the file's base64 in groups of four, and a check: the
first four digits of the SHA-256 of the number and these characters. So a line that was typed
wrong, left out or moved is named.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from cccr_web.errors import CccrError
from cccr_web.release.keys import LockedKey, read_locked_key, write_secret

_WIDTH: Final = 32
_GROUP: Final = 4
_COMMENT: Final = "untrusted comment: minisign encrypted secret key"


def print_key(file: Path) -> tuple[str, list[str]]:
    """Return the text of an encrypted key file, for a QR code, and the lines to type.

    Raises ``CccrError``, also for a key without a passphrase.
    """
    locked = read_locked_key(file)
    if not locked.encrypted:
        raise CccrError(
            f"{file} has no passphrase: whoever finds the paper could sign.",
            "Give it one with: minisign -C",
        )
    text = locked.to_file().decode("ascii")
    body = text.splitlines()[-1]
    pieces = (body[at : at + _WIDTH] for at in range(0, len(body), _WIDTH))
    return text, [_line(number, piece) for number, piece in enumerate(pieces, start=1)]


def restore_key(scanned: str, file: Path, *, name: str) -> None:
    """Write the key that was scanned or typed to a new file; errors call the text ``name``.

    Raises ``CccrError`` that names the line that is wrong.
    """
    lines = [line.strip() for line in scanned.splitlines() if line.strip()]
    typed = bool(lines) and lines[0].startswith("1 ")
    body = _read_typed(lines, name) if typed else lines[-1] if lines else ""
    locked = LockedKey(f"{_COMMENT}\n{body}\n".encode(), name)
    write_secret(file, locked.to_file())


def _line(number: int, piece: str) -> str:
    groups = (piece[at : at + _GROUP] for at in range(0, len(piece), _GROUP))
    check = hashlib.sha256(f"{number}{piece}".encode()).hexdigest()[:_GROUP]
    return " ".join((str(number), *groups, check))


def _read_typed(lines: list[str], name: str) -> str:
    pieces = []
    for number, line in enumerate(lines, start=1):
        piece = "".join(line.split()[1:-1])
        if " ".join(line.split()) != _line(number, piece):
            raise CccrError(
                f"{name}: line {number} is not as it was printed.",
                "Compare each character: 0 and O, 1, l and I, and all capitals.",
            )
        pieces.append(piece)
    return "".join(pieces)
