"""``key``: the organisation's signing keys, from the first one to the changes of the policy."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cccr_web.cli import options
from cccr_web.errors import CccrError

if TYPE_CHECKING:
    from cccr_web.release import PolicyChain, PublicKey, SigningKey, SigningPolicy, Trusted


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

    found = _site_policy(site_toml, past=True)
    with files.writing(out, "Choose another place."):
        files.replace(out, found.to_file())
    click.echo(_describe_policy(found))


@key.command(
    epilog=options.example("key change translations/site.toml --previous old.pub --out keys.txt")
)
@click.argument("site_toml", metavar="SITE.TOML", type=options.FILE)
@click.option(
    "--previous",
    metavar="KEY",
    help="What signs until now, to begin keys.txt with: a policy.txt, or a public key.",
)
@options.notice_file
def change(site_toml: Path, previous: str | None, out: Path) -> None:
    """Add the policy in SITE.TOML to keys.txt.

    So signers come, go, are replaced or revoked. It must then be signed with “key sign”. A policy
    at the end of keys.txt that is not signed yet is replaced.
    """
    from cccr_web import files
    from cccr_web.release import PolicyChain

    if previous is None:
        chain = PolicyChain.parse(_read_keys(out))
    elif out.exists():
        raise CccrError(f"{out} exists already.", "To add to it, leave --previous out.")
    else:
        chain = PolicyChain.begin(_read_previous(previous))
    chain = chain.add(_site_policy(site_toml, past=False))
    with files.writing(out, "Choose another place."):
        out.parent.mkdir(parents=True, exist_ok=True)
        files.replace(out, chain.to_file())
    _show_newest(chain)


@key.command(name="sign", epilog=options.example("key sign keys.txt --key cccr.key"))
@click.argument("file", type=options.FILE)
@options.signer
@options.passphrase_file
def sign_change(
    file: Path, key_file: Path | None, ssh_key: Path | None, passphrase_file: Path | None
) -> None:
    """Sign the newest policy in FILE, a keys.txt, and say who else must.

    Enough signers of the policy before it must sign, and enough of its own.
    """
    from cccr_web import files
    from cccr_web.release import PolicyChain, sign_policy, sign_with_ssh_keygen

    chain = PolicyChain.parse(_read_keys(file))
    signature = b""
    if key_file is not None:
        signature = sign_policy(chain.newest, unlock(key_file, passphrase_file))
    elif ssh_key is not None:
        signature = sign_with_ssh_keygen(chain.newest.to_file(), ssh_key)
    chain = chain.sign(signature)
    with files.writing(file, "Choose another place."):
        files.replace(file, chain.to_file())
    _show_newest(chain)


@key.command(epilog=options.example("key check keys.txt --public-key cccr.pub"))
@click.argument("file", type=options.FILE)
@options.trusted(required=True)
def check(file: Path, key: Trusted) -> None:
    """Verify FILE, a copy of keys.txt, and print its policies.

    The newest is the last. Exits with 1 if yours is not one of them, or if one was not signed by
    enough signers of the one before it. Those before yours signed older releases.
    """
    from cccr_web.release import PolicyChain

    for found in PolicyChain.read(_read_keys(file), key).policies:
        click.echo(_describe_policy(found))


def _site_policy(site_toml: Path, *, past: bool) -> SigningPolicy:
    from cccr_web.content import SourceTree, content_error, read_site
    from cccr_web.render import read_policy_facts

    if site_toml.name != "site.toml":
        raise click.UsageError(f"{site_toml} is not a site.toml.")
    tree = SourceTree(site_toml.absolute().parent)
    _, signing, problems = read_site(tree)
    found, wrong = read_policy_facts(tree, signing, past=past)
    if problems or wrong:
        raise content_error([*problems, *wrong])
    if found is None:
        raise CccrError(f"{site_toml} names no signers.", "Write public_keys into it.")
    return found


def _read_previous(text: str) -> Trusted:
    """Return the policy in a file, or else a public key or the one in a file."""
    from cccr_web.release import POLICY, read_policy, read_public_key

    return read_policy(Path(text)) if Path(text).name == POLICY else read_public_key(text)


def _read_keys(file: Path) -> bytes:
    from cccr_web.release import KEYS, unix_lines

    try:
        return unix_lines(file.read_bytes())
    except OSError as error:
        raise CccrError(f"{file} cannot be read: {error.strerror}.", f"Pass {KEYS}.") from error


def _describe_policy(policy: SigningPolicy) -> str:
    return (
        f"policy {policy.number}: {policy.threshold} of {len(policy.signers)} must sign\n"
        f"fingerprint {policy.fingerprint}"
    )


def _show_newest(chain: PolicyChain) -> None:
    click.echo(_describe_policy(chain.newest))
    click.echo(f"not signed yet: {chain.missing}" if chain.missing else "signed")
