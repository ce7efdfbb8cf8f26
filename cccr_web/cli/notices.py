"""``canary``, ``mirrors`` and ``security-txt``: notices for ``translations/files/``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from cccr_web.cli.keys import FILE, passphrase_option, unlock
from cccr_web.cli.terminal import example
from cccr_web.errors import CccrError

DAY = click.DateTime(["%Y-%m-%d"])

key_option = click.option(
    "--key", "key_file", required=True, type=FILE, help="The organisation's secret key."
)
date_option = click.option(
    "--date", "day", type=DAY, help="The date in the notice, if not today (UTC)."
)
openpgp_option = click.option("--openpgp-key", help="Also sign with this key of gpg.")


def _out_option(place: str) -> Callable[[Callable[..., object]], Callable[..., object]]:
    return click.option(
        "--out", required=True, type=FILE, help=f"Where to write it: translations/files/{place}."
    )


@click.command()
@key_option
@click.option(
    "--statement",
    "statements",
    required=True,
    multiple=True,
    help="One line that is true today. May be repeated.",
)
@click.option("--next", "following", required=True, type=DAY, help="When the next canary is due.")
@click.option(
    "--proof",
    "proofs",
    required=True,
    multiple=True,
    help="One line that nobody could know before today: a headline, a block's hash. "
    "May be repeated.",
)
@_out_option("canary.txt")
@date_option
@openpgp_option
@passphrase_option
@example('cccr-web canary --key cccr.key --statement "…" --next 2027-02-01 --proof "…" --out …')
def canary(
    key_file: Path,
    statements: tuple[str, ...],
    following: datetime,
    proofs: tuple[str, ...],
    out: Path,
    day: datetime | None,
    openpgp_key: str | None,
    passphrase_file: Path | None,
) -> None:
    """Write canary.txt: what is true today, and by when the next canary comes.

    The next canary must be due within 186 days, and not before today. A release whose
    canary is overdue cannot be signed.
    """
    from cccr_web.notices import make_canary, write_notice

    today = datetime.now(UTC).date()
    if following.date() < today:
        raise CccrError(
            f"The next canary was due on {following:%Y-%m-%d}, which is in the past.",
            "Choose a later day.",
        )
    key = unlock(key_file, passphrase_file)
    body = make_canary(key, day.date() if day else today, following.date(), statements, proofs)
    write_notice(out, body, openpgp=openpgp_key)


@click.command()
@click.argument("urls", nargs=-1, required=True)
@key_option
@_out_option("mirrors.txt")
@date_option
@openpgp_option
@passphrase_option
@example("cccr-web mirrors --key cccr.key --out mirrors.txt https://… http://….onion")
def mirrors(
    urls: tuple[str, ...],
    key_file: Path,
    out: Path,
    day: datetime | None,
    openpgp_key: str | None,
    passphrase_file: Path | None,
) -> None:
    """Write mirrors.txt: every address of the site, the best first, signed."""
    from cccr_web.notices import make_mirrors, write_notice

    key = unlock(key_file, passphrase_file)
    today = (day or datetime.now(UTC)).date()
    write_notice(out, make_mirrors(key, today, urls), openpgp=openpgp_key)


@click.command()
@click.option(
    "--contact",
    "contacts",
    required=True,
    multiple=True,
    help="mailto:… or https://…; the best first.",
)
@click.option("--expires", required=True, type=DAY, help="The day on which the file expires.")
@click.option("--canonical", multiple=True, help="The address of this file: https://…")
@click.option("--encryption", help="The address of a key for encrypted mail: https://…")
@click.option("--policy", help="The address of your policy for vulnerability reports: https://…")
@click.option("--languages", default="en, zh", show_default=True, help="What you can read.")
@_out_option(".well-known/security.txt")
@openpgp_option
@example("cccr-web security-txt --contact mailto:… --expires 2027-06-30 --out security.txt")
def security_txt(
    contacts: tuple[str, ...],
    expires: datetime,
    canonical: tuple[str, ...],
    encryption: str | None,
    policy: str | None,
    languages: str,
    out: Path,
    openpgp_key: str | None,
) -> None:
    """Write security.txt (RFC 9116): how to report a vulnerability of the site."""
    from cccr_web.notices import SECURITY_TXT_AHEAD, make_security_txt, write_notice

    until, now = expires.replace(tzinfo=UTC), datetime.now(UTC)
    if not now < until <= now + SECURITY_TXT_AHEAD:
        raise CccrError(
            f"security.txt would expire on {until:%Y-%m-%d}.", "Choose a day within the next year."
        )
    fields = [("Contact", contact) for contact in contacts]
    fields += [("Canonical", url) for url in canonical]
    optional = {"Encryption": encryption, "Policy": policy, "Preferred-Languages": languages}
    fields += [(name, value) for name, value in optional.items() if value]
    write_notice(out, make_security_txt(until, fields), openpgp=openpgp_key)
