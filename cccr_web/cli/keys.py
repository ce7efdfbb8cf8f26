"""``key``: the organisation's signing key, from the first one to its rotation."""

from __future__ import annotations

import codecs
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cccr_web.cli import options
from cccr_web.errors import CccrError

if TYPE_CHECKING:
    from cccr_web.release import PublicKey, SigningKey


def read_passphrase(file: Path | None, question: str, *, twice: bool = False) -> str:
    """Return the first line of ``file``, or ask on the terminal."""
    if file is None:
        try:
            answer: str = click.prompt(
                question,
                hide_input=True,
                confirmation_prompt=twice,
                default="",
                show_default=False,
                err=True,
            )
        except click.Abort as error:
            raise CccrError(
                "No passphrase was entered.", "Type it, or pass a file that holds it (see --help)."
            ) from error
        return answer
    try:
        body = file.read_bytes()
        # Windows' editors write such marks.
        is_utf_16 = body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = body.decode("utf-16" if is_utf_16 else "utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise CccrError(
            f"The passphrase file {file} cannot be read: {reason}.", "Use a text file."
        ) from error
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
    """Create, show and replace the key that signs releases."""


@key.command(epilog=options.example("key new --out cccr.key"))
@click.option(
    "--out", required=True, type=options.FILE, help="The file to write the secret key to."
)
@options.passphrase_file
def new(out: Path, passphrase_file: Path | None) -> None:
    """Create the organisation's key, and its public key in a .pub file.

    Both files are in minisign's format; the secret key is encrypted. An existing file is
    never overwritten.
    """
    from cccr_web.release import new_key

    click.echo(describe(new_key(out, read_passphrase(passphrase_file, "Passphrase", twice=True))))


@key.command(epilog=options.example("key show cccr.pub"))
@click.argument("public_key", metavar="KEY")
def show(public_key: str) -> None:
    """Print a public key and its fingerprint. KEY is a file, or the key itself (RW…)."""
    from cccr_web.release import read_public_key

    click.echo(describe(read_public_key(public_key)))


@key.command(epilog=options.example("key policy translations/site.toml --out policy.txt"))
@click.argument("site_toml", metavar="SITE.TOML", type=options.FILE)
@click.option("--out", required=True, type=options.FILE, help="The file to write.")
def policy(site_toml: Path, out: Path) -> None:
    """Write the policy in SITE.TOML: who signs, and how many of them must.

    The file is for --policy. It prints the fingerprint that readers compare.
    """
    from cccr_web import files
    from cccr_web.content import SourceTree, content_error, read_site
    from cccr_web.render import read_policy_facts

    if site_toml.name != "site.toml":
        raise click.UsageError(f"{site_toml} is not a site.toml.")
    tree = SourceTree(site_toml.absolute().parent)
    _, signing, problems = read_site(tree)
    found, wrong = read_policy_facts(tree, signing)
    if problems or wrong:
        raise content_error([*problems, *wrong])
    if found is None:
        raise CccrError(f"{site_toml} names no signers.", "Write public_keys into it.")
    with files.writing(out, "Choose another place."):
        files.replace(out, found.to_file())
    click.echo(
        f"policy {found.number}: {found.threshold} of {len(found.signers)} must sign\n"
        f"fingerprint {found.fingerprint}"
    )


@key.command(epilog=options.example("key rotate --old cccr.key --new next.key --out keys.txt"))
@click.option("--old", required=True, type=options.FILE, help="The secret key that signs now.")
@click.option(
    "--new",
    "following",
    required=True,
    type=options.FILE,
    help="The secret key that will sign next.",
)
@options.notice_file
@options.notice_date
@options.passphrase_file
@click.option("--new-passphrase-file", type=options.FILE, help="The same for the new key.")
def rotate(
    old: Path,
    following: Path,
    out: Path,
    day: date,
    passphrase_file: Path | None,
    new_passphrase_file: Path | None,
) -> None:
    """Write keys.txt, which names the next key. Both keys sign it.

    If the file exists, the change is added to it. A key has one successor, and no key becomes
    current again.
    """
    from cccr_web.notices import read_keys_file, rotate_key, write_notice

    before = read_keys_file(out) if out.exists() else b""
    current = unlock(old, passphrase_file)
    write_notice(out, rotate_key(current, unlock(following, new_passphrase_file), day, before))


@key.command(epilog=options.example("key check keys.txt --public-key cccr.pub"))
@click.argument("file", type=options.FILE)
@options.public_key(required=True)
def check(file: Path, public_key: str) -> None:
    """Verify FILE, a copy of keys.txt, and print the newest key.

    Exits with 1 if the key that you trust, or one that it leads to, has not signed it.
    """
    from cccr_web.notices import read_key_rotation, read_keys_file
    from cccr_web.release import read_public_key

    rotation = read_key_rotation(read_keys_file(file), read_public_key(public_key))
    click.echo(f"On {rotation.issued} the key was replaced by:\n{describe(rotation.next)}")
