"""Parameter types, options and help that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import wraps
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import click

from cccr_web.config import Config, read_domain, read_megabytes, read_onion
from cccr_web.errors import CccrError
from cccr_web.facts import CLOCK_TOLERANCE
from cccr_web.listen import Tcp, parse_listen

if TYPE_CHECKING:
    from cccr_web.release import Trusted

Decorator = Callable[[Callable[..., object]], Callable[..., object]]


class ParsedParam(click.ParamType[Any]):
    """A value read by a function that raises ``ValueError`` or ``CccrError``.

    ``read`` may be ``"module:function"``, so that the module is imported only when needed.
    """

    def __init__(self, name: str, read: Callable[[str], Any] | str) -> None:
        self.name = name
        self._read = read

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002  # click's signature
        """Return the name as it is; click would write it in capitals."""
        return self.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the value; click reports a wrong one."""
        if not isinstance(value, str):
            return value
        try:
            read = resolve_name(self._read) if isinstance(self._read, str) else self._read
            return read(value)
        except (ValueError, CccrError) as error:
            self.fail(str(error), param, ctx)


def _read_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"“{text}” is not a date such as 2027-02-01.") from error


def _read_notice_date(text: str) -> date:
    from cccr_web.notices import MAX_AGE

    day, today = _read_date(text), datetime.now(UTC).date()
    # An older one could have expired.
    if not today - MAX_AGE < day <= today + CLOCK_TOLERANCE:
        raise ValueError(f"{day} is not within the last year, up to today ({today}, UTC).")
    return day


def _read_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            # In a locale without UTF-8, Python has kept the bytes (PEP 383).
            return os.fsencode(text).decode()
        except UnicodeError as error:
            raise ValueError(f"“{text}” is not text in UTF-8.") from error
    return text


def _read_port(text: str) -> Tcp:
    with suppress(ValueError):
        where = parse_listen(text)
        if isinstance(where, Tcp):
            return where
    raise ValueError(f"“{text}” is not HOST:PORT, such as 127.0.0.1:9050.")


ADDRESS = ParsedParam("URL", "cccr_web.watch:Address.parse")
DATE = ParsedParam("DATE", _read_date)
DOMAIN = ParsedParam("NAME", read_domain)
TEXT = ParsedParam("TEXT", _read_text)
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
FOLDER.name = "folder"  # not click's “directory”, in help and errors
HOST_PORT = ParsedParam("HOST:PORT", _read_port)
ONION = ParsedParam("ADDRESS.onion", read_onion)
RELEASE = click.Path(path_type=Path)
RELEASE.name = "release"
# Whatever is there or not, the server decides whether to serve its last good release.
SERVED_RELEASE = click.Path(path_type=Path, readable=False)
SERVED_RELEASE.name = FOLDER.name
SECONDS = click.FloatRange(min=0.1)
SECONDS.name = "number of seconds"


def repeatable(*names: str, help: str, **settings: Any) -> Decorator:  # noqa: A002  # click's name
    """Return an option that may be passed several times."""
    return click.option(*names, multiple=True, help=f"{help} May be repeated.", **settings)


def public_key(*, required: bool = False) -> Decorator:
    """Return ``--public-key``, for ``read_public_key``."""
    text = "The organisation's public key: a file, or the key itself (RW…)."
    return click.option("--public-key", metavar="KEY", required=required, help=text)


policy = click.option(
    "--policy",
    type=FILE,
    help="The organisation's policy, instead of a key: a file that “key policy” wrote.",
)


def trusted(*, required: bool = False) -> Decorator:
    """Return ``--public-key`` and ``--policy``, which are passed on as one ``key``.

    It is a ``Trusted``, or ``None`` if neither is passed and none is ``required``.
    """

    def decorate(command: Callable[..., object]) -> Callable[..., object]:
        @public_key()
        @policy
        @wraps(command)
        def run(*args: Any, public_key: str | None, policy: Path | None, **others: Any) -> object:
            read = require_trusted if required else read_trusted
            return command(*args, key=read(public_key, policy), **others)

        return run

    return decorate


