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
    "--date", "day", type=DAY, help="The day that it bears, if not today (UTC)."
)
openpgp_option = click.option("--openpgp-key", help="Sign with this key of gpg's too.")


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
@click.option("--next", "following", required=True, type=DAY, help="By when the next one comes.")
@click.option(
    "--proof",
    "proofs",
    required=True,
    multiple=True,
    help="One line that nobody knew before today: a headline, a block's hash. May be repeated.",
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
    """Write canary.txt: what is true today, and by when it will be said again.

    Refused if the next day is past or more than 186 days after this one. A release
    that holds a canary whose next day is past is not signed.
    """
    from cccr_web.notices import make_canary, write_notice

    today = datetime.now(UTC).date()
    if following.date() < today:
        raise CccrError(
            f"The next canary was due on {following:%Y-%m-%d}, which is past.",
            "Choose a later day.",
        )
    key = unlock(key_file, passphrase_file)
    said_on = day.date() if day else today
    body = make_canary(key, said_on, following.date(), statements, proofs)
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
    """Write mirrors.txt: every address of the site, the best first, signed inside."""
    from cccr_web.notices import make_mirrors, write_notice

    key = unlock(key_file, passphrase_file)
    said_on = (day or datetime.now(UTC)).date()
    write_notice(out, make_mirrors(key, said_on, urls), openpgp=openpgp_key)


@click.command()
@click.option(
    "--contact",
    "contacts",
    required=True,
    multiple=True,
    help="mailto:… or https://…; the best first.",
)
@click.option("--expires", required=True, type=DAY, help="The day on which it ends.")
@click.option("--canonical", multiple=True, help="Where this file is: https://…")
@click.option("--encryption", help="Where a key for encrypted mail is: https://…")
@click.option("--policy", help="What you ask of those who find a hole: https://…")
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
    """Write security.txt (RFC 9116): whom to tell of a hole in the site."""
    from cccr_web.notices import SECURITY_TXT_AHEAD, make_security_txt, write_notice

    until, now = expires.replace(tzinfo=UTC), datetime.now(UTC)
    if not now < until <= now + SECURITY_TXT_AHEAD:
        raise CccrError(
            f"security.txt would end on {until:%Y-%m-%d}.", "Choose a day within the next year."
        )
    fields = [("Contact", contact) for contact in contacts]
    fields += [("Canonical", url) for url in canonical]
    optional = {"Encryption": encryption, "Policy": policy, "Preferred-Languages": languages}
    fields += [(name, value) for name, value in optional.items() if value]
    write_notice(out, make_security_txt(until, fields), openpgp=openpgp_key)
