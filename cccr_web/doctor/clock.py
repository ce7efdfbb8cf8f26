"""Whether this machine's clock is right: signatures, certificates and tor depend on it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cccr_web.doctor.client import Client
from cccr_web.doctor.result import Result, ok, wrong
from cccr_web.errors import OnionError

NAME: Final = "clock"

_PATIENCE: Final = 10.0  # seconds
_FORM: Final = "%Y-%m-%d %H:%M:%S"
# systemd writes there in which kind of container it runs (systemd-detect-virt(1)).
_CONTAINER: Final = Path("/run/systemd/container")
_WAY_OUT: Final = "Have it kept: apt install systemd-timesyncd, then timedatectl set-ntp true."


def check_clock(client: Client | None, container: Path = _CONTAINER) -> Iterator[Result]:
    """Ask systemd; where it keeps no time, compare with the time of tor's newest consensus."""
    told = _ask_systemd()
    if told.get("NTP") == "yes":
        if told.get("NTPSynchronized") == "yes":
            yield ok(NAME, "The clock is kept by a time service, and synchronised.")
        else:
            yield wrong(
                NAME,
                "A time service runs, but the clock is not synchronised.",
                "See whether it reaches its servers: timedatectl timesync-status.",
            )
    elif told and not container.exists():
        yield wrong(NAME, "No time service keeps the clock.", _WAY_OUT)
    elif client is None:
        yield wrong(NAME, "Nothing here can tell whether the clock is right.", _WAY_OUT)
    else:
        yield _compare(client)


def _ask_systemd() -> dict[str, str]:
    """Return what ``timedatectl`` shows; nothing where there is no systemd."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            ["timedatectl", "show"], capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
        if done.returncode == 0:
            return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return {}


def _compare(client: Client) -> Result:
    """Compare with the consensus (dir-spec, 3.4.1): it is good for three of its intervals."""
    try:
        after = client.moment("consensus/valid-after")
        until = client.moment("consensus/valid-until")
    except OnionError as error:
        return wrong(NAME, f"Nothing here can tell whether the clock is right: {error}", _WAY_OUT)
    now = datetime.now(UTC)
    if after - timedelta(minutes=1) <= now <= until:
        return ok(
            NAME,
            f"The clock fits the time of the Tor network, {after:%H:%M} to {until:%H:%M} UTC; "
            "no time service of this machine keeps it.",
        )
    return wrong(
        NAME,
        f"It is {now:{_FORM}} UTC here; the Tor network is at {after:{_FORM}} to {until:%H:%M:%S}.",
        _WAY_OUT,
    )