def read_trusted(public_key: str | None, policy: Path | None) -> Trusted | None:
    """Return the key or the policy, of which no more than one may be given."""
    from cccr_web.release import read_policy, read_public_key

    if public_key is not None and policy is not None:
        raise click.UsageError("Pass either --public-key or --policy.")
    if policy is not None:
        return read_policy(policy)
    return read_public_key(public_key) if public_key else None


def require_trusted(public_key: str | None, policy: Path | None) -> Trusted:
    """Return the key or the policy, of which exactly one must be given."""
    key = read_trusted(public_key, policy)
    if key is None:
        raise click.UsageError("Missing option '--public-key' or '--policy'.")
    return key


def time_limit(default: int = 600) -> Decorator:
    """Return ``--time-limit`` with a default in seconds."""
    return click.option(
        "--time-limit",
        "seconds",
        type=SECONDS,
        metavar="SECONDS",
        default=default,
        help="The time limit for each address.",
    )


def require_socks(socks: Tcp | None, addresses: Iterable[Any]) -> None:
    """Raise ``CccrError`` if one of the addresses is an onion, and ``--socks`` is missing."""
    if socks is None and any(address.is_onion for address in addresses):
        raise CccrError("An onion can be reached only through Tor.", "Pass --socks 127.0.0.1:9050.")


control = click.option(
    "--control",
    type=ParsedParam("ADDRESS", "cccr_web.onion:parse_control_address"),
    help="Tor's control socket or port: unix:/PATH, PORT or HOST:PORT. "
    "By default, the usual addresses are tried.",
)
hsts_preload = click.option(
    "--hsts-preload",
    is_flag=True,
    help="Extend HSTS to all subdomains, and allow browsers to preload it.",
)
max_megabytes = click.option(
    "--max-megabytes",
    type=ParsedParam("N", read_megabytes),
    help="How large a release may be, in MB; by default CCCR_MAX_MEGABYTES, or "
    f"{Config().max_megabytes}.",
)
neutral_titles = click.option(
    "--neutral-titles",
    is_flag=True,
    help="Use one title for all pages, which hides from onlookers what is read.",
)
cache_folder = click.option(
    "--cache",
    "cache_folder",
    type=FOLDER,
    metavar="DIR",
    help="A folder for what the next build can use again. It is made if it does not exist.",
)
notice_date = click.option(
    "--date",
    "day",
    type=ParsedParam("DATE", _read_notice_date),
    default=lambda: datetime.now(UTC).date(),
    show_default="today, UTC",
    help="The date of the notice.",
)
report_file = click.option(
    "--report",
    type=FILE,
    help="A file to which the result is written as JSON, in one step, for “notify”.",
)
json_output = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
secret_key = click.option(
    "--key", "key_file", required=True, type=FILE, help="The organisation's secret key."
)
signing_key = click.option(
    "--key", "key_file", type=FILE, help="The secret key, in minisign's format."
)
ssh_key = click.option(
    "--ssh-key",
    type=FILE,
    help="Instead, the SSH key of a signer in the policy: a file, or the .pub file of a key that "
    "an agent or a security key holds.",
)


def signer(command: Callable[..., object]) -> Callable[..., object]:
    """Add ``--key`` and ``--ssh-key``, of which exactly one must be passed."""

    @signing_key
    @ssh_key
    @wraps(command)
    def run(*args: Any, key_file: Path | None, ssh_key: Path | None, **others: Any) -> object:
        if (key_file is None) == (ssh_key is None):
            raise click.UsageError("Pass either --key or --ssh-key.")
        return command(*args, key_file=key_file, ssh_key=ssh_key, **others)

    return run


notice_file = click.option(
    "--out",
    required=True,
    type=FILE,
    help="The file to write. A release includes the files in translations/files/.",
)
openpgp_key = click.option("--openpgp-key", metavar="NAME", help="A gpg key to sign with as well.")
socks = click.option(
    "--socks", type=HOST_PORT, help="Tor's SocksPort, such as 127.0.0.1:9050, for onions."
)
passphrase_file = click.option(
    "--passphrase-file",
    type=FILE,
    help="A file that holds the passphrase; by default, it is asked for.",
)


def example(command: str) -> str:
    """Return the end of a command's help."""
    return f"\b\nExample:\n  cccr-web {command}"
