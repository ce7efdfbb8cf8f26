"""``key``: the organisation's signing key, from the first one to its rotation."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cccr_web.cli.terminal import example
from cccr_web.errors import CccrError

if TYPE_CHECKING:
    from cccr_web.release import PublicKey, SigningKey

FILE = click.Path(path_type=Path, dir_okay=False)

passphrase_option = click.option(
    "--passphrase-file",
    type=FILE,
    help="Read the passphrase from this file, not the terminal.",
)


def read_passphrase(file: Path | None, question: str, *, twice: bool = False) -> str:
    """Return the first line of ``file``, or ask on the terminal."""
    if file is None:
        answer: str = click.prompt(
            question,
            hide_input=True,
            confirmation_prompt=twice,
            default="",
            show_default=False,
            err=True,
        )
        return answer
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CccrError(f"{file} cannot be read: {error}.", "Give a text file.") from error
    return text.partition("\n")[0].removesuffix("\r")


def unlock(file: Path, passphrase_file: Path | None) -> SigningKey:
    """Read the secret key in ``file``, asking for its passphrase if it has one."""
    from cccr_web.release import read_locked_key

    locked = read_locked_key(file)
    if not locked.encrypted:
        return locked.unlock("")
    return locked.unlock(read_passphrase(passphrase_file, f"Passphrase of {file}"))


def describe(key: PublicKey) -> str:
    """Return the key and its fingerprint, one per line."""
    return f"public key {key}\nfingerprint {key.fingerprint}"


@click.group()
def key() -> None:
    """Make the key that signs releases, show it, and replace it with the next."""


@key.command()
@click.option("--out", required=True, type=FILE, help="Where to write the secret key.")
@passphrase_option
@example("cccr-web key new --out cccr.key")
def new(out: Path, passphrase_file: Path | None) -> None:
    """Make the organisation's key, encrypted, and its public key in a .pub file next to it.

    Both files are in minisign's format. An existing file is never overwritten.
    """
    from cccr_web.release import new_key

    click.echo(describe(new_key(out, read_passphrase(passphrase_file, "Passphrase", twice=True))))


@key.command()
@click.argument("public_key")
@example("cccr-web key show cccr.pub")
def show(public_key: str) -> None:
    """Print the public key in a file, and its fingerprint."""
    from cccr_web.release import read_public_key

    click.echo(describe(read_public_key(public_key)))


@key.command()
@click.option("--old", required=True, type=FILE, help="The key that signs now.")
@click.option("--new", "following", required=True, type=FILE, help="The key that will sign next.")
@click.option("--out", required=True, type=FILE, help="Where to write keys.txt.")
@click.option(
    "--date",
    "day",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The date in the notice, if not today (UTC).",
)
@passphrase_option
@click.option("--new-passphrase-file", type=FILE, help="The same for the new key.")
@example("cccr-web key rotate --old cccr.key --new next.key --out keys.txt")
def rotate(
    old: Path,
    following: Path,
    out: Path,
    day: datetime | None,
    passphrase_file: Path | None,
    new_passphrase_file: Path | None,
) -> None:
    """Write keys.txt, which names the next key, signed by the old key and the new one."""
    from cccr_web.notices import rotate_key
    from cccr_web.release import write_new

    today = (day or datetime.now(UTC)).date()
    current = unlock(old, passphrase_file)
    whole = rotate_key(current, unlock(following, new_passphrase_file), today)
    write_new(out, whole, mode=0o644)


@key.command()
@click.argument("file", type=FILE)
@click.option("--public-key", required=True, help="The key that you trust: a file, or RW… itself.")
@example("cccr-web key check keys.txt --public-key cccr.pub")
def check(file: Path, public_key: str) -> None:
    """Verify keys.txt with the key that you trust, and print the next key."""
    from cccr_web.notices import check_key_rotation
    from cccr_web.release import read_public_key

    rotation = check_key_rotation(file, read_public_key(public_key))
    click.echo(f"On {rotation.issued} the key was replaced by:\n{describe(rotation.next)}")
