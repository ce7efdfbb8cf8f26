"""What is checked, and what a check finds."""

from __future__ import annotations

import enum
import json
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Self

from cccr_web.listen import Tcp, Unix
from cccr_web.onion import ControlAddress
from cccr_web.release import Trusted

IpAddress = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class PrivatePath:
    """A path with restricted access: the most that its mode may allow, and its owner, if given."""

    path: Path
    mode: int | None = None
    owner: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``PATH``, ``PATH=MODE`` or ``PATH=OWNER:MODE``. Raises ``ValueError``."""
        path, separator, expected = text.rpartition("=")
        if not separator:
            return cls(Path(text))
        owner, _, mode = expected.rpartition(":")
        try:
            bits = int(mode, 8)
        except ValueError:
            bits = -1
        if not 0 <= bits <= 0o777 or not path:
            raise ValueError(f"“{text}” is not PATH, PATH=0640 or PATH=OWNER:0640.")
        return cls(Path(path), bits, owner or None)


@dataclass(frozen=True, slots=True)
class Target:
    """One site, and where this machine keeps its parts.

    ``release`` is the path that is served, ``key`` the organisation's key, ``states`` the
    servers' state folders. ``domain`` and ``onion`` override the release's names. ``https``
    and ``http`` are the ports of this machine, ``authorities`` a file of certificates to
    trust in addition to the system's. ``control`` belongs to the hosting tor; ``torrc``
    is a file of further lines for the client tor that the checks start. ``units``
    are the site's units of systemd, ``dns_names`` the names that must lead to exactly
    ``addresses``, ``baseline`` a file of what the server had when it was set
    up. ``standby`` is the file that says why this server does not publish the onion, if it is one
    of several, and ``onion_socket`` where it serves it. ``backend`` is this server's own onion, if
    Onionbalance publishes the site's; with ``front``, it does so on this server. With
    ``ssh_keys_only``, sshd must accept nothing else. ``seconds`` limits the check of each address.
    """

    release: Path
    key: Trusted
    https: Tcp
    http: Tcp
    seconds: float
    states: tuple[Path, ...] = ()
    domain: str | None = None
    onion: str | None = None
    onion_key: Path | None = None
    control: ControlAddress | None = None
    authorities: Path | None = None
    torrc: Path | None = None
    private: tuple[PrivatePath, ...] = ()
    units: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    addresses: tuple[IpAddress, ...] = ()
    baseline: Path | None = None
    standby: Path | None = None
    onion_socket: Unix | None = None
    backend: str | None = None
    front: bool = False
    ssh_keys_only: bool = False


class CheckVerdict(enum.StrEnum):
    """The outcome of a check. Its values are part of the JSON format."""

    OK = "ok"
    WRONG = "wrong"
    NOT_APPLICABLE = "not applicable"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """``name`` is the check's, ``sentence`` says what it found, ``remedy`` what to do."""

    name: str
    verdict: CheckVerdict
    sentence: str
    remedy: str = ""


def ok(name: str, sentence: str) -> CheckResult:
    """Return the result of a check that found no fault."""
    return CheckResult(name, CheckVerdict.OK, sentence)


def wrong(name: str, sentence: str, remedy: str) -> CheckResult:
    """Return the result of a check that found a fault or could not run."""
    return CheckResult(name, CheckVerdict.WRONG, sentence, remedy)


def not_applicable(name: str, reason: str) -> CheckResult:
    """Return the result of a check of something that the site does not have."""
    return CheckResult(name, CheckVerdict.NOT_APPLICABLE, reason)


def not_checked(name: str, cause: str) -> CheckResult:
    """Return the result of a check that cannot run because of the fault that ``cause`` found."""
    return CheckResult(name, CheckVerdict.NOT_CHECKED, f"Not checked, because “{cause}” is wrong.")


def run_command(*command: str, timeout: float = 20.0) -> subprocess.CompletedProcess[str]:
    """Run a program of this machine, and return what it printed.

    Raises ``OSError`` if there is none, or if it takes longer than ``timeout`` seconds.
    """
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{command[0]} takes longer than {timeout:g} s") from error


def to_json(results: Iterable[CheckResult]) -> str:
    """Return the results as a JSON list in their order."""
    return json.dumps([asdict(result) for result in results], indent=2, ensure_ascii=False)


def summarise(findings: list[str], limit: int = 3) -> str:
    """Return the first few findings, and how many more there are."""
    others = f" (and {len(findings) - limit} more)" if len(findings) > limit else ""
    return f"{'; '.join(findings[:limit])}{others}"
