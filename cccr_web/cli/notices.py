"""``canary``, ``mirrors`` and ``security-txt``: notices for ``translations/files/``."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path

import click

from cccr_web.cli import options
from cccr_web.cli.keys import unlock
from cccr_web.config import find_tree
from cccr_web.errors import CccrError


@click.command(
    epilog=options.example(
        'canary --key cccr.key --statement "…" --next 2027-02-01 --proof "…" --out canary.txt'
    )
)
@options.secret_key
@options.repeatable("--statement", "statements", required=True, help="A line that is true today.")
@click.option(
    "--next", "following", required=True, type=options.DATE, help="When the next canary is due."
)
@options.repeatable(
    "--proof",
    "proofs",
    required=True,
    help="A line that did not exist before today, such as a headline or a block's hash.",
)
@options.notice_file
@options.notice_date
@options.openpgp_key
@options.passphrase_file
def canary(
    key_file: Path,
    statements: tuple[str, ...],
    following: date,
    proofs: tuple[str, ...],
    out: Path,
    day: date,
    openpgp_key: str | None,
    passphrase_file: Path | None,
) -> None:
    """Write canary.txt: signed statements that are true today.

    The next canary must be due after today and within about half a year. A release with
    an overdue canary cannot be signed.
    """
    from cccr_web.notices import canary_valid_until, make_canary, write_notice

    if canary_valid_until(following) <= datetime.now(UTC):
        raise CccrError(
            f"The next canary was due on {following}, which is in the past.", "Choose a later day."
        )
    key = unlock(key_file, passphrase_file)
    write_notice(out, make_canary(key, day, following, statements, proofs), openpgp=openpgp_key)


@click.command(
    epilog=options.example("mirrors --key cccr.key --out mirrors.txt https://… http://….onion")
)
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@options.secret_key
@options.notice_file
@options.notice_date
@options.openpgp_key
@options.passphrase_file
def mirrors(
    urls: tuple[str, ...],
    key_file: Path,
    out: Path,
    day: date,
    openpgp_key: str | None,
    passphrase_file: Path | None,
) -> None:
    """Write mirrors.txt: the signed list of all addresses. The best URL comes first."""
    from cccr_web.notices import make_mirrors, write_notice

    key = unlock(key_file, passphrase_file)
    write_notice(out, make_mirrors(key, day, urls), openpgp=openpgp_key)


@click.command(
    epilog=options.example("security-txt --contact … --expires 2027-06-30 --out security.txt")
)
@options.repeatable(
    "--contact",
    "contacts",
    metavar="URL",
    help="Where to report: mailto:… or https://…; the best first.  [default: site.toml's contact]",
)
@click.option("--expires", required=True, type=options.DATE, help="When the file expires.")
@options.repeatable("--canonical", metavar="URL", help="The address of this file: https://…")
@click.option("--encryption", metavar="URL", help="A key for encrypted mail: https://…")
@click.option("--policy", metavar="URL", help="Your policy for vulnerability reports: https://…")
@click.option("--languages", default="en, zh", help="The languages that you can read.")
@options.notice_file
@options.openpgp_key
def security_txt(
    contacts: tuple[str, ...],
    expires: date,
    canonical: tuple[str, ...],
    encryption: str | None,
    policy: str | None,
    languages: str,
    out: Path,
    openpgp_key: str | None,
) -> None:
    """Write security.txt: how to report a vulnerability.

    The file (RFC 9116) is published below .well-known/. It must expire within a year.
    """
    from cccr_web.notices import SECURITY_TXT_AHEAD, make_security_txt, write_notice

    contacts = contacts or (_contact(),)
    until, now = datetime.combine(expires, time(), UTC), datetime.now(UTC)
    if not now < until <= now + SECURITY_TXT_AHEAD:
        raise CccrError(
            f"security.txt would expire on {expires}.", "Choose a day within the next year."
        )
    fields = [("Contact", contact) for contact in contacts]
    fields += [("Canonical", url) for url in canonical]
    optional = {"Encryption": encryption, "Policy": policy, "Preferred-Languages": languages}
    fields += [(name, value) for name, value in optional.items() if value]
    write_notice(out, make_security_txt(until, fields), openpgp=openpgp_key)


def _contact() -> str:
    """Return the contact in ``site.toml`` as a URL. Raises ``CccrError``."""
    from cccr_web.content import SourceTree, read_site

    site, *_ = read_site(SourceTree(find_tree("translations")))
    if site is None or site.contact is None:
        raise CccrError(
            "Neither --contact nor site.toml says where to report.",
            "Pass --contact, or set contact there.",
        )
    return site.contact if site.contact.startswith("https:") else f"mailto:{site.contact}"
