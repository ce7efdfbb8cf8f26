"""What a server had when an admin set it up: ssh keys, listening ports, installed files.

``deploy.sh`` records it, and every later check reports what is no longer so. It finds what
someone left behind who did not look for it; an intruder with root can change it, too.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import pwd
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from cccr_web.doctor.model import (
    CheckResult,
    not_applicable,
    ok,
    run_command,
    summarise,
    wrong,
)
from cccr_web.errors import CccrError, counted

_FORMAT: Final = 1
_LISTEN: Final = "0A"  # TCP_LISTEN, in /proc/net/tcp (proc_net_tcp.txt of the kernel)
_PROC: Final = Path("/proc/net")
_DPKG_TIMEOUT: Final = 600.0  # seconds
_RECORD: Final = "If you made the change, record it: run deploy.sh again. Otherwise "
_COMPROMISED: Final = "see “Seized or compromised server” in deploy/README.md."


@dataclass(frozen=True, slots=True)
class Baseline:
    """What was recorded.

    ``keys`` maps a fingerprint to the file that allows the key, ``files`` a path to a SHA-256.
    ``ports`` are TCP ports that other machines can reach, ``folders`` hold the files.
    """

    keys: dict[str, str]
    ports: list[int]
    folders: list[str]
    files: dict[str, str]

    @classmethod
    def record(cls, folders: Iterable[Path]) -> Self:
        """Return what this machine has now."""
        listed = sorted(map(str, folders))
        return cls(authorized_keys(), listening_ports(), listed, hashes(map(Path, listed)))

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what ``to_json`` wrote. Raises ``CccrError``."""
        remedy = "Run deploy.sh again: it records one."
        try:
            found = json.loads(file.read_bytes())
            if found.pop("format") == _FORMAT:
                return cls(**found)
        except OSError as error:
            raise CccrError(
                f"The baseline {file} cannot be read: {error.strerror}.", remedy
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CccrError(f"The baseline {file} is damaged.", remedy) from error
        raise CccrError(f"The baseline {file} is of another version.", remedy)

    def to_json(self) -> str:
        """Return it as JSON, with sorted keys."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=1, sort_keys=True)


def check_baseline(file: Path) -> Iterator[CheckResult]:
    """Compare this machine with the baseline in ``file``."""
    try:
        known = Baseline.read(file)
    except CccrError as error:
        yield wrong("baseline", error.problem, error.remedy)
        return
    yield _compare_keys(known, authorized_keys())
    yield _compare_ports(known, listening_ports())
    yield _compare_files(known, hashes(map(Path, known.folders)))
    yield from check_packages()


def _compare_keys(known: Baseline, keys: dict[str, str]) -> CheckResult:
    new = [f"{print_} in {file}" for print_, file in keys.items() if print_ not in known.keys]
    if new:
        return wrong(
            "ssh keys",
            f"There is an ssh key that was not here at the last installation: {summarise(new)}.",
            f"{_RECORD}remove the line, and {_COMPROMISED}",
        )
    return ok("ssh keys", f"Who may log in is as recorded: {counted(len(keys), 'ssh key')}.")


def _compare_ports(known: Baseline, ports: list[int]) -> CheckResult:
    if new := sorted({*ports} - {*known.ports}):
        return wrong(
            "ports",
            f"A program listens on a port that was closed before: {', '.join(map(str, new))}.",
            f"Find out which: ss --listening --tcp --processes. {_RECORD}{_COMPROMISED}",
        )
    return ok("ports", f"Listening, as recorded: {', '.join(map(str, ports)) or 'nothing'}.")


def _compare_files(known: Baseline, files: dict[str, str]) -> CheckResult:
    changed = [
        f"{path} {'is new' if path not in known.files else 'has changed'}"
        for path, digest in files.items()
        if known.files.get(path) != digest
    ]
    changed += [f"{path} is missing" for path in known.files.keys() - files.keys()]
    if changed:
        return wrong(
            "installed files",
            f"Files that deploy.sh installed differ: {summarise(sorted(changed))}.",
            f"{_RECORD}{_COMPROMISED}",
        )
    return ok("installed files", f"{counted(len(files), 'file')} are as they were installed.")


def check_packages() -> Iterator[CheckResult]:
    """Ask dpkg which files of Debian's packages, other than configuration, have changed."""
    try:
        done = run_command("dpkg", "--verify", timeout=_DPKG_TIMEOUT)
    except OSError:
        yield not_applicable("packages", "dpkg does not work on this machine.")
        return
    # “??5?????? c /path” (dpkg(1), --verify-format): 5 for another checksum, c for a conffile.
    changed = re.findall(r"^..5......   (/.+)$", done.stdout, re.MULTILINE)
    if changed:
        yield wrong(
            "packages",
            f"Files of Debian's packages have changed: {summarise(changed)}.",
            "Find the package with “dpkg --search FILE” and install it again; if nobody changed "
            f"it, {_COMPROMISED}",
        )
    else:
        yield ok("packages", "The files of Debian's packages are as they were installed.")


def authorized_keys(homes: Iterable[str] | None = None) -> dict[str, str]:
    """Return the fingerprint of each key that may log in, and the file that allows it.

    A line that is not a key counts by its own hash, because sshd may understand it.
    """
    found = {}
    for home in sorted({user.pw_dir for user in pwd.getpwall()} if homes is None else homes):
        for name in ("authorized_keys", "authorized_keys2"):
            file = Path(home) / ".ssh" / name
            try:
                text = file.read_text(encoding="utf-8", errors="surrogateescape")
            except OSError:
                continue
            for line in map(str.strip, text.splitlines()):
                if line and not line.startswith("#"):
                    found[_fingerprint(line)] = str(file)
    return found


def _fingerprint(line: str) -> str:
    """Return a key's fingerprint as ``ssh-keygen -l`` prints it."""
    # Options, which may hold spaces in quotation marks, can come first (sshd(8)).
    match = re.search(r"(?:^|\s)(?:ssh|ecdsa|sk)-[\w@.-]+\s+([A-Za-z0-9+/]+=*)", line)
    blob = line.encode("utf-8", "surrogateescape")
    if match is not None:
        with contextlib.suppress(binascii.Error):
            blob = base64.b64decode(match[1], validate=True)
    return f"SHA256:{base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip('=')}"


def listening_ports(proc: Path | None = None) -> list[int]:
    """Return the TCP ports on which other machines may connect to this one."""
    ports = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = ((proc or _PROC) / name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue  # a kernel without that protocol
        for line in lines:
            address, port = line.split()[1].split(":")
            if line.split()[3] == _LISTEN and not _is_loopback(address):
                ports.add(int(port, 16))
    return sorted(ports)


def _is_loopback(address: str) -> bool:
    # 127.0.0.0/8, ::1 and ::ffff:127.0.0.0/104, each 32 bits in this machine's byte order.
    return (
        address == "0" * 24 + "01000000"
        or (len(address) == 8 and address.endswith("7F"))
        or (address.startswith("0" * 16 + "FFFF0000") and address.endswith("7F"))
    )


def hashes(folders: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file at or below these paths; a link counts by its target."""
    found = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            if path.is_symlink():
                body = b"link to " + str(path.readlink()).encode()
            elif path.is_file():
                body = path.read_bytes()
            else:
                continue
            found[str(path)] = hashlib.sha256(body).hexdigest()
    return found
